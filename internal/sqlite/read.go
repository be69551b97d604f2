package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
	"github.com/datastorage-io/datastorage/ledger"
)

// read calls f with a connection for queries, within the query time-out.
func (s *Store) read(ctx context.Context, f func(ctx context.Context, c *conn) error) error {
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.timeout, errQueryTimeout)
		defer cancel()
	}
	return readError(ctx, use(ctx, s.readers, func(c *conn) error { return f(ctx, c) }))
}

// lookup calls f with a connection for what the writing side reads.
func (s *Store) lookup(ctx context.Context, f func(c *conn) error) error {
	return readError(ctx, use(ctx, s.lookups, f))
}

// Head implements ingest.Store.
func (s *Store) Head(ctx context.Context) (head ledger.Head, err error) {
	err = s.lookup(ctx, func(c *conn) error {
		head, err = c.head(ctx)
		return err
	})
	return head, err
}

const selectHead = `SELECT first_index, next_index, range FROM ledger_commits ORDER BY first_index DESC LIMIT 1`

func (c *conn) head(ctx context.Context) (head ledger.Head, err error) {
	err = c.Query(ctx, selectHead, nil, func(row []driver.Value) error {
		head.First = row[0].(int64)
		head.Range, err = ledger.ParseRange(row[1].(int64), sqlitedb.Blob(row[2]))
		return err
	})
	if err != nil {
		return ledger.Head{}, fmt.Errorf("read the end of the log: %w", err)
	}
	return head, nil
}

// CommitAt implements ingest.Store.
func (s *Store) CommitAt(ctx context.Context, firstIndex int64) (*ledger.Commit, error) {
	return s.commit(ctx, selectCommit+` WHERE first_index = ?`, firstIndex)
}

// CommitOf implements ingest.Store.
func (s *Store) CommitOf(ctx context.Context, logIndex int64) (*ledger.Commit, error) {
	c, err := s.commit(ctx, selectCommit+` WHERE first_index <= ? ORDER BY first_index DESC LIMIT 1`, logIndex)
	if c == nil || err != nil || c.NextIndex <= logIndex {
		return nil, err
	}
	return c, nil
}

const selectCommit = `SELECT first_index, next_index, range, root, min_time, max_time, committed_at FROM ledger_commits`

func (s *Store) commit(ctx context.Context, query string, index int64) (commit *ledger.Commit, err error) {
	err = s.lookup(ctx, func(c *conn) error {
		return c.Query(ctx, query, []any{index}, func(row []driver.Value) error {
			root := sqlitedb.Blob(row[3])
			if len(root) != len(ledger.Hash{}) {
				return fmt.Errorf("the root of the commit at %d has %d bytes", row[0], len(root))
			}
			commit = &ledger.Commit{
				FirstIndex:  row[0].(int64),
				NextIndex:   row[1].(int64),
				Range:       sqlitedb.Blob(row[2]),
				Root:        ledger.Hash(root),
				MinTime:     sqlitedb.Micros(row[4]),
				MaxTime:     sqlitedb.Micros(row[5]),
				CommittedAt: sqlitedb.Micros(row[6]),
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return commit, nil
}

// findSizes are the numbers of identifiers that one statement looks up, in rising order.
var findSizes = [...]int{1, 16, 128, 1024}

// Find implements ingest.Store.
func (s *Store) Find(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]int64, error) {
	found := make(map[uuid.UUID]int64)
	if len(ids) == 0 {
		return found, nil
	}
	err := s.lookup(ctx, func(c *conn) error {
		for start := 0; start < len(ids); {
			n := min(len(ids)-start, findSizes[len(findSizes)-1])
			if err := c.find(ctx, ids[start:start+n], found); err != nil {
				return err
			}
			start += n
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// find looks up at most the greatest of findSizes. The last identifier fills the places that are left.
func (c *conn) find(ctx context.Context, ids []uuid.UUID, found map[uuid.UUID]int64) error {
	size := 0
	for _, size = range findSizes {
		if size >= len(ids) {
			break
		}
	}
	args := make([]any, size)
	for i := range args {
		args[i] = ids[min(i, len(ids)-1)][:]
	}
	query := `SELECT event_id, log_index FROM event_ids WHERE event_id IN (?` + strings.Repeat(", ?", size-1) + `)`
	return c.Query(ctx, query, args, func(row []driver.Value) error {
		id, err := uuid.FromBytes(sqlitedb.Blob(row[0]))
		found[id] = row[1].(int64)
		return err
	})
}

const selectEvent = `SELECT i.log_index, e.log_index, e.event_timestamp, e.body, e.salt ` +
	`FROM event_ids AS i LEFT JOIN events AS e ON e.log_index = i.log_index WHERE i.event_id = ?`

// Event implements ingest.Store and httpapi.Reader.
func (s *Store) Event(ctx context.Context, id uuid.UUID) (event datastorage.StoredEvent, err error) {
	known := false
	err = s.read(ctx, func(ctx context.Context, c *conn) error {
		return c.Query(ctx, selectEvent, []any{id[:]}, func(row []driver.Value) error {
			if row[1] == nil {
				return datastorage.Errorf(datastorage.CodeNotFound, "the event was removed; see log_index %d", row[0])
			}
			known = true
			event = datastorage.StoredEvent{LogIndex: row[1].(int64), ID: id, Time: sqlitedb.Micros(row[2]), Body: []byte(row[3].(string))}
			copy(event.Salt[:], sqlitedb.Blob(row[4]))
			return nil
		})
	})
	if err == nil && !known {
		err = datastorage.Errorf(datastorage.CodeNotFound, "no event has this event_id")
	}
	if err != nil {
		return datastorage.StoredEvent{}, err
	}
	return event, nil
}
