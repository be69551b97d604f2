package story_test

import (
	"bufio"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/story"
)

// recordedEvent is a line of the recorded runs.
type recordedEvent struct {
	Type          string         `json:"event_type"`
	CorrelationID string         `json:"correlation_id"`
	Data          map[string]any `json:"event_data"`
}

func recordedEvents(t testing.TB) []recordedEvent {
	t.Helper()
	var events []recordedEvent
	scanner := bufio.NewScanner(recorded(t))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var e recordedEvent
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// correlations are the ids of the recorded runs.
func correlations(t testing.TB) []string {
	t.Helper()
	var ids []string
	for _, e := range recordedEvents(t) {
		if !slices.Contains(ids, e.CorrelationID) {
			ids = append(ids, e.CorrelationID)
		}
	}
	return ids
}

// TestAssess_everyRecordedRun compares with the formula as the contract has it, written out a second time.
func TestAssess_everyRecordedRun(t *testing.T) {
	t.Parallel()
	store := newStore(t, recorded(t))
	want := map[string]any{}
	for _, id := range correlations(t) {
		want[id] = nil
	}
	assessed := 0
	for _, e := range recordedEvents(t) {
		if e.Type != "effectiveness.assessment.completed" {
			continue
		}
		assessed++
		sum, weights := 0.0, 0.0
		for name, weight := range map[string]float64{"health_score": 0.40, "alert_score": 0.35, "metrics_score": 0.25} {
			if score, ok := e.Data[name].(float64); ok {
				sum += score * weight
				weights += weight
			}
		}
		if weights > 0 {
			want[e.CorrelationID] = sum / weights
		}
	}
	if assessed != 30 {
		t.Errorf("%d assessments", assessed)
	}
	for id, score := range want {
		got, err := story.Assess(t.Context(), store, id)
		if err != nil {
			t.Fatal(err)
		}
		switch score, ok := score.(float64); {
		case ok != (got.Score != nil):
			t.Errorf("%s: the score is %v, want %v", id, got.Score, score)
		case ok && math.Abs(*got.Score-score) > 1e-12:
			t.Errorf("%s: the score is %v, want %v", id, *got.Score, score)
		}
		if len(got.Parts)+len(got.Missing) != 3 || len(got.Ignored) != 0 {
			t.Errorf("%s: %d parts, %v missing, ignored %v", id, len(got.Parts), got.Missing, got.Ignored)
		}
	}
}

func TestAssess(t *testing.T) {
	t.Parallel()
	const completed = "effectiveness.assessment.completed"
	for _, test := range []struct {
		name    string
		events  []datastorage.Event
		score   float64 // -1 for none
		parts   string
		ignored string
		status  string
	}{
		{"none", []datastorage.Event{at(1, 0, "gateway.signal.received", `{"health_score":1}`)}, -1, "", "", "no_data"},
		{"all", []datastorage.Event{at(1, 0, completed, `{"health_score":1,"alert_score":0,"metrics_score":1}`)}, 0.65, "health 0 alert 0 metrics 0", "", "completed"},
		{"two", []datastorage.Event{at(1, 0, completed, `{"health_score":null,"alert_score":1,"metrics_score":0,"reason":"Partial"}`)}, 0.35 / 0.6, "alert 0 metrics 0", "", "Partial"},
		{"latest of each", []datastorage.Event{
			at(1, 9, completed, `{"health_score":0}`), // later, but stored first
			at(2, 1, completed, `{"health_score":1,"alert_score":1}`),
			at(3, 9, completed, `{"alert_score":0.5}`),
			at(4, 9, completed, `{"alert_score":0.25}`), // same time, later in the log
		}, 0.25 * 0.35 / 0.75, "health 0 alert 3", "", "completed"},
		{"parts of their own", []datastorage.Event{
			at(1, 0, "effectiveness.health.assessed", `{"assessed":true,"score":1}`),
			at(2, 1, "effectiveness.alert.assessed", `{"assessed":false,"score":0}`),
			at(3, 2, "effectiveness.hash.computed", `{"pre_remediation_spec_hash":"a","post_remediation_spec_hash":"b"}`),
		}, 1, "health 0", "", "in_progress"},
		{"no numbers", []datastorage.Event{
			at(1, 0, completed, `{"health_score":0.5,"alert_score":1}`),
			at(2, 1, completed, `{"health_score":"0.9","alert_score":1.01,"metrics_score":-1}`),
			at(3, 2, completed, `{"alert_score":true,"metrics_score":{}}`),
		}, (0.5*0.40 + 0.35) / 0.75, "health 0 alert 0",
			"1 health_score is not a number, 1 alert_score is not from 0 to 1, 1 metrics_score is not from 0 to 1, 2 alert_score is not a number, 2 metrics_score is not a number", "completed"},
		{"spec drift", []datastorage.Event{at(1, 0, completed, `{"health_score":1,"reason":"spec_drift"}`)}, 0, "health 0", "", "spec_drift"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			src := &fixed{events: test.events}
			got, err := story.Assess(t.Context(), src, "rr-1")
			if err != nil {
				t.Fatal(err)
			}
			score := -1.0
			if got.Score != nil {
				score = *got.Score
			}
			var parts, ignored []string
			shares := 0.0
			for _, p := range got.Parts {
				parts = append(parts, p.Name+" "+string(rune('0'+p.Origin.LogIndex)))
				shares += p.Share
			}
			for _, i := range got.Ignored {
				ignored = append(ignored, string(rune('0'+i.LogIndex))+" "+i.Reason)
			}
			if math.Abs(score-test.score) > 1e-12 || got.Status != test.status || (len(parts) > 0 && math.Abs(shares-1) > 1e-12) {
				t.Errorf("score %v, status %s, shares %v", score, got.Status, shares)
			}
			if diff := cmp.Diff([2]string{test.parts, test.ignored}, [2]string{strings.Join(parts, " "), strings.Join(ignored, ", ")}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			away(t, src, func() error {
				_, err := story.Assess(t.Context(), src, "rr-1")
				return err
			})
		})
	}
	if _, err := story.Assess(t.Context(), &fixed{}, "rr-1"); datastorage.CodeOf(err) != datastorage.CodeNotFound {
		t.Errorf("an unknown correlation: %v", err)
	}
}
