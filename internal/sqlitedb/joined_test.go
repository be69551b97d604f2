package sqlitedb

import (
	"bufio"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	sqlite3 "modernc.org/sqlite/lib"
)

// connect opens a connection that ends with the test.
func connect(t *testing.T, dsn string) *Conn {
	t.Helper()
	c := NewConn(dsn)
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// dsns are the kinds of connections that join their writes.
var dsns = map[string]func(path string, cacheKiB int, pragmas ...string) (string, error){"synced": WriterDSN, "unsynced": UnsyncedDSN}

// newWriter makes a database with one table and returns a connection of a kind.
func newWriter(t *testing.T, kind, path string, cacheKiB int) *Conn {
	t.Helper()
	c := connect(t, writerDSN(t, kind, path, cacheKiB))
	run(t, c, "PRAGMA journal_mode = WAL")
	run(t, c, "CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
	return c
}

func writerDSN(t *testing.T, kind, path string, cacheKiB int) string {
	t.Helper()
	dsn, err := dsns[kind](path, cacheKiB)
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

func run(t *testing.T, c *Conn, text string, args ...any) {
	t.Helper()
	if err := c.Query(t.Context(), text, args, func([]driver.Value) error { return nil }); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// insert stores rows of 3 KB from first to last in one transaction.
func insert(t *testing.T, c *Conn, first, last int64) error {
	t.Helper()
	return c.Transaction(t.Context(), "BEGIN IMMEDIATE", func() error {
		for id := first; id <= last; id++ {
			if _, err := c.Exec(t.Context(), "INSERT INTO rows VALUES (?, ?)", id, text(id)); err != nil {
				return err
			}
		}
		return nil
	})
}

func text(id int64) string { return strings.Repeat(fmt.Sprintf("%010d", id), 300) }

// check checks that the file is sound and holds just the rows from 1 to last.
func check(t *testing.T, path string, last int64) {
	t.Helper()
	if got := count(t, path); got != last {
		t.Errorf("there are %d rows, want %d", got, last)
	}
}

// count checks that the file is sound and holds just the rows from 1 on, and returns how many there are.
func count(t *testing.T, path string) (n int64) {
	t.Helper()
	c := connect(t, DSN(path, 1<<10))
	err := c.Query(t.Context(), "PRAGMA integrity_check", nil, func(row []driver.Value) error {
		if row[0] != "ok" {
			t.Error("integrity_check:", row[0])
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	err = c.Query(t.Context(), "SELECT id, text FROM rows ORDER BY id", nil, func(row []driver.Value) error {
		if n++; row[0] != n || row[1] != text(n) {
			t.Errorf("row %d is %v with another text", n, row[0])
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

// TestWriterDSN_Order proves that a commit is written in large pieces, then synced, and only then seen by others.
func TestWriterDSN_Order(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file.db")
	var events []string
	var total int32
	var other *Conn
	watchLog(path, &disk{
		write: func(n int32) (int32, int32) {
			events, total = append(events, "write"), total+n
			if n > joinedBytes {
				t.Errorf("%d bytes are written at once", n)
			}
			return n, sqlite3.SQLITE_OK
		},
		sync: func() int32 {
			events = append(events, "sync")
			if other != nil {
				err := other.Query(t.Context(), "SELECT count(*) FROM rows", nil, func(row []driver.Value) error {
					if row[0] != int64(0) {
						t.Error("rows are seen that are not synced")
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
			return sqlite3.SQLITE_OK
		},
	})
	c := newWriter(t, "synced", path, 4<<10)
	other = connect(t, DSN(path, 1<<10))
	events, total = nil, 0
	if err := insert(t, c, 1, 100); err != nil {
		t.Fatal(err)
	}
	other = nil
	if want := int(total/joinedBytes) + 1; len(events) != want+1 || events[want] != "sync" || total < 100*PageSize {
		t.Errorf("a commit of %d bytes is %v, want %d writes and a sync", total, events, want)
	}
	check(t, path, 100)
}

// TestUnsyncedDSN_Order proves that a commit is written in large pieces before others can see it, however it came about,
// and that it outlives the process.
func TestUnsyncedDSN_Order(t *testing.T) {
	t.Parallel()
	transactions := map[string]struct {
		cacheKiB int
		rows     int64
		changes  []string
	}{
		"one page":              {4 << 10, 1, nil},
		"some pages":            {4 << 10, 100, nil},
		"written and read back": {32, 100, []string{"SELECT sum(length(text)) FROM rows"}},
		// Pages that were written come back and change once more: their frames are written anew, in place.
		"written and changed": {32, 100, []string{"UPDATE rows SET text = text || text", "UPDATE rows SET text = substr(text, 1, length(text) / 2)"}},
	}
	for name, tt := range transactions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "file.db")
			writes, total, late := 0, int32(0), false
			watchLog(path, &disk{
				write: func(n int32) (int32, int32) { writes, total = writes+1, total+n; return n, sqlite3.SQLITE_OK },
				sync:  func() int32 { return sqlite3.SQLITE_OK },
			})
			watchLocks(path, &disk{barrier: func(waiting int32) { late = late || waiting > 0 }})
			c := newWriter(t, "unsynced", path, tt.cacheKiB)
			writes, total, late = 0, 0, false
			err := c.Transaction(t.Context(), "BEGIN IMMEDIATE", func() error {
				for id := int64(1); id <= tt.rows; id++ {
					run(t, c, "INSERT INTO rows VALUES (?, ?)", id, text(id))
				}
				for _, change := range tt.changes {
					run(t, c, change)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if late {
				t.Error("a commit is published while bytes of it wait")
			}
			if most := int(total/joinedBytes) + 1; tt.changes == nil && writes > most {
				t.Errorf("a commit of %d bytes takes %d writes, want %d at most", total, writes, most)
			}
			crashed := filepath.Join(t.TempDir(), "crashed.db")
			copyFile(t, path, crashed)
			copyFile(t, path+"-wal", crashed+"-wal")
			check(t, crashed, tt.rows)
			check(t, path, tt.rows)
		})
	}
}

// TestWriterDSN_Faults lets each kind of fault hit a commit, of either kind of connection.
func TestWriterDSN_Faults(t *testing.T) {
	t.Parallel()
	for kind := range dsns {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			checkFaults(t, kind)
		})
	}
}

func checkFaults(t *testing.T, kind string) {
	const rows = 100
	tests := map[string]struct {
		write  func(calls int) (taken int32, rc int32)
		synced int32
		code   int
		// unknown says that who recovers the file after a crash may find the commit.
		unknown bool
	}{
		"no space":             {write: refuse(1, 0, sqlite3.SQLITE_FULL), code: sqlite3.SQLITE_FULL},
		"no space at the end":  {write: refuse(7, 100, sqlite3.SQLITE_FULL), code: sqlite3.SQLITE_FULL},
		"a piece of one write": {write: refuse(2, 5000, sqlite3.SQLITE_FULL), code: sqlite3.SQLITE_FULL},
		"a broken disk":        {write: refuse(3, 0, sqlite3.SQLITE_IOERR_WRITE), code: sqlite3.SQLITE_IOERR},
		"a failed sync":        {write: refuse(0, 0, 0), synced: sqlite3.SQLITE_IOERR_FSYNC, code: sqlite3.SQLITE_IOERR, unknown: true},
	}
	for name, tt := range tests {
		if tt.synced != 0 && kind != "synced" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "file.db")
			failing, calls := false, 0
			watchLog(path, &disk{
				write: func(n int32) (int32, int32) {
					if !failing {
						return n, sqlite3.SQLITE_OK
					}
					calls++
					if taken, rc := tt.write(calls); rc != sqlite3.SQLITE_OK {
						return taken, rc
					}
					return n, sqlite3.SQLITE_OK
				},
				sync: func() int32 {
					if failing {
						return tt.synced
					}
					return sqlite3.SQLITE_OK
				},
			})
			c := newWriter(t, kind, path, 4<<10)
			if err := insert(t, c, 1, 10); err != nil {
				t.Fatal(err)
			}
			failing = true
			err := insert(t, c, 11, rows)
			if _, ok := errors.AsType[*CommitError](err); !ok || Code(err) != tt.code {
				t.Errorf("error %v of the commit, want code %d", err, tt.code)
			}
			failing = false
			check(t, path, 10)
			crashed := filepath.Join(t.TempDir(), "crashed.db")
			copyFile(t, path, crashed)
			copyFile(t, path+"-wal", crashed+"-wal")
			if got := count(t, crashed); got != 10 && (!tt.unknown || got != rows) {
				t.Errorf("after a crash there are %d rows", got)
			}
			if err := insert(t, c, 11, rows); err != nil {
				t.Errorf("once the disk works: %v", err)
			}
			check(t, path, rows)
		})
	}
}

// refuse fails one of the writes.
func refuse(which int, taken, rc int32) func(calls int) (int32, int32) {
	return func(calls int) (int32, int32) {
		if calls == which {
			return taken, rc
		}
		return 0, sqlite3.SQLITE_OK
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestWriterDSN_Abandoned gives transactions up whose pages did not fit into memory, while others write to the same place
// of the log.
func TestWriterDSN_Abandoned(t *testing.T) {
	t.Parallel()
	for kind := range dsns {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			checkAbandoned(t, kind)
		})
	}
}

func checkAbandoned(t *testing.T, kind string) {
	path := filepath.Join(t.TempDir(), "file.db")
	c := newWriter(t, kind, path, 32)
	watchLocks(path, &disk{unlock: func(waiting int32) {
		if waiting > 0 {
			t.Errorf("the lock of writers is given back while %d bytes wait", waiting)
		}
	}})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	other := connect(t, writerDSN(t, kind, path, 32))
	disks.Delete(path)
	errGivenUp := errors.New("given up")
	last := int64(0)
	for round := range int64(20) {
		err := c.Transaction(t.Context(), "BEGIN IMMEDIATE", func() error {
			for id := last + 1; id <= last+20+round; id++ {
				if _, err := c.Exec(t.Context(), "INSERT INTO rows VALUES (?, ?)", id, text(id)); err != nil {
					return err
				}
			}
			if round%2 == 0 {
				return errGivenUp
			}
			// The pages come back from the log.
			return c.Query(t.Context(), "SELECT text FROM rows WHERE id = ?", []any{last + 1}, func(row []driver.Value) error {
				if row[0] != text(last+1) {
					return errors.New("the transaction does not see its own row")
				}
				return errGivenUp
			})
		})
		if !errors.Is(err, errGivenUp) {
			t.Fatal(err)
		}
		for _, writer := range []*Conn{other, c} {
			if err := insert(t, writer, last+1, last+15); err != nil {
				t.Fatal(err)
			}
			last += 15
		}
	}
	check(t, path, last)
}

// killedFile names the database that this program, run once more by a test, writes to until it is killed.
// killedMode says with which kind of connection.
const (
	killedFile = "DATASTORAGE_TEST_KILLED_FILE"
	killedMode = "DATASTORAGE_TEST_KILLED_MODE"
)

// TestWriterDSN_Killed kills processes that write to one file while this one does: what they acknowledged is seen at once,
// and stays.
func TestWriterDSN_Killed(t *testing.T) {
	t.Parallel()
	for kind := range dsns {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			checkKilled(t, kind)
		})
	}
}

func checkKilled(t *testing.T, kind string) {
	path := filepath.Join(t.TempDir(), "file.db")
	c := newWriter(t, kind, path, 4<<10)
	reader := connect(t, DSN(path, 1<<10))
	run(t, c, "CREATE TABLE acknowledged (process INTEGER, number INTEGER, text TEXT, PRIMARY KEY (process, number))")
	for range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), killedFile+"="+path, killedMode+"="+kind)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		const kill = 20
		lines := bufio.NewScanner(out)
		acknowledged := int64(0)
		for lines.Scan() {
			if acknowledged, err = strconv.ParseInt(lines.Text(), 10, 64); err != nil {
				t.Fatal(err)
			}
			seen := 0
			err := reader.Query(t.Context(), "SELECT text FROM acknowledged WHERE process = ? AND number = ?",
				[]any{int64(cmd.Process.Pid), acknowledged}, func(row []driver.Value) error {
					if seen++; row[0] != text(acknowledged) {
						t.Errorf("commit %d is seen with another text", acknowledged)
					}
					return nil
				})
			if err != nil || seen != 1 {
				t.Errorf("commit %d is seen %d times, %v", acknowledged, seen, err)
			}
			if _, err := c.Exec(t.Context(), "INSERT INTO acknowledged VALUES (?, ?, ?)", int64(os.Getpid()), acknowledged+int64(cmd.Process.Pid)<<20, ""); err != nil {
				t.Fatal(err)
			}
			if acknowledged == kill {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || acknowledged < kill {
			t.Fatalf("the process ended with %v after %d commits", err, acknowledged)
		}
		err = c.Query(t.Context(), "SELECT count(*), min(length(text)) FROM acknowledged WHERE process = ? AND number <= ?",
			[]any{int64(cmd.Process.Pid), acknowledged}, func(row []driver.Value) error {
				if row[0] != acknowledged || row[1] != int64(len(text(0))) {
					t.Errorf("%d commits were acknowledged, %d are there", acknowledged, row[0])
				}
				return nil
			})
		if err != nil {
			t.Error(err)
		}
	}
	check(t, path, 0)
}

// writeUntilKilled prints the number of each of its commits once it is acknowledged.
func writeUntilKilled(path, kind string) error {
	dsn, err := dsns[kind](path, 1<<10, "wal_autocheckpoint(50)")
	if err != nil {
		return err
	}
	return writeNumbers(NewConn(dsn), os.Stdout)
}

func writeNumbers(c *Conn, acknowledge io.Writer) error {
	if err := c.Connect(); err != nil {
		return err
	}
	ctx := context.Background()
	for number := int64(1); ; number++ {
		_, err := c.Exec(ctx, "INSERT INTO acknowledged VALUES (?, ?, ?)", int64(os.Getpid()), number, text(number))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(acknowledge, number); err != nil {
			return err
		}
	}
}
