package sqlite

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/eventsql"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// Follow implements project.Log.
func (s *Store) Follow(ctx context.Context, from int64, limit int, bodies project.Bodies) (b project.Batch, err error) {
	err = use(ctx, s.followers, func(c *conn) error {
		if b, err = c.nextCommits(ctx, from, int64(limit)); err != nil || b.Next == from {
			return err
		}
		b.Events, err = c.follow(ctx, from, b.Next, bodies)
		return err
	})
	if err != nil {
		return project.Batch{}, followError(ctx, err)
	}
	return b, nil
}

// followError is readError for a caller that has no time-out of its own.
func followError(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil || errors.Is(err, project.ErrPosition) {
		return cmp.Or(ended, err)
	}
	return readError(ctx, err)
}

// nextCommits finds where a batch ends: behind whole commits, and before limit is passed unless one commit does that.
func (c *conn) nextCommits(ctx context.Context, from, limit int64) (project.Batch, error) {
	b := project.Batch{Next: from}
	err := c.Query(ctx, `SELECT coalesce((SELECT next_index FROM ledger_commits ORDER BY first_index DESC LIMIT 1), 0)`, nil,
		func(row []driver.Value) error { b.Size = row[0].(int64); return nil })
	if err != nil || b.Size == from {
		return b, err
	}
	err = c.Query(ctx, `SELECT first_index, next_index, committed_at FROM ledger_commits WHERE first_index >= ? `+
		`ORDER BY first_index LIMIT ?`, []any{from, limit}, func(row []driver.Value) error {
		first, next := row[0].(int64), row[1].(int64)
		if first != b.Next || next > from+limit && b.Next > from {
			return errBatchFull
		}
		b.Next, b.CommittedAt = next, sqlitedb.Micros(row[2])
		return nil
	})
	if errors.Is(err, errBatchFull) {
		err = nil
	}
	if err == nil && b.Next == from {
		err = project.ErrPosition
	}
	b.Size = max(b.Size, b.Next)
	return b, err
}

var errBatchFull = errors.New("the batch is full")

// follow reads the events from first to next. The driver watches no context, which would cost as much as reading a row.
func (c *conn) follow(ctx context.Context, first, next int64, bodies project.Bodies) ([]project.Event, error) {
	st := eventsql.Follow(eventsql.SQLite, bodies.Types, bodies.Categories, bodies.Members)
	events := make([]project.Event, 0, next-first)
	err := c.Query(context.WithoutCancel(ctx), st.SQL, append(st.Args, first, next), func(row []driver.Value) error {
		e := project.Event{EventHeader: header(row)}
		if body := sqlitedb.Text(row[headerColumns]); body != "" {
			e.Body = []byte(body)
		}
		events = append(events, e)
		return ctx.Err()
	})
	return events, err
}

// headerColumns is the number of eventsql.HeaderColumns.
var headerColumns = strings.Count(eventsql.HeaderColumns, ",") + 1

// header reads a row that begins with eventsql.HeaderColumns.
func header(row []driver.Value) datastorage.EventHeader {
	h := datastorage.EventHeader{
		LogIndex:      row[0].(int64),
		ID:            uuid.UUID(sqlitedb.Blob(row[1])),
		Time:          sqlitedb.Micros(row[3]),
		Type:          sqlitedb.Text(row[4]),
		Category:      sqlitedb.Text(row[5]),
		Outcome:       sqlitedb.Text(row[6]),
		Severity:      sqlitedb.Text(row[7]),
		ActorType:     sqlitedb.Text(row[8]),
		ActorID:       sqlitedb.Text(row[9]),
		ResourceType:  sqlitedb.Text(row[10]),
		ResourceID:    sqlitedb.Text(row[11]),
		Namespace:     sqlitedb.Text(row[12]),
		ClusterName:   sqlitedb.Text(row[13]),
		CorrelationID: sqlitedb.Text(row[14]),
	}
	if parent := sqlitedb.Blob(row[2]); parent != nil {
		h.ParentID = uuid.UUID(parent)
	}
	return h
}
