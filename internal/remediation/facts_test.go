package remediation

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

var began = time.Date(2026, 5, 11, 14, 40, 59, 0, time.UTC)

// happened is an event with a body that holds no more than event_data.
func happened(index int64, seconds int, eventType, data string) project.Event {
	return project.Event{
		EventHeader: datastorage.EventHeader{LogIndex: index, Type: eventType, Category: "orchestration", Time: began.Add(time.Duration(seconds) * time.Second), Outcome: "success"},
		Body:        []byte(`{"event_data":` + data + `}`),
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range table() {
		if seen[r.Fact] {
			t.Errorf("%s is there twice", r.Fact)
		}
		seen[r.Fact] = true
		if !slices.Contains([]string{"text", "number", "score", "time", "object", "target", "reference", "anything"}, r.Is) {
			t.Errorf("%s is %s", r.Fact, r.Is)
		}
		if !slices.Contains([]string{"", "first", "latest"}, r.Keep) || !slices.Contains([]string{"", "listed", "time"}, r.Prefer) {
			t.Errorf("%s keeps %s and prefers %s", r.Fact, r.Keep, r.Prefer)
		}
		for _, s := range r.From {
			ways := 0
			for _, set := range []bool{s.Path != "", s.Of != nil, s.Say != ""} {
				if set {
					ways++
				}
			}
			if ways != 1 || (s.Event == "") == (s.Category == "") {
				t.Errorf("%s has the source %+v", r.Fact, s)
			}
		}
		if len(r.From) == 0 || len(Sources(r.Fact)) == 0 || !Known(r.Fact) {
			t.Errorf("%s comes from nowhere", r.Fact)
		}
	}
	for _, p := range Parts {
		if !seen[p.Fact] {
			t.Errorf("%s is no fact", p.Fact)
		}
	}
}

func TestFacts_Add(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, fact, want string
		index            int64
		events           []project.Event
	}{
		{"the latest", "outcome", "b", 1, []project.Event{happened(1, 5, "orchestrator.lifecycle.completed", `{"outcome":"b"}`), happened(2, 4, "orchestrator.lifecycle.completed", `{"outcome":"a"}`)}},
		{"at one time the later in the log", "outcome", "b", 2, []project.Event{happened(2, 5, "orchestrator.lifecycle.completed", `{"outcome":"b"}`), happened(1, 5, "orchestrator.lifecycle.completed", `{"outcome":"a"}`)}},
		{"the first", "signal_name", "a", 2, []project.Event{happened(1, 5, "gateway.signal.received", `{"signal_name":"b"}`), happened(2, 4, "gateway.signal.received", `{"signal_name":"a"}`)}},
		{"the better source", "signal_name", "b", 1, []project.Event{happened(1, 5, "gateway.signal.received", `{"signal_name":"b"}`), happened(2, 4, "orchestrator.lifecycle.completed", `{"incident_type":"a"}`)}},
		{"no empty value", "outcome", "a", 1, []project.Event{happened(1, 1, "orchestrator.lifecycle.completed", `{"outcome":"a"}`), happened(2, 2, "orchestrator.lifecycle.completed", `{"outcome":""}`), happened(3, 3, "orchestrator.lifecycle.completed", `{"outcome":null}`), happened(4, 4, "orchestrator.lifecycle.completed", `{"outcome":["x"]}`)}},
		{"a target", "target", `{"kind":"Pod","name":"a","namespace":"b"}`, 1, []project.Event{happened(1, 1, "gateway.signal.received", `{"target_resource":{"namespace":"b","name":"a","kind":"Pod","uid":1}}`)}},
		{"a target in words", "remediation_target", `{"kind":"Node","name":"a"}`, 1, []project.Event{happened(1, 1, "remediation.workflow_created", `{"target_resource":"Node/a"}`)}},
		{"a target in parts", "target", `{"kind":"Pod","name":"a","namespace":"b"}`, 1, []project.Event{happened(1, 1, "gateway.signal.received", `{"resource_kind":"Pod","resource_name":"a","namespace":"b"}`)}},
		{"a nested member", "workflow_id", "w", 1, []project.Event{happened(1, 1, "workflowexecution.selection.completed", `{"selected_workflow_ref":{"workflow_id":"w"}}`)}},
		{"a reference", "request", `{"name":"rr","namespace":"ns"}`, 1, []project.Event{happened(1, 1, "gateway.crd.created", `{"remediation_request":"ns/rr"}`)}},
		{"what an event stands for", "approval", "automatic", 1, []project.Event{happened(1, 1, "orchestrator.approval.automatic", `{}`)}},
		{"a field of the event", "completed_at", "2026-05-11T14:41:01.000000Z", 1, []project.Event{happened(1, 2, "orchestrator.lifecycle.completed", `{}`)}},
		{"no target without a name", "target", "", 0, []project.Event{happened(1, 1, "gateway.signal.received", `{"target_resource":{"kind":"Pod"}}`)}},
		{"no body", "outcome", "", 0, []project.Event{{EventHeader: datastorage.EventHeader{Type: "orchestrator.lifecycle.completed"}}}},
	} {
		var facts Facts
		for i := range test.events {
			facts.Add(&test.events[i])
		}
		got, _ := facts.Get(test.fact)
		if got.Text() != test.want || got.LogIndex != test.index {
			t.Errorf("%s: %s is %s of event %d", test.name, test.fact, got.Value, got.LogIndex)
		}
	}
}

// drawEvent draws one of few events that say much of the same.
func drawEvent(t *rapid.T, index int64) project.Event {
	eventType := rapid.SampledFrom([]string{
		"gateway.signal.received", "orchestrator.lifecycle.completed", "orchestrator.lifecycle.transitioned", "analysis.workflow.selected",
		"effectiveness.assessment.completed", "effectiveness.health.assessed", "remediation.workflow_created", "orchestrator.approval.approved", "other.event",
	}).Draw(t, "type")
	score := rapid.SampledFrom([]string{"0", "1", "0.5", "null", `"x"`, "2"}).Draw(t, "score")
	text := rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "text")
	data := fmt.Sprintf(`{"signal_name":%q,"incident_type":%[1]q,"outcome":%[1]q,"phase":%[1]q,"to_phase":%[1]q,"workflow_id":%[1]q,"health_score":%s,"score":%[2]s,`+
		`"target_resource":{"kind":"Pod","name":%[1]q},"pre_remediation_spec_hash":%[1]q}`, text, score)
	return happened(index, rapid.IntRange(0, 3).Draw(t, "time"), eventType, data)
}

// TestFacts_Add_anyOrder adds the same events in two orders.
func TestFacts_Add_anyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var events []project.Event
		for n := range rapid.IntRange(0, 12).Draw(t, "events") {
			events = append(events, drawEvent(t, int64(n)))
		}
		var one, two Facts
		for i := range events {
			one.Add(&events[i])
		}
		for _, i := range rapid.Permutation(seq(len(events))).Draw(t, "order") {
			two.Add(&events[i])
		}
		if diff := cmp.Diff(one.known, two.known); diff != "" {
			t.Fatal(diff)
		}
	})
}

func seq(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}
