package sqlitedb

import (
	"context"
	"database/sql/driver"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sqlite3 "modernc.org/sqlite/lib"
)

func TestConn_StatementsAreBounded(t *testing.T) {
	c := NewConn(DSN(filepath.Join(t.TempDir(), "file.db"), 1<<10))
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxStatements {
		if _, err := c.Exec(t.Context(), "SELECT "+strings.Repeat("1 + ", i)+"1"); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.statements) > maxStatements {
		t.Errorf("%d statements are kept", len(c.statements))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestConn_Arguments stores values of every type and reads them back.
func TestConn_Arguments(t *testing.T) {
	t.Parallel()
	c := connect(t, DSN(filepath.Join(t.TempDir(), "file.db"), 1<<10))
	large := strings.Repeat("large", maxKept)
	tests := map[string]struct {
		args      []any
		text      string // how SQLite tells the types
		want      []driver.Value
		wantError error
	}{
		"numbers":      {[]any{int64(math.MinInt64), 0.5, true}, "integer real integer", []driver.Value{int64(math.MinInt64), 0.5, int64(1)}, nil},
		"texts":        {[]any{"", "a\x00b", RawText("é")}, "text text text", []driver.Value{"", "a\x00b", "é"}, nil},
		"blobs":        {[]any{[]byte{}, []byte{0, 255}, []byte("x")}, "blob blob blob", []driver.Value{[]byte(nil), []byte{0, 255}, []byte("x")}, nil},
		"nothing":      {[]any{nil, []byte(nil), false}, "null null integer", []driver.Value{nil, nil, int64(0)}, nil},
		"large":        {[]any{large, []byte(large), "small"}, "text blob text", []driver.Value{large, []byte(large), "small"}, nil},
		"another type": {[]any{nil, 1, nil}, "", nil, errArgument},
	}
	for name, tt := range tests {
		var got []driver.Value
		err := c.Query(t.Context(), "SELECT ?1, ?2, ?3, typeof(?1) || ' ' || typeof(?2) || ' ' || typeof(?3)", tt.args, func(row []driver.Value) error {
			got = append(got, row...)
			return nil
		})
		if !errors.Is(err, tt.wantError) {
			t.Errorf("%s: %v", name, err)
		}
		if tt.want != nil {
			tt.want = append(tt.want, tt.text)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, s := range c.statements {
		if s.size > maxKept {
			t.Errorf("a statement keeps room for %d bytes", s.size)
		}
	}
}

// TestConn_Refuses has texts that cannot run; the connection serves the next one.
func TestConn_Refuses(t *testing.T) {
	t.Parallel()
	c := connect(t, DSN(filepath.Join(t.TempDir(), "file.db"), 1<<10))
	run(t, c, "CREATE TABLE keys (key INTEGER PRIMARY KEY) STRICT")
	run(t, c, "INSERT INTO keys VALUES (1)")
	tests := map[string]struct {
		text string
		args []any
		code int
		says string
	}{
		"two statements":   {"SELECT 1; SELECT 2", nil, 0, "one statement"},
		"no statement":     {"-- nothing", nil, 0, "one statement"},
		"no SQL":           {"SELEC 1", nil, sqlite3.SQLITE_ERROR, `near "SELEC": syntax error`},
		"a quoted text":    {`SELECT "text"`, nil, sqlite3.SQLITE_ERROR, "no such column"},
		"a missing value":  {"SELECT ?, ?", []any{"one"}, 0, "1 arguments for a statement that takes 2"},
		"a key that is":    {"INSERT INTO keys VALUES (?)", []any{int64(1)}, sqlite3.SQLITE_CONSTRAINT, "UNIQUE constraint failed: keys.key"},
		"a type of column": {"INSERT INTO keys VALUES (?)", []any{"one"}, sqlite3.SQLITE_MISMATCH, ""},
	}
	for name, tt := range tests {
		_, err := c.Exec(t.Context(), tt.text, tt.args...)
		if err == nil || Code(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v with code %d", name, err, Code(err))
		}
		if result, err := c.Exec(t.Context(), "UPDATE keys SET key = key;\n"); err != nil || result.Changed != 1 {
			t.Errorf("the next one after %s changes %d rows, %v", name, result.Changed, err)
		}
	}
}

// TestConn_Ends ends statements with their context: one that computes, one that counts and one that waits for a lock.
func TestConn_Ends(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file.db")
	c := connect(t, DSN(path, 1<<10, "busy_timeout(600000)"))
	run(t, c, "CREATE TABLE rows (id INTEGER PRIMARY KEY)")
	holder := connect(t, DSN(path, 1<<10))
	run(t, holder, "BEGIN IMMEDIATE")
	const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT "
	for name, text := range map[string]string{
		"for rows that never come": endless + "i FROM n WHERE i < 0", "while it counts": endless + "count(*) FROM n", "for a lock": "BEGIN IMMEDIATE",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := c.Exec(ctx, text); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Query(ctx, text, nil, func([]driver.Value) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, when the context has ended: %v", name, err)
		}
		cancel()
		// What ended one statement does not end the next, however long it takes.
		long := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000) SELECT count(*) FROM n"
		if _, err := c.Exec(context.WithoutCancel(ctx), long); err != nil {
			t.Errorf("%s, then: %v", name, err)
		}
	}
	run(t, holder, "ROLLBACK")
	if err := c.Transaction(t.Context(), "BEGIN IMMEDIATE", func() error { return nil }); err != nil {
		t.Error("once the lock is free:", err)
	}
}

// TestConn_WaitsForLock gives up after the time that the connection has for it, and not before.
func TestConn_WaitsForLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file.db")
	c := connect(t, DSN(path, 1<<10, "busy_timeout(120)"))
	run(t, c, "CREATE TABLE rows (id INTEGER PRIMARY KEY)")
	holder := connect(t, DSN(path, 1<<10))
	run(t, holder, "BEGIN IMMEDIATE")
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		_, err := c.Exec(ctx, "BEGIN IMMEDIATE")
		if waited := time.Since(start); Code(err) != sqlite3.SQLITE_BUSY || waited < 120*time.Millisecond {
			t.Errorf("%v after %v", err, waited)
		}
		cancel()
	}
}
