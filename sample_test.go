package datastorage_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// now is the server's clock in these tests; it has a fraction below a microsecond, as a real clock has.
var now = time.Date(2026, 5, 11, 14, 45, 0, 123456789, time.UTC)

// windowRules are the rules of a server with default settings.
func windowRules() *datastorage.Rules {
	r := testRules()
	r.Window, r.Past, r.Future = true, 7*24*time.Hour, 5*time.Minute
	return r
}

func testRules() *datastorage.Rules {
	return &datastorage.Rules{Categories: datastorage.Categories, RetentionDays: datastorage.DefaultRetentionDays}
}

// required are the required members of an event with good values.
var required = []member{
	{"version", `"1.0"`}, {"event_type", `"gateway.signal.received"`}, {"event_timestamp", `"2026-05-11T14:40:59.000Z"`},
	{"event_category", `"gateway"`}, {"event_action", `"received"`}, {"event_outcome", `"success"`},
	{"correlation_id", `"rr-1"`}, {"event_data", `{"a":1}`},
}

// member is one member of a JSON object, its value as JSON text.
type member struct{ name, value string }

// eventWith is an event of the required members, in which some are set or added.
func eventWith(set ...member) []byte { return withMembers(required, set) }

// withMembers is an object of some members, in which some are set or added.
func withMembers(base, set []member) []byte {
	members := append([]member(nil), base...)
next:
	for _, m := range set {
		for i := range members {
			if members[i].name == m.name {
				members[i] = m
				continue next
			}
		}
		members = append(members, m)
	}
	return object(members)
}

// eventWithout is an event of the required members but one.
func eventWithout(name string) []byte {
	var members []member
	for _, m := range required {
		if m.name != name {
			members = append(members, m)
		}
	}
	return object(members)
}

func object(members []member) []byte {
	var b bytes.Buffer
	for i, m := range members {
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		b.WriteString(`"` + m.name + `":` + m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// mustDecode decodes an event that must be good.
func mustDecode(t testing.TB, raw []byte) datastorage.Event {
	t.Helper()
	e, err := windowRules().Decode(raw, now)
	if err != nil {
		t.Fatalf("%.200s is refused: %v", raw, err)
	}
	return e
}

// body is the canonical body of a decoded event, with an id when it has none.
func body(e datastorage.Event) string {
	if e.ID == uuid.Nil {
		e.ID = uuid.MustParse("019e177b-f078-7934-ab60-48404a4f721f")
	}
	return string(datastorage.AppendBody(nil, &e))
}

// validation checks that err is a validation error, and returns it.
func validation(t testing.TB, err error) *datastorage.Error {
	t.Helper()
	e, ok := errors.AsType[*datastorage.Error](err)
	if !ok || e.Code != datastorage.CodeValidation {
		t.Fatalf("error is %v, want a validation error", err)
	}
	if e.Detail == "" {
		t.Error("the error has no detail")
	}
	return e
}

// refused checks that an event is refused because of one field alone, and that the sentence holds the phrase.
func refused(t testing.TB, raw []byte, field, phrase string) {
	t.Helper()
	_, err := windowRules().Decode(raw, now)
	if err == nil {
		t.Errorf("%.200s is accepted; want %s with %q", raw, field, phrase)
		return
	}
	e := validation(t, err)
	if len(e.Fields) != 1 || !strings.Contains(e.Fields[field], phrase) || !strings.Contains(e.Detail, field) {
		t.Errorf("%.200s: detail %q, fields %v; want %s with %q", raw, e.Detail, e.Fields, field, phrase)
	}
}

// recordedEvents are the lines of testdata/events.ndjson.
func recordedEvents(tb testing.TB) [][]byte {
	tb.Helper()
	raw, err := os.ReadFile("testdata/events.ndjson")
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(raw), []byte("\n"))
}

func TestRules_Decode_RecordedEvents(t *testing.T) {
	lines := recordedEvents(t)
	if len(lines) < 30 {
		t.Fatalf("only %d recorded events", len(lines))
	}
	rules := testRules()
	for i, line := range lines {
		e, err := rules.Decode(line, now)
		if err != nil {
			t.Errorf("line %d: %v", i+1, err)
			continue
		}
		first := body(e)
		again, err := datastorage.ParseBody([]byte(first))
		if err != nil {
			t.Errorf("line %d: its body is not read back: %v", i+1, err)
		} else if second := body(*again); second != first {
			t.Errorf("line %d: the body changes from\n%s to\n%s", i+1, first, second)
		}
	}
	batch := append(append([]byte{'['}, bytes.Join(lines, []byte(","))...), ']')
	events, err := rules.DecodeBatch(batch, now, len(lines))
	if err != nil || len(events) != len(lines) {
		t.Errorf("as a batch: %d events, %v", len(events), err)
	}
}
