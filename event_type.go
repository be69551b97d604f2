package datastorage

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits of an event type.
const (
	MaxEventTypeName      = 100      // characters, as event_type of an event
	MaxEventTypeText      = 4096     // characters of a description
	MaxEventTypeSchema    = 64 << 10 // bytes in canonical form, nested 32 deep
	MaxEventTypeExamples  = 10
	MaxEventTypeExample   = 16 << 10  // bytes in canonical form
	MaxEventTypeBodyBytes = 256 << 10 // of a request
)

// The modes of an event type: what happens to an event whose event_data breaks the schema.
const (
	ModeOff     = "off"     // nothing is checked
	ModeWarn    = "warn"    // it is stored, and the answer says what is wrong
	ModeEnforce = "enforce" // it is refused
)

// EventTypeModes are the modes of an event type.
var EventTypeModes = []string{ModeOff, ModeWarn, ModeEnforce}

// EventType is one version of what is known about an event_type.
type EventType struct {
	Name string // 1 to 100, the event_type that it describes
	// Version counts from 1; 0 is what the server knows until somebody stores a version.
	Version     int64
	Mode        string // one of EventTypeModes
	Owner       string // up to 255; "" when nobody is named
	Description string // up to MaxEventTypeText
	// Schema is a JSON Schema (draft 2020-12) of event_data, in canonical form.
	Schema jsontext.Value
	// Examples are values of event_data, in canonical form.
	Examples []jsontext.Value

	UpdatedAt time.Time // zero in version 0
	UpdatedBy string    // "" in version 0
}

// SameContent reports whether two versions say the same.
func (t *EventType) SameContent(o *EventType) bool {
	same := func(a, b jsontext.Value) bool { return string(a) == string(b) }
	return t.Name == o.Name && t.Mode == o.Mode && t.Owner == o.Owner && t.Description == o.Description &&
		same(t.Schema, o.Schema) && slices.EqualFunc(t.Examples, o.Examples, same)
}

// CheckEventTypeName says what is wrong with the name of an event type, "" when nothing is.
func CheckEventTypeName(name string) string {
	switch {
	case name == "" || utf8.RuneCountInString(name) > MaxEventTypeName:
		return "must be 1 to " + strconv.Itoa(MaxEventTypeName) + " characters"
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "must be valid UTF-8 without control characters"
	}
	return ""
}

// eventTypeAnswer are members that an answer has and a request may repeat without effect.
var eventTypeAnswer = []string{"version", "updated_at", "updated_by", "schema_sha256", "versions", "versions_total"}

// DecodeEventType reads an event type from a request body. Unlike other bodies it may hold no member that is not known: a
// mode that is misspelt must not leave events unchecked. A name that the body leaves out is the given one, "" when there
// is none. Whether the schema is one is not checked here. The error is an *Error with CodeValidation that names every bad
// field.
func DecodeEventType(raw []byte, name string) (*EventType, error) {
	o, err := readObject(raw)
	if err != nil {
		return nil, err
	}
	t := &EventType{Mode: ModeOff, Name: name}
	for _, member := range eventTypeAnswer {
		delete(o.members, member)
		delete(o.bad, member)
	}
	if _, named := o.members["event_type"]; named || name == "" {
		o.take("event_type", func(raw jsontext.Value) string { return t.decodeName(raw, name) })
	}
	if _, given := o.members["mode"]; given {
		o.text(&textRule{"mode", 0, true, EventTypeModes}, &t.Mode)
	}
	t.decodeContent(o)
	if unknown := slices.Sorted(maps.Keys(o.members)); len(unknown) > 0 {
		o.faults[wholeObject] = fmt.Sprintf("%s is not a known field; known are: event_type, mode, owner, description, schema, examples", clip(unknown[0]))
	}
	if err := o.finish(); err != nil {
		return nil, err
	}
	return t, nil
}

// clip shortens a name that a client chose.
func clip(name string) string {
	const most = 64
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return name
}

func (t *EventType) decodeName(raw jsontext.Value, name string) string {
	sent := ""
	if fault := (&textRule{name: "event_type", required: true}).decode(raw, &sent); fault != "" {
		return fault
	}
	if name != "" && sent != name {
		return "must be the event type of the path, or left out"
	}
	t.Name = sent
	return CheckEventTypeName(sent)
}

// decodeContent decodes what people write about an event type.
func (t *EventType) decodeContent(o *object) {
	o.text(&textRule{"owner", 255, false, nil}, &t.Owner)
	o.text(&textRule{"description", MaxEventTypeText, false, nil}, &t.Description)
	o.take("schema", func(raw jsontext.Value) (fault string) {
		if raw == nil {
			return "is required"
		}
		t.Schema, fault = canonicalObject(raw, MaxEventTypeSchema)
		return fault
	})
	o.take("examples", t.decodeExamples)
}

func (t *EventType) decodeExamples(raw jsontext.Value) string {
	if raw == nil {
		return ""
	}
	elements, ok := splitArray(raw)
	if !ok {
		return "must be an array of objects"
	}
	if len(elements) > MaxEventTypeExamples {
		return "must be at most " + strconv.Itoa(MaxEventTypeExamples) + " objects"
	}
	for i, element := range elements {
		example, fault := canonicalObject(element, MaxEventTypeExample)
		if fault != "" {
			return fmt.Sprintf("has an example at index %d that %s", i, fault)
		}
		t.Examples = append(t.Examples, example)
	}
	return ""
}

// splitArray returns the elements of a JSON array; ok is false when it is none.
func splitArray(raw jsontext.Value) (elements []jsontext.Value, ok bool) {
	if raw[0] != '[' {
		return nil, false
	}
	d := borrowDecoder(raw)
	defer d.giveBack()
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, false
	}
	for d.dec.PeekKind() != ']' {
		v, err := d.dec.ReadValue()
		if err != nil {
			return nil, false
		}
		elements = append(elements, v.Clone())
	}
	return elements, true
}

// AppendEventType appends a version of an event type as the catalogue stores it. Absent members are left out.
func AppendEventType(b []byte, t *EventType) []byte {
	b = appendString(b, `{"event_type":`, t.Name)
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, t.Version, 10)
	b = appendString(b, `,"mode":`, t.Mode)
	b = appendOptional(b, `,"owner":`, t.Owner)
	b = appendOptional(b, `,"description":`, t.Description)
	b = append(b, `,"schema":`...)
	b = append(b, t.Schema...)
	if len(t.Examples) > 0 {
		b = append(b, `,"examples":[`...)
		for i, example := range t.Examples {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, example...)
		}
		b = append(b, ']')
	}
	b = appendTimestamp(b, `,"updated_at":"`, t.UpdatedAt)
	b = appendOptional(b, `,"updated_by":`, t.UpdatedBy)
	return append(b, '}')
}

// ParseEventType reads a version of an event type back: ParseEventType(AppendEventType(nil, t)) equals t. It refuses bytes
// that AppendEventType does not write.
func ParseEventType(document []byte) (*EventType, error) {
	o, err := readObject(document)
	if err != nil {
		return nil, fmt.Errorf("not an event type: %w", err)
	}
	t := &EventType{}
	o.text(&textRule{"event_type", MaxEventTypeName, true, nil}, &t.Name)
	o.take("version", func(raw jsontext.Value) (fault string) {
		if raw == nil {
			return "is required"
		}
		t.Version, fault = wholeNumber(raw, 1, maxSafeInteger)
		return fault
	})
	o.text(&textRule{"mode", 0, true, EventTypeModes}, &t.Mode)
	t.decodeContent(o)
	o.time("updated_at", &t.UpdatedAt)
	o.text(&textRule{"updated_by", MaxWorkflowText, false, nil}, &t.UpdatedBy)
	if err := o.finish(); err != nil {
		return nil, fmt.Errorf("not an event type: %w", err)
	}
	if again := AppendEventType(make([]byte, 0, len(document)), t); string(again) != string(document) {
		return nil, fmt.Errorf("not an event type: it is written otherwise")
	}
	return t, nil
}

// EventTypeKey is what makes a version of an event type unique in the catalogue. No workflow has such a key: its name is
// not empty.
func EventTypeKey(name string, version int64) string {
	return "\x00event_type\x00" + name + "\x00" + strconv.FormatInt(version, 10)
}
