package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// ProjectionsName is the name of the file of projections in the data directory. It is a file of its own so that commits
// of events never wait for it, and it can be removed while nothing runs on the directory: it is built again from the log.
const ProjectionsName = "projections.db"

// projectionsCache is the page cache of the writer of projections, in KiB.
const projectionsCache = 3 << 10

// Projections implements project.Store.
type Projections struct {
	dir             string
	readers, writer *sqlitedb.Pool
	timeout         time.Duration
}

// Projections opens the file of projections of the store's directory. A file that is missing, or damaged beyond reading,
// is made anew. Close it before the store.
func (s *Store) Projections(ctx context.Context) (project.Store, error) {
	path := filepath.Join(s.dir, ProjectionsName)
	unlock, err := lockOpening(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	err = openProjections(ctx, path)
	if code := sqlitedb.Code(err); code == sqlite3.SQLITE_NOTADB || code == sqlite3.SQLITE_CORRUPT {
		if err := removeDatabase(path); err != nil {
			return nil, fmt.Errorf("remove the damaged file of projections: %w", err)
		}
		err = openProjections(ctx, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the file of projections: %w", err)
	}
	writer, err := sqlitedb.UnsyncedDSN(path, projectionsCache, "temp_store(MEMORY)",
		fmt.Sprintf("wal_autocheckpoint(%d)", walPages), fmt.Sprintf("journal_size_limit(%d)", walKeep))
	if err != nil {
		return nil, err
	}
	return &Projections{
		dir:     s.dir,
		readers: sqlitedb.NewPool(s.readers.Size(), readerDSN(path)),
		writer:  sqlitedb.NewPool(1, writer),
		timeout: s.timeout,
	}, nil
}

// openProjections creates the file when it is absent, and brings its schema up to date.
func openProjections(ctx context.Context, path string) error {
	if err := sqlitedb.CreateFile(path); err != nil {
		return err
	}
	return migrate(ctx, path, projectionMigrations, "projections")
}

func removeDatabase(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Close implements project.Store.
func (p *Projections) Close() error { return errors.Join(p.readers.Close(), p.writer.Close()) }

// Update implements project.Store.
func (p *Projections) Update(ctx context.Context, f func(project.Tx) error) error {
	return p.writer.Use(ctx, func(c *sqlitedb.Conn) error {
		return c.Transaction(ctx, "BEGIN IMMEDIATE", func() error { return f(updateTx{c, ctx}) })
	})
}

// Snapshot implements project.Store.
func (p *Projections) Snapshot(ctx context.Context, f func(project.Tx) error) error {
	if p.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, p.timeout, errQueryTimeout)
		defer cancel()
	}
	var refused error
	err := p.readers.Use(ctx, func(c *sqlitedb.Conn) error {
		return c.Transaction(ctx, "BEGIN", func() error {
			refused = f(snapshotTx{c, ctx})
			return refused
		})
	})
	if refused != nil {
		return refused
	}
	return readError(ctx, err)
}

// Analyze implements project.Store: how SQLite runs a statement does not depend on what tables hold.
func (p *Projections) Analyze(context.Context, project.Tx, []string) error { return nil }

// Lead implements project.Store with a lock on a file, which no other process has while this one runs.
func (p *Projections) Lead(ctx context.Context, name string, f func(context.Context) error) (bool, error) {
	unlock, err := sqlitedb.LockFile(filepath.Join(p.dir, "projections-"+name+".lock"))
	if _, ok := errors.AsType[*sqlitedb.InUseError](err); ok {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock the file of projections: %w", err)
	}
	return true, errors.Join(f(ctx), unlock())
}

// sqliteText turns the text of a project.Tx into that of SQLite.
var sqliteText = strings.NewReplacer("{text}", "TEXT", "{keyed}", "WITHOUT ROWID")

// updateTx is the transaction of an Update. The driver watches no context, which would cost as much as a small statement.
type updateTx struct {
	conn   *sqlitedb.Conn
	within context.Context //nolint:containedctx // The transaction lives within a call.
}

// Exec implements project.Tx.
func (t updateTx) Exec(_ context.Context, statement string, args ...any) (int64, error) {
	if err := t.within.Err(); err != nil {
		return 0, err
	}
	result, err := t.conn.Exec(context.WithoutCancel(t.within), sqliteText.Replace(statement), args...)
	return result.Changed, err
}

// Query implements project.Tx.
func (t updateTx) Query(_ context.Context, statement string, args []any, each func(project.Row) error) error {
	if err := t.within.Err(); err != nil {
		return err
	}
	refused, err := queryRows(context.WithoutCancel(t.within), t.conn, statement, args, each)
	if refused != nil {
		return refused
	}
	return err
}

// snapshotTx is the transaction of a Snapshot; within bounds it.
type snapshotTx struct {
	conn   *sqlitedb.Conn
	within context.Context //nolint:containedctx // The transaction lives within a call that has a time-out.
}

// Exec implements project.Tx: nothing is written in a snapshot.
func (t snapshotTx) Exec(context.Context, string, ...any) (int64, error) {
	return 0, datastorage.Unavailable(nil, "a snapshot cannot be written")
}

// Query implements project.Tx.
func (t snapshotTx) Query(_ context.Context, statement string, args []any, each func(project.Row) error) error {
	refused, err := queryRows(t.within, t.conn, statement, args, each)
	if refused != nil {
		return refused
	}
	return readError(t.within, err)
}

// queryRows runs a statement. It returns the error of each apart.
func queryRows(
	ctx context.Context, c *sqlitedb.Conn, statement string, args []any, each func(project.Row) error,
) (refused, err error) {
	err = c.Query(ctx, sqliteText.Replace(statement), args, func(row []driver.Value) error {
		refused = each(projectedRow(row))
		return refused
	})
	return refused, err
}

// projectedRow implements project.Row.
type projectedRow []driver.Value

// Int implements project.Row.
func (r projectedRow) Int(column int) int64 {
	switch v := r[column].(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	}
	return 0
}

// Float implements project.Row.
func (r projectedRow) Float(column int) float64 {
	switch v := r[column].(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return 0
}

// Text implements project.Row.
func (r projectedRow) Text(column int) string { return sqlitedb.Text(r[column]) }

// Bytes implements project.Row.
func (r projectedRow) Bytes(column int) []byte { return sqlitedb.Blob(r[column]) }

// IsNull implements project.Row.
func (r projectedRow) IsNull(column int) bool { return r[column] == nil }
