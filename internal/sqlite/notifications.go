package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/eventsql"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// Notifications implements httpapi.Reader. The page and its total are read in one snapshot.
func (s *Store) Notifications(
	ctx context.Context, q datastorage.NotificationQuery,
) (page datastorage.NotificationPage, err error) {
	err = s.read(ctx, func(ctx context.Context, c *conn) error {
		return c.Transaction(ctx, "BEGIN", func() error {
			page, err = c.notifications(ctx, &q)
			return err
		})
	})
	if err != nil {
		return datastorage.NotificationPage{}, err
	}
	return page, nil
}

func (c *conn) notifications(
	ctx context.Context, q *datastorage.NotificationQuery,
) (page datastorage.NotificationPage, err error) {
	if q.MaxID == 0 {
		if q.MaxID, err = c.count(ctx, eventsql.Statement{SQL: eventsql.MaxNotificationID}); err != nil {
			return page, err
		}
	}
	page.MaxID = q.MaxID
	st := eventsql.Notifications(eventsql.SQLite, q)
	err = c.Query(ctx, st.SQL, st.Args, func(row []driver.Value) error {
		page.Notifications = append(page.Notifications, notification(row))
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
	total, err := c.count(ctx, eventsql.CountNotifications(eventsql.SQLite, q))
	page.Total, page.TotalIsLowerBound = eventsql.Bound(q.Count, total)
	return page, err
}

// notification reads the columns eventsql.NotificationColumns.
func notification(row []driver.Value) datastorage.Notification {
	return datastorage.Notification{
		ID:              row[0].(int64),
		RemediationID:   sqlitedb.Text(row[1]),
		NotificationID:  sqlitedb.Text(row[2]),
		Recipient:       sqlitedb.Text(row[3]),
		Channel:         sqlitedb.Text(row[4]),
		MessageSummary:  sqlitedb.Text(row[5]),
		Status:          sqlitedb.Text(row[6]),
		SentAt:          sqlitedb.Micros(row[7]),
		DeliveryStatus:  sqlitedb.Text(row[8]),
		ErrorMessage:    sqlitedb.Text(row[9]),
		EscalationLevel: int(row[10].(int64)),
		CreatedAt:       sqlitedb.Micros(row[11]),
		UpdatedAt:       sqlitedb.Micros(row[12]),
		EventID:         uuid.UUID(sqlitedb.Blob(row[13])),
	}
}
