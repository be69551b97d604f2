package config

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// WriteYAML writes every setting's effective value with its origin as a comment. Secrets are masked.
func (e *Effective) WriteYAML(w io.Writer) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	config := reflect.ValueOf(&e.Config).Elem()
	section, sectionKey := root, ""
	for _, s := range known().settings {
		prefix, name, nested := strings.Cut(s.key, ".")
		if !nested {
			section, name = root, s.key
		} else if prefix != sectionKey {
			section, sectionKey = &yaml.Node{Kind: yaml.MappingNode}, prefix
			root.Content = append(root.Content, scalar(prefix, ""), section)
		}
		v := valueNode(config.FieldByIndex(s.index).Interface())
		key := scalar(name, "")
		comment(key, v).LineComment = e.Origin(s.key).String()
		section.Content = append(section.Content, key, v)
	}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	_, err := w.Write(text.Bytes())
	return err
}

// comment returns the node that a comment on the first line of an entry belongs to.
func comment(key, v *yaml.Node) *yaml.Node {
	if v.Kind == yaml.ScalarNode || v.Style == yaml.FlowStyle {
		return v
	}
	return key
}

func scalar(text, tag string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
	if tag == "!!str" && (text == "" || text == masked) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// valueNode is the form in which the file may hold the value.
func valueNode(v any) *yaml.Node {
	switch v := v.(type) {
	case []string:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, item := range v {
			n.Content = append(n.Content, scalar(item, "!!str"))
		}
		return n
	case map[string]int:
		n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			n.Content = append(n.Content, scalar(name, "!!str"), scalar(strconv.Itoa(v[name]), "!!int"))
		}
		return n
	case time.Duration:
		return scalar(FormatDuration(v), "")
	case float64:
		return scalar(formatFloat(v), "")
	case int, bool, Size:
		return scalar(fmt.Sprint(v), "")
	default:
		return scalar(fmt.Sprint(v), "!!str")
	}
}

// WriteManual writes what each setting means, for a terminal.
func WriteManual(w io.Writer) error {
	for _, s := range known().settings {
		names := s.env
		if s.flag != "" {
			names += ", --" + s.flag
		}
		def := s.def
		if def == "" {
			def = "none"
		}
		if _, err := fmt.Fprintf(w, "  %s (default %s; %s)\n%s", s.key, def, names, wrap(manual[s.key]+s.limits(), "      ", 100)); err != nil {
			return err
		}
	}
	return nil
}

// limits is the sentence about what a value may be, or "".
func (s *setting) limits() string {
	switch {
	case len(s.oneOf) > 0:
		return " One of " + s.alternatives() + "."
	case s.max != "":
		return " From " + s.min + " to " + s.max + "."
	default:
		return ""
	}
}

// wrap breaks text into lines of at most width bytes that begin with indent.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		if line != indent && len(line)+len(word) >= width {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
	return b.String()
}
