package disk

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

const (
	// applicationID marks the file as a dead-letter queue, "DSDQ"; formatVersion is the version of its format.
	applicationID = 0x44534451
	formatVersion = 1
)

// schema is the format of the file; see docs/dead-letters.md.
var schema = []string{
	`CREATE TABLE waiting (
	seq INTEGER PRIMARY KEY,
	event_id BLOB NOT NULL UNIQUE,
	correlation_id TEXT NOT NULL,
	sent INTEGER NOT NULL,
	queued_at INTEGER NOT NULL,
	salt BLOB NOT NULL,
	cause TEXT NOT NULL,
	notification TEXT,
	body TEXT NOT NULL
) STRICT`,
	`CREATE TABLE letters (
	seq INTEGER PRIMARY KEY,
	event_id BLOB NOT NULL,
	correlation_id TEXT NOT NULL,
	sent INTEGER NOT NULL,
	queued_at INTEGER NOT NULL,
	salt BLOB NOT NULL,
	cause TEXT NOT NULL,
	notification TEXT,
	body TEXT NOT NULL,
	reason TEXT NOT NULL,
	quarantined_at INTEGER NOT NULL
) STRICT`,
	// The last number of a message that is gone; what is in the tables may have later ones.
	`CREATE TABLE gone (last_seq INTEGER NOT NULL) STRICT`,
	`INSERT INTO gone (last_seq) VALUES (0)`,
	fmt.Sprintf(`PRAGMA application_id = %d`, applicationID),
	fmt.Sprintf(`PRAGMA user_version = %d`, formatVersion),
}

// Faults of a file. None of them changes it.
var (
	errForeign = errors.New("the file holds something else")
	errDamaged = errors.New("the file is damaged")
)

// prepareFile checks the file behind a connection, and fills it when it is new.
func prepareFile(ctx context.Context, c *sqlitedb.Conn) error {
	id, err := number(ctx, c, `PRAGMA application_id`)
	if err != nil {
		return err
	}
	version, err := number(ctx, c, `PRAGMA user_version`)
	if err != nil {
		return err
	}
	tables, err := number(ctx, c, `SELECT count(*) FROM sqlite_schema`)
	if err != nil {
		return err
	}
	switch {
	case id == 0 && version == 0 && tables == 0:
		return create(ctx, c)
	case id != applicationID:
		return errForeign
	case version > formatVersion:
		return fmt.Errorf("it has format %d, but this program knows only up to %d: use a newer datastorage", version, formatVersion)
	}
	return checkFile(ctx, c)
}

// create fills an empty file. A process that dies here leaves an empty one.
func create(ctx context.Context, c *sqlitedb.Conn) error {
	for _, pragma := range []string{fmt.Sprintf(`PRAGMA page_size = %d`, sqlitedb.PageSize), `PRAGMA journal_mode = WAL`} {
		if err := c.Query(ctx, pragma, nil, func([]driver.Value) error { return nil }); err != nil {
			return err
		}
	}
	return c.Transaction(ctx, "BEGIN IMMEDIATE", func() error {
		for _, statement := range schema {
			if _, err := c.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkFile finds damage, such as a file that was cut.
func checkFile(ctx context.Context, c *sqlitedb.Conn) error {
	found := ""
	err := c.Query(ctx, `PRAGMA quick_check(1)`, nil, func(row []driver.Value) error {
		found = sqlitedb.Text(row[0])
		return nil
	})
	if err != nil {
		return err
	}
	if found != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, found)
	}
	return nil
}

// number returns the single number that a query yields.
func number(ctx context.Context, c *sqlitedb.Conn, query string, args ...any) (n int64, err error) {
	err = c.Query(ctx, query, args, func(row []driver.Value) error {
		n = row[0].(int64)
		return nil
	})
	return n, err
}

// explain says, of a failure of the file, what to do.
func (q *Queue) explain(err error) error {
	if err == nil {
		return nil
	}
	code := sqlitedb.Code(err)
	if errors.Is(err, errForeign) || errors.Is(err, errDamaged) || code == sqlite3.SQLITE_NOTADB || code == sqlite3.SQLITE_CORRUPT {
		return fmt.Errorf("%s is not a dead-letter queue that can be used (%w); it may hold acknowledged events, and nothing was "+
			"deleted: move it and the files beside it with the suffixes -wal and -shm to a safe place, and start again",
			q.path, err)
	}
	return fmt.Errorf("the dead-letter queue %s: %w", q.path, err)
}
