package datastorage

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// Channels are the values of a notification's channel.
var Channels = []string{"email", "slack", "pagerduty", "webhook", "sms"}

// NotificationStatuses are the values of a notification's status.
var NotificationStatuses = []string{"sent", "failed", "pending", "acknowledged", "escalated"}

// MaxEscalationLevel is the largest escalation_level.
const MaxEscalationLevel = 100

// notificationField is one text member of a notification in a request.
type notificationField struct {
	textRule
	target func(*Notification) *string
}

var notificationFields = []notificationField{
	{textRule{"remediation_id", 255, true, nil}, func(n *Notification) *string { return &n.RemediationID }},
	{textRule{"notification_id", 255, true, nil}, func(n *Notification) *string { return &n.NotificationID }},
	{textRule{"recipient", 500, true, nil}, func(n *Notification) *string { return &n.Recipient }},
	{textRule{"channel", 0, true, Channels}, func(n *Notification) *string { return &n.Channel }},
	{textRule{"message_summary", 1000, true, nil}, func(n *Notification) *string { return &n.MessageSummary }},
	{textRule{"status", 0, true, NotificationStatuses}, func(n *Notification) *string { return &n.Status }},
	{textRule{"delivery_status", 255, false, nil}, func(n *Notification) *string { return &n.DeliveryStatus }},
	{textRule{"error_message", 1000, false, nil}, func(n *Notification) *string { return &n.ErrorMessage }},
}

// DecodeNotification reads one notification from a request body. The error is an *Error with CodeValidation that names
// every bad field. CreatedAt and UpdatedAt are now.
func (r *Rules) DecodeNotification(raw []byte, now time.Time) (*Notification, error) {
	o, err := readObject(raw)
	if err != nil {
		return nil, err
	}
	n := &Notification{CreatedAt: truncate(now), UpdatedAt: truncate(now)}
	for i := range notificationFields {
		f := &notificationFields[i]
		o.text(&f.textRule, f.target(n))
	}
	o.take("sent_at", func(raw jsontext.Value) string { return n.decodeSentAt(raw, r, now) })
	o.take("escalation_level", n.decodeLevel)
	if err := o.finish(); err != nil {
		return nil, err
	}
	n.EventID = NotificationEventID(n.NotificationID)
	return n, nil
}

// decodeSentAt reads sent_at, which may lie in the past as far as any event may.
func (n *Notification) decodeSentAt(raw jsontext.Value, r *Rules, now time.Time) string {
	if raw == nil {
		return "is required"
	}
	t, ok := unquoteTime(raw)
	switch {
	case !ok:
		return "must be an RFC 3339 time such as 2026-01-31T12:00:00Z"
	case t.Before(minTime) || !t.Before(maxTime):
		return "must lie between the years 1970 and 2199"
	case r.Window && t.After(now.Add(r.Future)):
		return "must not be more than " + span(r.Future) + " in the future"
	}
	n.SentAt = t
	return ""
}

func (n *Notification) decodeLevel(raw jsontext.Value) string {
	if raw == nil {
		return ""
	}
	level, fault := wholeNumber(raw, 0, MaxEscalationLevel)
	n.EscalationLevel = int(level)
	return fault
}

// NotificationEventID returns the event_id of the event that stands for a notification: UUIDv5(Namespace,
// "notification:" ‖ notification_id).
func NotificationEventID(notificationID string) uuid.UUID {
	return uuid.NewSHA1(Namespace, []byte("notification:"+notificationID))
}

// notificationOutcomes maps a status to event_outcome; every other status is pending.
var notificationOutcomes = map[string]string{"sent": "success", "acknowledged": "success", "failed": "failure"}

// Event returns the event that stands for the notification in the ledger: notification.message.<status> at sent_at,
// under correlation_id = remediation_id.
func (n *Notification) Event(r *Rules) Event {
	outcome, ok := notificationOutcomes[n.Status]
	if !ok {
		outcome = "pending"
	}
	days := r.RetentionDays
	if byCategory, ok := r.RetentionByCategory["notification"]; ok {
		days = byCategory
	}
	return Event{
		ID: n.EventID, Version: "1.0", Type: "notification.message." + n.Status, Time: n.SentAt,
		Category: "notification", Action: n.Status, Outcome: outcome, CorrelationID: n.RemediationID,
		Data: n.data(), ActorType: "service", ActorID: "notification-service",
		ResourceType: "notification", ResourceID: n.NotificationID, Severity: "info", Retention: days,
		Sent: FieldSet(FieldID | FieldData | FieldTime | FieldType | FieldCorrelationID),
	}
}

// data is the event_data of the notification's event, in canonical form.
func (n *Notification) data() jsontext.Value {
	b := appendString(nil, `{"channel":`, n.Channel)
	b = appendOptional(b, `,"delivery_status":`, n.DeliveryStatus)
	b = appendOptional(b, `,"error_message":`, n.ErrorMessage)
	b = append(b, `,"escalation_level":`...)
	b = strconv.AppendInt(b, int64(n.EscalationLevel), 10)
	b = appendString(b, `,"message_summary":`, n.MessageSummary)
	b = appendString(b, `,"notification_id":`, n.NotificationID)
	b = appendString(b, `,"recipient":`, n.Recipient)
	b = appendString(b, `,"remediation_id":`, n.RemediationID)
	b = appendString(b, `,"status":`, n.Status)
	return append(b, '}')
}
