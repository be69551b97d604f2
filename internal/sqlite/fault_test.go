package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
	"github.com/datastorage-io/datastorage/ledger"
)

// limitedDir names the directory in which this program, run once more by a test, lets a disk fail. Its argument is the task.
const limitedDir = "DATASTORAGE_TEST_LIMITED_DIR"

var limitedTasks = map[string]func(dir string) error{"commit": commitToFailingDisk, "migrate": migrateOnFailingDisk}

func TestMain(m *testing.M) {
	if dir := os.Getenv(limitedDir); dir != "" {
		// Without this a write would kill the process instead of failing.
		signal.Ignore(syscall.SIGXFSZ)
		if err := limitedTasks[os.Args[1]](dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func pid() string { return strconv.Itoa(os.Getpid()) }

// refuse checks that a commit fails with CodeUnavailable and stores nothing, and that it can be made once cure has run.
func refuse(t *testing.T, s *Store, cure string) {
	t.Helper()
	records := benchRecords(0, 200)
	c := next(t, s, records)
	w := &datastorage.Write{Records: records, Changes: []*datastorage.CatalogChange{change(1)}}
	err := s.Commit(t.Context(), c, w)
	if datastorage.CodeOf(err) != datastorage.CodeUnavailable || errors.Is(err, ledger.ErrOutcomeUnknown) {
		t.Errorf("error %v, want code %s", err, datastorage.CodeUnavailable)
	}
	if stored(t, s, records[0].ID) {
		t.Error("a refused event is stored")
	}
	checkVersion(t, s, 0)
	execute(t, s, cure)
	if err := s.Commit(t.Context(), c, w); err != nil {
		t.Errorf("the same commit later: %v", err)
	}
	checkVersion(t, s, 1)
}

// change makes a change of the catalogue.
func change(version int64) *datastorage.CatalogChange {
	return &datastorage.CatalogChange{
		Version: version, Time: time.UnixMicro(1_774_000_000_000_000).UTC(), Kind: datastorage.ChangeActionType, Document: []byte(`{}`),
	}
}

func checkVersion(t *testing.T, s *Store, want int64) {
	t.Helper()
	if version, err := s.CatalogVersion(t.Context()); err != nil || version != want {
		t.Errorf("the catalogue has version %d, %v; want %d", version, err, want)
	}
}

func TestStore_Commit_DiskFull(t *testing.T) {
	s := openAt(t, t.TempDir())
	execute(t, s, "PRAGMA max_page_count = 40")
	refuse(t, s, "PRAGMA max_page_count = 1000000")
}

func TestStore_Commit_ReadOnly(t *testing.T) {
	s := openAt(t, t.TempDir())
	execute(t, s, "PRAGMA query_only = 1")
	refuse(t, s, "PRAGMA query_only = 0")
}

func TestStore_Commit_Busy(t *testing.T) {
	dir := t.TempDir()
	s, other := openAt(t, dir), openAt(t, dir)
	execute(t, s, "PRAGMA busy_timeout = 1")
	records := benchRecords(0, 1)
	w := &datastorage.Write{Records: records}
	c := next(t, s, records)
	err := use(t.Context(), other.writer, func(locking *conn) error {
		return locking.Transaction(t.Context(), "BEGIN IMMEDIATE", func() error {
			for name, commit := range map[string]func(context.Context) error{
				"Commit": func(ctx context.Context) error { return s.Commit(ctx, c, w) },
				"CommitLocked": func(ctx context.Context) error {
					return s.CommitLocked(ctx, func(ledger.Head) (*ledger.Commit, error) { return c, nil }, w)
				},
			} {
				if err := commit(t.Context()); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
					t.Errorf("%s: error %v", name, err)
				}
			}
			// The caller's patience ends before SQLite's.
			execute(t, s, "PRAGMA busy_timeout = 60000")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := s.Commit(ctx, c, w); datastorage.CodeOf(err) != datastorage.CodeUnavailable || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("with a deadline: error %v", err)
			}
			// Reads go on.
			if _, err := s.Head(t.Context()); err != nil {
				t.Errorf("Head: %v", err)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), c, w); err != nil {
		t.Errorf("the same commit later: %v", err)
	}
}

// TestStore_CommitLocked_Panic leaves nothing behind when the code that builds a commit panics.
func TestStore_CommitLocked_Panic(t *testing.T) {
	s := openAt(t, t.TempDir())
	w := &datastorage.Write{Records: benchRecords(0, 1)}
	func() {
		defer func() { _ = recover() }()
		_ = s.CommitLocked(t.Context(), func(ledger.Head) (*ledger.Commit, error) { panic("build") }, w)
	}()
	store(t, s, w.Records)
}

// limited runs one of limitedTasks in a process of its own: the limit on the size of files holds for a whole process.
func limited(t *testing.T, task, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], task)
	cmd.Env = append(os.Environ(), limitedDir+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// withLimit calls f while no file can become larger than size.
func withLimit(size int64, f func() error) error {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	limit := before
	limit.Cur = uint64(size)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	err := f()
	return errors.Join(err, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before))
}

// TestStore_Commit_DiskFails lets the write of the commit itself fail.
func TestStore_Commit_DiskFails(t *testing.T) { limited(t, "commit", t.TempDir()) }

// migrateOnFailingDisk leaves a database of the schema before correlations, and nothing beside it.
func migrateOnFailingDisk(dir string) error {
	before, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		return err
	}
	var s *Store
	err = withLimit(1<<20, func() (err error) {
		s, err = Open(context.Background(), dir, Options{Readers: 1})
		return err
	})
	switch {
	case err == nil:
		return errors.Join(errors.New("the disk took the copy"), s.Close())
	case !strings.Contains(err.Error(), "bring the schema of"):
		return err
	}
	after, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		return err
	}
	if !bytes.Equal(before, after) {
		return errors.New("a migration that failed changed the database")
	}
	files, err := filepath.Glob(filepath.Join(dir, FileName+"*"))
	if len(files) != 1 {
		return fmt.Errorf("a migration that failed left %v (%w)", files, err)
	}
	return nil
}

func commitToFailingDisk(dir string) (err error) {
	ctx := context.Background()
	s, err := Open(ctx, dir, Options{Readers: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var head ledger.Head
	first := benchRecords(0, 10)
	c, head := ledger.NewCommit(&head, first, time.Now())
	if err := s.Commit(ctx, c, &datastorage.Write{Records: first}); err != nil {
		return err
	}

	log, err := os.Stat(filepath.Join(dir, FileName+"-wal"))
	if err != nil {
		return err
	}
	records := benchRecords(10, 100)
	w := &datastorage.Write{Records: records, Changes: []*datastorage.CatalogChange{change(1)}}
	c, _ = ledger.NewCommit(&head, records, time.Now())
	failed := withLimit(log.Size()+3*sqlitedb.PageSize, func() error { return s.Commit(ctx, c, w) })
	if !errors.Is(failed, ledger.ErrOutcomeUnknown) {
		return fmt.Errorf("a COMMIT that the disk refuses does not give ErrOutcomeUnknown: %w", failed)
	}
	if found, err := s.CommitAt(ctx, c.FirstIndex); err != nil {
		return err
	} else if found != nil {
		return errors.New("the failed commit is seen")
	}
	if err := s.Commit(ctx, c, w); err != nil {
		return fmt.Errorf("the same commit once the disk works: %w", err)
	}
	return intact(ctx, s, 110)
}

// intact checks the file, the number of its events and that each is found by its correlation.
func intact(ctx context.Context, s *Store, events int64) error {
	return use(ctx, s.readers, func(c *conn) error {
		return c.Query(ctx, `SELECT integrity_check, `+
			`(SELECT count(*) FROM events AS e JOIN correlations AS c ON c.correlation_id = e.correlation_id `+
			`AND c.first_index = e.correlation_first) FROM pragma_integrity_check`, nil, func(row []driver.Value) error {
			if sqlitedb.Text(row[0]) != "ok" || row[1] != events {
				return fmt.Errorf("the database is %v with %v events, want ok with %d", row[0], row[1], events)
			}
			return nil
		})
	})
}

// TestStore_Commit_Killed copies the files as they are after each commit, as a crash would leave them, and opens the
// copy.
func TestStore_Commit_Killed(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	for i := range 5 {
		store(t, s, benchRecords(i*10, 10))
		crashed := t.TempDir()
		if err := os.CopyFS(crashed, onlyDatabase{os.DirFS(dir)}); err != nil {
			t.Fatal(err)
		}
		if err := intact(t.Context(), openAt(t, crashed), int64(i+1)*10); err != nil {
			t.Errorf("after commit %d: %v", i, err)
		}
	}
}

// onlyDatabase hides the file that a crash would lose.
type onlyDatabase struct{ fs.FS }

func (d onlyDatabase) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(d.FS, name)
	kept := entries[:0]
	for _, e := range entries {
		if e.Name() != FileName+"-shm" {
			kept = append(kept, e)
		}
	}
	return kept, err
}
