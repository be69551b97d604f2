package postgres

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/eventsql"
	"github.com/datastorage-io/datastorage/internal/project"
)

// commitRows is how many commits one statement of a follower looks at.
const commitRows = 512

// Follow implements project.Log.
func (s *Store) Follow(ctx context.Context, from int64, limit int, bodies project.Bodies) (project.Batch, error) {
	conn, err := s.followers.Acquire(ctx)
	if err != nil {
		return project.Batch{}, s.followError(ctx, err)
	}
	defer conn.Release()
	f := follower{conn: conn.Conn(), batch: project.Batch{Next: from}}
	if err := f.read(ctx, from, int64(limit), bodies); err != nil {
		return project.Batch{}, s.followError(ctx, err)
	}
	return f.batch, nil
}

// followError is readError for a caller that has no time-out of its own.
func (s *Store) followError(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil || errors.Is(err, project.ErrPosition) {
		return cmp.Or(ended, err)
	}
	return s.readError(err)
}

// follower reads one batch.
type follower struct {
	conn  *pgx.Conn
	batch project.Batch
	// least and greatest bound the times of the batch's events.
	least, greatest time.Time
}

func (f *follower) read(ctx context.Context, from, limit int64, bodies project.Bodies) error {
	b := &f.batch
	err := f.conn.QueryRow(ctx, `SELECT coalesce((SELECT next_index FROM ledger_commits ORDER BY first_index DESC LIMIT 1), 0)`).
		Scan(&b.Size)
	if err != nil || b.Size == from {
		return err
	}
	for more := true; more; {
		if more, err = f.nextCommits(ctx, from+limit); err != nil {
			return err
		}
	}
	if b.Next == from {
		return project.ErrPosition
	}
	b.Size = max(b.Size, b.Next)
	b.CommittedAt = b.CommittedAt.UTC()
	return f.events(ctx, from, bodies)
}

// nextCommits takes commits into the batch until the next one would pass full; the first is always taken. It reports
// whether more may follow.
func (f *follower) nextCommits(ctx context.Context, full int64) (more bool, err error) {
	b := &f.batch
	rows, err := f.conn.Query(ctx, `SELECT first_index, next_index, min_time, max_time, committed_at FROM ledger_commits `+
		`WHERE first_index >= $1 ORDER BY first_index LIMIT $2`, b.Next, min(commitRows, full-b.Next))
	if err != nil {
		return false, err
	}
	n, begun := 0, !f.greatest.IsZero()
	var first, next int64
	var least, greatest, committed time.Time
	_, err = pgx.ForEachRow(rows, []any{&first, &next, &least, &greatest, &committed}, func() error {
		if first != b.Next || next > full && begun {
			return nil
		}
		if !begun || least.Before(f.least) {
			f.least = least
		}
		if !begun || greatest.After(f.greatest) {
			f.greatest = greatest
		}
		b.Next, b.CommittedAt, begun = next, committed, true
		n++
		return nil
	})
	return n == commitRows && b.Next < full, err
}

// events reads the events of the batch.
func (f *follower) events(ctx context.Context, first int64, bodies project.Bodies) error {
	st := eventsql.Follow(eventsql.PostgreSQL, bodies.Types, bodies.Categories, bodies.Members)
	args := append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, st.Args...)
	rows, err := f.conn.Query(ctx, st.SQL, append(args, first, f.batch.Next, f.least, f.greatest)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	f.batch.Events = make([]project.Event, 0, f.batch.Next-first)
	for rows.Next() {
		row := rows.RawValues()
		e := project.Event{EventHeader: header(row)}
		if body := row[headerColumns]; body != nil {
			e.Body = append([]byte(nil), body...)
		}
		f.batch.Events = append(f.batch.Events, e)
	}
	return rows.Err()
}

// headerColumns is the number of eventsql.HeaderColumns.
var headerColumns = strings.Count(eventsql.HeaderColumns, ",") + 1

// header reads the binary values of a row that begins with eventsql.HeaderColumns.
func header(row [][]byte) datastorage.EventHeader {
	h := datastorage.EventHeader{
		LogIndex:      auditInt(row[0]),
		ID:            uuid.UUID(row[1]),
		Time:          time.UnixMicro(auditMicros(row[3])).UTC(),
		Type:          string(row[4]),
		Category:      string(row[5]),
		Outcome:       string(row[6]),
		Severity:      string(row[7]),
		ActorType:     string(row[8]),
		ActorID:       string(row[9]),
		ResourceType:  string(row[10]),
		ResourceID:    string(row[11]),
		Namespace:     string(row[12]),
		ClusterName:   string(row[13]),
		CorrelationID: string(row[14]),
	}
	if row[2] != nil {
		h.ParentID = uuid.UUID(row[2])
	}
	return h
}
