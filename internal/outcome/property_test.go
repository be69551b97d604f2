package outcome

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
)

// history is a log of outcomes, cut into batches.
type history struct {
	outcomes naive
	cuts     []int // the index behind each batch
}

// begin is about when the outcomes of a history are; it is no boundary of a bucket.
var begin = time.Date(2026, 2, 27, 21, 34, 11, 5000, time.UTC)

var (
	someCorrelations = []string{"rr-1", "rr-2", "rr-3", "rr-4"}
	someExecutions   = []string{"", "", "we-1", "we-2", "we-3"}
	someIncidents    = []string{"CrashLoop", "Evicted"}
	someWorkflows    = []string{"", "w-1", "w-2"}
	someVersions     = []string{"", "1.0", "2.0"}
	someActions      = []string{"", "Restart", "Rollback"}
	someNamespaces   = []string{"", "demo", "shop"}
	someSeverities   = []string{"critical", "low"}
	someStatuses     = []Status{Completed, Failed, Pending, Executing, RolledBack}
	someOutcomes     = []string{"success", "failure", "pending"}
)

// steps are distances in time that lie on both sides of each span of the rollups.
var steps = []time.Duration{0, time.Second, 7 * time.Minute, time.Hour, 11 * time.Hour, 24 * time.Hour, 13 * 24 * time.Hour}

// histories draws few names, so that executions meet, and few times, so that they tie. Some outcomes repeat an earlier one
// at another time, or with another status.
var histories = rapid.Custom(func(t *rapid.T) history {
	var h history
	for i := range rapid.IntRange(1, 60).Draw(t, "outcomes") {
		o := drawOutcome(t)
		if i > 0 && rapid.IntRange(0, 2).Draw(t, "again") == 0 {
			drawn := o
			o = h.outcomes[rapid.IntRange(0, i-1).Draw(t, "earlier")]
			o.At = drawn.At
			if rapid.Bool().Draw(t, "otherwise") {
				o.Status, o.Mode = drawn.Status, drawn.Mode
			}
		}
		o.LogIndex, o.Started = int64(2*i+3), o.At
		if o.Duration > 0 {
			o.Started -= o.Duration * 1000
		}
		h.outcomes = append(h.outcomes, o)
		if rapid.IntRange(0, 4).Draw(t, "cut") == 0 {
			h.cuts = append(h.cuts, len(h.outcomes))
		}
	}
	h.cuts = append(h.cuts, len(h.outcomes))
	return h
})

func drawOutcome(t *rapid.T) Outcome {
	o := Outcome{
		At:            begin.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "times")) * rapid.SampledFrom(steps).Draw(t, "step")).UnixMicro(),
		CorrelationID: rapid.SampledFrom(someCorrelations).Draw(t, "correlation"),
		ExecutionID:   rapid.SampledFrom(someExecutions).Draw(t, "execution"),
		IncidentType:  rapid.SampledFrom(someIncidents).Draw(t, "incident"),
		WorkflowID:    rapid.SampledFrom(someWorkflows).Draw(t, "workflow"),
		ActionType:    rapid.SampledFrom(someActions).Draw(t, "action"),
		Status:        rapid.SampledFrom(someStatuses).Draw(t, "status"),
		EventOutcome:  rapid.SampledFrom(someOutcomes).Draw(t, "outcome"),
		Severity:      rapid.SampledFrom(someSeverities).Draw(t, "severity"),
		Namespace:     rapid.SampledFrom(someNamespaces).Draw(t, "namespace"),
		Cluster:       rapid.SampledFrom([]string{"", "dev"}).Draw(t, "cluster"),
		Environment:   rapid.SampledFrom([]string{"", "production"}).Draw(t, "environment"),
		Duration:      rapid.SampledFrom([]int64{noDuration, 0, 90_000}).Draw(t, "duration"),
		Mode:          Mode(rapid.IntRange(0, 7).Draw(t, "mode")),
	}
	if o.WorkflowID != "" {
		o.WorkflowVersion = rapid.SampledFrom(someVersions).Draw(t, "version")
	}
	return o
}

// fatal is what a history is checked with.
type fatal interface {
	Fatalf(format string, args ...any)
}

// check applies a history batch by batch and compares everything that can be read with the naive answer, after each batch.
func (h *history) check(t fatal, s *stage) {
	events := make([]project.Event, len(h.outcomes))
	for i := range h.outcomes {
		events[i] = event(&h.outcomes[i])
	}
	from := 0
	for _, to := range h.cuts {
		if err := s.apply(events[from:to]); err != nil {
			t.Fatalf("apply: %v", err)
		}
		from = to
		compare(t, NewReader(s), h.outcomes[:to], s.position)
	}
}

func compare(t fatal, r *Reader, known naive, logSize int64) {
	ctx := context.Background()
	executions := known.executions()
	same := func(what string, want, got any, err error) {
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%s: %v -want +got:\n%s", what, err, diff)
		}
	}
	page, err := r.Incidents(ctx, IncidentQuery{Limit: 1000})
	same("all executions", &IncidentPage{Executions: executions, Total: int64(len(executions)), LogSize: logSize}, page, err)
	for _, since := range []time.Time{
		{}, begin, begin.Add(time.Microsecond), begin.Truncate(time.Hour), begin.Add(24 * time.Hour), begin.Add(30 * 24 * time.Hour),
	} {
		for _, d := range []Dimensions{
			{}, {IncidentType: "CrashLoop"}, {WorkflowID: "w-1"}, {WorkflowID: "w-2", WorkflowVersion: "2.0"}, {ActionType: "Restart"},
			{"Evicted", "w-1", "1.0", "Rollback"}, {IncidentType: "Unheard"},
		} {
			q := RateQuery{Dimensions: d, Since: since, Citations: true}
			rate, err := r.Rate(ctx, q)
			same("a rate", naiveRate(executions, q, logSize), rate, err)
		}
	}
	compareLists(r, executions, logSize, same)
	compareCounts(r, executions, logSize, same)
}

type comparer func(what string, want, got any, err error)

// compareLists compares pages, and the executions of each correlation.
func compareLists(r *Reader, executions []Outcome, logSize int64, same comparer) {
	ctx := context.Background()
	for _, q := range []IncidentQuery{
		{Namespace: "demo"}, {Severity: "low", Cluster: "dev"}, {Environment: "production", ActionType: "Rollback"}, {IncidentType: "CrashLoop"}, {Offset: 3},
	} {
		q.Limit = 2
		matching := those(executions, func(o *Outcome) bool {
			return is(q.Namespace, o.Namespace) && is(q.Severity, o.Severity) && is(q.Cluster, o.Cluster) && is(q.Environment, o.Environment) &&
				is(q.ActionType, o.ActionType) && is(q.IncidentType, o.IncidentType)
		})
		want := &IncidentPage{Total: int64(len(matching)), LogSize: logSize}
		want.Executions = matching[min(len(matching), int(q.Offset)):min(len(matching), int(q.Offset)+q.Limit)]
		want.HasMore = len(matching) > int(q.Offset)+q.Limit
		page, err := r.Incidents(ctx, q)
		same("a page", want, page, err)
	}
	for _, id := range someCorrelations {
		page, err := r.Incident(ctx, id)
		want := those(executions, func(o *Outcome) bool { return o.CorrelationID == id })
		same("an incident", &IncidentPage{Executions: want, LogSize: logSize}, page, err)
	}
}

// compareCounts compares groups, days, and the tallies of workflows.
func compareCounts(r *Reader, executions []Outcome, logSize int64, same comparer) {
	ctx := context.Background()
	now := begin.Add(12 * 24 * time.Hour)
	trend := &Trend{First: now.Truncate(24*time.Hour).AddDate(0, 0, -29), Counts: make([]int64, 30), LogSize: logSize}
	namespaces, severities := map[string]int64{}, map[string]int64{}
	tallies, totals := map[string]Tally{}, map[string]Tally{}
	for i := range executions {
		o := &executions[i]
		namespaces[o.Namespace]++
		severities[o.Severity]++
		if day := int(time.UnixMicro(o.At).Sub(trend.First) / (24 * time.Hour)); day >= 0 && day < 30 {
			trend.Counts[day]++
		}
		all, some := totals[o.WorkflowID], tallies[o.WorkflowID]
		count(&all, o)
		if o.WorkflowID == "" {
			continue
		}
		totals[o.WorkflowID] = all
		if o.IncidentType == "CrashLoop" && o.At >= begin.Add(time.Hour).UnixMicro() {
			count(&some, o)
			tallies[o.WorkflowID] = some
		}
	}
	got, err := r.Trend(ctx, 30, now)
	same("the trend", trend, got, err)
	groups, err := r.CountBy(ctx, ColumnNamespace)
	same("namespaces", &Groups{Groups: sorted(namespaces), LogSize: logSize}, groups, err)
	groups, err = r.CountBy(ctx, ColumnSeverity)
	same("severities", &Groups{Groups: sorted(severities), LogSize: logSize}, groups, err)
	found, err := r.WorkflowTallies(ctx, "CrashLoop", begin.Add(time.Hour))
	same("tallies", tallies, found, err)
	found, err = r.Totals(ctx, []string{"w-1", "w-2", "w-3"})
	same("totals", totals, found, err)
}

func sorted(counts map[string]int64) (groups []Group) {
	for value, n := range counts {
		groups = append(groups, Group{value, n})
	}
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value)) })
	return groups
}

// TestProjection_History compares what is read with a naive account of random histories.
func TestProjection_History(t *testing.T) {
	t.Parallel()
	store := projecttest.SQLite(t).Projections
	var number atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		h := histories.Draw(rt, "history")
		s := newStage(t, store, int(number.Add(1)))
		h.check(rt, s)
		if err := s.drop(); err != nil {
			rt.Fatalf("%v", err)
		}
	})
}

// TestProjection_HistoryPostgreSQL does the same for fewer histories, always the same ones.
func TestProjection_HistoryPostgreSQL(t *testing.T) {
	t.Parallel()
	store := projecttest.PostgreSQL(t).Projections
	for seed := range 10 {
		h := histories.Example(seed)
		s := newStage(t, store, seed+1)
		h.check(t, s)
		if err := s.drop(); err != nil {
			t.Fatal(err)
		}
	}
}
