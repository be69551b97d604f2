package datastorage_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// malformed are bodies that are refused as a whole.
var malformed = map[string][]byte{
	"Empty":               nil,
	"WhiteSpace":          []byte(" \n\t"),
	"Truncated":           eventWith()[:100],
	"TruncatedAtEnd":      eventWith()[:len(eventWith())-1],
	"Array":               []byte(`[]`),
	"ArrayOfEvents":       append(append([]byte{'['}, eventWith()...), ']'),
	"String":              []byte(`"event"`),
	"Number":              []byte(`17`),
	"Null":                []byte(`null`),
	"TrailingObject":      append(eventWith(), "{}"...),
	"TrailingWord":        append(eventWith(), "x"...),
	"TrailingString":      append(eventWith(), `"x"`...),
	"TrailingOpenString":  append(eventWith(), `"x`...),
	"TrailingOpenObject":  append(eventWith(), ` {`...),
	"TrailingMinus":       append(eventWith(), ` -`...),
	"TrailingPartOfTrue":  append(eventWith(), ` tr`...),
	"TrailingComma":       append(eventWith(), ","...),
	"TrailingBrace":       append(eventWith(), "}"...),
	"TrailingNUL":         append(eventWith(), 0),
	"ByteOrderMark":       append([]byte("\ufeff"), eventWith()...),
	"DuplicateName":       append(eventWith()[:len(eventWith())-1], `,"version":"1.0"}`...),
	"DuplicateUnknown":    eventWith(member{"x", `1,"x":1`}),
	"DuplicateEscaped":    eventWith(member{"x", `1,"\u0078":1`}),
	"DuplicateInData":     eventWith(member{"event_data", `{"a":1,"a":1}`}),
	"DuplicateDeep":       eventWith(member{"event_data", `{"a":[{"b":{"c":1,"c":2}}]}`}),
	"DuplicateInUnknown":  eventWith(member{"x", `{"a":1,"\u0061":1}`}),
	"InvalidUTF8":         eventWith(member{"event_action", "\"\xff\""}),
	"InvalidUTF8InData":   eventWith(member{"event_data", "{\"a\":\"\xc3\x28\"}"}),
	"InvalidUTF8InName":   eventWith(member{"event_data", "{\"\xe2\x82\":1}"}),
	"InvalidUTF8Unknown":  eventWith(member{"x", "\"\xed\xa0\x80\""}),
	"OverlongUTF8":        eventWith(member{"x", "\"\xc0\x80\""}),
	"LoneSurrogate":       eventWith(member{"event_action", `"\ud800"`}),
	"LoneSurrogateLow":    eventWith(member{"event_data", `{"a":"\udc00x"}`}),
	"LoneSurrogateInName": eventWith(member{"event_data", `{"\ud83d":1}`}),
	"LoneSurrogateTwice":  eventWith(member{"x", `"\ud83d\ud83d"`}),
	"RawNUL":              eventWith(member{"event_action", "\"\x00\""}),
	"RawControl":          eventWith(member{"event_data", "{\"a\":\"\x1f\"}"}),
	"BadEscape":           eventWith(member{"x", `"\x"`}),
	"SingleQuotes":        []byte(`{'version':'1.0'}`),
	"Comment":             append([]byte("/* */"), eventWith()...),
	"NaN":                 eventWith(member{"x", "NaN"}),
	"Infinity":            eventWith(member{"x", "-Infinity"}),
	"LeadingZero":         eventWith(member{"event_data", `{"a":01}`}),
	"PlusSign":            eventWith(member{"event_data", `{"a":+1}`}),
	"EndsWithPoint":       eventWith(member{"event_data", `{"a":1.}`}),
	"Hexadecimal":         eventWith(member{"event_data", `{"a":0x10}`}),
	"BottomlessUnknown":   eventWith(member{"x", strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)}),
	"UnknownNUL":          eventWith(member{"x", `"a\u0000"`}),
	"UnknownNULDeep":      eventWith(member{"x", `[{"a":["\u0000"]}]`}),
	"UnknownNULName":      eventWith(member{`x\u0000`, `1`}),
	"UnknownNULNameDeep":  eventWith(member{"x", `{"\u0000":1}`}),
	"UnknownInfinite":     eventWith(member{"x", `[1e400]`}),
	"UnknownInfinite2":    eventWith(member{"x", `-1E+400`}),
	"UnknownLongNumber":   eventWith(member{"x", `{"a":` + strings.Repeat("9", 101) + `}`}),
	"UnknownLongFraction": eventWith(member{"x", "0." + strings.Repeat("0", 98) + "1"}),
}

func TestRules_Decode_Malformed(t *testing.T) {
	for name, raw := range malformed {
		t.Run(name, func(t *testing.T) {
			_, err := windowRules().Decode(raw, now)
			e := validation(t, err)
			if len(e.Fields) != 0 {
				t.Errorf("fields are %v", e.Fields)
			}
			if len(raw) == 0 || raw[0] != '{' {
				return
			}
			batch := append(append(append(append([]byte{'['}, eventWith()...), ','), raw...), ']')
			_, err = windowRules().DecodeBatch(batch, now, 10)
			validation(t, err)
		})
	}
}

// TestRules_Decode_MalformedDetail pins what a caller is told.
func TestRules_Decode_MalformedDetail(t *testing.T) {
	for name, phrases := range map[string][]string{
		"Empty":             {"empty"},
		"Array":             {"JSON object"},
		"TrailingObject":    {"more than one JSON value"},
		"DuplicateInData":   {"duplicate member name", "event_data"},
		"InvalidUTF8InData": {"invalid UTF-8", "event_data"},
		"LoneSurrogate":     {"invalid UTF-8", "event_action"},
		"UnknownNUL":        {"U+0000"},
		"UnknownInfinite":   {"not finite"},
		"UnknownLongNumber": {"longer than 100 characters"},
	} {
		_, err := windowRules().Decode(malformed[name], now)
		for _, phrase := range phrases {
			if e := validation(t, err); !strings.Contains(e.Detail, phrase) {
				t.Errorf("%s: the detail %q does not say %q", name, e.Detail, phrase)
			}
		}
	}
	_, err := windowRules().Decode(eventWith(member{"x", `{"event_data":1,"event_data":1}`}), now)
	if e := validation(t, err); strings.Contains(e.Detail, "event_data") {
		t.Errorf("the detail %q blames event_data for an unknown member", e.Detail)
	}
}

func TestRules_Decode_BadValueOfField(t *testing.T) {
	for value, phrase := range map[string]string{
		`"a\u0000b"`:             "must not contain U+0000",
		`1e400`:                  "not finite as an IEEE double",
		strings.Repeat("1", 101): "longer than 100 characters",
		`{"a":"\u0000"}`:         "must not contain U+0000",
		`{"\u0000":1}`:           "must not contain U+0000",
		`{"a":[{"b":-1e999}]}`:   "not finite as an IEEE double",
		`{"a":1.` + strings.Repeat("0", 99) + `}`: "longer than 100 characters",
	} {
		for _, name := range []string{"event_data", "event_action", "namespace"} {
			refused(t, eventWith(member{name, value}), name, phrase)
		}
	}
	// A backslash that is escaped itself makes no NUL of what follows.
	e := mustDecode(t, eventWith(member{"event_action", `"a\\u0000"`}, member{"event_data", `{"\\u0000":"\\\\u0000"}`}))
	if e.Action != `a\u0000` || string(e.Data) != `{"\\u0000":"\\\\u0000"}` {
		t.Errorf("action %q, data %s", e.Action, e.Data)
	}
}

func TestRules_Decode_EveryFault(t *testing.T) {
	_, err := windowRules().Decode(object([]member{
		{"version", "1"}, {"event_type", `""`}, {"event_timestamp", `"x"`}, {"event_category", `"x"`}, {"event_action", `"\u0000"`},
		{"event_outcome", "true"}, {"event_data", "[]"}, {"duration_ms", "-1"}, {"severity", `"` + strings.Repeat("x", 21) + `"`},
		{"producer_seq", "1"}, {"is_sensitive", "0"},
	}), now)
	e := validation(t, err)
	for _, name := range []string{
		"version", "event_type", "event_timestamp", "event_category", "event_action", "event_outcome", "event_data",
		"correlation_id", "duration_ms", "severity", "producer_id", "is_sensitive",
	} {
		if !strings.HasPrefix(e.Fields[name], name+" ") || !strings.Contains(e.Detail, name) {
			t.Errorf("%s: %q", name, e.Fields[name])
		}
	}
	if len(e.Fields) != 12 {
		t.Errorf("fields are %v", e.Fields)
	}
}

func TestRules_Decode_NoEcho(t *testing.T) {
	secret := strings.Repeat("hunter2", 10)
	for _, m := range []member{
		{"event_data", `"` + secret + `"`}, {"event_outcome", `"` + secret + `"`}, {"event_category", `"` + secret + `"`},
		{"event_timestamp", `"` + secret + `"`}, {"event_id", `"` + secret + `"`}, {"trace_id", `"` + secret + `"`},
		{"severity", `"` + secret + `"`}, {"duration_ms", `"` + secret + `"`}, {"is_sensitive", `"` + secret + `"`},
		{"event_data", `{"` + secret + `":1,"` + secret + `":2}`}, {"event_data", `{"` + secret + `":"` + "\xff" + `"}`},
		{secret, `"\u0000"`}, {secret, `1e400`}, {secret + `\u0000`, `1`}, {"event_data", `{"a":hunter2}`},
	} {
		_, err := windowRules().Decode(eventWith(m), now)
		e := validation(t, err)
		if strings.Contains(e.Detail+fmt.Sprint(e.Fields), "hunter2") {
			t.Errorf("%s: the error repeats what was sent: %q", m.name, e.Detail)
		}
	}
}

func TestRules_Decode_UnknownMembers(t *testing.T) {
	want := body(mustDecode(t, eventWith()))
	for _, m := range []member{
		{"x", "1"}, {"Version", `"2"`}, {"event_date", `"2026-05-11"`}, {"log_index", "1"}, {"", "null"}, {"x", `{"deep":[[[1e308,-0,1e-400]]]}`},
		{"x", strings.Repeat("[", 100) + strings.Repeat("]", 100)},
	} {
		if got := body(mustDecode(t, eventWith(m))); got != want {
			t.Errorf("unknown member %s changes the body to %s", m.name, got)
		}
	}
	e := mustDecode(t, []byte(strings.Replace(string(eventWith()), `"event_action"`, `"\u0065vent_action"`, 1)))
	if body(e) != want {
		t.Error("an escaped name of a field is not recognised")
	}
	if got := body(mustDecode(t, append([]byte(" \r\n\t"), strings.ReplaceAll(string(eventWith()), ",", " ,\n")+" \n"...))); got != want {
		t.Errorf("white space changes the body to %s", got)
	}
}

func TestRules_Decode_Numbers(t *testing.T) {
	for _, n := range []string{
		"0", "-0", "-0.0", "1.0", "1.50", "1e5", "1E+05", "1e-400", "1e308", "-1.7976931348623157e308", "0.1", "1e0",
		"9007199254740993", "123456789012345678901234567890", strings.Repeat("9", 100), "0." + strings.Repeat("3", 98),
		"1e" + strings.Repeat("0", 97) + "1",
	} {
		data := `{"a":` + n + `,"b":[` + n + `]}`
		if e := mustDecode(t, eventWith(member{"event_data", data})); string(e.Data) != data {
			t.Errorf("%s is kept as %s", data, e.Data)
		}
	}
}

// nested is an object that is nested to a depth of n, through objects, arrays or both.
func nested(n int, pair string) string {
	return `{"a":` + strings.Repeat(pair[:1], n-1) + strings.Repeat(pair[1:], n-1) + `}`
}

func TestRules_Decode_Depth(t *testing.T) {
	for n := 2; n <= 32; n += 30 {
		mustDecode(t, eventWith(member{"event_data", nested(n, "[]")}))
	}
	objects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	mustDecode(t, eventWith(member{"event_data", objects(32)}))
	mustDecode(t, eventWith(member{"event_data", `{"a":"` + strings.Repeat("[{", 50) + `","b":[[],[],{}]}`}))
	refused(t, eventWith(member{"event_data", objects(33)}), "event_data", "at most 32 deep")
	refused(t, eventWith(member{"event_data", nested(33, "[]")}), "event_data", "at most 32 deep")
	refused(t, eventWith(member{"event_data", nested(9000, "[]")}), "event_data", "at most 32 deep")
}

func TestRules_Decode_DataSize(t *testing.T) {
	// {"a":"…"} has eight bytes around the text.
	fits := datastorage.MaxEventDataBytes - len(`{"a":""}`)
	e := mustDecode(t, eventWith(member{"event_data", `{"a":"` + strings.Repeat("x", fits) + `"}`}))
	if len(e.Data) != datastorage.MaxEventDataBytes {
		t.Errorf("%d bytes", len(e.Data))
	}
	const phrase = "at most 262144 bytes in canonical form"
	refused(t, eventWith(member{"event_data", `{"a":"` + strings.Repeat("x", fits+1) + `"}`}), "event_data", phrase)
	// Bytes are counted in canonical form: white space and needless escapes do not count, € counts three.
	mustDecode(t, eventWith(member{"event_data", `{ "a" : "` + strings.Repeat(`\u0078`, fits/6) + strings.Repeat("x", fits-fits/6) + `" }`}))
	refused(t, eventWith(member{"event_data", `{"a":"` + strings.Repeat("€", fits/3+1) + `"}`}), "event_data", phrase)
}

func TestRules_DecodeBatch(t *testing.T) {
	array := func(events ...[]byte) []byte {
		raw := []byte{'['}
		for i, e := range events {
			if i > 0 {
				raw = append(raw, ',')
			}
			raw = append(raw, e...)
		}
		return append(raw, ']')
	}
	good, rules := eventWith(), windowRules()
	id := member{"event_id", `"019e1780-45d8-7944-916f-c1dbe36a146d"`}
	events, err := rules.DecodeBatch(array(good, eventWith(id), good), now, 3)
	if err != nil || len(events) != 3 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if body(events[0]) != body(mustDecode(t, good)) || events[0].ID != uuid.Nil || events[1].ID.String() != strings.Trim(id.value, `"`) {
		t.Errorf("events are %v", events)
	}
	t.Run("Limit", func(t *testing.T) {
		_, err := rules.DecodeBatch(array(good, good, good, good), now, 3)
		if datastorage.CodeOf(err) != datastorage.CodeTooLarge || !strings.Contains(err.Error(), "more than 3 events") {
			t.Errorf("error is %v", err)
		}
	})
	for _, c := range []struct {
		name   string
		raw    []byte
		detail string // how the detail begins
		fields []string
	}{
		{"Empty", []byte(`[]`), "batch cannot be empty", nil},
		{"Spaces", []byte(` [ ] `), "batch cannot be empty", nil},
		{"Object", good, "the body must be a JSON array", nil},
		{"Null", []byte(`null`), "the body must be a JSON array", nil},
		{"Nothing", nil, "the body is empty", nil},
		{"First", array(eventWithout("version"), good), "event at index 0: version is required", []string{"0.version"}},
		{"Last", array(good, good, eventWith(member{"event_outcome", `"x"`})), "event at index 2: event_outcome must be one of", []string{"2.event_outcome"}},
		{"Several", array(good, eventWithout("version"), eventWith(member{"duration_ms", "-1"}, member{"namespace", "1"})),
			"event at index 1: version is required", []string{"1.version", "2.duration_ms", "2.namespace"}},
		{"NotAnObject", array(good, []byte("1"), good), "event at index 1: an event must be a JSON object", []string{"1"}},
		{"NotAnObjectLater", array(eventWithout("version"), []byte(`[{"a":1}]`), good), "event at index 0: version is required", []string{"0.version", "1"}},
		{"NullElement", array(good, []byte("null")), "event at index 1: an event must be a JSON object", []string{"1"}},
		{"UnknownNUL", array(good, eventWith(member{"x", `"\u0000"`})), "event at index 1: ", []string{"1"}},
		{"UnknownNULLater", array(eventWithout("version"), eventWith(member{"x", `"\u0000"`})), "event at index 0: version", []string{"0.version", "1"}},
		{"Syntax", []byte(`[` + string(good) + `,{"a"}]`), "event at index 1: the body is not valid JSON", nil},
		{"Truncated", []byte(`[` + string(good)), "", nil},
		{"TruncatedAfterComma", []byte(`[` + string(good) + `,`), "event at index 1: ", nil},
		{"MissingComma", []byte(`[` + string(good) + string(good) + `]`), "event at index 1: the body is not valid JSON", nil},
		{"TrailingComma", []byte(`[` + string(good) + `,]`), "event at index 1: the body is not valid JSON", nil},
		{"Trailing", []byte(`[` + string(good) + `] []`), "the body holds more than one JSON value", nil},
		{"TrailingOpenString", []byte(`[` + string(good) + `] "`), "the body holds more than one JSON value", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := rules.DecodeBatch(c.raw, now, 3)
			e := validation(t, err)
			if !strings.HasPrefix(e.Detail, c.detail) {
				t.Errorf("the detail is %q, want %q…", e.Detail, c.detail)
			}
			if len(e.Fields) != len(c.fields) {
				t.Errorf("fields are %v, want %v", e.Fields, c.fields)
			}
			for _, name := range c.fields {
				if e.Fields[name] == "" {
					t.Errorf("fields are %v, want %s", e.Fields, name)
				}
			}
		})
	}
}
