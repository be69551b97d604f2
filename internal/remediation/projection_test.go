package remediation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
)

func TestMain(m *testing.M) { os.Exit(projecttest.Main(m)) }

// recorded are the events of the 45 recorded runs.
func recorded(t testing.TB) []datastorage.Event {
	t.Helper()
	b, err := os.ReadFile("../../testdata/remediations.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	return projecttest.Parse(t, b)
}

// contents are the rows of the projection, by correlation_id.
func contents(ctx context.Context, view project.View) (map[string]string, error) {
	rows := map[string]string{}
	err := view.View(ctx, Name, func(tx project.Tx, _ int64) error {
		return tx.Query(ctx, "SELECT "+columns+" FROM "+rowsTable, nil, func(r project.Row) error {
			values := make([]any, 0, 14)
			for i := range 13 {
				if i >= 8 && i <= 10 { // at, log_index, flags
					values = append(values, r.Int(i))
				} else {
					values = append(values, r.Text(i))
				}
			}
			rows[r.Text(0)] = fmt.Sprintf("%v %s", values, r.Bytes(13))
			return nil
		})
	})
	return rows, err
}

// naive folds all events at once.
func naive(events []project.Event) map[string]*Facts {
	facts := map[string]*Facts{}
	for i := range events {
		e := &events[i]
		f := facts[e.CorrelationID]
		if f == nil {
			f = &Facts{storedOnly: true}
		}
		if f.Add(e) {
			facts[e.CorrelationID] = f
		}
	}
	return facts
}

// TestProjection_Apply compares what batches make of events that come late and out of order with what a fold of all of
// them makes.
func TestProjection_Apply(t *testing.T) {
	t.Parallel()
	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
		view := l.View(Projection{})
		runs := 0
		rapid.Check(t, func(t *rapid.T) {
			runs++
			var events []project.Event
			for n := range rapid.IntRange(1, 25).Draw(t, "events") {
				e := drawEvent(t, int64(n))
				e.CorrelationID = fmt.Sprintf("run %d rr-%d", runs, rapid.IntRange(1, 3).Draw(t, "correlation"))
				events = append(events, e)
			}
			err := l.Projections.Update(context.Background(), func(tx project.Tx) error {
				tx = firstTables{tx}
				if _, err := tx.Exec(context.Background(), "DELETE FROM "+rowsTable); err != nil {
					return err
				}
				for rest := events; len(rest) > 0; {
					n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
					if err := (Projection{}).Apply(context.Background(), tx, rest[:n]); err != nil {
						return err
					}
					rest = rest[n:]
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := contents(context.Background(), view)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			for id, f := range naive(events) {
				values := f.appendRow(nil, id)
				if facts := jsontext.Value(values[13].([]byte)); !facts.IsValid() {
					t.Fatalf("the facts of %s are not JSON: %s", id, facts)
				}
				want[id] = fmt.Sprintf("%v %s", values[:13], values[13])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff)
			}
		})
	})
}

// firstTables names the first generation of the tables.
type firstTables struct{ project.Tx }

func (f firstTables) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	return f.Tx.Exec(ctx, strings.ReplaceAll(statement, "{g}", "1"), args...)
}

func (f firstTables) Query(ctx context.Context, statement string, args []any, each func(project.Row) error) error {
	return f.Tx.Query(ctx, strings.ReplaceAll(statement, "{g}", "1"), args, each)
}

// TestProjection_recordedRuns checks that every recorded run has a row, whatever the batches are.
func TestProjection_recordedRuns(t *testing.T) {
	t.Parallel()
	events := recorded(t)
	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
		l.BatchEvents = 7
		l.Append(events...)
		rows, err := contents(t.Context(), l.View(Projection{}))
		if err != nil || len(rows) != 45 {
			t.Fatalf("%d rows: %v", len(rows), err)
		}
		outcomes := map[string]int{}
		err = l.View(Projection{}).View(t.Context(), Name, func(tx project.Tx, _ int64) error {
			var ids []string
			for id := range rows {
				ids = append(ids, id)
			}
			known, err := load(t.Context(), tx, ids)
			for _, f := range known {
				outcomes[f.Text("outcome")]++
			}
			return err
		})
		want := map[string]int{"Remediated": 29, "Success": 4, "ManualReviewRequired": 9, "Inconclusive": 1, "": 2}
		if diff := cmp.Diff(want, outcomes); diff != "" || err != nil {
			t.Errorf("outcomes (%v, -want +got):\n%s", err, diff)
		}
	})
}

var now = time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)

// attempt is a remediation that ended before now.
type attempt struct {
	id        string
	ago       time.Duration
	target    string // of the signal, as a JSON object
	repaired  string // of the analysis
	cluster   string
	workflow  string
	pre, post string
}

// events are those of an attempt.
func (a attempt) events() []datastorage.Event {
	at := now.Add(-a.ago)
	e := func(before time.Duration, eventType, data string) datastorage.Event {
		return datastorage.Event{ID: uuid.New(), Type: eventType, CorrelationID: a.id, ClusterName: a.cluster, Time: at.Add(-before), Data: []byte(data)}
	}
	events := []datastorage.Event{
		e(3*time.Minute, "gateway.signal.received", `{"signal_name":"Down","target_resource":`+a.target+`}`),
		e(0, "orchestrator.lifecycle.completed", `{"outcome":"Remediated","phase":"Completed"}`),
		e(-time.Minute, "effectiveness.assessment.completed", fmt.Sprintf(`{"alert_score":1,"pre_remediation_spec_hash":%q,"post_remediation_spec_hash":%q}`, a.pre, a.post)),
	}
	if a.repaired != "" {
		events = append(events, e(2*time.Minute, "analysis.investigation.completed", `{"remediation_target":`+a.repaired+`}`))
	}
	if a.workflow != "" {
		events = append(events, e(time.Minute, "analysis.workflow.selected", fmt.Sprintf(`{"workflow_id":%q}`, a.workflow)))
	}
	return events
}

const (
	webPod = `{"kind":"Pod","name":"web-1","namespace":"prod"}`
	web    = `{"kind":"Deployment","name":"web","namespace":"prod"}`
)

var webTarget = Target{Kind: "deployment", Name: "web", Namespace: "prod"}

// ids lists remediations, with what matched.
func ids(told []Remediation) string {
	var b strings.Builder
	for _, r := range told {
		fmt.Fprintf(&b, "%s", r.CorrelationID)
		if r.ByTarget {
			b.WriteString(" target")
		}
		if r.ByOwner {
			b.WriteString(" owner")
		}
		if r.HashMatch != MatchNone {
			b.WriteString(" " + string(r.HashMatch))
		}
		b.WriteString(", ")
	}
	return strings.TrimSuffix(b.String(), ", ")
}

func TestHistory_Of(t *testing.T) {
	t.Parallel()
	attempts := []attempt{
		{id: "old", ago: 91 * 24 * time.Hour, target: web, workflow: "w", pre: "a", post: "b"},
		{id: "month", ago: 30 * 24 * time.Hour, target: web, workflow: "w", pre: "a", post: "b"},
		{id: "pod", ago: 30 * time.Hour, target: webPod, repaired: web, workflow: "w", pre: "b", post: "c"},
		{id: "edge", ago: 24 * time.Hour, target: web, workflow: "w", pre: "c", post: "a"},
		{id: "both", ago: time.Hour, target: web, repaired: web, workflow: "w", pre: "d", post: "d"},
		{id: "manual", ago: 30 * time.Minute, target: web},
		{id: "elsewhere", ago: time.Hour, target: web, cluster: "east", workflow: "w", pre: "a", post: "b"},
		{id: "other", ago: time.Hour, target: `{"kind":"Deployment","name":"web","namespace":"test"}`, workflow: "w", pre: "a", post: "b"},
		{id: "kind", ago: time.Hour, target: `{"kind":"StatefulSet","name":"web","namespace":"prod"}`, workflow: "w", pre: "a", post: "b"},
	}
	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
		for _, a := range attempts {
			l.Append(a.events()...)
		}
		history := NewHistory(l.View(Projection{}))
		query := Query{Target: webTarget, Now: now, Recent: 24 * time.Hour, Older: 90 * 24 * time.Hour}
		for _, test := range []struct {
			hash, cluster, recent, older, regressions string
		}{
			{"", "", "edge target, both target owner, manual target", "month target, pod owner", ""},
			{"b", "", "edge target, both target owner, manual target", "month target postRemediation, pod owner preRemediation", "pod preRemediation, month postRemediation"},
			{"d", "", "edge target, both target owner postRemediation, manual target", "month target, pod owner", "both postRemediation"},
			{"z", "", "edge target, both target owner, manual target", "month target, pod owner", ""},
			{"a", "east", "elsewhere target preRemediation", "", "elsewhere preRemediation"},
		} {
			q := query
			q.SpecHash, q.Cluster = test.hash, test.cluster
			past, err := history.Of(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			var regressions []string
			for _, r := range past.Regressions {
				regressions = append(regressions, r.CorrelationID+" "+string(r.HashMatch))
			}
			got := []string{ids(past.Recent), ids(past.Older), strings.Join(regressions, ", ")}
			if diff := cmp.Diff([]string{test.recent, test.older, test.regressions}, got); diff != "" {
				t.Errorf("hash %q in cluster %q (-want +got):\n%s", test.hash, test.cluster, diff)
			}
			if len(past.OtherClusters) != 0 || past.Truncated || past.LogSize == 0 {
				t.Errorf("%+v", past)
			}
		}
		query.Cluster = "west"
		past, err := history.Of(t.Context(), query)
		if err != nil || len(past.Recent)+len(past.Older) != 0 || strings.Join(past.OtherClusters, ",") != ",east" {
			t.Errorf("in another cluster: %+v, %v", past, err)
		}
		query.Target.Name = "unheard"
		past, err = history.Of(t.Context(), query)
		if err != nil || len(past.OtherClusters) != 0 {
			t.Errorf("an unheard object: %+v, %v", past, err)
		}
	})
}

func TestHistory_Of_bounded(t *testing.T) {
	t.Parallel()
	l := projecttest.SQLite(t)
	l.CommitEvents = 1000
	for n := range 60 {
		l.Append(attempt{id: fmt.Sprintf("rr-%03d", n), ago: time.Duration(n) * time.Minute, target: web, repaired: web, workflow: "w"}.events()...)
	}
	for n := range 110 {
		l.Append(attempt{id: fmt.Sprintf("ss-%03d", n), ago: time.Duration(48+n) * time.Hour, target: webPod, repaired: web, workflow: "w"}.events()...)
	}
	past, err := NewHistory(l.View(Projection{})).Of(t.Context(), Query{Target: webTarget, Now: now, Recent: 24 * time.Hour, Older: 90 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if len(past.Recent) != MaxRecent || past.RecentLeftOut != 10 || len(past.Older) != MaxOlder || past.OlderLeftOut != 10 {
		t.Errorf("%d and %d, left out %d and %d", len(past.Recent), len(past.Older), past.RecentLeftOut, past.OlderLeftOut)
	}
	if first, last := past.Recent[0].CorrelationID, past.Recent[len(past.Recent)-1].CorrelationID; first != "rr-049" || last != "rr-000" {
		t.Errorf("from %s to %s", first, last)
	}
}

func TestQuery_flapping(t *testing.T) {
	t.Parallel()
	hour := func(n int) int64 { return now.Add(-time.Duration(n) * time.Hour).UnixMicro() }
	for _, test := range []struct {
		name string
		hash string
		rows []*row // latest first
		want Flapping
	}{
		{"once", "", []*row{{at: hour(1), acted: true, pre: "a", post: "b"}}, Flapping{1, 0}},
		{"undone once", "a", []*row{{at: hour(1), acted: true, pre: "a", post: "b"}}, Flapping{1, 1}},
		{"undone and done again", "", []*row{{at: hour(1), acted: true, pre: "a", post: "b"}, {at: hour(30), acted: true, pre: "a", post: "b"}}, Flapping{1, 2}},
		{"one after the other", "d", []*row{{at: hour(1), acted: true, pre: "c", post: "d"}, {at: hour(2), acted: true, pre: "b", post: "c"}, {at: hour(3), pre: "a", post: "b"}}, Flapping{2, 0}},
		{"long ago", "b", []*row{{at: hour(1), acted: true, pre: "a", post: "b"}, {at: hour(24 * 8), acted: true, pre: "a", post: "b"}}, Flapping{1, 0}},
		{"no hashes", "a", []*row{{at: hour(1), acted: true}, {at: hour(2), acted: true}, {at: hour(24), acted: true}}, Flapping{3, 0}},
	} {
		q := Query{Now: now, SpecHash: test.hash}
		if got := q.flapping(test.rows); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// brokenView is a store that does not answer.
type brokenView struct{ err error }

func (b brokenView) View(context.Context, string, func(project.Tx, int64) error) error { return b.err }

// brokenTx is a store that stops to answer within a snapshot, at the nth statement.
type brokenTx struct {
	view    project.View
	err     error
	healthy int
}

func (b *brokenTx) View(ctx context.Context, name string, f func(project.Tx, int64) error) error {
	return b.view.View(ctx, name, func(tx project.Tx, position int64) error { return f(&failing{tx, b}, position) })
}

type failing struct {
	project.Tx
	b *brokenTx
}

func (f *failing) Query(ctx context.Context, statement string, args []any, each func(project.Row) error) error {
	if f.b.healthy--; f.b.healthy < 0 {
		return f.b.err
	}
	return f.Tx.Query(ctx, statement, args, each)
}

func TestHistory_Of_broken(t *testing.T) {
	t.Parallel()
	errAway := datastorage.Errorf(datastorage.CodeUnavailable, "the store is away")
	q := Query{Target: webTarget, Now: now, Recent: 24 * time.Hour, Older: 90 * 24 * time.Hour}
	if past, err := NewHistory(brokenView{errAway}).Of(t.Context(), q); past != nil || !errors.Is(err, errAway) {
		t.Errorf("%+v, %v", past, err)
	}
	l := projecttest.SQLite(t)
	l.Append(attempt{id: "rr", target: web, workflow: "w"}.events()...)
	view := l.View(Projection{})
	for n := range 3 {
		if past, err := NewHistory(&brokenTx{view, errAway, n}).Of(t.Context(), q); past != nil || !errors.Is(err, errAway) {
			t.Errorf("statement %d fails: %+v, %v", n+1, past, err)
		}
	}
	if _, err := NewHistory(&brokenTx{view, errAway, 3}).Of(t.Context(), q); err != nil {
		t.Error(err)
	}
}
