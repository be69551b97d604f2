package ledger

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// notificationData is the event_data of a notification's event.
type notificationData struct {
	Channel         string `json:"channel"`
	DeliveryStatus  string `json:"delivery_status"`
	ErrorMessage    string `json:"error_message"`
	EscalationLevel int    `json:"escalation_level"`
	MessageSummary  string `json:"message_summary"`
	NotificationID  string `json:"notification_id"`
	Recipient       string `json:"recipient"`
	RemediationID   string `json:"remediation_id"`
	Status          string `json:"status"`
}

const (
	// notificationPrefix is what the event_type of a notification's event begins with.
	notificationPrefix = "notification.message."
	// maxExpected is how many events wait for their records before these are looked for.
	maxExpected = 1 << 17
)

// expectNotification notes the event that the scanner has read when it stands for a notification, whose record was stored
// with it. An event that was committed long after it happened may have been imported, without a record.
func (a *auditor) expectNotification(index, committed int64) {
	s := &a.scanner
	kind := s.texts[ColumnType]
	if kind.escaped || !bytes.HasPrefix(kind.raw, []byte(notificationPrefix)) || committed-s.time > recordedWithin.Microseconds() {
		return
	}
	var d notificationData
	if json.Unmarshal(s.data, &d) == nil && s.id == datastorage.NotificationEventID(d.NotificationID) {
		a.expected[s.id] = index
	}
}

// lookForNotifications looks for the records of the events that wait for them.
func (a *auditor) lookForNotifications(ctx context.Context) error {
	if err := a.src.Notifications(ctx, func(r *NotificationRow) error { a.foundNotification(r); return nil }); err != nil {
		return err
	}
	a.missingNotifications()
	return nil
}

// foundNotification takes a record as that of its event, also when it names another.
func (a *auditor) foundNotification(r *NotificationRow) {
	delete(a.expected, r.EventID)
	delete(a.expected, datastorage.NotificationEventID(r.NotificationID))
}

// missingNotifications names the events whose records were not found.
func (a *auditor) missingNotifications() {
	byIndex := func(x, y uuid.UUID) int { return cmp.Compare(a.expected[x], a.expected[y]) }
	for _, id := range slices.SortedFunc(maps.Keys(a.expected), byIndex) {
		a.faults.add(MissingNotification, "", a.expected[id], id, "the event stands for a notification whose record is not stored")
	}
	clear(a.expected)
}

// notificationRecords compares every notification record with its event. Its times of creation and change are the
// record's own and are not in the ledger.
func (a *auditor) notificationRecords(ctx context.Context) error {
	err := a.src.Notifications(ctx, func(r *NotificationRow) error {
		a.notifications++
		a.foundNotification(r)
		switch {
		case a.ids.named[r.EventID]:
			// event_ids is what is wrong.
			return nil
		case !r.Known:
			a.faults.add(NotificationWithoutEvent, "", -1, r.EventID, "the notification record %d names an event that event_ids does not hold", r.ID)
			return nil
		}
		// A row that is missing or wrong is a fault of the event, which is named there.
		if r.Body == nil || a.lost.bad[r.LogIndex] || !a.scanner.accepts(r.Body) || a.scanner.id != r.EventID {
			return nil
		}
		a.notification(r)
		return nil
	})
	if err == nil {
		a.missingNotifications()
	}
	return err
}

// notification compares a record with the body of its event, which the scanner has read.
func (a *auditor) notification(r *NotificationRow) {
	var d notificationData
	if json.Unmarshal(a.scanner.data, &d) != nil || r.EventID != datastorage.NotificationEventID(d.NotificationID) {
		a.faults.add(AlteredNotification, "event_id", r.LogIndex, r.EventID, "the event of the notification record %d is another's", r.ID)
		return
	}
	for _, field := range []struct {
		name string
		same bool
	}{
		{"channel", r.Channel == d.Channel},
		{"delivery_status", r.DeliveryStatus == d.DeliveryStatus},
		{"error_message", r.ErrorMessage == d.ErrorMessage},
		{"escalation_level", r.EscalationLevel == d.EscalationLevel},
		{"message_summary", r.MessageSummary == d.MessageSummary},
		{"notification_id", r.NotificationID == d.NotificationID},
		{"recipient", r.Recipient == d.Recipient},
		{"remediation_id", r.RemediationID == d.RemediationID},
		{"sent_at", r.SentAt.UnixMicro() == a.scanner.time},
		{"status", r.Status == d.Status},
	} {
		if !field.same {
			a.faults.add(AlteredNotification, field.name, r.LogIndex, r.EventID, "%s of the notification record %d differs from its event", field.name, r.ID)
		}
	}
}
