package deadletter

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// note is a notification record as queues keep it. Its members are part of their formats.
type note struct {
	ID              int64     `json:"id,omitzero"`
	RemediationID   string    `json:"remediation_id"`
	NotificationID  string    `json:"notification_id"`
	Recipient       string    `json:"recipient"`
	Channel         string    `json:"channel"`
	MessageSummary  string    `json:"message_summary"`
	Status          string    `json:"status"`
	SentAt          time.Time `json:"sent_at"`
	DeliveryStatus  string    `json:"delivery_status,omitzero"`
	ErrorMessage    string    `json:"error_message,omitzero"`
	EscalationLevel int       `json:"escalation_level"`
	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`
	EventID         uuid.UUID `json:"event_id"`
}

// EncodeNotification returns a notification record as the JSON object that queues keep.
func EncodeNotification(n *datastorage.Notification) (string, error) {
	text, err := json.Marshal((*note)(n))
	if err != nil {
		return "", fmt.Errorf("encode the notification: %w", err)
	}
	return string(text), nil
}

// DecodeNotification reads what EncodeNotification made.
func DecodeNotification(text string) (*datastorage.Notification, error) {
	var n note
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		return nil, fmt.Errorf("decode the notification: %w", err)
	}
	return (*datastorage.Notification)(&n), nil
}
