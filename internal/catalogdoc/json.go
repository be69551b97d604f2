package catalogdoc

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// object writes a JSON object member by member.
type object struct{ b []byte }

// raw adds a member with a JSON value, unless that is empty.
func (o *object) raw(name string, value []byte) {
	if len(value) == 0 {
		return
	}
	if len(o.b) > 0 {
		o.b = append(o.b, ',')
	}
	o.b = append(appendQuoted(o.b, name), ':')
	o.b = append(o.b, value...)
}

// text adds a member with a text, unless that is empty.
func (o *object) text(name, value string) {
	if value != "" {
		o.raw(name, appendQuoted(nil, value))
	}
}

// node adds a member with a value of a document, unless that is absent.
func (o *object) node(name string, n *yaml.Node) {
	if n != nil {
		o.raw(name, appendNode(nil, n))
	}
}

// bytes returns the object.
func (o *object) bytes() []byte { return append(append([]byte{'{'}, o.b...), '}') }

// appendQuoted appends a text as JSON; documents are valid UTF-8.
func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// appendNode appends a value of a document as JSON. A number keeps its text where JSON can write it so; what JSON cannot
// say, a time among it, becomes a text.
func appendNode(b []byte, n *yaml.Node) []byte {
	switch n.Kind {
	case yaml.MappingNode:
		o := object{}
		for i := 0; i < len(n.Content); i += 2 {
			o.raw(n.Content[i].Value, appendNode(nil, n.Content[i+1]))
		}
		return append(b, o.bytes()...)
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, e := range n.Content {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendNode(b, e)
		}
		return append(b, ']')
	}
	switch n.ShortTag() {
	case "!!null":
		return append(b, "null"...)
	case "!!bool":
		var v bool
		_ = n.Decode(&v) // it has been found to be one
		return strconv.AppendBool(b, v)
	case "!!int", "!!float":
		return appendNumber(b, n)
	}
	return appendQuoted(b, n.Value)
}

func appendNumber(b []byte, n *yaml.Node) []byte {
	if v := jsontext.Value(n.Value); v.IsValid() && v.Kind() == '0' {
		return append(b, v...)
	}
	var whole int64
	if n.Decode(&whole) == nil {
		return strconv.AppendInt(b, whole, 10)
	}
	var f float64
	if n.Decode(&f) == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
		return strconv.AppendFloat(b, f, 'g', -1, 64)
	}
	return appendQuoted(b, n.Value)
}
