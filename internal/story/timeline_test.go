package story_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/demo"
	"github.com/datastorage-io/datastorage/internal/story"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

func whole() story.Page { return story.Page{Limit: story.MaxPage} }

func TestTell_recordedRun(t *testing.T) {
	t.Parallel()
	told, err := story.Tell(t.Context(), newStore(t, demo.Runs()), "rr-c2dc7f50dc7b-655e2056", whole())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "timeline.txt", told.AppendText(nil))
}

// TestTell_everyRecordedRun checks the summaries of all recorded runs.
func TestTell_everyRecordedRun(t *testing.T) {
	t.Parallel()
	store := newStore(t, recorded(t))
	outcomes := map[string]int{}
	events := 0
	for _, id := range correlations(t) {
		told, err := story.Tell(t.Context(), store, id, whole())
		if err != nil {
			t.Fatal(err)
		}
		events += told.EventCount
		outcome := "none"
		if o := told.Summary.Outcome; o != nil {
			outcome = o.Value
		}
		outcomes[outcome]++
		for i, e := range told.Events {
			if strings.Contains(e.Sentence, " by ") && strings.HasPrefix(e.Sentence, e.Type) {
				t.Errorf("%s has no sentence of its own: %s", e.Type, e.Sentence)
			}
			if i > 0 && e.Time.Before(told.Events[i-1].Time) {
				t.Errorf("%s: event %d is out of order", id, i)
			}
		}
	}
	want := map[string]int{"Remediated": 29, "Success": 4, "ManualReviewRequired": 9, "Inconclusive": 1, "none": 2}
	if diff := cmp.Diff(want, outcomes); diff != "" || events != 306 {
		t.Errorf("%d events; outcomes (-want +got):\n%s", events, diff)
	}
}

func TestTell_order(t *testing.T) {
	t.Parallel()
	src := &fixed{events: []datastorage.Event{
		at(9, 2, "gateway.b", `{}`), at(8, 0, "gateway.a", `{}`), at(7, 2, "gateway.c", `{}`), at(6, 90, "gateway.d", `{}`), at(5, 90.5, "gateway.e", `{}`),
	}}
	told, err := story.Tell(t.Context(), src, "rr-1", whole())
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, e := range told.Events {
		fmt.Fprintf(&got, "%s log %d elapsed %d gap %d %v\n", e.Type, e.LogIndex, e.ElapsedMS, e.GapMS, e.LargeGap)
	}
	want := `gateway.a log 1 elapsed 0 gap 0 false
gateway.b log 0 elapsed 2000 gap 2000 false
gateway.c log 2 elapsed 2000 gap 0 false
gateway.d log 3 elapsed 90000 gap 88000 true
gateway.e log 4 elapsed 90500 gap 500 false
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if told.DurationMS != 90500 || len(told.LargeGaps) != 1 || told.LargeGaps[0].After != number(7) || told.LargeGaps[0].Before != number(6) {
		t.Errorf("it took %d, gaps %+v", told.DurationMS, told.LargeGaps)
	}
}

func TestTell_parents(t *testing.T) {
	t.Parallel()
	src := &fixed{events: []datastorage.Event{
		at(1, 0, "gateway.root", `{}`),
		at(2, 1, "gateway.child", `{}`, childOf(1)),
		at(3, 2, "gateway.grandchild", `{}`, childOf(2)),
		at(4, 3, "gateway.early", `{}`, childOf(5)), // before its parent
		at(5, 4, "gateway.late", `{}`),
		at(6, 5, "gateway.elsewhere", `{}`, childOf(20)),
		at(7, 6, "gateway.missing", `{}`, childOf(99)),
		at(8, 7, "gateway.self", `{}`, childOf(8)),
		at(9, 8, "gateway.x", `{}`, childOf(11)),
		at(10, 9, "gateway.y", `{}`, childOf(9)),
		at(11, 10, "gateway.z", `{}`, childOf(10)),
		at(12, 11, "gateway.below", `{}`, childOf(11)),
		at(20, -5, "gateway.other", `{}`, in("rr-2")),
	}}
	told, err := story.Tell(t.Context(), src, "rr-1", whole())
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, e := range told.Events {
		fmt.Fprintf(&got, "%s depth %d children %d", e.Type, e.Depth, e.Children)
		if p := e.Parent; p != nil {
			fmt.Fprintf(&got, " %s %s", p.State, p.CorrelationID)
			if p.SinceMS != nil {
				fmt.Fprintf(&got, " since %d", *p.SinceMS)
			}
		}
		got.WriteString("\n")
	}
	want := `gateway.root depth 0 children 1
gateway.child depth 1 children 1 here  since 1000
gateway.grandchild depth 2 children 0 here  since 1000
gateway.early depth 1 children 0 here  since -1000
gateway.late depth 0 children 1
gateway.elsewhere depth 0 children 0 elsewhere rr-2 since 10000
gateway.missing depth 0 children 0 missing 
gateway.self depth 0 children 0 cycle 
gateway.x depth 0 children 1 cycle 
gateway.y depth 1 children 1 here  since 1000
gateway.z depth 2 children 1 here  since 1000
gateway.below depth 3 children 0 here  since 1000
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	away(t, src, func() error {
		_, err := story.Tell(t.Context(), src, "rr-1", whole())
		return err
	})
}

func TestTell_pages(t *testing.T) {
	t.Parallel()
	src := &fixed{}
	for n := range 25 {
		src.events = append(src.events, at(n+1, float64(n/3), "gateway.a", `{}`))
	}
	var got []int64
	page := story.Page{Limit: 7}
	for {
		told, err := story.Tell(t.Context(), src, "rr-1", page)
		if err != nil {
			t.Fatal(err)
		}
		if told.EventCount != 25 {
			t.Errorf("%d events", told.EventCount)
		}
		for _, e := range told.Events {
			got = append(got, e.LogIndex)
		}
		if !told.Pagination.HasMore {
			break
		}
		page.After, page.Size = told.Events[len(told.Events)-1].ID, told.Size
		src.events = append(src.events, at(100+len(src.events), 0, "gateway.late", `{}`))
	}
	for i, n := range got {
		if n != int64(i) {
			t.Fatalf("the pages are %v", got)
		}
	}
	if len(got) != 25 {
		t.Errorf("the pages are %v", got)
	}
}

func TestTell_bounded(t *testing.T) {
	t.Parallel()
	src := &fixed{}
	for n := range story.MaxEvents + 1 {
		src.events = append(src.events, at(n+1, float64(n), "gateway.a", `{}`, childOf(n)))
	}
	told, err := story.Tell(t.Context(), src, "rr-1", story.Page{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if !told.Truncated || told.EventCount != story.MaxEvents || len(told.Events) != 2 || len(told.LargeGaps) != 0 {
		t.Errorf("%d events, truncated %v", told.EventCount, told.Truncated)
	}
}

func TestTell_unknown(t *testing.T) {
	t.Parallel()
	src := &fixed{}
	if _, err := story.Tell(t.Context(), src, "rr-1", whole()); datastorage.CodeOf(err) != datastorage.CodeNotFound {
		t.Errorf("the answer is %v", err)
	}
}

func TestTell_sentences(t *testing.T) {
	t.Parallel()
	failed := func(e *datastorage.Event) { e.Outcome, e.ErrorMessage = "failure", "card\ndeclined" }
	on := func(e *datastorage.Event) { e.ResourceType, e.ResourceID = "Order", "12" }
	for _, test := range []struct {
		event datastorage.Event
		want  string
	}{
		{at(1, 0, "payments.refund_issued", `{"amount":12.50,"note":"a\u0007b\u202ec","nested":{"x":1},"zero":0}`, failed, on),
			"payments.refund issued by payments-service on Order 12 failed: card declined (amount 12.50, note a b c, zero 0)."},
		{at(1, 0, "payments.x", `{}`), "payments.x by payments-service."},
		{at(1, 0, "gateway.signal.received", `{"signal_name":"Down","resource_kind":"Pod","resource_name":"a","namespace":"b"}`), "Down was received for Pod a in b."},
		{at(1, 0, "gateway.signal.received", `{"signal_name":["Down"]}`, on), "A signal was received for Order 12."},
		{at(1, 0, "orchestrator.lifecycle.transitioned", `{"from_phase":"Analyzing","to_phase":"Executing"}`), "The remediation went from Analyzing to Executing."},
		{at(1, 0, "orchestrator.lifecycle.transitioned", `{"to_phase":{}}`), "orchestrator.lifecycle.transitioned by orchestrator-service."},
		{at(1, 0, "analysis.workflow.selected", `{"workflow_id":"w","confidence":2}`), "Workflow w was chosen."},
		{at(1, 0, "analysis.workflow.selected", `{"workflow_id":"w","confidence":0.5,"rationale":"It fits."}`), "Workflow w was chosen with 50 % confidence: It fits."},
		{at(1, 0, "remediation.workflow_created", `{"target_resource":"prod/deployment/web","workflow_type":"Restart"}`), "A workflow of the type Restart was made ready for deployment web in prod."},
		{at(1, 0, "signalprocessing.enrichment.completed", `{"detected_labels":{"stateful":true,"hpaEnabled":false,"gitOpsTool":"argocd"}}`),
			"The signal was enriched with what is known of its object: gitOpsTool argocd, stateful."},
		{at(1, 0, "effectiveness.health.assessed", `{"score":0.5,"details":"all\u2028ready"}`), "Health scored 0.5: all ready."},
		{at(1, 0, "effectiveness.odd.assessed", `{"score":0.5}`), "effectiveness.odd.assessed by effectiveness-service (score 0.5)."},
		{at(1, 0, "aiagent.response.complete", `{"duration_seconds":75.2}`), "The agent ended its investigation after 1m15s."},
	} {
		told, err := story.Tell(t.Context(), &fixed{events: []datastorage.Event{test.event}}, "rr-1", whole())
		if err != nil {
			t.Fatal(err)
		}
		if got := told.Events[0].Sentence; got != test.want {
			t.Errorf("%s %s says\n%s\nwant\n%s", test.event.Type, test.event.Data, got, test.want)
		}
	}
}

func FuzzTell(f *testing.F) {
	for _, data := range []string{`{}`, `{"signal_name":null,"target_resource":[]}`, `{"target_resource":"///","score":1e400}`, `{"confidence":-0,"a.b":{"c":"\ud83d\ude00"}}`} {
		f.Add("gateway.signal.received", data)
		f.Add("effectiveness.assessment.completed", data)
		f.Add("analysis.workflow.selected", data)
		f.Add("x", data)
	}
	f.Fuzz(func(t *testing.T, eventType, data string) {
		canonical, err := datastorage.Canonical(jsontext.Value(data))
		if err != nil || canonical.Kind() != '{' {
			return
		}
		e := at(1, 0, "gateway.signal.received", `{}`)
		e.Type, e.Data = eventType, canonical
		if !storable(&e) {
			return
		}
		src := &fixed{events: []datastorage.Event{e}}
		told, err := story.Tell(t.Context(), src, "rr-1", whole())
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{told.Summary.Text, told.Events[0].Sentence} {
			if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q cannot be printed on one line", text)
			}
		}
		if n := len([]rune(told.Events[0].Sentence)); n == 0 || n > 402 {
			t.Errorf("a sentence of %d characters", n)
		}
		if _, err := story.Assess(t.Context(), src, "rr-1"); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkTell(b *testing.B) {
	store := newStore(b, demo.Runs())
	for b.Loop() {
		if _, err := story.Tell(b.Context(), store, "rr-c437ebf2f0f9-24e7005b", whole()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(66*b.N)/b.Elapsed().Seconds(), "events/s")
}
