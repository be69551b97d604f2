package catalogdoc

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader reads one document and gathers its faults. Lines are counted from the document's first.
type reader struct {
	part   part
	now    time.Time
	faults []Fault
	lines  map[string]int // of the fields that were read
}

// fault notes what is wrong with the field at a path, as a predicate; without a path it is a whole sentence.
func (r *reader) fault(n *yaml.Node, path, what string) {
	line := 1
	if n != nil {
		line = n.Line
	}
	text := strings.TrimSpace(path + " " + what)
	r.faults = append(r.faults, Fault{Line: line, Field: path, Text: text})
}

// sound checks what holds everywhere: no anchors or aliases, no tags of one's own, no key twice, a bounded depth.
func (r *reader) sound(n *yaml.Node, path string, depth int) {
	switch {
	case depth > maxDepth:
		r.fault(n, "", "the document must be nested at most "+strconv.Itoa(maxDepth)+" deep")
		return
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fault(n, "", "anchors and aliases are not allowed: write the value out")
		return
	case n.Style&yaml.TaggedStyle != 0:
		r.fault(n, "", "tags are not allowed: the field says of which type its value is")
		return
	}
	if n.Kind != yaml.MappingNode {
		for _, element := range n.Content {
			r.sound(element, path, depth+1)
		}
		return
	}
	r.keys(n, path)
	for i := 0; i < len(n.Content); i += 2 {
		r.sound(n.Content[i], path, depth+1)
		r.sound(n.Content[i+1], join(path, shorten(n.Content[i].Value)), depth+1)
	}
}

// keys checks that the keys of a mapping are texts and different.
func (r *reader) keys(n *yaml.Node, path string) {
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			r.fault(key, "", "a key must be a plain text")
			continue
		}
		if first, twice := seen[key.Value]; twice {
			r.fault(key, join(path, shorten(key.Value)), "is there twice, first on line "+strconv.Itoa(first+r.part.line-1))
			continue
		}
		seen[key.Value] = key.Line
	}
}

// check reads the value of a field, and notes what is wrong with it.
type check func(r *reader, path string, n *yaml.Node)

// field is one member of a mapping.
type field struct {
	required bool
	check    check
}

// mapping returns the check of a mapping with known members.
func mapping(fields map[string]field) check {
	return func(r *reader, path string, n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			r.fault(n, path, "must be a mapping")
			return
		}
		known := strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
		for i := 0; i < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			at := join(path, key.Value)
			f, found := fields[key.Value]
			if !found {
				r.fault(key, join(path, shorten(key.Value)), "is not a known field; known are: "+known)
				continue
			}
			r.lines[at] = key.Line
			if isNull(value) && !f.required {
				continue
			}
			f.check(r, at, value)
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if fields[name].required && member(n, name) == nil {
				r.fault(n, join(path, name), "is required")
			}
		}
	}
}

// mappingOf returns the check of a mapping whose keys may be anything.
func mappingOf(value check) check {
	return func(r *reader, path string, n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			r.fault(n, path, "must be a mapping")
			return
		}
		for i := 0; i < len(n.Content); i += 2 {
			at := join(path, shorten(n.Content[i].Value))
			r.lines[at] = n.Content[i].Line
			value(r, at, n.Content[i+1])
		}
	}
}

// list returns the check of a list.
func list(element check) check {
	return func(r *reader, path string, n *yaml.Node) {
		if n.Kind != yaml.SequenceNode {
			r.fault(n, path, "must be a list")
			return
		}
		for i, e := range n.Content {
			element(r, path+"["+strconv.Itoa(i)+"]", e)
		}
	}
}

// oneOrList returns the check of a value that may also be a list of such.
func oneOrList(element check) check {
	return func(r *reader, path string, n *yaml.Node) {
		if n.Kind == yaml.SequenceNode {
			list(element)(r, path, n)
			return
		}
		element(r, path, n)
	}
}

// text checks that a value is a text.
func text(r *reader, path string, n *yaml.Node) {
	switch {
	case n.Kind != yaml.ScalarNode:
		r.fault(n, path, "must be a text")
	case n.ShortTag() != "!!str":
		r.fault(n, path, "must be a text: put it in quotes")
	}
}

// filled checks that a value is a text and not blank.
func filled(r *reader, path string, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && strings.TrimSpace(n.Value) == "" {
		r.fault(n, path, "is required and must not be blank")
		return
	}
	text(r, path, n)
}

// flag checks that a value is true or false.
func flag(r *reader, path string, n *yaml.Node) {
	if n.ShortTag() != "!!bool" {
		r.fault(n, path, "must be true or false")
	}
}

// number checks that a value is a number.
func number(r *reader, path string, n *yaml.Node) {
	if tag := n.ShortTag(); tag != "!!int" && tag != "!!float" {
		r.fault(n, path, "must be a number")
	}
}

// anything takes every value.
func anything(*reader, string, *yaml.Node) {}

// oneOf returns the check of a text with few values.
func oneOf(allowed ...string) check {
	return func(r *reader, path string, n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || !slices.Contains(allowed, n.Value) {
			r.fault(n, path, "must be one of: "+strings.Join(allowed, ", "))
		}
	}
}

// member returns the value of a mapping's key, nil when there is none, or no mapping.
func member(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// scalar returns the text of a scalar, "" for anything else.
func scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || isNull(n) {
		return ""
	}
	return n.Value
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// shorten cuts what an author wrote to at most 64 characters.
func shorten(s string) string {
	if runes := []rune(s); len(runes) > 64 {
		return string(runes[:64]) + "…"
	}
	return s
}
