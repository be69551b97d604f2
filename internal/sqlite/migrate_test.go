package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/pressly/goose/v3"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
	"github.com/datastorage-io/datastorage/ledger"
)

// former makes a database with the schema of an earlier version.
func former(t *testing.T, dir string, version int64) *sql.DB {
	t.Helper()
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
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	return db
}

// TestMigrate_EventTypes brings a catalogue up to date that was made before event types were part of it: its table is made
// anew, with every row, and protected as before.
func TestMigrate_EventTypes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := former(t, dir, 3)
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

// TestMigrate_Correlations brings a log up to date that was written before correlations had a table: its events are found,
// verified and continued.
func TestMigrate_Correlations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	records := interleavedRecords(0, 1500)
	fillFormer(t, dir, records)
	s := openAt(t, dir)
	found := func(want []*datastorage.Record) {
		t.Helper()
		r, err := ledger.Audit(t.Context(), openSource(t, dir), ledger.AuditOptions{MaxFaults: 10})
		if err != nil || r.FaultCount != 0 || r.Size != int64(len(want)) {
			t.Errorf("%d events and the faults %v, %v", r.Size, r.Faults, err)
		}
		byCorrelation := map[string][]uuid.UUID{}
		for _, r := range want {
			byCorrelation[r.CorrelationID] = append(byCorrelation[r.CorrelationID], r.ID)
		}
		for correlation, ids := range byCorrelation {
			var got []uuid.UUID
			err := s.Correlation(t.Context(), correlation, func(h *datastorage.EventHeader) error { got = append(got, h.ID); return nil })
			if diff := cmp.Diff(ids, got); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", correlation, err, diff)
			}
		}
	}
	found(records)
	if err := intact(t.Context(), s, 1500); err != nil {
		t.Error(err)
	}
	more := interleavedRecords(1500, 200)
	store(t, s, more)
	found(append(records, more...))
	for _, statement := range []string{`DELETE FROM events`, `UPDATE events SET body = ''`} {
		err := use(t.Context(), s.writer, func(c *conn) error { _, err := c.Exec(t.Context(), statement); return err })
		if err == nil {
			t.Errorf("%s is taken", statement)
		}
	}
}

// TestMigrate_DiskFails brings a log up to date on a disk that does not take the copy, in a process of its own.
func TestMigrate_DiskFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fillFormer(t, dir, interleavedRecords(0, 2000))
	limited(t, "migrate", dir)
	s := openAt(t, dir)
	if err := intact(t.Context(), s, 2000); err != nil {
		t.Error(err)
	}
	store(t, s, interleavedRecords(2000, 100))
}

// fillFormer stores records with the schema that has no table of correlations.
func fillFormer(t *testing.T, dir string, records []*datastorage.Record) {
	t.Helper()
	db := former(t, dir, 4)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(text string, args ...any) {
		t.Helper()
		if _, err := tx.ExecContext(t.Context(), text, args...); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := ledger.NewCommit(&ledger.Head{}, records, time.Now())
	exec(`INSERT INTO ledger_commits (first_index, next_index, min_time, max_time, committed_at, root, range, entries) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		c.FirstIndex, c.NextIndex, c.MinTime.UnixMicro(), c.MaxTime.UnixMicro(), c.CommittedAt.UnixMicro(), c.Root[:], c.Range, c.Entries)
	for i, r := range records {
		exec(`INSERT INTO event_ids VALUES (?, ?, ?)`, r.ID[:], i, r.Time.UnixMicro())
		exec(`INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?)`,
			i, r.Time.UnixMicro(), r.ID[:], r.CorrelationID, r.Type, r.Category, r.Outcome, r.Severity, r.ActorType, r.ActorID,
			r.ResourceType, r.ResourceID, r.Namespace, r.ClusterName, r.Salt[:], string(r.Body))
	}
	if err := errors.Join(tx.Commit(), db.Close()); err != nil {
		t.Fatal(err)
	}
}
