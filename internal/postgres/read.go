package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// lookupTimeout bounds the lookups of ingest, whose callers are answered within 3 s.
const lookupTimeout = 2 * time.Second

// lookup calls f with a connection of the ingest.
func (s *Store) lookup(ctx context.Context, f func(ctx context.Context, conn *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	err := s.ingest.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return f(ctx, c.Conn()) })
	if errors.Is(err, context.DeadlineExceeded) {
		return datastorage.Unavailable(err, "the database does not answer in time")
	}
	return s.readError(err)
}

// Head implements ingest.Store.
func (s *Store) Head(ctx context.Context) (head ledger.Head, err error) {
	err = s.lookup(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		head, err = scanHead(conn.QueryRow(ctx, selectHead))
		return err
	})
	return head, err
}

// scanHead reads the row of selectHead. No row is an empty log.
func scanHead(row pgx.Row) (ledger.Head, error) {
	var first, size int64
	var hashes []byte
	if err := row.Scan(&first, &size, &hashes); errors.Is(err, pgx.ErrNoRows) {
		return ledger.Head{}, nil
	} else if err != nil {
		return ledger.Head{}, err
	}
	r, err := ledger.ParseRange(size, hashes)
	if err != nil {
		return ledger.Head{}, fmt.Errorf("read the end of the log: %w", err)
	}
	return ledger.Head{First: first, Range: r}, nil
}

const selectCommit = `SELECT first_index, next_index, range, root, min_time, max_time, committed_at FROM ledger_commits`

// CommitAt implements ingest.Store.
func (s *Store) CommitAt(ctx context.Context, firstIndex int64) (*ledger.Commit, error) {
	return s.commit(ctx, selectCommit+` WHERE first_index = $1`, firstIndex)
}

// CommitOf implements ingest.Store.
func (s *Store) CommitOf(ctx context.Context, logIndex int64) (*ledger.Commit, error) {
	c, err := s.commit(ctx, selectCommit+` WHERE first_index <= $1 ORDER BY first_index DESC LIMIT 1`, logIndex)
	if c == nil || err != nil || c.NextIndex <= logIndex {
		return nil, err
	}
	return c, nil
}

func (s *Store) commit(ctx context.Context, query string, index int64) (*ledger.Commit, error) {
	var c ledger.Commit
	err := s.lookup(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		var root []byte
		err := conn.QueryRow(ctx, query, index).
			Scan(&c.FirstIndex, &c.NextIndex, &c.Range, &root, &c.MinTime, &c.MaxTime, &c.CommittedAt)
		if err == nil && len(root) != len(c.Root) {
			return fmt.Errorf("the root of the commit at %d has %d bytes", c.FirstIndex, len(root))
		}
		copy(c.Root[:], root)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c.MinTime, c.MaxTime, c.CommittedAt = c.MinTime.UTC(), c.MaxTime.UTC(), c.CommittedAt.UTC()
	return &c, nil
}

const selectIDs = `SELECT event_id, log_index FROM event_ids WHERE event_id = ANY($1::uuid[])`

// Find implements ingest.Store.
func (s *Store) Find(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]int64, error) {
	found := make(map[uuid.UUID]int64)
	if len(ids) == 0 {
		return found, nil
	}
	keys := make([][16]byte, len(ids))
	for i, id := range ids {
		keys[i] = id
	}
	err := s.lookup(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, selectIDs, keys)
		if err != nil {
			return err
		}
		var id [16]byte
		var index int64
		_, err = pgx.ForEachRow(rows, []any{&id, &index}, func() error {
			found[id] = index
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// selectEvent finds the partition by the time that event_ids holds.
const selectEvent = `SELECT i.log_index, e.log_index, e.event_timestamp, e.body, e.salt FROM event_ids AS i ` +
	`LEFT JOIN events AS e ON e.event_timestamp = i.event_timestamp AND e.event_id = i.event_id WHERE i.event_id = $1`

// Event implements ingest.Store and httpapi.Reader.
func (s *Store) Event(ctx context.Context, id uuid.UUID) (datastorage.StoredEvent, error) {
	event := datastorage.StoredEvent{ID: id}
	err := s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		var at int64
		var stored *int64
		var t *time.Time
		var salt []byte
		err := conn.QueryRow(ctx, selectEvent, [16]byte(id)).Scan(&at, &stored, &t, &event.Body, &salt)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return datastorage.Errorf(datastorage.CodeNotFound, "no event has this event_id")
		case err != nil:
			return err
		case stored == nil:
			return datastorage.Errorf(datastorage.CodeNotFound, "the event was removed; see log_index %d", at)
		}
		event.LogIndex, event.Time = *stored, t.UTC()
		copy(event.Salt[:], salt)
		return nil
	})
	if err != nil {
		return datastorage.StoredEvent{}, err
	}
	return event, nil
}

const selectSetting = `SELECT value FROM settings WHERE name = $1`

// Setting reads what PutSetting stored under a name; ok is false when there is nothing.
func (s *Store) Setting(ctx context.Context, name string) (value []byte, ok bool, err error) {
	err = s.lookup(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, selectSetting, name).Scan(&value)
		ok = err == nil
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return value, ok, err
}

// PutSetting stores a value, durably, under a name that has none, and returns what is stored under it: whoever is first
// decides it for all. Errors have CodeUnavailable; the value may be stored all the same when the connection was lost.
func (s *Store) PutSetting(ctx context.Context, name string, value []byte) (stored []byte, err error) {
	if value == nil {
		value = []byte{}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, value)
	// It runs when the other transaction has ended that had the name first, and sees its value.
	batch.Queue(selectSetting, name)
	results := s.ingest.SendBatch(ctx, batch)
	if _, err = results.Exec(); err == nil {
		err = results.QueryRow().Scan(&stored)
	}
	if err = errors.Join(err, results.Close()); err != nil {
		return nil, writeError(err)
	}
	return stored, nil
}
