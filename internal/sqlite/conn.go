package sqlite

import (
	"context"

	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// conn is one connection, with what the store does on it.
type conn struct{ *sqlitedb.Conn }

// use calls f with a connection of the pool that nobody else uses meanwhile. It waits for one until ctx ends.
func use(ctx context.Context, p *sqlitedb.Pool, f func(*conn) error) error {
	return p.Use(ctx, func(c *sqlitedb.Conn) error { return f(&conn{c}) })
}
