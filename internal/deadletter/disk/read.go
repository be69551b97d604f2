package disk

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// read runs a query on a connection of its own.
func (q *Queue) read(ctx context.Context, query string, args []any, each func(row []driver.Value) error) error {
	err := q.readers.Use(ctx, func(c *sqlitedb.Conn) error { return c.Query(ctx, query, args, each) })
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("read the dead-letter queue: %w", ctx.Err())
	case errors.Is(err, sqlitedb.ErrClosed):
		return errClosed
	}
	return q.explain(err)
}

// errEnough ends a query early.
var errEnough = errors.New("enough rows")

// Oldest implements deadletter.Queue. It returns fewer than limit messages when their bodies take more than 32 MiB.
func (q *Queue) Oldest(ctx context.Context, limit int) ([]*deadletter.Message, error) {
	var list []*deadletter.Message
	bytes := 0
	err := q.read(ctx, `SELECT seq, `+columns+` FROM waiting ORDER BY seq LIMIT ?`, []any{int64(limit)},
		func(row []driver.Value) error {
			m, err := parseMessage(row)
			if err != nil {
				return err
			}
			if bytes += len(m.Body); len(list) > 0 && bytes > maxOldestSize {
				return errEnough
			}
			list = append(list, m)
			return nil
		})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return list, nil
}

// holdsSizes are the numbers of identifiers that one statement looks up, in rising order.
var holdsSizes = [...]int{1, 16, 128, 1024}

// Holds implements deadletter.Queue.
func (q *Queue) Holds(ctx context.Context, eventIDs []uuid.UUID) (map[uuid.UUID]bool, error) {
	held := make(map[uuid.UUID]bool)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if q.snapshot().depth == 0 {
		return held, q.closed()
	}
	for chunk := range slices.Chunk(eventIDs, holdsSizes[len(holdsSizes)-1]) {
		size := 0
		for _, size = range holdsSizes {
			if size >= len(chunk) {
				break
			}
		}
		args := make([]any, size)
		for i := range args {
			// The last identifier fills the places that are left.
			args[i] = chunk[min(i, len(chunk)-1)][:]
		}
		query := `SELECT event_id FROM waiting WHERE event_id IN (?` + strings.Repeat(", ?", size-1) + `)`
		err := q.read(ctx, query, args, func(row []driver.Value) error {
			id, err := uuid.FromBytes(sqlitedb.Blob(row[0]))
			held[id] = true
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return held, nil
}

// HoldsCorrelations implements deadletter.Queue. It reads the whole queue.
func (q *Queue) HoldsCorrelations(ctx context.Context, correlationIDs []string) (map[string]bool, error) {
	asked := make(map[string]bool, len(correlationIDs))
	for _, id := range correlationIDs {
		asked[id] = true
	}
	held := map[string]bool{}
	err := q.Waiting(ctx, func(correlationID string) {
		if asked[correlationID] {
			held[correlationID] = true
		}
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}

// Waiting implements deadletter.Queue. It reads in pieces, so that the log can be emptied meanwhile: what is put during
// the call may come or not.
func (q *Queue) Waiting(ctx context.Context, yield func(correlationID string)) error {
	for last, n := int64(0), readChunk; n == readChunk; {
		n = 0
		err := q.read(ctx, `SELECT seq, correlation_id FROM waiting WHERE seq > ? ORDER BY seq LIMIT ?`, []any{last, int64(readChunk)},
			func(row []driver.Value) error {
				last = row[0].(int64)
				n++
				yield(sqlitedb.Text(row[1]))
				return nil
			})
		if err != nil {
			return err
		}
	}
	return nil
}

const selectLetters = `SELECT seq, ` + columns + `, reason, quarantined_at FROM letters `

// Letters implements deadletter.Queue. An id that this queue cannot have given is an error.
func (q *Queue) Letters(ctx context.Context, after string, limit int) ([]deadletter.Letter, error) {
	last := int64(0)
	if after != "" {
		var ok bool
		if last, ok = parseID(after); !ok {
			return nil, fmt.Errorf("%q is no id of a dead letter", after)
		}
	}
	return q.letters(ctx, selectLetters+`WHERE seq > ? ORDER BY seq LIMIT ?`, last, int64(limit))
}

// Letter implements deadletter.Queue.
func (q *Queue) Letter(ctx context.Context, id string) (deadletter.Letter, error) {
	seq, _ := parseID(id)
	list, err := q.letters(ctx, selectLetters+`WHERE seq = ?`, seq)
	if err != nil {
		return deadletter.Letter{}, err
	}
	if len(list) == 0 {
		return deadletter.Letter{}, deadletter.ErrNotFound
	}
	return list[0], nil
}

func (q *Queue) letters(ctx context.Context, query string, args ...any) (list []deadletter.Letter, err error) {
	err = q.read(ctx, query, args, func(row []driver.Value) error {
		m, err := parseMessage(row)
		if err != nil {
			return err
		}
		list = append(list, deadletter.Letter{Message: *m, Reason: sqlitedb.Text(row[9]), QuarantinedAt: sqlitedb.Micros(row[10])})
		return nil
	})
	return list, err
}

// Stats implements deadletter.Queue. Bytes is the size of the queue's files, and counts what waits in the log to be moved
// into a file that has to grow for it.
func (q *Queue) Stats(ctx context.Context) (deadletter.Stats, error) {
	s := q.snapshot()
	stats := deadletter.Stats{
		Depth: s.depth, Quarantined: s.quarantined, Capacity: q.opts.MaxBytes,
		Bytes: max(q.pages.Load()*sqlitedb.PageSize, size(q.path)) + q.beside(),
	}
	err := q.read(ctx, `SELECT queued_at FROM waiting ORDER BY seq LIMIT 1`, nil, func(row []driver.Value) error {
		stats.Oldest = sqlitedb.Micros(row[0])
		return nil
	})
	if err != nil {
		return deadletter.Stats{}, err
	}
	return stats, nil
}

// parseMessage reads the columns that both tables have.
func parseMessage(row []driver.Value) (*deadletter.Message, error) {
	m := &deadletter.Message{
		ID: formatID(row[0].(int64)), CorrelationID: sqlitedb.Text(row[2]), Sent: datastorage.FieldSet(row[3].(int64)),
		QueuedAt: sqlitedb.Micros(row[4]), Cause: sqlitedb.Text(row[6]), Body: []byte(sqlitedb.Text(row[8])),
	}
	copy(m.EventID[:], sqlitedb.Blob(row[1]))
	copy(m.Salt[:], sqlitedb.Blob(row[5]))
	if text := sqlitedb.Text(row[7]); text != "" {
		n, err := deadletter.DecodeNotification(text)
		if err != nil {
			return nil, fmt.Errorf("message %s: %w", m.ID, err)
		}
		m.Notification = n
	}
	return m, nil
}
