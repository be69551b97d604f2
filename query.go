package datastorage

import (
	"time"

	"github.com/google/uuid"
)

// CountMode says how exact the total of a page is.
type CountMode int

const (
	// CountBounded counts up to CountBound matches.
	CountBounded CountMode = iota
	// CountExact counts all matches.
	CountExact
	// CountNone does not count.
	CountNone
)

// EventQuery selects audit events. Every filter that is set must match; the zero value of a filter matches all.
type EventQuery struct {
	CorrelationID string
	EventType     string
	// EventTypePrefix makes EventType a prefix.
	EventTypePrefix bool
	Category        string
	Outcome         string
	Severity        string
	Namespace       string
	ClusterName     string
	ActorID         string
	ActorType       string
	ResourceType    string
	ResourceID      string
	TraceID         string
	ParentID        uuid.UUID
	// DetailPath names nested members of event_data; empty when there is no such filter.
	DetailPath []string
	// DetailValue is compared with a string's value or with the literal text of a number or boolean.
	DetailValue string
	// Since and Until bound event_timestamp, both inclusive, in whole microseconds; zero means no bound.
	Since, Until time.Time

	// Ascending returns the oldest event first; the default is the newest first, by event_timestamp, then event_id.
	Ascending bool
	// Limit is the page size, 1 to MaxLimit.
	Limit int
	// Offset skips that many matches; it is 0 when After is set.
	Offset int64
	// After resumes behind this position of the same walk; nil starts at the beginning.
	After *Position
	// Size restricts the walk to events with log_index < Size; 0 means the size of the log when the page is read.
	Size  int64
	Count CountMode
}

// Position is a place in the order of events.
type Position struct {
	Time time.Time // event_timestamp, whole microseconds
	ID   uuid.UUID
}

// StoredEvent is an event as it is stored.
type StoredEvent struct {
	LogIndex int64
	ID       uuid.UUID
	Time     time.Time // event_timestamp, UTC, whole microseconds
	// Body is the canonical body; see AppendBody.
	Body []byte
	// Salt is only filled by reads of one event.
	Salt [SaltSize]byte
}

// EventPage is one page of a query.
type EventPage struct {
	Events []StoredEvent
	// HasMore says that another match follows.
	HasMore bool
	// Total is the number of matches; meaningless when the query does not count.
	Total int64
	// TotalIsLowerBound says that more than Total match.
	TotalIsLowerBound bool
	// Size is the size of the log that the page was read at.
	Size int64
}

// EventHeader is what the columns of a stored event say, without its body.
type EventHeader struct {
	LogIndex      int64
	ID            uuid.UUID
	ParentID      uuid.UUID // zero when there is none
	Time          time.Time
	Type          string
	Category      string
	Outcome       string
	Severity      string
	ActorType     string
	ActorID       string
	ResourceType  string
	ResourceID    string
	Namespace     string // "" when there is none
	ClusterName   string // "" when there is none
	CorrelationID string
}
