package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/audittest"
)

// openTarget opens an empty store for damage: its triggers are gone.
func openTarget(t testing.TB) *audittest.Target {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Options{Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	exec := func(t testing.TB, statement string) (changed int64) {
		t.Helper()
		err := use(t.Context(), s.writer, func(c *conn) error {
			result, err := c.Exec(context.Background(), statement)
			changed = result.Changed
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		return changed
	}
	for _, trigger := range triggers(t, s) {
		exec(t, "DROP TRIGGER "+trigger)
	}
	return &audittest.Target{
		Store: s, Source: openSource(t, dir), Exec: exec,
		ID:   func(id uuid.UUID) string { return fmt.Sprintf("x'%x'", id[:]) },
		Blob: func(b []byte) string { return fmt.Sprintf("x'%x'", b) },
		Time: func(micros int64) string { return fmt.Sprint(micros) }, Columns: "correlation_first, ",
	}
}

func triggers(t testing.TB, s *Store) (names []string) {
	t.Helper()
	err := use(t.Context(), s.writer, func(c *conn) error {
		return c.Query(t.Context(), `SELECT name FROM sqlite_schema WHERE type = 'trigger'`, nil, func(row []driver.Value) error {
			names = append(names, row[0].(string))
			return nil
		})
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("the triggers are %v, %v", names, err)
	}
	return names
}

func openSource(t testing.TB, dir string) *AuditSource {
	t.Helper()
	source, err := OpenAudit(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return source
}

func TestAudit(t *testing.T) {
	t.Parallel()
	audittest.Run(t, openTarget)
}
