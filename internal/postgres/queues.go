package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// PutQueueReport implements deadletter.Reports.
func (s *Store) PutQueueReport(ctx context.Context, r *deadletter.Report) error {
	var oldest *time.Time
	if !r.Oldest.IsZero() {
		oldest = &r.Oldest
	}
	return s.change(ctx, `INSERT INTO dead_letter_queues AS q `+
		`(replica, host, data_dir, depth, bytes, oldest_queued_at, quarantined, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) `+
		`ON CONFLICT (replica) DO UPDATE SET host = excluded.host, data_dir = excluded.data_dir, depth = excluded.depth, `+
		`bytes = excluded.bytes, oldest_queued_at = excluded.oldest_queued_at, quarantined = excluded.quarantined, updated_at = excluded.updated_at`,
		[16]byte(r.Replica), r.Host, r.DataDir, r.Depth, r.Bytes, oldest, r.Quarantined, r.UpdatedAt)
}

// RemoveQueueReport implements deadletter.Reports.
func (s *Store) RemoveQueueReport(ctx context.Context, replica uuid.UUID) error {
	return s.change(ctx, `DELETE FROM dead_letter_queues WHERE replica = $1`, [16]byte(replica))
}

// change runs one statement that writes.
func (s *Store) change(ctx context.Context, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	_, err := s.ingest.Exec(ctx, sql, args...)
	return writeError(err)
}

// QueueReports implements httpapi.Reader.
func (s *Store) QueueReports(ctx context.Context) (reports []deadletter.Report, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT replica, host, data_dir, depth, bytes, oldest_queued_at, quarantined, updated_at `+
			`FROM dead_letter_queues ORDER BY host, replica`)
		if err != nil {
			return err
		}
		reports, err = pgx.CollectRows(rows, scanReport)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reports, nil
}

func scanReport(row pgx.CollectableRow) (r deadletter.Report, err error) {
	var replica [16]byte
	var oldest *time.Time
	err = row.Scan(&replica, &r.Host, &r.DataDir, &r.Depth, &r.Bytes, &oldest, &r.Quarantined, &r.UpdatedAt)
	r.Replica, r.UpdatedAt = replica, r.UpdatedAt.UTC()
	if oldest != nil {
		r.Oldest = oldest.UTC()
	}
	return r, err
}
