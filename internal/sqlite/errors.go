package sqlite

import (
	"context"
	"errors"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
	"github.com/datastorage-io/datastorage/ledger"
)

var errQueryTimeout = errors.New("the query took longer than its time-out")

// readError is what a caller gets for the failure of a read.
func readError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*datastorage.Error](err); ok {
		return e
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, errQueryTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return datastorage.Unavailable(err, "the query took too long; narrow it")
	}
	return datastorage.Unavailable(err, "the database cannot be read")
}

// writeError is what a caller gets for the failure of a write.
func writeError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*sqlitedb.CommitError](err); ok && sqlitedb.Code(e) == sqlite3.SQLITE_IOERR {
		// The log file may hold the whole commit although it was not synced: this process does not see it, but one that
		// recovers the file after a crash would, until the next commit overwrites it.
		return errors.Join(ledger.ErrOutcomeUnknown, err)
	}
	switch sqlitedb.Code(err) {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return err
	case sqlite3.SQLITE_BUSY:
		return datastorage.Unavailable(err, "the database is busy with another process's transaction")
	case sqlite3.SQLITE_FULL:
		return datastorage.Unavailable(err, "the disk of the database is full")
	}
	return datastorage.Unavailable(err, "the database cannot be written")
}
