package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/internal/postgres"
	"github.com/datastorage-io/datastorage/internal/sqlite"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, postgres.Migrate)) }

var quiet = slog.New(slog.DiscardHandler)

// store is either store.
type store interface {
	ingest.Store
	catalog.Store
	Events(ctx context.Context, q datastorage.EventQuery) (datastorage.EventPage, error)
	Close() error
}

func closeLater(t testing.TB, s store) store {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

func openSQLite(t testing.TB, dir string) store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{Readers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return closeLater(t, s)
}

func openPostgres(t testing.TB, url string) store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxQueryConns: 2, QueryTimeout: 10 * time.Second, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return closeLater(t, s)
}

// newWriter starts the write path on a store.
func newWriter(t testing.TB, s store) *ingest.Service {
	t.Helper()
	limits := ingest.Limits{
		QueueEvents: 50_000, QueueBytes: 64 << 20, CommitEvents: 2000, CommitBytes: 8 << 20, WriteTimeout: 10 * time.Second, RetryFor: time.Second,
	}
	c, err := ingest.NewCommitter(t.Context(), s, limits, quiet, ingest.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return ingest.NewService(c)
}

func options() catalog.Options {
	return catalog.Options{
		PollInterval: 5 * time.Millisecond, Timeout: 20 * time.Second, Weights: catalog.DefaultWeights(), Retention: 90,
		Log: quiet, Metrics: catalog.NewMetrics(prometheus.NewRegistry()),
	}
}

func newKeeper(t testing.TB, s catalog.Store, w catalog.Writer, opts catalog.Options) *catalog.Keeper {
	t.Helper()
	k, err := catalog.NewKeeper(t.Context(), s, w, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// start starts the catalogue of a store.
func start(t testing.TB, s store) *catalog.Keeper {
	t.Helper()
	return newKeeper(t, s, newWriter(t, s), options())
}

// eventually waits until done.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// workflow makes a valid workflow.
func workflow(name, version string) *datastorage.Workflow {
	content := "steps of " + name + " " + version
	return &datastorage.Workflow{
		Name: name, Version: version, Title: name, Description: "what " + name + " does", Content: content,
		ContentHash: datastorage.HashContent(content), Engine: datastorage.DefaultEngine,
		Labels: datastorage.Labels{
			SignalType: []string{"OOMKilled"}, Severity: []string{"critical"}, Component: []string{"pod"},
			Environment: []string{"production"}, Priority: []string{"P0"},
		},
		WorkflowState: datastorage.WorkflowState{Status: datastorage.StatusActive},
	}
}

func create(t testing.TB, k *catalog.Keeper, w *datastorage.Workflow) *datastorage.Workflow {
	t.Helper()
	stored, err := k.Create(t.Context(), w, catalog.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func checkCode(t testing.TB, what string, err error, want datastorage.Code) {
	t.Helper()
	if err == nil || datastorage.CodeOf(err) != want {
		t.Errorf("%s: error %v, want one with code %s", what, err, want)
	}
}

// checkVersions checks the version of a catalogue, and of its store.
func checkVersions(t testing.TB, k *catalog.Keeper, s catalog.Store, want int64) {
	t.Helper()
	stored, err := s.CatalogVersion(t.Context())
	if got := k.Snapshot().Version(); err != nil || got != want || stored != want {
		t.Errorf("the catalogue has version %d, the store %d, %v; want %d", got, stored, err, want)
	}
}

func TestKeeper_Create(t *testing.T) {
	t.Parallel()
	s := openSQLite(t, t.TempDir())
	k := start(t, s)
	sent := workflow("restart", "v1.2")
	stored, err := k.Create(t.Context(), sent, catalog.Actor{Type: "client", ID: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if stored.ID == uuid.Nil || stored.CreatedAt.IsZero() || stored.UpdatedAt != stored.CreatedAt || sent.ID != uuid.Nil {
		t.Errorf("stored %+v", stored)
	}
	got, ok := k.Snapshot().Get(stored.ID)
	if diff := cmp.Diff(stored, got.Workflow); !ok || diff != "" || !got.Latest {
		t.Errorf("it is not in the catalogue at once (-want +got):\n%s", diff)
	}
	checkVersions(t, k, s, 1)
	_, err = k.Create(t.Context(), workflow("restart", "1.2.0"), catalog.Actor{})
	checkCode(t, "the same version again", err, datastorage.CodeConflict)
	var conflict *datastorage.Error
	if !errors.As(err, &conflict) || conflict.Conflict == nil || conflict.Conflict.Resource != "workflow" ||
		!strings.Contains(conflict.Detail, "restart") || !strings.Contains(conflict.Detail, "1.2.0") {
		t.Errorf("the conflict is %+v", conflict)
	}
	checkVersions(t, k, s, 1)

	page, err := s.Events(t.Context(), datastorage.EventQuery{CorrelationID: stored.ID.String(), Limit: 10})
	if err != nil || len(page.Events) != 1 {
		t.Fatalf("%d events, %v", len(page.Events), err)
	}
	body := string(page.Events[0].Body)
	for _, want := range []string{
		`"event_type":"datastorage.workflow.created"`, `"event_category":"workflow"`, `"actor_id":"alice"`, `"catalog_version":1`,
		`"workflow_name":"restart"`, `"version":"v1.2"`, `"status":"active"`, `"document_sha256":"`, `"retention_days":90`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the event lacks %s: %s", want, body)
		}
	}
}

// Every create of several servers is stored, under versions without holes, and each name has one latest version.
func testConcurrentCreates(t *testing.T, a, b store) {
	keepers := []*catalog.Keeper{start(t, a), start(t, b)}
	const creates = 50
	var wg sync.WaitGroup
	ids := make([]uuid.UUID, creates)
	for i := range creates {
		wg.Go(func() {
			stored, err := keepers[i%2].Create(t.Context(), workflow(fmt.Sprintf("workflow-%d", i%5), fmt.Sprintf("1.%d", i)), catalog.Actor{})
			if err != nil {
				t.Errorf("create %d: %v", i, err)
				return
			}
			ids[i] = stored.ID
		})
	}
	wg.Wait()
	for n, k := range keepers {
		eventually(t, "both see every change", func() bool { return k.Snapshot().Version() == creates })
		latest := map[string]int{}
		for i, id := range ids {
			item, ok := k.Snapshot().Get(id)
			if !ok {
				t.Errorf("server %d lacks create %d", n, i)
				continue
			}
			if item.Latest {
				latest[item.Workflow.Name]++
				if i < creates-5 {
					t.Errorf("%s %s is the latest", item.Workflow.Name, item.Workflow.Version)
				}
			}
		}
		if want := map[string]int{"workflow-0": 1, "workflow-1": 1, "workflow-2": 1, "workflow-3": 1, "workflow-4": 1}; cmp.Diff(want, latest) != "" {
			t.Errorf("server %d: latest versions by name: %v", n, latest)
		}
	}
	changes, err := a.Changes(t.Context(), 0, 2*creates)
	if err != nil || len(changes) != creates {
		t.Fatalf("%d changes are stored, %v", len(changes), err)
	}
	for i, c := range changes {
		if c.Version != int64(i+1) {
			t.Fatalf("change %d has version %d", i, c.Version)
		}
	}
	head, err := a.Head(t.Context())
	if err != nil || head.Size() != creates {
		t.Errorf("the log holds %d events, %v; want one for each change", head.Size(), err)
	}
}

func TestKeeper_ConcurrentCreates(t *testing.T) {
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := pgtest.New(t)
		testConcurrentCreates(t, openPostgres(t, url), openPostgres(t, url))
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		testConcurrentCreates(t, openSQLite(t, dir), openSQLite(t, dir))
	})
}

// Of many creates of one version one is stored.
func TestKeeper_Create_Same(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := openSQLite(t, dir), openSQLite(t, dir)
	keepers := []*catalog.Keeper{start(t, a), start(t, b)}
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[datastorage.Code]int{}
	for i := range 20 {
		wg.Go(func() {
			_, err := keepers[i%2].Create(t.Context(), workflow("one", "1.0.0"), catalog.Actor{})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				codes["stored"]++
			} else {
				codes[datastorage.CodeOf(err)]++
			}
		})
	}
	wg.Wait()
	if want := map[datastorage.Code]int{"stored": 1, datastorage.CodeConflict: 19}; cmp.Diff(want, codes) != "" {
		t.Errorf("creates ended with %v", codes)
	}
	eventually(t, "both see it", func() bool { return keepers[0].Snapshot().Version() == 1 && keepers[1].Snapshot().Version() == 1 })
}

func TestKeeper_Patch(t *testing.T) {
	t.Parallel()
	s := openSQLite(t, t.TempDir())
	k := start(t, s)
	old := create(t, k, workflow("w", "1.0.0"))
	latest := create(t, k, workflow("w", "1.1.0"))
	patch := func(p datastorage.WorkflowPatch) *datastorage.Workflow {
		t.Helper()
		w, err := k.Patch(t.Context(), latest.ID, p, catalog.Actor{})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	if diff := cmp.Diff(latest, patch(datastorage.WorkflowPatch{})); diff != "" {
		t.Errorf("a patch of nothing (-want +got):\n%s", diff)
	}
	checkVersions(t, k, s, 2)
	disabled := patch(datastorage.WorkflowPatch{Status: datastorage.StatusDisabled, DisabledBy: "bob", DisabledReason: "loops"})
	if disabled.DisabledAt.IsZero() || disabled.DisabledBy != "bob" || disabled.DisabledReason != "loops" || latest.Status != datastorage.StatusActive {
		t.Errorf("disabled: %+v", disabled.WorkflowState)
	}
	if w, _ := k.Snapshot().Latest("w"); w.ID != old.ID {
		t.Error("a disabled version is the latest while another is active")
	}
	again := patch(datastorage.WorkflowPatch{Status: datastorage.StatusActive})
	if again.Status != datastorage.StatusActive || !again.DisabledAt.IsZero() || again.DisabledBy != "" || again.DisabledReason != "" {
		t.Errorf("active again: %+v", again.WorkflowState)
	}
	checkVersions(t, k, s, 4)
	_, err := k.Patch(t.Context(), uuid.New(), datastorage.WorkflowPatch{Status: datastorage.StatusArchived}, catalog.Actor{})
	checkCode(t, "an unknown workflow_id", err, datastorage.CodeNotFound)
	checkVersions(t, k, s, 4)
}

func TestKeeper_Disable(t *testing.T) {
	t.Parallel()
	s := openSQLite(t, t.TempDir())
	k := start(t, s)
	w := create(t, k, workflow("w", "1.0.0"))
	var first *datastorage.Workflow
	for i, reason := range []string{"first", "second", ""} {
		got, err := k.Disable(t.Context(), w.ID, datastorage.WorkflowDisable{Reason: reason}, catalog.Actor{})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = got
		}
		if diff := cmp.Diff(first, got); diff != "" || got.DisabledReason != "first" {
			t.Errorf("call %d (-first +got):\n%s", i, diff)
		}
	}
	checkVersions(t, k, s, 2)
	page, err := s.Events(t.Context(), datastorage.EventQuery{EventType: "datastorage.workflow.disabled", Limit: 10})
	if err != nil || len(page.Events) != 1 || !strings.Contains(string(page.Events[0].Body), `"reason":"first"`) {
		t.Errorf("%d events, %v", len(page.Events), err)
	}
}

func TestKeeper_Follow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := start(t, openSQLite(t, dir)), start(t, openSQLite(t, dir))
	w := create(t, a, workflow("w", "1.0.0"))
	eventually(t, "another server sees a new workflow", func() bool { _, ok := b.Snapshot().Get(w.ID); return ok })
	if _, err := b.Disable(t.Context(), w.ID, datastorage.WorkflowDisable{}, catalog.Actor{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another server sees a new state", func() bool {
		got, _ := a.Snapshot().Get(w.ID)
		return got.Workflow.Status == datastorage.StatusDisabled
	})
	// A server that starts sees the same.
	c := start(t, openSQLite(t, dir))
	got, _ := c.Snapshot().Get(w.ID)
	want, _ := a.Snapshot().Get(w.ID)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a server that starts sees another workflow (-want +got):\n%s", diff)
	}
}

func TestKeeper_Metrics(t *testing.T) {
	t.Parallel()
	s := openSQLite(t, t.TempDir())
	registry := prometheus.NewRegistry()
	opts := options()
	opts.Metrics = catalog.NewMetrics(registry)
	k := newKeeper(t, s, newWriter(t, s), opts)
	w := create(t, k, workflow("w", "1.0.0"))
	create(t, k, workflow("x", "1.0.0"))
	if _, err := k.Disable(t.Context(), w.ID, datastorage.WorkflowDisable{}, catalog.Actor{}); err != nil {
		t.Fatal(err)
	}
	got := gather(t, registry)
	for name, want := range map[string]float64{
		"datastorage_catalog_version": 3, "datastorage_catalog_changes_applied_total": 3, "datastorage_catalog_moved_total": 0,
		"datastorage_catalog_workflows active": 1, "datastorage_catalog_workflows disabled": 1, "datastorage_catalog_workflows archived": 0,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v, %v; want %v", name, value, ok, want)
		}
	}
}

// gather returns the values of all metrics by name and labels.
func gather(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}

func TestKeeper_Close(t *testing.T) {
	t.Parallel()
	s := openSQLite(t, t.TempDir())
	k, err := catalog.NewKeeper(t.Context(), s, newWriter(t, s), options())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, err := k.Create(t.Context(), workflow("w", fmt.Sprintf("1.%d", i)), catalog.Actor{})
			if err != nil {
				checkCode(t, "a create beside Close", err, datastorage.CodeUnavailable)
			}
		})
	}
	k.Close()
	wg.Wait()
	_, err = k.Create(t.Context(), workflow("late", "1.0.0"), catalog.Actor{})
	checkCode(t, "a create behind Close", err, datastorage.CodeUnavailable)
	if version, err := s.CatalogVersion(t.Context()); err != nil || version != k.Snapshot().Version() {
		t.Errorf("the store has version %d, %v; the catalogue %d", version, err, k.Snapshot().Version())
	}
}
