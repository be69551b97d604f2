// Package sqlitedb holds connections to SQLite files, below database/sql: what the embedded store and the dead-letter queue
// on disk are built on. It needs no C compiler.
package sqlitedb

import (
	"context"
	"database/sql/driver"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"
)

// maxStatements bounds the prepared statements of one connection.
const maxStatements = 64

// Conn is one connection and its prepared statements. It goes below the driver, whose share of a small statement is larger
// than SQLite's own. One goroutine at a time uses it, so it has no locks, neither here nor in SQLite.
type Conn struct {
	dsn        string
	db         *database // nil while the connection is closed
	statements map[string]*statement
	args       []Argument
	row        []driver.Value
}

// NewConn returns a connection that Connect opens.
func NewConn(dsn string) *Conn { return &Conn{dsn: dsn} }

// Connect opens the connection when it is not open.
func (c *Conn) Connect() error {
	if c.db != nil {
		return nil
	}
	db, err := openDatabase(c.dsn)
	if err != nil {
		return err
	}
	c.db, c.statements = db, map[string]*statement{}
	return nil
}

// Close closes the connection when it is open; it can be opened again.
func (c *Conn) Close() error {
	if c.db == nil {
		return nil
	}
	for _, s := range c.statements {
		s.close()
	}
	err := c.db.close()
	c.db, c.statements = nil, nil
	return err
}

// prepare returns the statement for a text, prepared on first use.
func (c *Conn) prepare(text string) (*statement, error) {
	if s, ok := c.statements[text]; ok {
		return s, nil
	}
	s, err := c.db.prepare(text)
	if err != nil {
		return nil, err
	}
	for other, victim := range c.statements {
		if len(c.statements) < maxStatements {
			break
		}
		// Any will do: the texts are few unless someone plays with filters.
		delete(c.statements, other)
		victim.close()
	}
	c.statements[text] = s
	return s, nil
}

// Argument is a value for a statement: an int64, float64, string, []byte, bool, RawText, or nil.
type Argument struct{ Value any }

// RawText is a text, as bytes.
type RawText []byte

// Result is what a statement did.
type Result struct {
	// Changed is the number of rows that it changed, LastID the rowid of the last one that was inserted by any statement.
	Changed, LastID int64
}

// Exec runs a statement for what it does; rows that it returns are passed over. Once ctx has ended it fails; the statement
// may have run all the same.
func (c *Conn) Exec(ctx context.Context, text string, args ...any) (Result, error) {
	return c.Run(ctx, text, c.named(args))
}

// Run is Exec with arguments from Arguments. It forgets them, so that no event stays in memory for them.
func (c *Conn) Run(ctx context.Context, text string, args []Argument) (Result, error) {
	defer clear(args)
	s, err := c.prepare(text)
	if err != nil {
		return Result{}, err
	}
	unwatch, err := c.db.watch(ctx)
	if err != nil {
		return Result{}, err
	}
	result, err := s.run(args)
	if unwatch() {
		return Result{}, ctx.Err()
	}
	return result, err
}

// Query runs a statement and calls each with every row, which is only valid during the call. An error of each ends the
// Query and is returned.
func (c *Conn) Query(ctx context.Context, text string, args []any, each func(row []driver.Value) error) error {
	s, err := c.prepare(text)
	if err != nil {
		return err
	}
	unwatch, err := c.db.watch(ctx)
	if err != nil {
		return err
	}
	defer unwatch()
	defer s.reset()
	err = s.bind(c.named(args))
	clear(c.args)
	if err != nil {
		return err
	}
	row := c.row
	for {
		if more, err := s.step(); err != nil && ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil || !more {
			return err
		}
		row = s.row(row[:0])
		c.row = row
		if err := each(row); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// named wraps arguments. The result is valid until the next call.
func (c *Conn) named(args []any) []Argument {
	named := c.Arguments(len(args))
	for i, a := range args {
		named[i].Value = a
	}
	return named
}

// Arguments returns n arguments to be filled in. They are valid until the next call.
func (c *Conn) Arguments(n int) []Argument {
	for len(c.args) < n {
		c.args = append(c.args, Argument{})
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
