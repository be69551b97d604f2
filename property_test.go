package datastorage_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
)

// completeEvent draws an event as it is before it is stored: every field that must have a value has one.
func completeEvent() *rapid.Generator[datastorage.Event] {
	text := func(least, most int) *rapid.Generator[string] {
		runes := rapid.RuneFrom([]rune("aZ09.-_ \"\\/\x01\n\u0080é€\u2028\ue000\uffff😀"))
		return rapid.StringOfN(runes, least, most, -1)
	}
	hex := func(digits int) *rapid.Generator[string] {
		return rapid.OneOf(rapid.Just(""), rapid.StringOfN(rapid.RuneFrom([]rune("0123456789abcdef")), digits, digits, -1))
	}
	number := func(most int64) *rapid.Generator[*int64] { return rapid.Ptr(rapid.Int64Range(0, most), true) }
	id := rapid.Custom(func(t *rapid.T) uuid.UUID {
		id := uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		id[0] |= 1 // never the nil UUID
		return id
	})
	return rapid.Custom(func(t *rapid.T) datastorage.Event {
		data, err := datastorage.Canonical([]byte(jsonObject().Draw(t, "data")))
		if err != nil {
			t.Fatal(err)
		}
		e := datastorage.Event{
			ID: id.Draw(t, "id"), Version: text(1, 20).Draw(t, "version"), Type: text(1, 100).Draw(t, "type"),
			Time:     time.UnixMicro(rapid.Int64Range(0, 7258118399_999_999).Draw(t, "time")).UTC(),
			Category: text(1, 50).Draw(t, "category"), Action: text(1, 50).Draw(t, "action"),
			Outcome: rapid.SampledFrom(datastorage.Outcomes).Draw(t, "outcome"), CorrelationID: text(1, 255).Draw(t, "correlation"), Data: data,
			ActorType: text(1, 50).Draw(t, "actor type"), ActorID: text(1, 255).Draw(t, "actor"),
			ResourceType: text(1, 100).Draw(t, "resource type"), ResourceID: text(1, 255).Draw(t, "resource"),
			Namespace: text(0, 253).Draw(t, "namespace"), ClusterName: text(0, 255).Draw(t, "cluster"), Severity: text(1, 20).Draw(t, "severity"),
			DurationMS: number(1<<53-1).Draw(t, "duration"), ErrorCode: text(0, 100).Draw(t, "error code"), ErrorMessage: text(0, 4096).Draw(t, "error"),
			TraceID: hex(32).Draw(t, "trace"), SpanID: hex(16).Draw(t, "span"),
			Retention: rapid.IntRange(1, datastorage.MaxRetentionDays).Draw(t, "retention"), Sensitive: rapid.Bool().Draw(t, "sensitive"),
			ProducerID: text(0, 255).Draw(t, "producer"),
		}
		if rapid.Bool().Draw(t, "has parent") {
			e.ParentID = id.Draw(t, "parent")
		}
		if e.ProducerID != "" {
			n := rapid.Int64Min(0).Draw(t, "sequence")
			e.ProducerSeq = &n
		}
		return e
	})
}

func TestParseBody_Properties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := completeEvent().Draw(t, "event")
		first := datastorage.AppendBody(nil, &e)
		if !jsontext.Value(first).IsValid() {
			t.Fatalf("body %s is not valid JSON", first)
		}
		got, err := datastorage.ParseBody(first)
		if err != nil {
			t.Fatalf("body %s is not read back: %v", first, err)
		}
		if !e.SameContent(got) || !got.SameContent(&e) {
			t.Fatalf("the content of %s changes", first)
		}
		if second := datastorage.AppendBody(nil, got); string(second) != string(first) {
			t.Fatalf("body\n%s becomes\n%s", first, second)
		}
		got.Sent = 0
		if !reflect.DeepEqual(*got, e) {
			t.Fatalf("event\n%+v becomes\n%+v", e, *got)
		}
		canonical, err := datastorage.Canonical(first)
		if err != nil || string(canonical) != string(first) {
			t.Fatalf("body\n%s is not canonical:\n%s, %v", first, canonical, err)
		}
		r := datastorage.NewRecord(e, [datastorage.SaltSize]byte{1, 2, 3})
		if string(r.Body) != string(first) || r.Commitment != datastorage.Commitment(r.Salt, first) {
			t.Fatalf("record is %+v", r)
		}
	})
}

// TestParseBody_Exact checks that other spellings of a body are not bodies.
func TestParseBody_Exact(t *testing.T) {
	e := mustDecode(t, eventWith(optional...))
	good := body(e)
	if _, err := datastorage.ParseBody([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "{}", "[]", " " + good, good + " ", good + "{}", strings.Replace(good, ":", ": ", 1), strings.Replace(good, ",", ", ", 1),
		strings.Replace(good, `"severity":`, `"severity":"x","severitz":`, 1), strings.Replace(good, "critical", `c\u0072itical`, 1),
		strings.Replace(good, `"is_sensitive":true,`, "", 1), strings.Replace(good, "14:40:59.000000Z", "14:40:59Z", 1),
		strings.Replace(good, "14:40:59.000000Z", "16:40:59.000000+02:00", 1), strings.Replace(good, `{"a":1}`, `{"b":1,"a":1}`, 1),
		strings.Replace(good, "019e1780", "019E1780", 1), strings.Replace(good, `"duration_ms":17`, `"duration_ms":-0`, 1),
		strings.Replace(good, `"duration_ms":17`, `"duration_ms":null`, 1), strings.Replace(good, `"version":"1.0"`, `"version":"1.0","x":1`, 1),
	} {
		if bad == good {
			t.Fatalf("the body does not hold what is to be changed: %s", good)
		}
		if _, err := datastorage.ParseBody([]byte(bad)); err == nil {
			t.Errorf("%s is read as a body", bad)
		}
	}
}

func TestEvent_SameContent(t *testing.T) {
	stored, err := datastorage.ParseBody([]byte(body(mustDecode(t, eventWith(append(optional, member{"producer_id", `"p"`}, member{"producer_seq", "1"})...)))))
	if err != nil {
		t.Fatal(err)
	}
	sent := *stored
	fields := reflect.ValueOf(&sent).Elem()
	for i := range fields.NumField() {
		field, name := fields.Field(i), fields.Type().Field(i).Name
		if name == "Sent" || name == "ID" {
			continue
		}
		old := reflect.ValueOf(field.Interface())
		field.SetZero()
		if sent.SameContent(stored) {
			t.Errorf("an event with another %s is the same", name)
		}
		sent.Sent = 0
		if !sent.SameContent(stored) {
			t.Errorf("%s is compared although it was not sent", name)
		}
		sent.Sent = stored.Sent
		field.Set(old)
	}
}
