package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// FaultKind says what is wrong with a record. Its text is part of the output of "datastorage verify".
type FaultKind string

// The kinds of faults that an audit names.
const (
	// AlteredBody: the row's body or salt is not what was committed; both enter the commitment, so either may be.
	AlteredBody FaultKind = "altered body"
	// MalformedBody: what was committed is not a canonical body, so another program than this one wrote it.
	MalformedBody FaultKind = "malformed body"
	// AlteredColumn: an indexed column differs from the body, or from where the event's correlation begins; Part names it.
	AlteredColumn FaultKind = "altered column"
	// MissingRow: the log holds an entry, and no row stands for it.
	MissingRow FaultKind = "missing row"
	// RowWithoutEntry: a row of an event that was never committed to the log.
	RowWithoutEntry FaultKind = "row without entry"
	// DuplicateRow: one more row for a log_index that has its row, in events or in event_ids.
	DuplicateRow FaultKind = "duplicate row"
	// WrongPosition: the unaltered row of another log_index.
	WrongPosition FaultKind = "wrong position"
	// MissingEventID: event_ids does not hold the event.
	MissingEventID FaultKind = "missing event id"
	// AlteredEventID: event_ids holds the event with another log_index or event_timestamp; Part names which.
	AlteredEventID FaultKind = "altered event id"
	// EventIDWithoutEntry: event_ids holds an event that the log does not.
	EventIDWithoutEntry FaultKind = "event id without entry"
	// AlteredCorrelation: the store's table of correlations says that a correlation begins elsewhere than it does, so that
	// queries by its correlation_id find none of its events. The fault stands at the first of them.
	AlteredCorrelation FaultKind = "altered correlation"
	// MissingCorrelation: the store's table of correlations does not hold the correlation_id of events.
	MissingCorrelation FaultKind = "missing correlation"
	// CorrelationWithoutEvent: the store's table of correlations says that a correlation begins where no event of it stands.
	CorrelationWithoutEvent FaultKind = "correlation without event"
	// CommitEdited: one part of a commit row contradicts the others; Part names it.
	CommitEdited FaultKind = "commit edited"
	// RootMismatch: the entries up to this commit do not hash to its root, and which of them is wrong cannot be told.
	RootMismatch FaultKind = "root mismatch"
	// CommitGap: commits are missing.
	CommitGap FaultKind = "gap in commits"
	// AnchorMismatch: the log is not the one that the anchor was taken from.
	AnchorMismatch FaultKind = "anchor does not match"
	// AlteredNotification: a notification record differs from its event; Part names the field.
	AlteredNotification FaultKind = "altered notification"
	// NotificationWithoutEvent: the event of a notification record does not exist.
	NotificationWithoutEvent FaultKind = "notification without event"
	// MissingNotification: the record of a notification that an event stands for is not stored.
	MissingNotification FaultKind = "missing notification"
	// AlteredChange: a change of the catalogue differs from the event that records it; Part names the column.
	AlteredChange FaultKind = "altered change"
	// MissingChange: a change of the catalogue that an event records, or that others follow, is not stored.
	MissingChange FaultKind = "missing change"
	// ChangeWithoutEvent: no event records a change of the catalogue.
	ChangeWithoutEvent FaultKind = "change without event"
)

// Fault is one thing that is wrong.
type Fault struct {
	Kind FaultKind `json:"kind"`
	// Part is the column, field or part of a commit that is meant; "" when the kind has none.
	Part string `json:"part,omitempty"`
	// LogIndex is where the fault is; -1 when it has no place in the log.
	LogIndex int64 `json:"log_index"`
	// EventID is the event that is meant; the nil UUID when it is not known or there is none.
	EventID uuid.UUID `json:"event_id,omitzero"`
	// Detail is a plain sentence.
	Detail string `json:"detail"`
}

// String returns the fault in one line.
func (f Fault) String() string {
	s := string(f.Kind)
	if f.Part != "" {
		s += " (" + f.Part + ")"
	}
	if f.LogIndex >= 0 {
		s += fmt.Sprintf(", log_index %d", f.LogIndex)
	}
	if f.EventID != uuid.Nil {
		s += ", event " + f.EventID.String()
	}
	return s + ": " + f.Detail
}

// faultList counts every fault and keeps the first ones.
type faultList struct {
	limit int
	list  []Fault
	count int64
	kinds map[FaultKind]int64
}

func (l *faultList) add(kind FaultKind, part string, index int64, id uuid.UUID, format string, args ...any) {
	if l.kinds == nil {
		l.kinds = map[FaultKind]int64{}
	}
	l.count++
	l.kinds[kind]++
	if len(l.list) < l.limit {
		l.list = append(l.list, Fault{kind, part, index, id, fmt.Sprintf(format, args...)})
	}
}

// sorted returns the listed faults in log order.
func (l *faultList) sorted() []Fault {
	slices.SortStableFunc(l.list, func(a, b Fault) int { return cmp.Compare(a.LogIndex, b.LogIndex) })
	return l.list
}
