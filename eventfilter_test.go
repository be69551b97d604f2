package datastorage_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

func TestDetailTexts(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"0", "-1", "1.0", "1e5", "12345678901234567890", "true", "false"} {
		if quoted, literal := datastorage.DetailTexts(s); quoted != `"`+s+`"` || literal != s {
			t.Errorf("DetailTexts(%q) = %q, %q", s, quoted, literal)
		}
	}
	for _, s := range []string{"", "null", "1 ", " 1", "01", "+1", "1.", "NaN", `"1"`, "[1]", "truth", "1,2", "1 2"} {
		if quoted, literal := datastorage.DetailTexts(s); quoted != literal {
			t.Errorf("DetailTexts(%q) = %q, %q; it is no literal", s, quoted, literal)
		}
	}
}

func TestQuoteJSON_InvalidUTF8(t *testing.T) {
	t.Parallel()
	if got, want := datastorage.QuoteJSON("a\xffb"), "\"a\uFFFDb\""; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestEventFilter_Match finds values only where the contract says that they stand; the suite of the stores compares it with
// SQL.
func TestEventFilter_Match(t *testing.T) {
	t.Parallel()
	trace := "0af7651916cd43dd8448eb211c80319c"
	e := datastorage.Event{
		ID: uuid.New(), Version: "1.0", Type: "a.b", Time: time.Unix(1, 0).UTC(), Category: "gateway", Action: "x", Outcome: "success",
		CorrelationID: "rr-1", Retention: 1, Data: []byte(`{"n":{"m":7},"trace_id":"` + trace + `","n.m":"8","list":[{"m":7}]}`),
	}
	body := datastorage.AppendBody(nil, &e)
	e.TraceID = trace
	traced := datastorage.AppendBody(nil, &e)
	header := &datastorage.EventHeader{Type: e.Type, Time: e.Time, Category: e.Category, Outcome: e.Outcome, CorrelationID: e.CorrelationID}
	tests := map[string]struct {
		query datastorage.EventQuery
		body  []byte
		want  bool
	}{
		"all":                   {datastorage.EventQuery{}, body, true},
		"trace in event_data":   {datastorage.EventQuery{TraceID: trace}, body, false},
		"trace":                 {datastorage.EventQuery{TraceID: trace}, traced, true},
		"number":                {datastorage.EventQuery{DetailPath: []string{"n", "m"}, DetailValue: "7"}, body, true},
		"dotted name":           {datastorage.EventQuery{DetailPath: []string{"n", "m"}, DetailValue: "8"}, body, false},
		"element of an array":   {datastorage.EventQuery{DetailPath: []string{"list", "m"}, DetailValue: "7"}, body, false},
		"beside event_data":     {datastorage.EventQuery{DetailPath: []string{"event_action"}, DetailValue: "x"}, body, false},
		"prefix":                {datastorage.EventQuery{EventType: "a.", EventTypePrefix: true}, body, true},
		"no prefix":             {datastorage.EventQuery{EventType: "a."}, body, false},
		"one of two":            {datastorage.EventQuery{CorrelationID: "rr-1", Category: "workflow"}, body, false},
		"a body that is broken": {datastorage.EventQuery{DetailPath: []string{"n"}, DetailValue: "7"}, []byte(`{"event_data":{"n":7`), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := datastorage.NewEventFilter(&tt.query).Match(header, tt.body); got != tt.want {
				t.Errorf("Match = %v, want %v", got, tt.want)
			}
		})
	}
}
