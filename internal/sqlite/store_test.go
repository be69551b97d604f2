package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
	"github.com/datastorage-io/datastorage/ledger"
)

func TestOpen_Files(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := openAt(t, dir)
	store(t, s, benchRecords(0, 1))
	for name, want := range map[string]os.FileMode{
		".": 0o700, FileName: 0o600, FileName + "-wal": 0o600, FileName + "-shm": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}

func TestOpen_Durability(t *testing.T) {
	s := openAt(t, t.TempDir())
	for pragma, want := range map[string]any{
		"journal_mode": "wal", "synchronous": int64(2), "page_size": int64(sqlitedb.PageSize), "wal_autocheckpoint": int64(walPages),
		"busy_timeout": int64(sqlitedb.LockWait),
	} {
		var got any
		err := use(t.Context(), s.writer, func(c *conn) error {
			return c.Query(t.Context(), "PRAGMA "+pragma, nil, func(row []driver.Value) error {
				got = row[0]
				return nil
			})
		})
		if err != nil || got != want {
			t.Errorf("%s is %v (%v), want %v", pragma, got, err, want)
		}
	}
}

func TestOpen_Fails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("no database, but longer than the header of one would have to be\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), filepath.Join(file, "dir"), Options{Readers: 1}); err == nil ||
		!strings.Contains(err.Error(), "create the data directory") {
		t.Errorf("a directory that cannot be: %v", err)
	}
	dir := t.TempDir()
	if err := os.Rename(file, filepath.Join(dir, FileName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{Readers: 1}); err == nil || !strings.Contains(err.Error(), FileName) {
		t.Errorf("a file that is no database: %v", err)
	}
	if _, err := Open(t.Context(), t.TempDir(), Options{}); err == nil {
		t.Error("no reader is enough")
	}
}

func TestOpen_NewerSchema(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	execute(t, s, `INSERT INTO schema_version (version_id, is_applied) VALUES (999, 1)`)
	_, err := Open(t.Context(), dir, Options{Readers: 1})
	if err == nil || !strings.Contains(err.Error(), "schema version 999") || !strings.Contains(err.Error(), "use a newer datastorage") {
		t.Errorf("error %v", err)
	}
}

// TestOpen_Concurrent opens one new directory from many sides at once, as processes that start together do: the lock is
// one between open files.
func TestOpen_Concurrent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := Open(t.Context(), dir, Options{Readers: 1})
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			if err := errors.Join(s.Ping(t.Context()), s.Close()); err != nil {
				t.Errorf("use: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestOpen_WaitsForOther(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lockOpening(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 3*openingPoll)
	defer cancel()
	_, err = Open(ctx, dir, Options{Readers: 1})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another process is opening") {
		t.Errorf("error %v", err)
	}
}

func TestStore_Reopen(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	records := benchRecords(0, 3)
	store(t, s, records)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("a closed store: %v", err)
	}
	again := openAt(t, dir)
	head, err := again.Head(t.Context())
	if err != nil || head.Size() != 3 {
		t.Errorf("after opening again: %d events, %v", head.Size(), err)
	}
	store(t, again, benchRecords(3, 2))
}

func TestStore_AppendOnly(t *testing.T) {
	s := openAt(t, t.TempDir())
	records := benchRecords(0, 3)
	w := &datastorage.Write{Records: records, Changes: []*datastorage.CatalogChange{change(1)}}
	if err := s.Commit(t.Context(), next(t, s, records), w); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`DELETE FROM catalog_changes`,
		`UPDATE catalog_changes SET document = ''`,
		`DELETE FROM events`,
		`UPDATE events SET body = ''`,
		`DELETE FROM event_ids`,
		`UPDATE event_ids SET log_index = 7`,
		`DELETE FROM ledger_commits`,
		`UPDATE ledger_commits SET root = x''`,
		`DELETE FROM correlations`,
		`UPDATE correlations SET first_index = 7`,
	} {
		err := use(t.Context(), s.writer, func(c *conn) error {
			_, err := c.Exec(t.Context(), statement)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: error %v", statement, err)
		}
	}
}

func TestStore_Stats(t *testing.T) {
	s := openAt(t, t.TempDir())
	if got := s.Stats(); got.Max != 2+lookups+followers+1 || got.Open != 3 || got.Idle != 3 || got.InUse != 0 {
		t.Errorf("%+v", got)
	}
	err := use(t.Context(), s.readers, func(*conn) error {
		if got := s.Stats(); got.InUse != 1 {
			t.Errorf("with one in use: %+v", got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestStore_QueryTimeout(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir(), Options{Readers: 1, QueryTimeout: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	_, err = s.Events(t.Context(), datastorage.EventQuery{Limit: 1})
	if datastorage.CodeOf(err) != datastorage.CodeUnavailable || !errors.Is(err, errQueryTimeout) {
		t.Errorf("error %v", err)
	}
}

// TestStore_Interrupt ends a statement that would run for ever; its connection serves the next query.
func TestStore_Interrupt(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir(), Options{Readers: 1, QueryTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const endless = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n`
	err = s.read(t.Context(), func(ctx context.Context, c *conn) error {
		return c.Transaction(ctx, "BEGIN", func() error {
			return c.Query(ctx, endless, nil, func([]driver.Value) error { return nil })
		})
	})
	if !errors.Is(err, errQueryTimeout) {
		t.Errorf("error %v", err)
	}
	s.timeout = 0
	if _, err := s.Events(t.Context(), datastorage.EventQuery{Limit: 1}); err != nil {
		t.Errorf("the next query: %v", err)
	}
}

// TestStore_LogStaysSmall commits more than the write-ahead log takes, while queries run.
func TestStore_LogStaysSmall(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	for i := range 25 {
		store(t, s, benchRecords(i*1000, 1000))
		if _, err := s.Events(t.Context(), datastorage.EventQuery{Limit: 1}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, FileName+"-wal"))
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(2 * walPages * sqlitedb.PageSize); info.Size() > most {
		t.Errorf("the write-ahead log has %d bytes, want at most %d", info.Size(), most)
	}
}

func TestLockDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	unlock, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = LockDir(dir)
	if err == nil || !strings.Contains(err.Error(), "in use by another server (process "+pid()+")") {
		t.Errorf("a second server: %v", err)
	}
	// Others work beside a server.
	openAt(t, dir)
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = LockDir(dir)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

// store appends records to the log.
func store(t testing.TB, s *Store, records []*datastorage.Record) *ledger.Commit {
	t.Helper()
	c := next(t, s, records)
	if err := s.Commit(t.Context(), c, &datastorage.Write{Records: records}); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return c
}

// next returns the commit that appends records to the log as it is.
func next(t testing.TB, s *Store, records []*datastorage.Record) *ledger.Commit {
	t.Helper()
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	c, _ := ledger.NewCommit(&head, records, time.Now())
	return c
}

// execute runs a statement on the writer.
func execute(t testing.TB, s *Store, statement string) {
	t.Helper()
	err := use(t.Context(), s.writer, func(c *conn) error {
		_, err := c.Exec(t.Context(), statement)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// stored reports whether an event is in the log.
func stored(t testing.TB, s *Store, id uuid.UUID) bool {
	t.Helper()
	found, err := s.Find(t.Context(), []uuid.UUID{id})
	if err != nil {
		t.Fatalf("Find: %v", err)
	}
	return len(found) == 1
}
