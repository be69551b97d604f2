package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"slices"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/eventsql"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// Events implements httpapi.Reader. The page and its total are read in one snapshot.
func (s *Store) Events(ctx context.Context, q datastorage.EventQuery) (page datastorage.EventPage, err error) {
	err = s.read(ctx, func(ctx context.Context, c *conn) error {
		if q.Count == datastorage.CountNone {
			page, err = c.page(ctx, &q)
			return err
		}
		return c.Transaction(ctx, "BEGIN", func() error {
			if page, err = c.page(ctx, &q); err != nil {
				return err
			}
			total, known := eventsql.Total(&q, &page)
			if !known {
				if total, err = c.count(ctx, eventsql.Count(eventsql.SQLite, &q)); err != nil {
					return err
				}
			}
			page.Total, page.TotalIsLowerBound = eventsql.Bound(q.Count, total)
			return nil
		})
	})
	if err != nil {
		return datastorage.EventPage{}, err
	}
	return page, nil
}

func (c *conn) page(ctx context.Context, q *datastorage.EventQuery) (datastorage.EventPage, error) {
	page := datastorage.EventPage{Size: q.Size}
	st := eventsql.Page(eventsql.SQLite, q)
	err := c.Query(ctx, st.SQL, st.Args, func(row []driver.Value) error {
		if size, ok := row[0].(int64); ok && q.Size == 0 {
			page.Size = size
		}
		if row[1] == nil {
			return nil
		}
		page.Events = append(page.Events, datastorage.StoredEvent{
			LogIndex: row[1].(int64), ID: uuid.UUID(sqlitedb.Blob(row[2])), Time: sqlitedb.Micros(row[3]), Body: []byte(row[4].(string)),
		})
		return nil
	})
	if err != nil {
		return datastorage.EventPage{}, err
	}
	slices.SortFunc(page.Events, func(a, b datastorage.StoredEvent) int {
		order := cmp.Or(a.Time.Compare(b.Time), bytes.Compare(a.ID[:], b.ID[:]))
		if q.Ascending {
			return order
		}
		return -order
	})
	if len(page.Events) > q.Limit {
		page.HasMore = true
		page.Events = page.Events[:q.Limit]
	}
	return page, nil
}

func (c *conn) count(ctx context.Context, st eventsql.Statement) (n int64, err error) {
	err = c.Query(ctx, st.SQL, st.Args, func(row []driver.Value) error {
		n = row[0].(int64)
		return nil
	})
	return n, err
}

// Correlation implements httpapi.Reader.
func (s *Store) Correlation(
	ctx context.Context, correlationID string, yield func(*datastorage.EventHeader) error,
) error {
	st := eventsql.Correlation(eventsql.SQLite, &datastorage.EventQuery{CorrelationID: correlationID})
	var h datastorage.EventHeader
	var refused error
	err := use(ctx, s.readers, func(c *conn) error {
		return c.Query(ctx, st.SQL, st.Args, func(row []driver.Value) error {
			h = header(row)
			refused = yield(&h)
			return refused
		})
	})
	if refused != nil {
		return refused
	}
	return readError(ctx, err)
}
