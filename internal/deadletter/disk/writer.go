package disk

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// Bounds of one transaction; one change may exceed them alone.
const (
	maxChanges    = 1000
	maxPutBytes   = 8 << 20
	readChunk     = 5000     // rows that one statement reads where a whole table is read
	maxOldestSize = 32 << 20 // bytes of bodies that Oldest returns at most, but for the first
)

// state is what the queue knows of its tables without reading them.
type state struct {
	next        int64 // number of the next message
	gone        int64 // the number that the table gone holds
	depth       int64
	quarantined int64
}

func readState(ctx context.Context, c *sqlitedb.Conn) (s state, err error) {
	last := int64(0)
	for _, read := range []struct {
		query string
		into  *int64
	}{
		{`SELECT count(*) FROM waiting`, &s.depth},
		{`SELECT count(*) FROM letters`, &s.quarantined},
		{`SELECT last_seq FROM gone`, &s.gone},
		{`SELECT max((SELECT coalesce(max(seq), 0) FROM waiting), (SELECT coalesce(max(seq), 0) FROM letters))`, &last},
	} {
		if *read.into, err = number(ctx, c, read.query); err != nil {
			return state{}, err
		}
	}
	s.next = max(last, s.gone) + 1
	return s, nil
}

// change is what one caller wants done, all or nothing. It is answered exactly once.
type change struct {
	// apply makes the change. It may be called again when the transaction failed. A refusal has changed nothing.
	apply func(tx *tx) error
	// growth is the room that a Put may take at most; zero for other changes, which need none.
	growth growth
	answer chan error // buffered, so that answering never waits
	fits   bool       // the loop's: there is room for it
	err    error      // the loop's: its answer when the transaction succeeds
}

// tx is a transaction on its way.
type tx struct {
	ctx context.Context // the loop's, which is never cancelled
	*sqlitedb.Conn
	state
	fits bool // the change that is applied may take room
}

// refusal is an answer to one change that is no failure of the transaction.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

func refuse(err error) error { return &refusal{err} }

// do has a change made, and waits for its answer until ctx ends.
func (q *Queue) do(ctx context.Context, c *change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.answer = make(chan error, 1)
	q.mu.Lock()
	if q.closing {
		q.mu.Unlock()
		return errClosed
	}
	q.waiting = append(q.waiting, c)
	q.mu.Unlock()
	q.signal()
	select {
	case err := <-c.answer:
		return err
	case <-ctx.Done():
	}
	if q.withdraw(c) {
		return ctx.Err()
	}
	select {
	case err := <-c.answer:
		return err
	default:
		return fmt.Errorf("the disk did not answer in time, the change may have been made: %w", ctx.Err())
	}
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// withdraw takes back a change; false when the loop has it.
func (q *Queue) withdraw(c *change) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.waiting {
		if w == c {
			q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// take returns what the next transaction holds, in order of arrival.
func (q *Queue) take() (batch []*change, closing bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	bytes := int64(0)
	for _, c := range q.waiting {
		if len(batch) > 0 && (len(batch) == maxChanges || bytes+c.growth.data > maxPutBytes) {
			break
		}
		bytes += c.growth.data
		batch = append(batch, c)
	}
	rest := copy(q.waiting, q.waiting[len(batch):])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	return batch, q.closing
}

// loop makes the changes: whatever waits when the last transaction ends is the next one. ctx is never cancelled.
func (q *Queue) loop(ctx context.Context) {
	defer close(q.done)
	for {
		// Callers that are ready to run get to join this transaction.
		runtime.Gosched()
		batch, closing := q.take()
		if len(batch) > 0 {
			q.commit(ctx, batch)
			continue
		}
		if closing {
			return
		}
		<-q.wake
	}
}

// commit makes a batch of changes in one transaction and answers each.
func (q *Queue) commit(ctx context.Context, batch []*change) {
	err := q.writer.Use(ctx, func(c *sqlitedb.Conn) error {
		if err := q.allot(ctx, c, batch); err != nil {
			return err
		}
		before := q.snapshot()
		after, err := q.transact(ctx, c, before, batch)
		if err != nil {
			return err
		}
		q.mu.Lock()
		q.state = after
		q.mu.Unlock()
		pages, err := q.countPages(ctx, c)
		if err == nil && after.depth == 0 && before.depth > 0 {
			q.shrink(ctx, c, pages)
		}
		return nil
	})
	switch {
	case err == nil:
		for _, c := range batch {
			c.answer <- c.err
		}
	case len(batch) > 1:
		// The fault may belong to one change, as when the room does not suffice; the others must not suffer for it.
		q.commit(ctx, batch[:len(batch)/2])
		q.commit(ctx, batch[len(batch)/2:])
	case sqlitedb.Code(err) == sqlite3.SQLITE_FULL && batch[0].growth.data > 0:
		batch[0].answer <- fmt.Errorf("%w: %w", deadletter.ErrFull, err)
	default:
		batch[0].answer <- q.explain(err)
	}
}

func (q *Queue) snapshot() state {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state
}

// transact applies the changes and returns the state behind them.
func (q *Queue) transact(ctx context.Context, c *sqlitedb.Conn, s state, batch []*change) (state, error) {
	t := &tx{ctx: ctx, Conn: c, state: s}
	err := c.Transaction(ctx, "BEGIN IMMEDIATE", func() error {
		for _, change := range batch {
			t.fits = change.fits
			change.err = nil
			err := change.apply(t)
			if r, ok := errors.AsType[*refusal](err); ok {
				change.err = r.error
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	return t.state, err
}

// exec runs a statement and returns the number of rows that it changed.
func (t *tx) exec(text string, args ...any) (int64, error) {
	result, err := t.Exec(t.ctx, text, args...)
	return result.Changed, err
}
