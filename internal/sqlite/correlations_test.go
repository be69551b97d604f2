package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// begins returns where each correlation begins, by its text.
func begins(t testing.TB, s *Store) map[string]int64 {
	t.Helper()
	got := map[string]int64{}
	err := use(t.Context(), s.readers, func(c *conn) error {
		return c.Query(t.Context(), `SELECT correlation_id, first_index FROM correlations`, nil, func(row []driver.Value) error {
			got[row[0].(string)] = row[1].(int64)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// ofCorrelations returns a record of each correlation, in that order.
func ofCorrelations(names ...string) (records []*datastorage.Record) {
	for _, name := range names {
		records = append(records, benchRecord(0, name))
	}
	return records
}

// checkBegins checks where the correlations of the names begin, in the table and in every event.
func checkBegins(t testing.TB, s *Store, want map[string]int64) {
	t.Helper()
	byText := map[string]int64{}
	for name, first := range want {
		byText[ofCorrelations(name)[0].CorrelationID] = first
	}
	if diff := cmp.Diff(byText, begins(t, s)); diff != "" {
		t.Errorf("correlations (-want +got):\n%s", diff)
	}
	head, err := s.Head(t.Context())
	if err == nil {
		err = intact(t.Context(), s, head.Size())
	}
	if err != nil {
		t.Error(err)
	}
}

func TestStore_Commit_Correlations(t *testing.T) {
	s := openAt(t, t.TempDir())
	store(t, s, ofCorrelations("a", "b", "a", "b"))
	store(t, s, ofCorrelations("c", "a", "c"))
	checkBegins(t, s, map[string]int64{"a": 0, "b": 1, "c": 4})
}

// TestStore_Commit_CorrelationsOfOthers stores events of the same correlations from two sides, as two processes do.
func TestStore_Commit_CorrelationsOfOthers(t *testing.T) {
	dir := t.TempDir()
	s, other := openAt(t, dir), openAt(t, dir)
	store(t, s, ofCorrelations("a"))
	store(t, other, ofCorrelations("b", "a"))
	store(t, s, ofCorrelations("b", "c", "a"))
	store(t, other, ofCorrelations("c"))
	checkBegins(t, s, map[string]int64{"a": 0, "b": 1, "c": 4})
}

// TestStore_Commit_CorrelationsForgotten gives commits up behind the storing of their events: at their next attempt, and
// in other commits, their correlations begin where those are stored.
func TestStore_Commit_CorrelationsForgotten(t *testing.T) {
	s := openAt(t, t.TempDir())
	store(t, s, ofCorrelations("a"))
	refused := ofCorrelations("a", "b", "c")
	w := &datastorage.Write{Records: refused, Changes: []*datastorage.CatalogChange{change(7)}} // none goes before it
	if err := s.Commit(t.Context(), next(t, s, refused), w); err == nil {
		t.Fatal("the commit was taken")
	}
	func() {
		defer func() { _ = recover() }()
		_ = s.write(t.Context(), w, func(ctx context.Context, c *conn) error {
			if err := s.insert(ctx, c, next(t, s, refused), w); err != nil {
				t.Error(err)
			}
			panic("behind the events")
		})
	}()
	ended, end := context.WithCancel(t.Context())
	err := s.write(ended, &datastorage.Write{}, func(ctx context.Context, c *conn) error {
		defer end()
		return s.insert(ctx, c, next(t, s, refused), w)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a commit whose caller went away: %v", err)
	}
	store(t, s, ofCorrelations("d", "c"))
	store(t, s, refused)
	checkBegins(t, s, map[string]int64{"a": 0, "d": 1, "c": 2, "b": 4})
}

// TestStore_Commit_CorrelationsUnknown goes on behind a COMMIT that said that it failed, and is stored.
func TestStore_Commit_CorrelationsUnknown(t *testing.T) {
	dir := t.TempDir()
	s, other := openAt(t, dir), openAt(t, dir)
	records := ofCorrelations("a", "b")
	commit := next(t, s, records)
	w := &datastorage.Write{Records: records}
	if err := other.Commit(t.Context(), commit, w); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), commit, w); !errors.Is(err, ledger.ErrHeadMoved) {
		t.Errorf("the same commit again: %v", err)
	}
	store(t, s, ofCorrelations("b", "a"))
	checkBegins(t, s, map[string]int64{"a": 0, "b": 1})
}

func TestCorrelationCache(t *testing.T) {
	t.Parallel()
	var c correlationCache
	known := func(id string, want bool) {
		t.Helper()
		if _, ok := c.begin(id); ok != want {
			t.Errorf("%s is known: %v, want %v", id, ok, want)
		}
	}
	c.add("given up", 1)
	known("given up", true)
	c.forget()
	known("given up", false)
	for i := range int64(3 * maxCorrelations) {
		c.add(fmt.Sprint(i), i)
		known("0", true)
		c.keep()
		if n := len(c.young) + len(c.old); n > maxCorrelations {
			t.Fatalf("%d correlations are remembered", n)
		}
	}
	known("1", false)
	for i := range int64(maxCorrelations / 2) {
		id := 3*maxCorrelations - 1 - i
		if got, ok := c.begin(fmt.Sprint(id)); !ok || got != id {
			t.Fatalf("correlation %d, one of the last, begins at %d, %v", id, got, ok)
		}
	}
}
