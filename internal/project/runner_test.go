package project_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
)

// stubborn is a projection that fails as long as it is told to.
type stubborn struct {
	counter
	fails *atomic.Bool
}

var errStubborn = errors.New("it does not want to")

func (stubborn) Name() string     { return "stubborn" }
func (stubborn) Tables() []string { return []string{"p_stubborn_{g}"} }
func (stubborn) Schema() []string {
	return []string{`CREATE TABLE p_stubborn_{g} (id bigint PRIMARY KEY)`}
}

// Apply implements project.Projection.
func (s stubborn) Apply(ctx context.Context, tx project.Tx, events []project.Event) error {
	if s.fails.Load() {
		return errStubborn
	}
	for _, e := range events {
		if _, err := tx.Exec(ctx, `INSERT INTO p_stubborn_{g} VALUES (?)`, e.LogIndex); err != nil {
			return err
		}
	}
	return nil
}

// running is a runner with what it reports.
type running struct {
	*project.Runner
	registry *prometheus.Registry
	metrics  *project.Metrics
	logs     *strings.Builder
	stop     func()
}

// run starts a runner and stops it at the end of the test.
func run(t *testing.T, l *projecttest.Log, projections ...project.Projection) *running {
	t.Helper()
	r := &running{registry: prometheus.NewRegistry(), logs: &strings.Builder{}}
	r.metrics = project.NewMetrics(r.registry)
	r.Runner = project.NewRunner(project.RunnerOptions{
		Log: l.Events, Store: l.Projections, Projections: projections, Keep: time.Minute,
		Logger: slog.New(slog.NewTextHandler(r.logs, nil)), Metrics: r.metrics,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	r.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(r.stop)
	return r
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// reach waits until a projection holds the log up to a position.
func reach(t *testing.T, l *projecttest.Log, p project.Projection, position int64) {
	t.Helper()
	reader := project.NewReader(l.Projections, []project.Projection{p})
	eventually(t, p.Name()+" follows", func() bool {
		at := int64(-1)
		err := reader.View(t.Context(), p.Name(), func(_ project.Tx, position int64) error { at = position; return nil })
		return err == nil && at >= position
	})
}

// TestRunner lets two runners of one store follow a log that grows: each event is applied once.
func TestRunner(t *testing.T) {
	t.Parallel()
	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
		first, second := run(t, l, counter{1}), run(t, l, counter{1})
		want := map[string]int64{}
		for _, step := range []string{"a", "b", "a", "c"} {
			want[step] += 55
			size := l.Append(typed(55, step)...) + 55
			first.Wake()
			second.Wake()
			reach(t, l, counter{1}, size)
		}
		if got, _ := counts(t, project.NewReader(l.Projections, []project.Projection{counter{1}})); cmp.Diff(want, got) != "" {
			t.Errorf("(-want +got):\n%s", cmp.Diff(want, got))
		}
		// The other one takes over.
		first.stop()
		size := l.Append(typed(5, "d")...) + 5
		reach(t, l, counter{1}, size)
		second.stop()
		applied := 0.0
		for _, r := range []*running{first, second} {
			applied += series(t, r, "datastorage_projection_events_total", "test-types")
		}
		// A build applies events too, which are not counted.
		if applied > 225 {
			t.Errorf("%g events were applied of 225", applied)
		}
	})
}

// series reads a metric of a projection; -1 when there is none.
func series(t *testing.T, r *running, metric, projection string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == metric && m.GetLabel()[0].GetValue() == projection {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

// TestRunner_Failure has one projection fail: the others go on, the failure shows, and is over when its cause is.
func TestRunner_Failure(t *testing.T) {
	t.Parallel()
	l := projecttest.SQLite(t)
	fails := &atomic.Bool{}
	bad := stubborn{fails: fails}
	r := run(t, l, counter{1}, bad)
	reach(t, l, bad, l.Append(typed(10, "a")...)+10)
	fails.Store(true)
	size := l.Append(typed(10, "b")...) + 10
	reach(t, l, counter{1}, size)
	eventually(t, "failures show", func() bool { return series(t, r, "datastorage_projection_failures_total", "stubborn") >= 2 })
	monitor := project.NewMonitor(l.Events, l.Projections, []project.Projection{counter{1}, bad}, r.metrics)
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() { defer close(watched); monitor.Run(ctx) }()
	eventually(t, "the lag shows", func() bool { return series(t, r, "datastorage_projection_lag_events", "stubborn") == 10 })
	if lag := series(t, r, "datastorage_projection_lag_events", "test-types"); lag != 0 {
		t.Errorf("the other one lacks %g events", lag)
	}
	fails.Store(false)
	reach(t, l, bad, size)
	eventually(t, "the lag is gone", func() bool { return series(t, r, "datastorage_projection_lag_events", "stubborn") == 0 })
	cancel()
	<-watched
	r.stop()
	if warned := strings.Count(r.logs.String(), "level=WARN"); warned != 1 || !strings.Contains(r.logs.String(), errStubborn.Error()) {
		t.Errorf("%d warnings of one failure that lasts:\n%s", warned, r.logs)
	}
}

// TestMonitor_Warnings looks at projections that nobody builds, and that nobody keeps up.
func TestMonitor_Warnings(t *testing.T) {
	t.Parallel()
	l := projecttest.SQLite(t)
	registry := prometheus.NewRegistry()
	monitor := project.NewMonitor(l.Events, l.Projections, []project.Projection{counter{1}}, project.NewMetrics(registry))
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() { defer close(watched); monitor.Run(ctx) }()
	defer func() { cancel(); <-watched }()
	says := func(phrase string) func() bool {
		return func() bool { w := monitor.Warnings(); return len(w) == 1 && strings.Contains(w[0], phrase) }
	}
	eventually(t, "a projection that is not there", says("test-types is being built"))
	l.CatchUp(counter{1})
	eventually(t, "one that is up to date", func() bool { return len(monitor.Warnings()) == 0 })
	l.Now = time.Now().Add(-time.Hour)
	l.Append(typed(3, "a")...)
	eventually(t, "one that is behind", says("1h0m"))
}

// TestRunner_AnotherLog opens the tables of one log beside another.
func TestRunner_AnotherLog(t *testing.T) {
	t.Parallel()
	l, other := projecttest.SQLite(t), projecttest.SQLite(t)
	l.Append(typed(25, "a")...)
	l.CatchUp(counter{1})
	other.Append(typed(7, "b")...)
	other.Projections = l.Projections
	r := run(t, other, counter{1})
	eventually(t, "it is built again", func() bool {
		got, _ := counts(t, project.NewReader(l.Projections, []project.Projection{counter{1}}))
		return cmp.Equal(got, map[string]int64{"b": 7})
	})
	r.stop()
	if !strings.Contains(r.logs.String(), "does not belong to this log") {
		t.Errorf("the log does not say so:\n%s", r.logs)
	}
}

// TestRunner_Version starts a runner of another version: it builds anew, while the old tables stay for a while.
func TestRunner_Version(t *testing.T) {
	t.Parallel()
	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
		size := l.Append(typed(205, "a")...) + 205
		l.CatchUp(counter{1})
		run(t, l, counter{2})
		reach(t, l, counter{2}, size)
		all, err := project.Statuses(t.Context(), l.Events, l.Projections)
		if err != nil || len(all) != 2 || all[0].State != "retired" || all[1].State != "live" || all[1].Version != 2 || all[1].LagEvents != 0 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// TestBuild_Readers reads all the time while the log grows, a runner follows it, and the projection is built again and
// again: no reader sees an error, or less than before.
func TestBuild_Readers(t *testing.T) {
	t.Parallel()
	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
		l.Append(typed(500, "a")...)
		l.CatchUp(counter{1})
		r := run(t, l, counter{1})
		reader := project.NewReader(l.Projections, []project.Projection{counter{1}})
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for last := int64(500); ; {
				select {
				case <-done:
					return
				default:
				}
				got, position := counts(t, reader)
				if got["a"] != position || position < last {
					t.Errorf("%d events are counted at %d, behind %d", got["a"], position, last)
					return
				}
				last = position
			}
		})
		size := int64(500)
		for range 5 {
			wg.Go(func() {
				for _, err := range project.Build(t.Context(), l.Events, l.Projections, []project.Projection{counter{1}}, project.BuildOptions{Keep: time.Minute}) {
					if !errors.Is(err, project.ErrBuilding) {
						t.Error(err)
					}
				}
			})
			for range 10 {
				size = l.Append(typed(20, "a")...) + 20
				r.Wake()
			}
		}
		reach(t, l, counter{1}, size)
		close(done)
		wg.Wait()
	})
}

// TestBuild_CutShort ends a build in the middle: the live tables stay in use, and the next build removes what is left.
func TestBuild_CutShort(t *testing.T) {
	t.Parallel()
	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
		l.CommitEvents = 1000
		size := l.Append(typed(20_000, "a")...) + 20_000
		l.CatchUp(counter{1})
		ctx, cancel := context.WithCancel(t.Context())
		errs := project.Build(ctx, l.Events, l.Projections, []project.Projection{counter{1}}, project.BuildOptions{
			Progress: func(int64, int64) { cancel() },
		})
		if len(errs) == 0 {
			t.Fatal("a build that is cancelled does not fail")
		}
		if got, position := counts(t, project.NewReader(l.Projections, []project.Projection{counter{1}})); got["a"] != size || position != size {
			t.Errorf("%d events are counted at %d", got["a"], position)
		}
		states := func() (states []string) {
			all, err := project.Statuses(t.Context(), l.Events, l.Projections)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range all {
				states = append(states, s.State)
			}
			return states
		}
		if got := states(); !cmp.Equal(got, []string{"live", "building"}) {
			t.Errorf("generations are %v", got)
		}
		errs = project.Build(t.Context(), l.Events, l.Projections, []project.Projection{counter{1}}, project.BuildOptions{Keep: time.Minute})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		if got := states(); !cmp.Equal(got, []string{"retired", "live"}) {
			t.Errorf("generations are %v", got)
		}
		// What was retired long enough ago is removed with the next build.
		errs = project.Build(t.Context(), l.Events, l.Projections, []project.Projection{counter{1}}, project.BuildOptions{})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		if got := states(); !cmp.Equal(got, []string{"retired", "live"}) {
			t.Errorf("generations are %v", got)
		}
	})
}
