package project_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
)

func TestMain(m *testing.M) { os.Exit(projecttest.Main(m)) }

// counter counts events by type: a projection as small as one can be.
type counter struct{ version int }

func (counter) Name() string           { return "test-types" }
func (c counter) Version() int         { return c.version }
func (counter) Bodies() project.Bodies { return project.Bodies{} }
func (counter) Tables() []string       { return []string{"p_test_types_{g}"} }
func (counter) Schema() []string {
	return []string{`CREATE TABLE p_test_types_{g} (type {text} PRIMARY KEY, n bigint NOT NULL) {keyed}`}
}

// Apply implements project.Projection.
func (counter) Apply(ctx context.Context, tx project.Tx, events []project.Event) error {
	counts := map[string]int64{}
	for _, e := range events {
		counts[e.Type]++
	}
	for eventType, n := range counts {
		_, err := tx.Exec(ctx, `INSERT INTO p_test_types_{g} AS old (type, n) VALUES (?, ?) `+
			`ON CONFLICT (type) DO UPDATE SET n = old.n + excluded.n`, eventType, n)
		if err != nil {
			return err
		}
	}
	return nil
}

// counts reads what counter has counted.
func counts(t *testing.T, v project.View) (found map[string]int64, position int64) {
	t.Helper()
	found = map[string]int64{}
	err := v.View(t.Context(), "test-types", func(tx project.Tx, at int64) error {
		position = at
		return tx.Query(t.Context(), `SELECT type, n FROM p_test_types_{g}`, nil, func(r project.Row) error {
			found[r.Text(0)] = r.Int(1)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, position
}

// typed makes n events of a type.
func typed(n int, eventType string) []datastorage.Event {
	events := make([]datastorage.Event, n)
	for i := range events {
		events[i].Type = eventType
	}
	return events
}

func TestCatchUp(t *testing.T) {
	t.Parallel()
	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
		reader := project.NewReader(l.Projections, []project.Projection{counter{1}})
		err := reader.View(t.Context(), "test-types", func(project.Tx, int64) error { return nil })
		if datastorage.CodeOf(err) != datastorage.CodeUnavailable {
			t.Errorf("a view before anything was built: %v", err)
		}
		want := map[string]int64{}
		for step := range 5 {
			eventType := fmt.Sprint("type", step%3)
			want[eventType] += 137
			size := l.Append(typed(137, eventType)...) + 137
			got, position := counts(t, l.View(counter{1}))
			if diff := cmp.Diff(want, got); diff != "" || position != size {
				t.Errorf("step %d, at %d of %d (-want +got):\n%s", step, position, size, diff)
			}
		}
		// Another version is built again, and reads of the one before end.
		if got, _ := counts(t, l.View(counter{2})); cmp.Diff(want, got) != "" {
			t.Errorf("another version (-want +got):\n%s", cmp.Diff(want, got))
		}
		err = reader.View(t.Context(), "test-types", func(project.Tx, int64) error { return nil })
		if datastorage.CodeOf(err) != datastorage.CodeUnavailable {
			t.Errorf("a view of another version: %v", err)
		}
	})
}

func TestApply(t *testing.T) {
	t.Parallel()
	events := projecttest.Runs(t)
	got, position := counts(t, projecttest.Apply(t, counter{1}, events))
	if position != int64(len(events)) || got["gateway.signal.received"] != 8 {
		t.Errorf("%d events are applied of %d, %d signals", position, len(events), got["gateway.signal.received"])
	}
}
