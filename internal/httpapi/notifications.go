package httpapi

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// maxNotificationBody is the largest body of a notification in bytes.
const maxNotificationBody = 64 << 10

// notificationFilters are the parameters that a cursor of notifications is bound to.
var notificationFilters = []string{"channel", "remediation_id", "since", "status", "until"}

// notificationRecord is a notification on the wire.
type notificationRecord struct {
	ID              int64       `json:"id"`
	RemediationID   string      `json:"remediation_id"`
	NotificationID  string      `json:"notification_id"`
	Recipient       string      `json:"recipient"`
	Channel         string      `json:"channel"`
	MessageSummary  string      `json:"message_summary"`
	Status          string      `json:"status"`
	SentAt          time.Time   `json:"sent_at"`
	DeliveryStatus  string      `json:"delivery_status,omitzero"`
	ErrorMessage    string      `json:"error_message,omitzero"`
	EscalationLevel int         `json:"escalation_level"`
	CreatedAt       time.Time   `json:"created_at"`
	UpdatedAt       time.Time   `json:"updated_at"`
	EventID         uuid.UUID   `json:"event_id"`
	Receipt         *receiptDoc `json:"receipt,omitzero"`
}

// accepted is the answer to a notification that waits in the dead-letter queue.
type accepted struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

type receiptDoc struct {
	LogIndex int64  `json:"log_index"`
	TreeSize int64  `json:"tree_size"`
	RootHash string `json:"root_hash"`
}

func newNotificationRecord(n *datastorage.Notification) notificationRecord {
	return notificationRecord{
		ID: n.ID, RemediationID: n.RemediationID, NotificationID: n.NotificationID, Recipient: n.Recipient,
		Channel: n.Channel, MessageSummary: n.MessageSummary, Status: n.Status, SentAt: n.SentAt,
		DeliveryStatus: n.DeliveryStatus, ErrorMessage: n.ErrorMessage, EscalationLevel: n.EscalationLevel,
		CreatedAt: n.CreatedAt, UpdatedAt: n.UpdatedAt, EventID: n.EventID,
	}
}

func (s *Server) postNotification(c *call) (*response, error) {
	body, err := s.readBody(c, maxNotificationBody)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	n, err := s.cfg.Rules.DecodeNotification(body, now)
	if err != nil {
		return nil, err
	}
	e := n.Event(&s.cfg.Rules)
	applyTrace(&e, first(c.Header, "Traceparent"))
	stored, err := s.cfg.Writer.WriteNotification(c.Context(), n, e)
	s.metrics.notifications.wrote(err, s.cfg.Now().Sub(now))
	if err != nil {
		return nil, err
	}
	if stored.Queued {
		return encode(http.StatusAccepted, accepted{"accepted", "audit record queued for processing"})
	}
	record := newNotificationRecord(n)
	record.Receipt = &receiptDoc{stored.Receipt.LogIndex, stored.Receipt.TreeSize, stored.Receipt.Root.String()}
	return encode(http.StatusCreated, record)
}

func (s *Server) listNotifications(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	q := datastorage.NotificationQuery{
		RemediationID: p.text("remediation_id"),
		Channel:       p.enum("channel", datastorage.Channels...),
		Status:        p.enum("status", datastorage.NotificationStatuses...),
	}
	g := p.paging(s.cursors(), cursorNotifications, notificationFilters)
	q.Since, q.Until = p.span(s.cfg.Now(), g.cursor)
	if err := p.err(); err != nil {
		return nil, err
	}
	q.Limit, q.Offset, q.Count = g.limit, g.offset, g.count
	if g.cursor != nil {
		q.AfterTime, q.AfterID = g.cursor.time, g.cursor.number
		q.MaxID = g.cursor.size
	}
	defer s.metrics.query("list_notifications", s.cfg.Now(), &err)
	page, err := s.cfg.Reader.Notifications(c.Context(), q)
	if err != nil {
		return nil, err
	}
	next := ""
	if page.HasMore {
		last := &page.Notifications[len(page.Notifications)-1]
		next = s.cursors().encode(cursorNotifications, p.filterHash(notificationFilters), cursor{
			size: page.MaxID, since: q.Since, until: q.Until, time: last.SentAt, number: last.ID,
		})
	}
	records := make([]notificationRecord, len(page.Notifications))
	for i := range records {
		records[i] = newNotificationRecord(&page.Notifications[i])
	}
	res, err := encode(http.StatusOK, records)
	if err != nil {
		return nil, err
	}
	b := append([]byte(`{"data":`), res.body...)
	b = append(b, `,"pagination":`...)
	b = appendPagination(b, g, page.Total, page.TotalIsLowerBound, page.HasMore, next)
	return &response{status: http.StatusOK, body: append(b, '}')}, nil
}
