package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/eventsql"
)

// readGrace is how much longer than the server's time-out a query waits for a server that does not answer.
const readGrace = time.Second

// read calls f with a connection of the queries. The server's statement_timeout ends slow queries.
func (s *Store) read(ctx context.Context, f func(ctx context.Context, conn *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout+readGrace)
	defer cancel()
	return s.readError(s.queries.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return f(ctx, c.Conn()) }))
}

// planForValues makes the server plan the rest of its batch for the values and the tables at hand.
const planForValues = `SELECT set_config('plan_cache_mode', 'force_custom_plan', true), ` +
	`set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'on', true)`

// query runs a statement in one round trip and calls each with its rows; the arguments of Scan stay the same for all.
// forValues plans it for its values, which takes longer than to run it where many partitions are searched for few rows,
// and pays where the values decide which index is best.
func query(
	ctx context.Context, conn *pgx.Conn, st eventsql.Statement, forValues bool, scan []any, each func() error,
) (err error) {
	batch := &pgx.Batch{}
	if forValues {
		batch.Queue(planForValues)
	}
	batch.Queue(st.SQL, st.Args...)
	results := conn.SendBatch(ctx, batch)
	defer func() {
		if closeErr := results.Close(); err == nil {
			err = closeErr
		}
	}()
	if forValues {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, scan, each)
	return err
}

// planned reports whether a page is worth a plan for its values. A prefix of event_type may match few events, which its
// index finds and a sort puts in order, or most, which the walk by time meets soon. For all others one index is always
// best, whatever the values.
func planned(q *datastorage.EventQuery) bool { return q.EventTypePrefix && q.CorrelationID == "" }

// countPlanned is planned for the count of a query: one that is exact may have to read most of the table.
func countPlanned(q *datastorage.EventQuery) bool {
	return planned(q) || q.Count == datastorage.CountExact && q.CorrelationID == ""
}

// Events implements httpapi.Reader. A total is counted after its page, up to the size of the log at the page.
func (s *Store) Events(ctx context.Context, q datastorage.EventQuery) (page datastorage.EventPage, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		if err := s.boundTimes(ctx, conn, &q); err != nil {
			return err
		}
		if page, err = readPage(ctx, conn, &q); err != nil || q.Count == datastorage.CountNone {
			return err
		}
		total, known := eventsql.Total(&q, &page)
		if !known {
			q.Size = page.Size
			st := eventsql.Count(eventsql.PostgreSQL, &q)
			if err := query(ctx, conn, st, countPlanned(&q), []any{&total}, noop); err != nil {
				return err
			}
		}
		page.Total, page.TotalIsLowerBound = eventsql.Bound(q.Count, total)
		return nil
	})
	if err != nil {
		return datastorage.EventPage{}, err
	}
	return page, nil
}

func noop() error { return nil }

func readPage(ctx context.Context, conn *pgx.Conn, q *datastorage.EventQuery) (datastorage.EventPage, error) {
	page := datastorage.EventPage{Size: q.Size}
	var (
		size, index *int64
		id          *[16]byte
		at          *time.Time
		body        []byte
	)
	st := eventsql.Page(eventsql.PostgreSQL, q)
	err := query(ctx, conn, st, planned(q), []any{&size, &index, &id, &at, &body}, func() error {
		if size != nil && q.Size == 0 {
			page.Size = *size
		}
		if index == nil {
			return nil
		}
		page.Events = append(page.Events, datastorage.StoredEvent{LogIndex: *index, ID: *id, Time: at.UTC(), Body: body})
		return nil
	})
	if err != nil {
		return datastorage.EventPage{}, err
	}
	if len(page.Events) > q.Limit {
		page.HasMore = true
		page.Events = page.Events[:q.Limit]
	}
	return page, nil
}

// Correlation implements httpapi.Reader.
func (s *Store) Correlation(
	ctx context.Context, correlationID string, yield func(*datastorage.EventHeader) error,
) error {
	var (
		h                  datastorage.EventHeader
		parent             *[16]byte
		id                 [16]byte
		namespace, cluster *string
		refused            error
	)
	scan := []any{
		&h.LogIndex, &id, &parent, &h.Time, &h.Type, &h.Category, &h.Outcome, &h.Severity, &h.ActorType, &h.ActorID,
		&h.ResourceType, &h.ResourceID, &namespace, &cluster, &h.CorrelationID,
	}
	err := s.queries.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		q := datastorage.EventQuery{CorrelationID: correlationID}
		if err := s.boundTimes(ctx, c.Conn(), &q); err != nil {
			return err
		}
		return query(ctx, c.Conn(), eventsql.Correlation(eventsql.PostgreSQL, &q), false, scan, func() error {
			h.ID, h.Time, h.Namespace, h.ClusterName = id, h.Time.UTC(), orEmpty(namespace), orEmpty(cluster)
			h.ParentID = [16]byte{}
			if parent != nil {
				h.ParentID = *parent
			}
			refused = yield(&h)
			return refused
		})
	})
	if refused != nil {
		return refused
	}
	return s.readError(err)
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Notifications implements httpapi.Reader. A total is counted after its page, among the records that existed then.
func (s *Store) Notifications(
	ctx context.Context, q datastorage.NotificationQuery,
) (page datastorage.NotificationPage, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		page, err = readNotifications(ctx, conn, &q)
		return err
	})
	if err != nil {
		return datastorage.NotificationPage{}, err
	}
	return page, nil
}

func readNotifications(
	ctx context.Context, conn *pgx.Conn, q *datastorage.NotificationQuery,
) (page datastorage.NotificationPage, err error) {
	if q.MaxID == 0 {
		if err := conn.QueryRow(ctx, eventsql.MaxNotificationID).Scan(&q.MaxID); err != nil {
			return page, fmt.Errorf("read the last notification: %w", err)
		}
	}
	page.MaxID = q.MaxID
	if q.MaxID == 0 {
		return page, nil
	}
	var n datastorage.Notification
	var delivery, message *string
	var event [16]byte
	scan := []any{
		&n.ID, &n.RemediationID, &n.NotificationID, &n.Recipient, &n.Channel, &n.MessageSummary, &n.Status, &n.SentAt,
		&delivery, &message, &n.EscalationLevel, &n.CreatedAt, &n.UpdatedAt, &event,
	}
	err = query(ctx, conn, eventsql.Notifications(eventsql.PostgreSQL, q), true, scan, func() error {
		n.SentAt, n.CreatedAt, n.UpdatedAt = n.SentAt.UTC(), n.CreatedAt.UTC(), n.UpdatedAt.UTC()
		n.DeliveryStatus, n.ErrorMessage, n.EventID = orEmpty(delivery), orEmpty(message), event
		page.Notifications = append(page.Notifications, n)
		return nil
	})
	if err != nil {
		return page, err
	}
	if len(page.Notifications) > q.Limit {
		page.HasMore = true
		page.Notifications = page.Notifications[:q.Limit]
	}
	if q.Count == datastorage.CountNone {
		return page, nil
	}
	var total int64
	if err := query(ctx, conn, eventsql.CountNotifications(eventsql.PostgreSQL, q), true, []any{&total}, noop); err != nil {
		return page, err
	}
	page.Total, page.TotalIsLowerBound = eventsql.Bound(q.Count, total)
	return page, nil
}
