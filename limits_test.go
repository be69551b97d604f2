package datastorage_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/datastorage-io/datastorage"
)

// texts are the text fields with their longest value in characters, from the HTTP contract.
var texts = []struct {
	name string
	max  int
	get  func(*datastorage.Event) string
}{
	{"version", 20, func(e *datastorage.Event) string { return e.Version }},
	{"event_type", 100, func(e *datastorage.Event) string { return e.Type }},
	{"event_action", 50, func(e *datastorage.Event) string { return e.Action }},
	{"correlation_id", 255, func(e *datastorage.Event) string { return e.CorrelationID }},
	{"actor_type", 50, func(e *datastorage.Event) string { return e.ActorType }},
	{"actor_id", 255, func(e *datastorage.Event) string { return e.ActorID }},
	{"resource_type", 100, func(e *datastorage.Event) string { return e.ResourceType }},
	{"resource_id", 255, func(e *datastorage.Event) string { return e.ResourceID }},
	{"namespace", 253, func(e *datastorage.Event) string { return e.Namespace }},
	{"cluster_name", 255, func(e *datastorage.Event) string { return e.ClusterName }},
	{"severity", 20, func(e *datastorage.Event) string { return e.Severity }},
	{"error_code", 100, func(e *datastorage.Event) string { return e.ErrorCode }},
	{"error_message", 4096, func(e *datastorage.Event) string { return e.ErrorMessage }},
}

// characters are written as JSON and as they are meant.
var characters = []struct{ json, text string }{
	{"x", "x"}, {"é", "é"}, {"€", "€"}, {"😀", "😀"}, {`\u20ac`, "€"}, {`\ud83d\ude00`, "😀"}, {`\n`, "\n"},
}

func TestRules_Decode_TextLimits(t *testing.T) {
	for _, f := range texts {
		t.Run(f.name, func(t *testing.T) {
			for _, c := range characters {
				for _, n := range []int{1, f.max - 1, f.max} {
					e := mustDecode(t, eventWith(member{f.name, `"` + strings.Repeat(c.json, n) + `"`}))
					if got := f.get(&e); got != strings.Repeat(c.text, n) {
						t.Errorf("%d times %q is read as %q", n, c.json, got)
					}
				}
				raw := eventWith(member{f.name, `"` + strings.Repeat(c.json, f.max+1) + `"`})
				refused(t, raw, f.name, fmt.Sprintf("must be at most %d characters", f.max))
			}
			for _, wrong := range []string{"1", "true", "[]", "{}", `["x"]`} {
				refused(t, eventWith(member{f.name, wrong}), f.name, "must be a string")
			}
		})
	}
}

func TestRules_Decode_Required(t *testing.T) {
	for _, m := range required {
		for _, raw := range [][]byte{
			eventWithout(m.name), eventWith(member{m.name, "null"}), eventWith(member{m.name, `""`}),
		} {
			refused(t, raw, m.name, m.name+" is required")
		}
	}
	_, err := windowRules().Decode([]byte(`{}`), now)
	e := validation(t, err)
	if len(e.Fields) != len(required) {
		t.Errorf("an empty object has faults %v, want all %d required fields", e.Fields, len(required))
	}
	for _, m := range required {
		if !strings.Contains(e.Detail, m.name) {
			t.Errorf("the detail %q does not name %s", e.Detail, m.name)
		}
	}
}

// optional are the optional fields, each with a good value.
var optional = []member{
	{"actor_type", `"agent"`}, {"actor_id", `"a-1"`}, {"resource_type", `"Deployment"`}, {"resource_id", `"d-1"`},
	{"parent_event_id", `"019e177b-f460-78f8-ae99-a7f2f4deb952"`}, {"namespace", `"demo"`}, {"cluster_name", `"dev"`},
	{"severity", `"critical"`}, {"duration_ms", `17`}, {"error_code", `"E1"`}, {"error_message", `"broken"`},
	{"trace_id", `"ca978112ca1bbdcafac231b39a23dc4d"`}, {"span_id", `"a786eff8147c4e72"`},
	{"event_id", `"019e1780-45d8-7944-916f-c1dbe36a146d"`}, {"retention_days", `30`}, {"is_sensitive", `true`},
}

func TestRules_Decode_AbsentOptional(t *testing.T) {
	want := body(mustDecode(t, eventWith()))
	for _, m := range optional {
		for _, value := range []string{"null", `""`} {
			e := mustDecode(t, eventWith(member{m.name, value}))
			if got := body(e); got != want {
				t.Errorf("%s %s gives\n%s, want\n%s", m.name, value, got, want)
			}
			if plain := mustDecode(t, eventWith()); e.Sent != plain.Sent {
				t.Errorf("%s %s counts as sent", m.name, value)
			}
		}
		if e := mustDecode(t, eventWith(m)); !strings.Contains(body(e), `"`+m.name+`":`+m.value) {
			t.Errorf("%s is not in the body %s", m.name, body(e))
		}
	}
	for _, value := range []string{"null", `""`} {
		if got := body(mustDecode(t, eventWith(member{"producer_id", value}, member{"producer_seq", value}))); got != want {
			t.Errorf("producer %s gives %s", value, got)
		}
	}
}

func TestRules_Decode_Defaults(t *testing.T) {
	e := mustDecode(t, eventWith())
	const want = `{"actor_id":"gateway-service","actor_type":"service","correlation_id":"rr-1","event_action":"received",` +
		`"event_category":"gateway","event_data":{"a":1},"event_id":"019e177b-f078-7934-ab60-48404a4f721f",` +
		`"event_outcome":"success","event_timestamp":"2026-05-11T14:40:59.000000Z","event_type":"gateway.signal.received",` +
		`"is_sensitive":false,"resource_id":"rr-1","resource_type":"gateway","retention_days":2555,"severity":"info","version":"1.0"}`
	if got := body(e); got != want {
		t.Errorf("body is\n%s, want\n%s", got, want)
	}
	rules := windowRules()
	rules.RetentionByCategory = map[string]int{"gateway": 90}
	e, err := rules.Decode(eventWith(), now)
	if err != nil || e.Retention != 90 {
		t.Errorf("retention by category: %d, %v", e.Retention, err)
	}
	if e, err = rules.Decode(eventWith(member{"retention_days", "7"}), now); err != nil || e.Retention != 7 {
		t.Errorf("the event's own retention: %d, %v", e.Retention, err)
	}
}

func TestRules_Decode_Enums(t *testing.T) {
	for _, wrong := range []string{`"successful"`, `"Success"`, `" success"`, "1", "true", "[]", "{}"} {
		refused(t, eventWith(member{"event_outcome", wrong}), "event_outcome", "must be one of: success, failure, pending")
		refused(t, eventWith(member{"event_category", wrong}), "event_category",
			"must be one of: gateway, notification, analysis, signalprocessing, workflow, execution, orchestration")
	}
	for _, outcome := range datastorage.Outcomes {
		mustDecode(t, eventWith(member{"event_outcome", strconv.Quote(outcome)}))
	}
	for _, category := range datastorage.Categories {
		mustDecode(t, eventWith(member{"event_category", strconv.Quote(category)}))
	}
	rules := windowRules()
	rules.Categories = append(append([]string(nil), datastorage.Categories...), "billing")
	if _, err := rules.Decode(eventWith(member{"event_category", `"billing"`}), now); err != nil {
		t.Errorf("a configured category is refused: %v", err)
	}
	_, err := rules.Decode(eventWith(member{"event_category", `"other"`}), now)
	if e := validation(t, err); !strings.Contains(e.Detail, "orchestration, billing") {
		t.Errorf("the detail %q does not list the configured category", e.Detail)
	}
}

func TestRules_Decode_Integers(t *testing.T) {
	for _, f := range []struct {
		name, least, most, below, above string
		lo, hi                          string
	}{
		{"duration_ms", "0", "9007199254740991", "-1", "9007199254740992", "at least 0", "at most 9007199254740991"},
		{"retention_days", "1", "36500", "0", "36501", "at least 1", "at most 36500"},
	} {
		for _, good := range []string{f.least, f.most} {
			if e := mustDecode(t, eventWith(member{f.name, good})); !strings.Contains(body(e), `"`+f.name+`":`+good) {
				t.Errorf("%s %s is not kept: %s", f.name, good, body(e))
			}
		}
		for _, below := range []string{f.below, "-9223372036854775808", "-" + strings.Repeat("9", 99)} {
			refused(t, eventWith(member{f.name, below}), f.name, f.lo)
		}
		for _, above := range []string{f.above, "9223372036854775808", strings.Repeat("9", 100)} {
			refused(t, eventWith(member{f.name, above}), f.name, f.hi)
		}
		for _, wrong := range []string{`"5"`, "1.5", "1.0", "1e2", "true", "[1]", "{}"} {
			refused(t, eventWith(member{f.name, wrong}), f.name, "must be an integer")
		}
	}
	e := mustDecode(t, eventWith(member{"duration_ms", "-0"}))
	if e.DurationMS == nil || *e.DurationMS != 0 {
		t.Errorf("duration -0 is %v", e.DurationMS)
	}
}

func TestRules_Decode_Producer(t *testing.T) {
	e := mustDecode(t, eventWith(member{"producer_id", `"p"`}, member{"producer_seq", "9223372036854775807"}))
	if e.ProducerID != "p" || e.ProducerSeq == nil || *e.ProducerSeq != 1<<63-1 {
		t.Errorf("producer %q, %v", e.ProducerID, e.ProducerSeq)
	}
	mustDecode(t, eventWith(member{"producer_id", `"` + strings.Repeat("é", 255) + `"`}, member{"producer_seq", "0"}))
	refused(t, eventWith(member{"producer_id", `"p"`}), "producer_seq", "is required with producer_id")
	refused(t, eventWith(member{"producer_seq", "0"}), "producer_id", "is required with producer_seq")
	refused(t, eventWith(member{"producer_seq", "-1"}, member{"producer_id", `"p"`}), "producer_seq", "at least 0")
	refused(t, eventWith(member{"producer_seq", "9223372036854775808"}, member{"producer_id", `"p"`}), "producer_seq", "at most")
	refused(t, eventWith(member{"producer_seq", "1"}, member{"producer_id", `"` + strings.Repeat("é", 256) + `"`}), "producer_id", "at most 255 characters")
}

func TestRules_Decode_Identifiers(t *testing.T) {
	for _, name := range []string{"event_id", "parent_event_id"} {
		e := mustDecode(t, eventWith(member{name, `"019E1780-45D8-7944-916F-C1DBE36A146D"`}))
		if !strings.Contains(body(e), `"`+name+`":"019e1780-45d8-7944-916f-c1dbe36a146d"`) {
			t.Errorf("an upper-case %s is not written in lower case: %s", name, body(e))
		}
		for _, wrong := range []string{
			`"x"`, `"019e178045d87944916fc1dbe36a146d"`, `"{019e1780-45d8-7944-916f-c1dbe36a146d}"`, "17", "[]", "true",
			`"urn:uuid:019e1780-45d8-7944-916f-c1dbe36a146d"`, `"019e1780-45d8-7944-916f-c1dbe36a146g"`, `"019e1780x45d8-7944-916f-c1dbe36a146d"`,
		} {
			refused(t, eventWith(member{name, wrong}), name, "must be a UUID")
		}
	}
	const null = `"00000000-0000-0000-0000-000000000000"`
	refused(t, eventWith(member{"event_id", null}), "event_id", "must not be the nil UUID")
	refused(t, eventWith(member{"parent_event_id", null}), "parent_event_id", "parent event does not exist")
	for name, digits := range map[string]int{"trace_id": 32, "span_id": 16} {
		mustDecode(t, eventWith(member{name, `"` + strings.Repeat("0a", digits/2) + `"`}))
		for _, wrong := range []string{
			strings.Repeat("a", digits-1), strings.Repeat("a", digits+1), strings.Repeat("A", digits), strings.Repeat("g", digits),
		} {
			refused(t, eventWith(member{name, `"` + wrong + `"`}), name, fmt.Sprintf("must be %d lower-case", digits))
		}
		refused(t, eventWith(member{name, "1"}), name, "must be")
	}
	for _, wrong := range []string{`"true"`, "1", "0", "[]", "{}"} {
		refused(t, eventWith(member{"is_sensitive", wrong}), "is_sensitive", "must be true or false")
	}
}

func TestRules_Decode_Timestamp(t *testing.T) {
	for _, c := range []struct{ sent, stored string }{
		{"2026-05-11T14:40:59Z", "14:40:59.000000Z"},
		{"2026-05-11T14:40:59.1Z", "14:40:59.100000Z"},
		{"2026-05-11T14:40:59.123456789Z", "14:40:59.123456Z"},
		{"2026-05-11T16:40:59.999999999+02:00", "14:40:59.999999Z"},
		{"2026-05-11T09:10:59-05:30", "14:40:59.000000Z"},
		// The window is 14:45:00.123456 less seven days to that and five minutes, both ends inclusive.
		{"2026-05-04T14:45:00.123456Z", "14:45:00.123456Z"},
		{"2026-05-11T14:50:00.123456Z", "14:50:00.123456Z"},
		{"2026-05-11T14:50:00.123456999Z", "14:50:00.123456Z"},
	} {
		e := mustDecode(t, eventWith(member{"event_timestamp", `"` + c.sent + `"`}))
		if got := string(datastorage.AppendTime(nil, e.Time)); !strings.HasSuffix(got, "T"+c.stored) {
			t.Errorf("%s is stored as %s", c.sent, got)
		}
	}
	for sent, phrase := range map[string]string{
		`"2026-05-04T14:45:00.123455Z"`:        "more than 7 days in the past",
		`"2026-05-04T14:45:00.123455999Z"`:     "more than 7 days in the past",
		`"2026-05-11T14:50:00.123457Z"`:        "more than 5 minutes in the future",
		`"1969-12-31T23:59:59Z"`:               "between the years",
		`"2200-01-01T00:00:00Z"`:               "between the years",
		`"2026-05-11"`:                         "RFC 3339",
		`"2026-05-11T14:40:59"`:                "RFC 3339",
		`"2026-05-11 14:40:59Z"`:               "RFC 3339",
		`"2026-05-11T14:40:60Z"`:               "RFC 3339",
		`"2026-02-29T14:40:59Z"`:               "RFC 3339",
		`"2026-05-11T14:40:59,5Z"`:             "RFC 3339",
		`"2026-05-11T14:40:59+25:00"`:          "RFC 3339",
		`"yesterday"`:                          "RFC 3339",
		`1778510459`:                           "RFC 3339",
		`["2026-05-11T14:40:59Z"]`:             "RFC 3339",
		`"` + strings.Repeat("2026", 40) + `"`: "RFC 3339",
	} {
		refused(t, eventWith(member{"event_timestamp", sent}), "event_timestamp", phrase)
	}
	for _, old := range []string{"1970-01-01T00:00:00Z", "2199-12-31T23:59:59.999999999Z"} {
		if _, err := testRules().Decode(eventWith(member{"event_timestamp", `"` + old + `"`}), now); err != nil {
			t.Errorf("%s is refused without a window: %v", old, err)
		}
	}
}
