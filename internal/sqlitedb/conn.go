// Package sqlitedb holds connections to SQLite files, below database/sql: what the embedded store and the dead-letter queue
// on disk are built on. It needs no C compiler.
package sqlitedb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// maxStatements bounds the prepared statements of one connection.
const maxStatements = 64

// Conn is one connection and its prepared statements. It goes below database/sql, whose share of a small statement is
// larger than SQLite's own. One goroutine at a time uses it.
type Conn struct {
	dsn        string
	raw        driver.Conn
	statements map[string]driver.Stmt
	args       []driver.NamedValue
	row        []driver.Value
}

// NewConn returns a connection that Connect opens.
func NewConn(dsn string) *Conn { return &Conn{dsn: dsn} }

// engine is the driver; it has no functions or collations of its own.
var engine = &sqlite.Driver{}

// Connect opens the connection when it is not open.
func (c *Conn) Connect() error {
	if c.raw != nil {
		return nil
	}
	raw, err := engine.Open(c.dsn)
	if err != nil {
		return err
	}
	c.raw, c.statements = raw, map[string]driver.Stmt{}
	return nil
}

// Close closes the connection when it is open; it can be opened again.
func (c *Conn) Close() error {
	if c.raw == nil {
		return nil
	}
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	errs = append(errs, c.raw.Close())
	c.raw, c.statements = nil, nil
	return errors.Join(errs...)
}

// prepare returns the statement for a text, prepared on first use.
func (c *Conn) prepare(ctx context.Context, text string) (driver.Stmt, error) {
	if s, ok := c.statements[text]; ok {
		return s, nil
	}
	s, err := c.raw.(driver.ConnPrepareContext).PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	for other, victim := range c.statements {
		if len(c.statements) < maxStatements {
			break
		}
		// Any will do: the texts are few unless someone plays with filters.
		delete(c.statements, other)
		if err := victim.Close(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	c.statements[text] = s
	return s, nil
}

// Exec runs a statement that returns no rows. Once ctx has ended it fails; the statement may have run all the same.
func (c *Conn) Exec(ctx context.Context, text string, args ...any) (driver.Result, error) {
	return c.Run(ctx, text, c.named(args))
}

// Run is Exec with arguments from Arguments. It forgets them, so that no event stays in memory for them.
func (c *Conn) Run(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	result, err := s.(driver.StmtExecContext).ExecContext(ctx, args)
	for i := range args {
		args[i].Value = nil
	}
	return result, err
}

// Query runs a statement and calls each with every row, which is only valid during the call. An error of each ends the
// Query and is returned.
func (c *Conn) Query(ctx context.Context, text string, args []any, each func(row []driver.Value) error) (err error) {
	s, err := c.prepare(ctx, text)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, c.named(args))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	n := len(rows.Columns())
	if cap(c.row) < n {
		c.row = make([]driver.Value, n)
	}
	row := c.row[:n]
	for {
		if err := rows.Next(row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := each(row); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// named wraps arguments for the driver. The result is valid until the next call.
func (c *Conn) named(args []any) []driver.NamedValue {
	named := c.Arguments(len(args))
	for i, a := range args {
		named[i].Value = a
	}
	return named
}

// Arguments returns n arguments to be filled in. They are valid until the next call.
func (c *Conn) Arguments(n int) []driver.NamedValue {
	for len(c.args) < n {
		c.args = append(c.args, driver.NamedValue{Ordinal: len(c.args) + 1})
	}
	return c.args[:n]
}

// Transaction runs f between begin and COMMIT, or ROLLBACK when f fails. A connection that cannot roll back is closed,
// which rolls back too.
func (c *Conn) Transaction(ctx context.Context, begin string, f func() error) (err error) {
	ended := false
	defer func() {
		if !ended {
			c.rollback(context.WithoutCancel(ctx))
		}
	}()
	if _, err := c.Exec(ctx, begin); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	// A COMMIT is never cancelled.
	if _, err := c.Exec(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return &CommitError{err}
	}
	ended = true
	return nil
}

func (c *Conn) rollback(ctx context.Context) {
	_, err := c.Exec(ctx, "ROLLBACK")
	// A plain error says that there is no transaction any more.
	if err != nil && Code(err) != sqlite3.SQLITE_ERROR {
		_ = c.Close()
	}
}

// CommitError is a failure of COMMIT itself.
type CommitError struct{ cause error }

func (e *CommitError) Error() string { return fmt.Sprintf("COMMIT: %v", e.cause) }
func (e *CommitError) Unwrap() error { return e.cause }
