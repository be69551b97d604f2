package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

const (
	// commitTimeout is how long a commit may take in all. When it has passed and the commit was sent, its outcome is
	// unknown. A write is answered within 3 s, so that its events can still be queued.
	commitTimeout = 2500 * time.Millisecond
	// rollbackTimeout bounds the end of a transaction that failed.
	rollbackTimeout = time.Second
)

// Commit implements ingest.Store. It is one round trip: all statements are sent at once and are one transaction up to
// the Sync at their end.
func (s *Store) Commit(ctx context.Context, c *ledger.Commit, w *datastorage.Write) error {
	deadline := time.Now().Add(commitTimeout)
	conn, err := s.prepareCommit(ctx, deadline, w)
	if err != nil {
		return err
	}
	return s.send(conn, deadline, c, w, false)
}

// CommitLocked implements ingest.Store. It is two round trips: one to lock and read the head, one to commit.
func (s *Store) CommitLocked(
	ctx context.Context, build func(ledger.Head) (*ledger.Commit, error), w *datastorage.Write,
) error {
	deadline := time.Now().Add(commitTimeout)
	conn, err := s.prepareCommit(ctx, deadline, w)
	if err != nil {
		return err
	}
	head, err := s.beginLocked(ctx, deadline, conn)
	if err != nil {
		s.abandon(conn)
		return writeError(err)
	}
	c, err := build(head)
	if err != nil {
		s.abandon(conn)
		return err
	}
	if len(s.months.missing(w.Records)) > 0 {
		// What build appended needs a partition, which is not made under the lock: the next attempt makes it first.
		s.abandon(conn)
		return ledger.ErrHeadMoved
	}
	return s.send(conn, deadline, c, w, true)
}

// prepareCommit sees to the partitions and returns a connection.
func (s *Store) prepareCommit(ctx context.Context, deadline time.Time, w *datastorage.Write) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if err := s.ensureMonths(ctx, w.Records); err != nil {
		return nil, err
	}
	conn, err := s.ingest.Acquire(ctx)
	if err != nil {
		return nil, datastorage.Unavailable(err, "the database cannot be reached")
	}
	return conn, nil
}

// beginLocked begins a transaction, keeps other such transactions out, and reads the head behind the last of them.
func (s *Store) beginLocked(ctx context.Context, deadline time.Time, conn *pgxpool.Conn) (head ledger.Head, err error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue(lockHead)
	batch.Queue(selectHead)
	results := conn.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	for range 2 {
		if _, err := results.Exec(); err != nil {
			return ledger.Head{}, err
		}
	}
	return scanHead(results.QueryRow())
}

// abandon ends the transaction of a connection and gives the connection back.
func (s *Store) abandon(conn *pgxpool.Conn) {
	defer conn.Release()
	if conn.Conn().IsClosed() || conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTimeout)
	defer cancel()
	// If it fails the connection is closed, which ends the transaction too.
	_, _ = conn.Conn().PgConn().Exec(ctx, "ROLLBACK").ReadAll()
}

// outcome is what became of a commit: the error, or the ids of its notifications.
type outcome struct {
	ids []int64
	err error
}

// send sends a commit and waits for its outcome until the deadline. The connection is given back when the server has
// answered, which may be later: a commit is never cancelled, whoever waits for it.
func (s *Store) send(
	conn *pgxpool.Conn, deadline time.Time, c *ledger.Commit, w *datastorage.Write, inTransaction bool,
) error {
	e := encode(c, w, rowTypesOf(conn.Conn()), inTransaction)
	result := make(chan outcome, 1)
	go func() {
		ids, err := s.exchange(conn.Conn().PgConn(), e)
		e.release()
		s.abandon(conn)
		result <- outcome{ids, err}
	}()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case o := <-result:
		if o.err != nil {
			return o.err
		}
		for i, n := range w.Notifications {
			n.ID = o.ids[i]
		}
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: the database did not answer within %s", ledger.ErrOutcomeUnknown, commitTimeout)
	}
}

// exchange sends the messages of a commit and reads the answer up to its end. Its error is one of ingest.Store.
//
// It speaks the protocol itself: pgx would copy all messages once more and bind each statement only when it executes it.
func (s *Store) exchange(conn *pgconn.PgConn, e *encoded) (ids []int64, err error) {
	if n, err := conn.Conn().Write(e.buf); err != nil {
		closeBroken(conn)
		if n == 0 {
			return nil, datastorage.Unavailable(err, "the database cannot be reached")
		}
		return nil, unknown(err)
	}
	var refused *pgconn.PgError
	done := 0 // statements that have succeeded
	for {
		m, err := conn.ReceiveMessage(context.Background())
		if err != nil {
			// An error that ends the session arrives as an error of the connection.
			if fatal, ok := errors.AsType[*pgconn.PgError](err); ok && refused == nil {
				refused = fatal
			}
			closeBroken(conn)
			switch {
			case refused != nil:
				return nil, s.failure(refused, done >= e.statements)
			case done > e.statements: // the COMMIT has succeeded
				return ids, nil
			}
			return nil, unknown(err)
		}
		switch m := m.(type) {
		case *pgproto3.CommandComplete:
			done++
		case *pgproto3.DataRow:
			ids = append(ids, int64(binary.BigEndian.Uint64(m.Values[0])))
		case *pgproto3.ErrorResponse:
			refused = pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			if refused != nil {
				return nil, s.failure(refused, done >= e.statements)
			}
			return ids, nil
		}
	}
}

// closeBroken closes a connection that an exchange has left in the middle.
func closeBroken(conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTimeout)
	defer cancel()
	_ = conn.Close(ctx)
}

// failure is what became of a commit that the server answered with an error; inserted says that all inserts had
// succeeded. The server ends a transaction only behind them and answers in order: when it says before that it failed,
// nothing is stored. Behind them, a session that is ended may have committed already.
func (s *Store) failure(e *pgconn.PgError, inserted bool) error {
	if inserted && e.SeverityUnlocalized != "ERROR" {
		return unknown(e)
	}
	return s.refusal(e)
}

func unknown(err error) error { return fmt.Errorf("%w: %w", ledger.ErrOutcomeUnknown, err) }
