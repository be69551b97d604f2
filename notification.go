package datastorage

import (
	"time"

	"github.com/google/uuid"
)

// Notification is the audit record of one message to a person. Each is also an event in the ledger.
type Notification struct {
	ID              int64 // from the store
	RemediationID   string
	NotificationID  string
	Recipient       string
	Channel         string
	MessageSummary  string
	Status          string
	SentAt          time.Time // UTC, whole microseconds
	DeliveryStatus  string    // "" when there is none
	ErrorMessage    string    // "" when there is none
	EscalationLevel int       // 0 to 100
	CreatedAt       time.Time
	UpdatedAt       time.Time
	EventID         uuid.UUID // the event that stands for it in the ledger
}

// NotificationQuery selects notifications, newest sent_at first, then id. The zero value of a filter matches all.
type NotificationQuery struct {
	RemediationID string
	Channel       string
	Status        string
	// Since and Until bound sent_at, both inclusive; zero means no bound.
	Since, Until time.Time
	Limit        int
	Offset       int64
	// AfterTime and AfterID resume behind this record; zero starts at the beginning.
	AfterTime time.Time
	AfterID   int64
	// MaxID restricts a walk to records with id <= MaxID; 0 means the largest id when the page is read.
	MaxID int64
	Count CountMode
}

// NotificationPage is one page of notifications.
type NotificationPage struct {
	Notifications     []Notification
	HasMore           bool
	Total             int64
	TotalIsLowerBound bool
	MaxID             int64
}
