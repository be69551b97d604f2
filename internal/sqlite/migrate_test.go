package sqlite

import (
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/pressly/goose/v3"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// TestMigrate_EventTypes brings a catalogue up to date that was made before event types were part of it: its table is made
// anew, with every row, and protected as before.
func TestMigrate_EventTypes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sql.Open("sqlite", sqlitedb.DSN(filepath.Join(dir, FileName), readerCache, fmt.Sprintf("page_size(%d)", sqlitedb.PageSize), "journal_mode(WAL)"))
	if err != nil {
		t.Fatal(err)
	}
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, steps, goose.WithDisableGlobalRegistry(true), goose.WithTableName("schema_version"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	id := uuid.New()
	if _, err := db.ExecContext(t.Context(), `INSERT INTO catalog_changes VALUES (1, 7, 'workflow', ?, ?, 'one'), (2, 8, 'state', ?, NULL, 'two')`,
		id[:], []byte("a\x00b"), id[:]); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	s, err := Open(t.Context(), dir, Options{Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	got, err := s.Changes(t.Context(), 0, 10)
	want := []*datastorage.CatalogChange{
		{Version: 1, Time: sqlitedb.Micros(int64(7)), Kind: datastorage.ChangeWorkflow, WorkflowID: id, Key: "a\x00b", Document: []byte("one")},
		{Version: 2, Time: sqlitedb.Micros(int64(8)), Kind: datastorage.ChangeState, WorkflowID: id, Document: []byte("two")},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for statement, taken := range map[string]bool{
		`INSERT INTO catalog_changes VALUES (3, 9, 'event_type', NULL, x'00', 'three')`: true,
		`INSERT INTO catalog_changes VALUES (4, 9, 'workflow', NULL, x'610062', 'key')`: false,
		`INSERT INTO catalog_changes VALUES (4, 9, 'other', NULL, NULL, 'kind')`:        false,
		`UPDATE catalog_changes SET document = 'x'`:                                     false,
		`DELETE FROM catalog_changes`:                                                   false,
	} {
		err := use(t.Context(), s.writer, func(c *conn) error { _, err := c.Exec(t.Context(), statement); return err })
		if (err == nil) != taken {
			t.Errorf("%s: %v", statement, err)
		}
	}
}
