package datastorage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Rules are the limits that an event is decoded under. The zero value knows no category but accepts any time since
// 1970; see AnyCategory. Rules are read-only once in use.
type Rules struct {
	// Window makes Past and Future count: event_timestamp must lie in [now − Past, now + Future], both ends inclusive.
	Window       bool
	Past, Future time.Duration
	// Categories are the values that event_category may have, in the order in which an error lists them.
	Categories []string
	// AnyCategory accepts every event_category of 1 to 50 characters.
	AnyCategory bool
	// RetentionDays is the default of retention_days; RetentionByCategory goes before it.
	RetentionDays       int
	RetentionByCategory map[string]int
}

// bodyRules are the rules that a stored body obeys.
var bodyRules = Rules{AnyCategory: true, RetentionDays: DefaultRetentionDays}

// Decode reads one event from a request body and fills in its defaults; the identifier stays nil when the producer sent
// none. The error is an *Error with CodeValidation that names every bad field.
func (r *Rules) Decode(raw []byte, now time.Time) (Event, error) {
	var e Event
	if r.quickly(raw, &e, now) {
		return e, nil
	}
	return r.thoroughly(raw, now)
}

// thoroughly decodes one event, and finds everything that is wrong with it.
func (r *Rules) thoroughly(raw []byte, now time.Time) (Event, error) {
	d := borrowDecoder(raw)
	defer d.giveBack()
	var e Event
	faults, err := d.event(r, &e, now)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return Event{}, err
	}
	if len(faults) > 0 {
		return Event{}, faults.err()
	}
	return e, nil
}

// DecodeBatch reads a JSON array of 1 to limit events. The error is an *Error: CodeTooLarge above the limit, else
// CodeValidation, whose detail begins "event at index N:" for the first bad event.
func (r *Rules) DecodeBatch(raw []byte, now time.Time, limit int) ([]Event, error) {
	if events := r.quicklyAll(raw, now, limit); events != nil {
		return events, nil
	}
	return r.thoroughlyAll(raw, now, limit)
}

// thoroughlyAll decodes a batch, and finds everything that is wrong with it.
func (r *Rules) thoroughlyAll(raw []byte, now time.Time, limit int) ([]Event, error) {
	d := borrowDecoder(raw)
	defer d.giveBack()
	if kind := d.dec.PeekKind(); kind != '[' {
		if kind == jsontext.KindInvalid {
			return nil, d.syntaxError(d.invalid())
		}
		return nil, Errorf(CodeValidation, "the body must be a JSON array of events")
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, d.syntaxError(err)
	}
	var (
		events []Event
		fields map[string]string
		first  string
	)
	for d.dec.PeekKind() != ']' {
		n := len(events)
		if n == limit {
			return nil, Errorf(CodeTooLarge, "the batch holds more than %d events; split it", limit)
		}
		events = append(events, Event{})
		faults, err := d.event(r, &events[n], now)
		if err != nil {
			return nil, AtIndex(n, err)
		}
		if len(faults) == 0 {
			continue
		}
		if fields == nil {
			fields, first = map[string]string{}, fmt.Sprintf("event at index %d: %s", n, FieldDetail(faults))
		}
		for name, sentence := range faults {
			fields[indexed(n, name)] = sentence
		}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, d.syntaxError(err)
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	if fields != nil {
		return nil, &Error{Code: CodeValidation, Detail: first, Fields: fields}
	}
	if len(events) == 0 {
		return nil, Errorf(CodeValidation, "batch cannot be empty")
	}
	return events, nil
}

// indexed is the path of a field in the n-th element of a batch.
func indexed(n int, name string) string {
	if name == wholeObject {
		return strconv.Itoa(n)
	}
	return strconv.Itoa(n) + "." + name
}

// faults are sentences by the field that they are about.
type faults map[string]string

// wholeObject is the name for a fault that belongs to no field that the contract knows.
const wholeObject = ""

// err returns the faults of a single object as an error.
func (f faults) err() *Error {
	e := &Error{Code: CodeValidation, Detail: FieldDetail(f)}
	delete(f, wholeObject)
	if len(f) > 0 {
		e.Fields = f
	}
	return e
}

// AtIndex marks an error as belonging to the n-th element of a batch: its detail begins "event at index N:", and its
// fields are named N.field. It changes and returns err.
func AtIndex(n int, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	e.Detail = fmt.Sprintf("event at index %d: %s", n, e.Detail)
	if e.Fields != nil {
		fields := make(map[string]string, len(e.Fields))
		for name, sentence := range e.Fields {
			fields[indexed(n, name)] = sentence
		}
		e.Fields = fields
	}
	return e
}

// decoder reads one request body. It is pooled: a jsontext.Decoder keeps its stacks between uses.
type decoder struct {
	dec   *jsontext.Decoder
	buf   bytes.Buffer
	canon canonicalizer
}

var decoders = sync.Pool{New: func() any {
	d := &decoder{}
	d.dec = jsontext.NewDecoder(&d.buf)
	return d
}}

func borrowDecoder(raw []byte) *decoder {
	d := decoders.Get().(*decoder)
	d.buf = *bytes.NewBuffer(raw)
	d.dec.Reset(&d.buf)
	return d
}

func (d *decoder) giveBack() {
	// Nothing of the body stays referenced.
	d.buf = bytes.Buffer{}
	d.dec.Reset(&d.buf)
	decoders.Put(d)
}

// end checks that nothing follows the value.
func (d *decoder) end() error {
	if kind := d.dec.PeekKind(); kind == jsontext.KindInvalid {
		if err := d.invalid(); err == nil {
			return nil
		}
	}
	return Errorf(CodeValidation, "the body holds more than one JSON value")
}

// invalid returns the error that the decoder stands at, nil at the end of the input.
func (d *decoder) invalid() error {
	_, err := d.dec.ReadToken()
	if err == nil || isEOF(err) {
		return nil
	}
	return err
}

// event reads one value, which must be a JSON object, into e. What is wrong with it is returned by field; an error says
// that the body is not JSON.
func (d *decoder) event(r *Rules, e *Event, now time.Time) (faults, error) {
	switch kind := d.dec.PeekKind(); kind {
	case '{':
	case jsontext.KindInvalid:
		return nil, d.syntaxError(d.invalid())
	default:
		if err := d.dec.SkipValue(); err != nil {
			return nil, d.syntaxError(err)
		}
		return faults{wholeObject: "an event must be a JSON object"}, nil
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, d.syntaxError(err)
	}
	v := eventDecoder{rules: r, now: now, canon: &d.canon}
	for d.dec.PeekKind() != '}' {
		name, err := d.dec.ReadValue()
		if err != nil {
			return nil, d.syntaxError(err)
		}
		// The name is only valid until the next read.
		field := v.fieldByName(name)
		raw, err := d.dec.ReadValue()
		if err != nil {
			return nil, d.syntaxError(err)
		}
		v.member(field, raw)
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, d.syntaxError(err)
	}
	v.finish()
	*e = v.event
	return v.faults, nil
}

// syntaxError turns an error of the JSON decoder into one for the caller: what is wrong, and where. It never quotes the
// body, so inside event_data it names that field alone.
func (d *decoder) syntaxError(err error) error {
	if err == nil || isEOF(err) {
		return Errorf(CodeValidation, "the body is empty or ends too early: JSON is expected")
	}
	s, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return Errorf(CodeValidation, "the body is not valid JSON")
	}
	what := "syntax error"
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		what = "duplicate member name"
	case strings.Contains(err.Error(), "UTF-8") || strings.Contains(err.Error(), "surrogate"):
		what = "invalid UTF-8"
	}
	where := ""
	if name := topLevelName(s.JSONPointer); name != "" {
		where = " in " + name
	}
	return Errorf(CodeValidation, "the body is not valid JSON: %s%s at byte %d", what, where, s.ByteOffset)
}

// topLevelName returns the known field of an event that a pointer leads into, also below the index of a batch.
func topLevelName(p jsontext.Pointer) string {
	for token := range p.Tokens() {
		if f := fieldOf(token); f != nil {
			return f.name
		}
		if strings.Trim(token, "0123456789") != "" {
			break
		}
	}
	return ""
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
