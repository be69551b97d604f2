package ledger

import (
	"context"

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

// notificationRecords compares every notification record with its event. Its times of creation and change are the
// record's own and are not in the ledger.
func (a *auditor) notificationRecords(ctx context.Context) error {
	return a.src.Notifications(ctx, func(r *NotificationRow) error {
		a.notifications++
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
}

// notification compares a record with the body of its event, which the scanner has read.
func (a *auditor) notification(r *NotificationRow) {
	var d notificationData
	if json.Unmarshal(a.scanner.data, &d) != nil || r.EventID != uuid.NewSHA1(datastorage.Namespace, []byte("notification:"+d.NotificationID)) {
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
