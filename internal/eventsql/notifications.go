package eventsql

import "github.com/datastorage-io/datastorage"

// NotificationColumns are the columns of a notification, in the order of the fields of Notification. delivery_status
// and error_message may be NULL.
const NotificationColumns = `id, remediation_id, notification_id, recipient, channel, message_summary, status, sent_at, ` +
	`delivery_status, error_message, escalation_level, created_at, updated_at, event_id`

// MaxNotificationID is the statement that reads the largest id of a notification, 0 when there is none.
const MaxNotificationID = `SELECT coalesce(max(id), 0) FROM notifications`

// Notifications returns the statement that reads up to Limit+1 notifications, newest first. Its columns are
// NotificationColumns. MaxID is to be set: read MaxNotificationID before the first page of a walk.
func Notifications(d Dialect, q *datastorage.NotificationQuery) Statement {
	b := newBuilder(d)
	b.write("SELECT ", NotificationColumns, " FROM notifications")
	b.notificationFilters(q)
	if !q.AfterTime.IsZero() {
		b.behind("sent_at", "id", false, q.AfterTime, q.AfterID)
	}
	b.order("sent_at", "id", false)
	b.limit(q.Limit, q.Offset)
	return b.statement()
}

// CountNotifications returns the statement that counts the matches of a query; see Count.
func CountNotifications(d Dialect, q *datastorage.NotificationQuery) Statement {
	b := newBuilder(d)
	if q.Count == datastorage.CountExact {
		b.write("SELECT count(*) FROM notifications")
		b.notificationFilters(q)
		return b.statement()
	}
	b.write("SELECT count(*) FROM (SELECT 1 FROM notifications")
	b.notificationFilters(q)
	b.write(" LIMIT ")
	b.bind(int64(datastorage.CountBound) + 1)
	b.write(") AS matches")
	return b.statement()
}

func (b *builder) notificationFilters(q *datastorage.NotificationQuery) {
	b.equal("remediation_id", q.RemediationID)
	b.equal("channel", q.Channel)
	b.equal("status", q.Status)
	if !q.Since.IsZero() {
		b.compare("sent_at >= ", b.dialect.Time(q.Since))
	}
	if !q.Until.IsZero() {
		b.compare("sent_at <= ", b.dialect.Time(q.Until))
	}
	if q.MaxID > 0 {
		b.compare("id <= ", q.MaxID)
	}
}
