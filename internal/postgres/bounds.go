package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/datastorage-io/datastorage"
)

const (
	// boundMonths is the number of partitions from which on bounds are worth the statement that finds them.
	boundMonths = 8
	// boundCommits is how many commits that the projection lacks may widen the bounds.
	boundCommits = 1000
	// correlationsVersion is the version of the projection of correlations whose tables are known here.
	correlationsVersion = 2
	undefinedTable      = "42P01"
)

// selectBounds reads, in one snapshot: between which times the projection of correlations knows the events of a
// correlation_id, between which the events of the commits are that it lacks, how many such commits there are, and the size
// of the log.
const selectBounds = `SELECT c.first_time, c.last_time, late.commits, late.least, late.greatest, ` +
	`coalesce((SELECT next_index FROM ledger_commits ORDER BY first_index DESC LIMIT 1), 0) ` +
	`FROM projections AS p ` +
	`LEFT JOIN p_correlations_%[1]d AS c ON c.correlation_id = $1 ` +
	`CROSS JOIN LATERAL (SELECT count(*) AS commits, min(min_time) AS least, max(max_time) AS greatest FROM ` +
	`(SELECT min_time, max_time FROM ledger_commits WHERE first_index >= p.position ORDER BY first_index LIMIT %[2]d) AS behind) AS late ` +
	`WHERE p.name = 'correlations' AND p.generation = %[1]d AND p.state = 'live'`

const selectGeneration = `SELECT generation FROM projections WHERE name = 'correlations' AND state = 'live' AND version = $1`

// boundTimes narrows the times of a query by correlation_id to those that the projection of correlations knows, so that
// only their partitions are searched. The bounds are exact for the log as it is now, also when the projection is behind,
// and the query is restricted to that log. Without the projection, or with one that is far behind, the query stays as
// it is.
func (s *Store) boundTimes(ctx context.Context, conn *pgx.Conn, q *datastorage.EventQuery) error {
	if q.CorrelationID == "" || !q.Since.IsZero() && !q.Until.IsZero() || s.months.count() < boundMonths {
		return nil
	}
	if g := s.correlations.Load(); g != 0 {
		if found, err := readBounds(ctx, conn, g, q); found || err != nil {
			return err
		}
	}
	var g int64
	err := conn.QueryRow(ctx, selectGeneration, correlationsVersion).Scan(&g)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	s.correlations.Store(g)
	_, err = readBounds(ctx, conn, g, q)
	return err
}

// readBounds narrows the times of a query by what a generation of the projection knows; found is false when it is not
// live.
func readBounds(ctx context.Context, conn *pgx.Conn, generation int64, q *datastorage.EventQuery) (found bool, err error) {
	var first, last *int64
	var least, greatest *time.Time
	var behind, size int64
	err = conn.QueryRow(ctx, fmt.Sprintf(selectBounds, generation, boundCommits+1), q.CorrelationID).
		Scan(&first, &last, &behind, &least, &greatest, &size)
	if e, ok := errors.AsType[*pgconn.PgError](err); errors.Is(err, pgx.ErrNoRows) || ok && e.Code == undefinedTable {
		return false, nil
	}
	if err != nil || behind > boundCommits {
		return true, err
	}
	b := bounds{}
	if first != nil {
		b.widen(time.UnixMicro(*first), time.UnixMicro(*last))
	}
	if least != nil {
		b.widen(*least, *greatest)
	}
	if size > 0 {
		b.narrow(q, size)
	}
	return true, nil
}

// bounds are times between which all events are; both are zero when there is none.
type bounds struct{ since, until time.Time }

func (b *bounds) widen(since, until time.Time) {
	if b.since.IsZero() || since.Before(b.since) {
		b.since = since
	}
	if b.until.IsZero() || until.After(b.until) {
		b.until = until
	}
}

// narrow restricts a query to the bounds and to a log of a size. No event matches when there are no bounds.
func (b *bounds) narrow(q *datastorage.EventQuery, size int64) {
	if b.since.IsZero() {
		b.since, b.until = time.UnixMicro(0), time.UnixMicro(0)
	}
	if q.Since.IsZero() || q.Since.Before(b.since) {
		q.Since = b.since
	}
	if q.Until.IsZero() || q.Until.After(b.until) {
		q.Until = b.until
	}
	if q.Size == 0 {
		q.Size = size
	}
}
