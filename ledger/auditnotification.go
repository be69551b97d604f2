package ledger

import (
	"context"
	"encoding/json"

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
		if r.Body == nil || a.lost.bad[r.LogIndex] || a.scanner.scan(r.Body) != nil || a.scanner.id != r.EventID {
			return nil
		}
		var d notificationData
		if err := json.Unmarshal(a.scanner.data, &d); err != nil {
			a.alteredNotification(r, "event_id", "of another kind")
			return nil
		}
		a.notification(r, &d)
		return nil
	})
}

func (a *auditor) notification(r *NotificationRow, d *notificationData) {
	if r.EventID != uuid.NewSHA1(datastorage.Namespace, []byte("notification:"+d.NotificationID)) {
		a.alteredNotification(r, "event_id", "that of another notification")
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
			a.alteredNotification(r, field.name, "")
		}
	}
}

func (a *auditor) alteredNotification(r *NotificationRow, field, instead string) {
	if instead != "" {
		a.faults.add(AlteredNotification, field, r.LogIndex, r.EventID, "the event of the notification record %d is %s", r.ID, instead)
		return
	}
	a.faults.add(AlteredNotification, field, r.LogIndex, r.EventID, "%s of the notification record %d differs from its event", field, r.ID)
}
