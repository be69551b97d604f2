package story

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/datastorage-io/datastorage/internal/remediation"
)

//go:embed request.yaml
var requestYAML []byte

// requestField is one entry of request.yaml.
type requestField struct {
	Field    string          `yaml:"field"`
	From     []requestSource `yaml:"from"`
	Write    string          `yaml:"write"`
	Required bool            `yaml:"required"`
	Counts   bool            `yaml:"counts"`
}

type requestSource struct {
	Fact   string `yaml:"fact"`
	Member string `yaml:"member"`
}

// requestFields is request.yaml. It is part of the program, so that a fault in it is one of the program.
var requestFields = sync.OnceValue(func() []requestField {
	var fields []requestField
	decoder := yaml.NewDecoder(bytes.NewReader(requestYAML))
	decoder.KnownFields(true)
	if err := decoder.Decode(&fields); err != nil {
		panic(fmt.Sprintf("request.yaml: %v", err))
	}
	for _, f := range fields {
		for _, s := range f.From {
			if !remediation.Known(s.Fact) {
				panic(fmt.Sprintf("request.yaml: %s comes from %s, which is no fact", f.Field, s.Fact))
			}
		}
	}
	return fields
})

// find returns the value of a field and the fact that holds it; nil when no event does.
func (f *requestField) find(facts *remediation.Facts) (*yaml.Node, remediation.Fact) {
	for _, s := range f.From {
		fact, ok := facts.Get(s.Fact)
		if !ok {
			continue
		}
		value := f.written(fact.Value)
		if value == nil {
			continue
		}
		if s.Member != "" {
			value = mapping(s.Member, value)
		}
		return value, fact
	}
	return nil, remediation.Fact{}
}

// sources are the events that hold a field.
func (f *requestField) sources() []string {
	var names []string
	for _, s := range f.From {
		names = append(names, remediation.Sources(s.Fact)...)
	}
	return names
}

// written is a value as the field writes it; nil when there is nothing to write.
func (f *requestField) written(v jsontext.Value) *yaml.Node {
	switch f.Write {
	case "name", "namespace":
		var parts map[string]jsontext.Value
		if json.Unmarshal(v, &parts) != nil || parts[f.Write] == nil {
			return nil
		}
		return node(parts[f.Write], nil)
	case "text":
		return textNode(v)
	case "texts":
		n := node(v, nil)
		for i := 1; i < len(n.Content); i += 2 {
			if c := n.Content[i]; c.Tag != "!!str" {
				n.Content[i] = textNode(memberOf(v, n.Content[i-1].Value))
			}
		}
		return n
	case "camel":
		return node(v, remediation.Camel)
	}
	return node(v, nil)
}

func memberOf(v jsontext.Value, name string) jsontext.Value {
	var members map[string]jsontext.Value
	if json.Unmarshal(v, &members) != nil {
		return nil
	}
	return members[name]
}

// textNode is a text, or the JSON of what is none.
func textNode(v jsontext.Value) *yaml.Node {
	if v.Kind() != '"' {
		return scalarNode("!!str", string(v))
	}
	return node(v, nil)
}

// node makes a YAML node of a JSON value, members in the order in which they stand; rename changes their names.
func node(v jsontext.Value, rename func(string) string) *yaml.Node {
	d := jsontext.NewDecoder(bytes.NewReader(v))
	return readNode(d, rename)
}

func readNode(d *jsontext.Decoder, rename func(string) string) *yaml.Node {
	token, err := d.ReadToken()
	if err != nil {
		return scalarNode("!!null", "null")
	}
	switch token.Kind() {
	case '{':
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for d.PeekKind() != '}' && d.PeekKind() > 0 {
			n.Content = append(n.Content, readNode(d, nil), readNode(d, rename))
		}
		_, _ = d.ReadToken() // the value is well-formed
		if rename != nil {
			renameKeys(n, rename)
		}
		return n
	case '[':
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for d.PeekKind() != ']' && d.PeekKind() > 0 {
			n.Content = append(n.Content, readNode(d, rename))
		}
		_, _ = d.ReadToken()
		return n
	case '"':
		return scalarNode("!!str", token.String())
	case 'n':
		return scalarNode("!!null", "null")
	case 't', 'f':
		return scalarNode("!!bool", token.String())
	}
	return scalarNode("", token.String()) // a number as it is written; readers know it by its looks
}

// renameKeys renames the keys of a mapping, but none to the name of another.
func renameKeys(n *yaml.Node, rename func(string) string) {
	taken := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		taken[n.Content[i].Value] = true
	}
	for i := 0; i < len(n.Content); i += 2 {
		if name := rename(n.Content[i].Value); !taken[name] {
			taken[name] = true
			n.Content[i] = scalarNode("!!str", name)
		}
	}
}

// scalarNode makes a scalar. A text is written in double quotes where YAML could take it for something else, or break it.
func scalarNode(tag, value string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
	if tag == "!!str" && !plainText(value) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// plainText reports whether a text is one in YAML without quotes, whatever version of YAML reads it.
func plainText(s string) bool {
	if s == "" || len(s) > 200 {
		return false
	}
	letter := false
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			letter = true
		case r >= '0' && r <= '9' || r == '/':
		case r == '-' || r == '.' || r == '_':
			if !letter {
				return false
			}
		default:
			return false
		}
	}
	first := s[0] | 0x20
	return first >= 'a' && first <= 'z' && !reserved[strings.ToLower(s)]
}

// reserved are words that some reader of YAML takes for something else than a text.
var reserved = map[string]bool{
	"true": true, "false": true, "yes": true, "no": true, "on": true, "off": true, "y": true, "n": true, "null": true,
}

func mapping(name string, value *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{scalarNode("!!str", name), value}}
}

// put puts a value at a dotted path below a mapping, behind what is there.
func put(root *yaml.Node, path string, value *yaml.Node) {
	name, rest, nested := strings.Cut(path, ".")
	if !nested {
		root.Content = append(root.Content, scalarNode("!!str", name), value)
		return
	}
	for i := 0; i < len(root.Content); i += 2 {
		if root.Content[i].Value == name {
			put(root.Content[i+1], rest, value)
			return
		}
	}
	below := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	put(below, rest, value)
	root.Content = append(root.Content, scalarNode("!!str", name), below)
}
