package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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
	st := statementsOf(conn.Conn())
	e := encode(c, w, st.eventRow, st.idRow)
	result := make(chan outcome, 1)
	go func() {
		ids, err := s.pipeline(conn.Conn().PgConn(), st, e, inTransaction)
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

// pipeline sends the statements and reads their results. Its error is one of ingest.Store.
func (s *Store) pipeline(conn *pgconn.PgConn, st *statements, e *encoded, inTransaction bool) ([]int64, error) {
	p := conn.StartPipeline(context.Background())
	defer p.Close() // its error was returned by the results already
	p.SendQueryStatement(st.commit, e.parameters(0, commitParams), binaryFormat, nil)
	p.SendQueryStatement(st.ids, e.parameters(commitParams, 1), binaryFormat, nil)
	p.SendQueryStatement(st.events, e.parameters(commitParams+1, 1), binaryFormat, nil)
	for i := range e.notifications {
		from := commitParams + 2 + i*notificationParams
		p.SendQueryStatement(st.notification, e.parameters(from, notificationParams), binaryFormat, binaryFormat)
	}
	if inTransaction {
		p.SendQueryStatement(st.commitTx, nil, nil, nil)
	}
	if err := p.Sync(); err != nil {
		if pgconn.SafeToRetry(err) {
			return nil, datastorage.Unavailable(err, "the database cannot be reached")
		}
		return nil, unknown(err)
	}
	var ids []int64
	for i := range 3 + e.notifications {
		row, err := readResult(p)
		if err != nil {
			return nil, s.statementError(err)
		}
		if i >= 3 {
			ids = append(ids, int64(binary.BigEndian.Uint64(row)))
		}
	}
	// Everything is inserted. What follows ends the transaction, and is answered when that is durable.
	if _, err := readResult(p); err != nil {
		return nil, s.endError(err)
	}
	return ids, nil
}

var binaryFormat = []int16{pgx.BinaryFormatCode}

// readResult reads the next result of a pipeline and returns the first value of its only row, nil when it has none.
func readResult(p *pgconn.Pipeline) ([]byte, error) {
	result, err := p.GetResults()
	if err != nil {
		return nil, err
	}
	reader, ok := result.(*pgconn.ResultReader)
	if !ok {
		return nil, nil
	}
	var value []byte
	for reader.NextRow() {
		value = append(value, reader.Values()[0]...)
	}
	_, err = reader.Close()
	return value, err
}

// statementError is for an insert that failed. The server ends a transaction only behind all inserts, and answers in
// order: when it says that one failed, also while it ends the session, nothing is stored.
func (s *Store) statementError(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return s.refusal(e)
	}
	return unknown(err)
}

// endError is for a transaction whose end failed. A session that was ended meanwhile may have committed before.
func (s *Store) endError(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.SeverityUnlocalized == "ERROR" {
		return s.refusal(e)
	}
	return unknown(err)
}

func unknown(err error) error { return fmt.Errorf("%w: %w", ledger.ErrOutcomeUnknown, err) }
