package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
)

// journal is a store of events that can be away, or fail after it has stored.
type journal struct {
	mu     sync.Mutex
	stored map[string]datastorage.Event
	sizes  []int // events of each write that was stored
	fault  func(events []datastorage.Event) (stores bool, err error)
}

func (j *journal) write(_ context.Context, events []datastorage.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	stores, err := true, error(nil)
	if j.fault != nil {
		stores, err = j.fault(events)
	}
	if stores {
		for _, e := range events {
			j.stored[e.ID.String()] = e
		}
		j.sizes = append(j.sizes, len(events))
	}
	return err
}

func (j *journal) breakWith(fault func([]datastorage.Event) (bool, error)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fault = fault
}

func (j *journal) state() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return fmt.Sprint(len(j.stored), " in ", j.sizes)
}

var errAway = datastorage.Unavailable(errors.New("refused"), "the store is away")

func away([]datastorage.Event) (bool, error) { return false, errAway }

type recorderLab struct {
	*catalog.Recorder
	journal  *journal
	registry *prometheus.Registry
	log      strings.Builder
	evidence *catalog.Evidence
}

func newRecorder(t *testing.T, maxBytes int64) *recorderLab {
	t.Helper()
	lab := &recorderLab{journal: &journal{stored: map[string]datastorage.Event{}}, registry: prometheus.NewRegistry()}
	s, q := snapshotOf(t, []*datastorage.Workflow{plain("w", "1")}), plainSearch()
	q.RemediationID = "rr-1"
	lab.evidence = s.Evidence(q, s.Search(q))
	lab.Recorder = catalog.NewRecorder(lab.journal.write, catalog.RecorderOptions{
		FlushInterval: 100 * time.Millisecond, BatchSize: 10, MaxBytes: maxBytes, Retention: 90,
		Log: slog.New(slog.NewTextHandler(&lab.log, nil)), Metrics: catalog.NewRecorderMetrics(lab.registry),
	})
	return lab
}

func (lab *recorderLab) record(t *testing.T, n int) {
	t.Helper()
	for range n {
		if err := lab.Record(t.Context(), lab.evidence, time.Now(), 1500*time.Microsecond); err != nil {
			t.Fatal(err)
		}
	}
}

func (lab *recorderLab) metric(t *testing.T, want string) {
	t.Helper()
	families, err := lab.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got := f.GetName()
			for _, l := range m.GetLabel() {
				got += "{" + l.GetValue() + "}"
			}
			got += fmt.Sprint(" ", m.GetCounter().GetValue()+m.GetGauge().GetValue())
			if got == want {
				return
			}
		}
	}
	t.Errorf("no metric says %s", want)
}

func TestRecorder_Record(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lab := newRecorder(t, 1<<20)
		lab.record(t, 3)
		synctest.Wait()
		if got := lab.journal.state(); got != "0 in []" {
			t.Errorf("at once: %s", got)
		}
		lab.metric(t, "datastorage_catalog_evidence_waiting 3")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if got := lab.journal.state(); got != "3 in [3]" {
			t.Errorf("after the interval: %s", got)
		}
		lab.record(t, 25)
		synctest.Wait()
		if got := lab.journal.state(); got != "23 in [3 10 10]" {
			t.Errorf("full batches: %s", got)
		}
		if err := lab.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := lab.journal.state(); got != "28 in [3 10 10 5]" {
			t.Errorf("closed: %s", got)
		}
		lab.metric(t, "datastorage_catalog_evidence_total{stored} 28")
		lab.metric(t, "datastorage_catalog_evidence_waiting 0")
		err := lab.Record(t.Context(), lab.evidence, time.Now(), 0)
		if datastorage.CodeOf(err) != datastorage.CodeUnavailable {
			t.Errorf("recording after the end: %v", err)
		}
		if err := lab.Close(t.Context()); err != nil {
			t.Errorf("closing again: %v", err)
		}
		for _, e := range lab.journal.stored {
			checkEvent(t, &e)
			break
		}
	})
}

// checkEvent holds an event to what is recorded of a search.
func checkEvent(t *testing.T, e *datastorage.Event) {
	t.Helper()
	var back catalog.Evidence
	if err := json.Unmarshal(e.Data, &back); err != nil || back.Returned != 1 {
		t.Errorf("event_data %s: %v", e.Data, err)
	}
	if e.Type != "workflow.catalog.search_completed" || e.Category != "workflow" || e.CorrelationID != "rr-1" || e.Retention != 90 || *e.DurationMS != 1 ||
		e.ResourceID != "1" || e.Time.Nanosecond()%1000 != 0 {
		t.Errorf("event is %+v", e)
	}
}

// TestRecorder_Record_away writes everything once the store is back, whether it stored before it failed or not.
func TestRecorder_Record_away(t *testing.T) {
	t.Parallel()
	for name, stores := range map[string]bool{"not stored": false, "stored": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				lab := newRecorder(t, 1<<20)
				lab.journal.breakWith(func([]datastorage.Event) (bool, error) { return stores, errAway })
				lab.record(t, 12)
				time.Sleep(time.Minute)
				lab.journal.breakWith(nil)
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if n := len(lab.journal.stored); n != 12 {
					t.Errorf("%d events are stored", n)
				}
				lab.metric(t, "datastorage_catalog_evidence_total{stored} 12")
				if err := lab.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestRecorder_Record_full lets searches wait, as long as each may, and takes them on when there is room.
func TestRecorder_Record_full(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lab := newRecorder(t, 64<<10)
		lab.journal.breakWith(away)
		taken := 0
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := lab.Record(ctx, lab.evidence, time.Now(), 0)
			cancel()
			if err != nil {
				if datastorage.CodeOf(err) != datastorage.CodeUnavailable || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error of a full recorder: %v", err)
				}
				break
			}
			taken++
		}
		if taken < 20 || taken > 64 {
			t.Errorf("%d searches had room in 64 KiB", taken)
		}
		lab.metric(t, "datastorage_catalog_evidence_full_total 1")
		waiting := make(chan error)
		go func() { waiting <- lab.Record(t.Context(), lab.evidence, time.Now(), 0) }()
		synctest.Wait()
		lab.journal.breakWith(nil)
		if err := <-waiting; err != nil {
			t.Errorf("a search that waited: %v", err)
		}
		if err := lab.Close(t.Context()); err != nil || len(lab.journal.stored) != taken+1 {
			t.Errorf("%d of %d are stored, %v", len(lab.journal.stored), taken+1, err)
		}
	})
}

// TestRecorder_Close_away says what it could not store, and does not wait for ever.
func TestRecorder_Close_away(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lab := newRecorder(t, 1<<20)
		lab.journal.breakWith(away)
		lab.record(t, 12)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := lab.Close(ctx); err == nil || !strings.Contains(err.Error(), "of 12 searches") {
			t.Errorf("error is %v", err)
		}
		lab.metric(t, "datastorage_catalog_evidence_total{lost} 12")
	})
}

// TestRecorder_Record_refused keeps one event that is to blame out of the others' way.
func TestRecorder_Record_refused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lab := newRecorder(t, 1<<20)
		bad := ""
		lab.journal.breakWith(func(events []datastorage.Event) (bool, error) {
			for _, e := range events {
				if bad == "" {
					bad = e.ID.String()
				}
				if e.ID.String() == bad {
					return false, datastorage.Errorf(datastorage.CodeConflict, "taken")
				}
			}
			return true, nil
		})
		lab.record(t, 5)
		if err := lab.Close(t.Context()); err != nil || len(lab.journal.stored) != 4 {
			t.Errorf("%d are stored, %v", len(lab.journal.stored), err)
		}
		lab.metric(t, "datastorage_catalog_evidence_total{lost} 1")
		lab.metric(t, "datastorage_catalog_evidence_waiting 0")
		if !strings.Contains(lab.log.String(), "refused") || !strings.Contains(lab.log.String(), "ranking_sha256") {
			t.Errorf("the log says %s", lab.log.String())
		}
	})
}
