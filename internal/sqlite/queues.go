package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// PutQueueReport implements deadletter.Reports.
func (s *Store) PutQueueReport(ctx context.Context, r *deadletter.Report) error {
	var oldest any
	if !r.Oldest.IsZero() {
		oldest = r.Oldest.UnixMicro()
	}
	return s.change(ctx, `INSERT OR REPLACE INTO dead_letter_queues `+
		`(replica, host, data_dir, depth, bytes, oldest_queued_at, quarantined, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Replica[:], r.Host, r.DataDir, r.Depth, r.Bytes, oldest, r.Quarantined, r.UpdatedAt.UnixMicro())
}

// RemoveQueueReport implements deadletter.Reports.
func (s *Store) RemoveQueueReport(ctx context.Context, replica uuid.UUID) error {
	return s.change(ctx, `DELETE FROM dead_letter_queues WHERE replica = ?`, replica[:])
}

// change runs one statement that writes.
func (s *Store) change(ctx context.Context, sql string, args ...any) error {
	return writeError(use(ctx, s.writer, func(c *conn) error {
		return c.Transaction(ctx, "BEGIN IMMEDIATE", func() error {
			_, err := c.Exec(context.WithoutCancel(ctx), sql, args...)
			return err
		})
	}))
}

// QueueReports implements httpapi.Reader.
func (s *Store) QueueReports(ctx context.Context) (reports []deadletter.Report, err error) {
	err = s.read(ctx, func(ctx context.Context, c *conn) error {
		reports = nil
		return c.Query(ctx, `SELECT replica, host, data_dir, depth, bytes, oldest_queued_at, quarantined, updated_at `+
			`FROM dead_letter_queues ORDER BY host, replica`, nil, func(row []driver.Value) error {
			r := deadletter.Report{
				Replica: uuid.UUID(sqlitedb.Blob(row[0])), Host: sqlitedb.Text(row[1]), DataDir: sqlitedb.Text(row[2]),
				Depth: row[3].(int64), Bytes: row[4].(int64), Quarantined: row[6].(int64), UpdatedAt: sqlitedb.Micros(row[7]),
			}
			if row[5] != nil {
				r.Oldest = sqlitedb.Micros(row[5])
			}
			reports = append(reports, r)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return reports, nil
}
