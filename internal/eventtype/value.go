package eventtype

import (
	"bytes"
	"encoding/json" //nolint:depguard // jsonschema takes exact numbers as its Number; nothing is decoded with it
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// decode reads a JSON value as jsonschema wants it, and counts what it consists of.
func decode(text jsontext.Value) (v any, n count, err error) {
	r := reader{dec: jsontext.NewDecoder(bytes.NewReader(text))}
	v, err = r.value()
	return v, r.count, err
}

// count is what a value consists of.
type count struct {
	values int // itself and all within it
	parts  int // objects and arrays among them
}

type reader struct {
	dec *jsontext.Decoder
	count
}

func (r *reader) value() (any, error) {
	r.values++
	token, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return token.String(), nil
	case '0':
		return number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	default:
		return nil, nil
	}
}

func (r *reader) object() (any, error) {
	r.parts++
	object := map[string]any{}
	for r.dec.PeekKind() != '}' {
		name, err := r.dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String() // before the next read
		if object[key], err = r.value(); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.ReadToken()
	return object, err
}

func (r *reader) array() (any, error) {
	r.parts++
	array := []any{}
	for r.dec.PeekKind() != ']' {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		array = append(array, v)
	}
	_, err := r.dec.ReadToken()
	return array, err
}

// maxExponent bounds the exponent of a number: an exact fraction of a greater one would fill the memory. IEEE doubles end
// before it.
const maxExponent = 400

// number returns a number for exact comparisons. One whose exponent is beyond all doubles stands for the nearest of them.
func number(text string) json.Number {
	_, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	if n, err := strconv.Atoi(exponent); exponent == "" || err == nil && n >= -maxExponent && n <= maxExponent {
		return json.Number(text)
	}
	f, _ := strconv.ParseFloat(text, 64) // finite, as every number that is stored
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}
