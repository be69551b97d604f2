package datastorage

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// Channels are the values of a notification's channel.
var Channels = []string{"email", "slack", "pagerduty", "webhook", "sms"}

// NotificationStatuses are the values of a notification's status.
var NotificationStatuses = []string{"sent", "failed", "pending", "acknowledged", "escalated"}

// MaxEscalationLevel is the largest escalation_level.
const MaxEscalationLevel = 100

// notificationField is one member of a notification in a request.
type notificationField struct {
	name     string
	max      int // characters; 0 when it is not a free text
	required bool
	allowed  []string
	target   func(*Notification) *string
}

var notificationFields = []notificationField{
	{"remediation_id", 255, true, nil, func(n *Notification) *string { return &n.RemediationID }},
	{"notification_id", 255, true, nil, func(n *Notification) *string { return &n.NotificationID }},
	{"recipient", 500, true, nil, func(n *Notification) *string { return &n.Recipient }},
	{"channel", 0, true, Channels, func(n *Notification) *string { return &n.Channel }},
	{"message_summary", 1000, true, nil, func(n *Notification) *string { return &n.MessageSummary }},
	{"status", 0, true, NotificationStatuses, func(n *Notification) *string { return &n.Status }},
	{"delivery_status", 255, false, nil, func(n *Notification) *string { return &n.DeliveryStatus }},
	{"error_message", 1000, false, nil, func(n *Notification) *string { return &n.ErrorMessage }},
}

// DecodeNotification reads one notification from a request body. The error is an *Error with CodeValidation that names
// every bad field. CreatedAt and UpdatedAt are now.
func (r *Rules) DecodeNotification(raw []byte, now time.Time) (*Notification, error) {
	members, bad, err := decodeObject(raw)
	if err != nil {
		return nil, err
	}
	n := &Notification{CreatedAt: truncate(now), UpdatedAt: truncate(now)}
	found := faults{}
	take := func(name string, decode func(jsontext.Value) string) {
		fault := bad[name]
		delete(bad, name)
		if fault == "" {
			fault = decode(members[name])
		}
		if fault != "" {
			found[name] = name + " " + fault
		}
	}
	for i := range notificationFields {
		f := &notificationFields[i]
		take(f.name, func(raw jsontext.Value) string { return f.decode(raw, f.target(n)) })
	}
	take("sent_at", func(raw jsontext.Value) string { return n.decodeSentAt(raw, r, now) })
	take("escalation_level", n.decodeLevel)
	for _, fault := range bad {
		found[wholeObject] = "an unknown member of the body " + fault
	}
	if len(found) > 0 {
		return nil, found.err()
	}
	n.EventID = NotificationEventID(n.NotificationID)
	return n, nil
}

// decodeObject reads a JSON object into its members; null and "" are left out. What is wrong with a value is returned by
// name.
func decodeObject(raw []byte) (members map[string]jsontext.Value, bad map[string]string, err error) {
	d := borrowDecoder(raw)
	defer d.giveBack()
	if kind := d.dec.PeekKind(); kind != '{' {
		if kind == jsontext.KindInvalid {
			return nil, nil, d.syntaxError(d.invalid())
		}
		return nil, nil, Errorf(CodeValidation, "the body must be a JSON object")
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, nil, d.syntaxError(err)
	}
	members, bad = map[string]jsontext.Value{}, map[string]string{}
	for d.dec.PeekKind() != '}' {
		name, err := d.dec.ReadToken()
		if err != nil {
			return nil, nil, d.syntaxError(err)
		}
		key := name.String()
		value, err := d.dec.ReadValue()
		if err != nil {
			return nil, nil, d.syntaxError(err)
		}
		fault := checkValue(value)
		if strings.ContainsRune(key, 0) {
			fault = "must not contain U+0000"
		}
		switch {
		case fault != "":
			bad[key] = fault
		case string(value) != "null" && string(value) != `""`:
			members[key] = value.Clone()
		}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, nil, d.syntaxError(err)
	}
	return members, bad, d.end()
}

func (f *notificationField) decode(raw jsontext.Value, target *string) string {
	if raw == nil {
		if f.required {
			return "is required"
		}
		return ""
	}
	s, ok := unquote(raw)
	*target = s
	switch {
	case f.allowed != nil && (!ok || !slices.Contains(f.allowed, s)):
		return "must be one of: " + strings.Join(f.allowed, ", ")
	case !ok:
		return "must be a string"
	case f.required && strings.TrimSpace(s) == "":
		return "is required and must not be blank"
	case f.max > 0 && utf8.RuneCountInString(s) > f.max:
		return "must be at most " + strconv.Itoa(f.max) + " characters"
	}
	return ""
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
	level, err := strconv.Atoi(string(raw))
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return "must be an integer, written without fraction or exponent"
	case level < 0:
		return "must be at least 0"
	case level > MaxEscalationLevel:
		return "must be at most " + strconv.Itoa(MaxEscalationLevel)
	}
	n.EscalationLevel = level
	return ""
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
