package catalog_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/internal/postgres"
)

func actionType(name, what string) *datastorage.ActionType {
	return &datastorage.ActionType{
		Name: name, Guidance: datastorage.Guidance{What: what}, Content: what, ContentHash: datastorage.HashContent(what),
	}
}

func outcomes(results []catalog.Imported) (all []catalog.Outcome) {
	for _, r := range results {
		all = append(all, r.Outcome)
	}
	return all
}

func TestKeeper_Import(t *testing.T) {
	t.Parallel()
	s := openSQLite(t, t.TempDir())
	k := start(t, s)
	changed := workflow("a", "v1")
	changed.Content = "other"
	changed.ContentHash = datastorage.HashContent("other")
	items := []catalog.ImportItem{
		{ActionType: actionType("Restart", "restarts")}, {Workflow: workflow("a", "1.0.0")}, {Workflow: workflow("b", "1.0.0")},
		{Workflow: workflow("b", "1.0.0")}, {Workflow: changed}, {ActionType: actionType("Restart", "restarts gently")},
	}
	const (
		created, updated    = catalog.Created, catalog.Updated
		unchanged, conflict = catalog.Unchanged, catalog.Conflict
	)
	for _, run := range []struct {
		name    string
		dry     bool
		want    []catalog.Outcome
		version int64
	}{
		{"dry", true, []catalog.Outcome{created, created, created, unchanged, conflict, updated}, 0},
		{"first", false, []catalog.Outcome{created, created, created, unchanged, conflict, updated}, 4},
		{"dry again", true, []catalog.Outcome{updated, unchanged, unchanged, unchanged, conflict, updated}, 4},
		{"again", false, []catalog.Outcome{updated, unchanged, unchanged, unchanged, conflict, updated}, 6},
	} {
		results, err := k.Import(t.Context(), items, catalog.ImportOptions{DryRun: run.dry})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(run.want, outcomes(results)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", run.name, diff)
		}
		if run.name == "dry" && results[1].WorkflowID != uuid.Nil {
			t.Errorf("%s: a workflow that is not stored has an ID", run.name)
		}
		if results[4].Detail == "" || results[3].WorkflowID != results[2].WorkflowID {
			t.Errorf("%s: %+v", run.name, results)
		}
		checkVersions(t, k, s, run.version)
	}
	if a, ok := k.Snapshot().ActionType("Restart"); !ok || a.What != "restarts gently" || a.UpdatedAt.IsZero() {
		t.Errorf("the action type is %+v", a)
	}
	page, err := s.Events(t.Context(), datastorage.EventQuery{EventType: "datastorage.action_type.", EventTypePrefix: true, Limit: 10})
	if err != nil || len(page.Events) != 4 {
		t.Errorf("%d events, %v", len(page.Events), err)
	}
}

// An import of more than a transaction holds is stored in several, and one that is run again changes nothing.
func TestKeeper_Import_Large(t *testing.T) {
	t.Parallel()
	s := openSQLite(t, t.TempDir())
	k := start(t, s)
	items := manyItems(1234, 100)
	var progress []int
	opts := catalog.ImportOptions{Progress: func(done int) { progress = append(progress, done) }}
	results, err := k.Import(t.Context(), items, opts)
	if err != nil || len(results) != len(items) {
		t.Fatalf("%d results, %v", len(results), err)
	}
	if diff := cmp.Diff([]int{500, 1000, 1234}, progress); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	checkVersions(t, k, s, 1234)
	results, err = k.Import(t.Context(), items, catalog.ImportOptions{})
	if err != nil || results[1233].Outcome != catalog.Unchanged {
		t.Errorf("again: %v", err)
	}
	checkVersions(t, k, s, 1234)
	// What reads the store from the beginning sees the same catalogue.
	again := start(t, s)
	if got := again.Snapshot(); got.Version() != 1234 || got.Len() != 1234 || !got.Time().Equal(k.Snapshot().Time()) {
		t.Errorf("read again: version %d with %d workflows", got.Version(), got.Len())
	}
}

// manyItems makes n workflows with contents of about size bytes.
func manyItems(n, size int) []catalog.ImportItem {
	items := make([]catalog.ImportItem, n)
	for i := range items {
		w := workflow(fmt.Sprintf("workflow-%d", i/2), fmt.Sprintf("1.%d.0", i))
		for len(w.Content) < size {
			w.Content += "\nkind: Step # a line of a document"
		}
		w.ContentHash = datastorage.HashContent(w.Content)
		items[i].Workflow = w
	}
	return items
}

// durable returns a database on a PostgreSQL that syncs what it commits.
func durable(b *testing.B) string {
	b.Helper()
	url, err := pgtest.Start(b, pgtest.Options{Durable: true}).Clone(b.Context(), postgres.Migrate)
	if err != nil {
		b.Fatal(err)
	}
	return url
}

// BenchmarkImport imports 10 000 workflows of 4 KB: at most 10 s, aim 2 s.
func BenchmarkImport(b *testing.B) {
	items := manyItems(10_000, 4096)
	for name, open := range map[string]func() store{
		"sqlite":   func() store { return openSQLite(b, b.TempDir()) },
		"postgres": func() store { return openPostgres(b, durable(b)) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				k := start(b, open())
				b.StartTimer()
				if _, err := k.Import(b.Context(), items, catalog.ImportOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFollow measures how long a change takes, from its acknowledgement by one server, until another finds it, at
// the default poll interval: at most 1 s, aim 100 ms.
func BenchmarkFollow(b *testing.B) {
	opts := func() catalog.Options {
		o := options()
		o.PollInterval = 75 * time.Millisecond
		return o
	}
	for name, open := range map[string]func() (a, other store){
		"sqlite": func() (a, other store) {
			dir := b.TempDir()
			return openSQLite(b, dir), openSQLite(b, dir)
		},
		"postgres": func() (a, other store) {
			url := durable(b)
			return openPostgres(b, url), openPostgres(b, url)
		},
	} {
		b.Run(name, func(b *testing.B) {
			sa, sb := open()
			a, other := newKeeper(b, sa, newWriter(b, sa), opts()), newKeeper(b, sb, newWriter(b, sb), opts())
			var took []time.Duration
			for b.Loop() {
				w := create(b, a, workflow("w", fmt.Sprintf("1.%d", len(took))))
				acked := time.Now()
				eventually(b, "another server sees it", func() bool { _, ok := other.Snapshot().Get(w.ID); return ok })
				took = append(took, time.Since(acked))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
