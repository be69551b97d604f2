package ledger

import (
	"context"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// Source is what an audit reads: a store's tables as they are, however wrong. It must not share query code with the
// store's other readers, so that an error there shows. No call keeps a transaction open for more than about a second.
// Rows that yield gets, and what they point to, are only valid during the call; an error of yield ends the reading and is
// returned as it is.
type Source interface {
	// Size returns next_index of the commit with the highest first_index, 0 when there is no commit.
	Size(ctx context.Context) (int64, error)

	// Commits returns up to limit commits with first_index >= from, in rising order of first_index.
	Commits(ctx context.Context, from int64, limit int) ([]CommitRow, error)

	// Events yields the rows of events with from <= log_index < to, in rising order of log_index.
	Events(ctx context.Context, from, to int64, yield func(*EventRow) error) error

	// EventIDs yields all rows of event_ids, in any order.
	EventIDs(ctx context.Context, yield func(*EventIDRow) error) error

	// Notifications yields all notification records with the bodies of their events, in any order.
	Notifications(ctx context.Context, yield func(*NotificationRow) error) error

	// LostCorrelations yields, in any order, what the store's own table of correlations holds and what leads to no event of
	// that correlation. A store whose engine keeps its index by correlation_id has no such table.
	LostCorrelations(ctx context.Context, yield func(*LostCorrelation) error) error

	// Changes yields the rows of catalog_changes with a version greater than after, in any order.
	Changes(ctx context.Context, after int64, yield func(*ChangeRow) error) error
}

// CommitRow is a row of ledger_commits as it is stored. Times are microseconds since 1970.
type CommitRow struct {
	FirstIndex, NextIndex int64
	Entries, Range, Root  []byte
	MinTime, MaxTime      int64
	CommittedAt           int64
}

// EventRow is a row of events as it is stored. NULL is nil; an empty value is not.
type EventRow struct {
	LogIndex int64
	Time     int64 // event_timestamp, microseconds since 1970
	ID       []byte
	ParentID []byte
	Texts    [Columns][]byte
	Salt     []byte
	Body     []byte
	Filed    Filing
}

// Filing says whether a query by its correlation_id finds the row of an event, and what is wrong when it does not. A store
// files its rows with a table of its own, which holds for each correlation_id the log_index at which the correlation
// begins; where the engine keeps the whole index, each row is found.
type Filing int

const (
	// Found is the row that a query finds.
	Found Filing = iota
	// MisfiledColumn is one whose column correlation_first does not hold where its correlation begins.
	MisfiledColumn
	// MisfiledCorrelation is one whose correlation begins elsewhere than the table of correlations says.
	MisfiledCorrelation
	// UnknownCorrelation is one whose correlation_id the table of correlations does not hold.
	UnknownCorrelation
)

// LostCorrelation is a row of the table of correlations that leads to no event of its correlation.
type LostCorrelation struct {
	ID         []byte
	FirstIndex int64
	// Row says that an event stands at FirstIndex, if one of another correlation.
	Row bool
}

// EventIDRow is a row of event_ids as it is stored.
type EventIDRow struct {
	ID       []byte
	LogIndex int64
	Time     int64 // event_timestamp, microseconds since 1970
}

// NotificationRow is a notification record as it is stored.
type NotificationRow struct {
	datastorage.Notification
	// Known says that event_ids holds the event.
	Known bool
	// LogIndex is that of the event when it is known.
	LogIndex int64
	// Body is that of the event's row; nil when there is none.
	Body []byte
}

// ChangeRow is a row of catalog_changes as it is stored.
type ChangeRow struct {
	Version    int64
	Time       int64 // changed_at, microseconds since 1970
	Kind       []byte
	WorkflowID []byte // nil when there is none
	Document   []byte
}

// id returns the stored event_id, the nil UUID when it has not the length of one.
func (r *EventRow) id() uuid.UUID { return asID(r.ID) }

func asID(b []byte) (id uuid.UUID) {
	if len(b) == len(id) {
		copy(id[:], b)
	}
	return id
}
