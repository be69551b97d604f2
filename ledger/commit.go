package ledger

import (
	"errors"
	"time"

	"github.com/datastorage-io/datastorage"
)

// Commit is one row of ledger_commits: what one transaction added to the log.
type Commit struct {
	FirstIndex int64 // log_index of the first event, and the size of the log before
	NextIndex  int64 // the size of the log after
	// PrevFirst and PrevRoot are the FirstIndex and Root of the commit before; zero and EmptyRoot when FirstIndex is 0.
	// They are not stored: a store checks that this very commit is the one before, so that a log which lost its tail
	// cannot be continued with a gap.
	PrevFirst int64
	PrevRoot  Hash
	// Entries are the concatenated entries of the events FirstIndex … NextIndex−1, EntrySize bytes each.
	Entries []byte
	// Range is the compact range of the log of size NextIndex; see Range.AppendTo.
	Range []byte
	// Root is the root hash of the log of size NextIndex.
	Root Hash
	// MinTime and MaxTime are the least and greatest event_timestamp of the commit's events.
	MinTime, MaxTime time.Time
	// CommittedAt is the committer's clock, whole microseconds; information only, outside the proof.
	CommittedAt time.Time
}

// Head is the end of the log: the zero value is an empty log.
type Head struct {
	// First is the FirstIndex of the last commit; 0 in an empty log too.
	First int64
	Range Range
}

// Size is the number of events in the log.
func (h *Head) Size() int64 { return h.Range.Size() }

// Receipt is what a producer gets for an event: it can check, later and elsewhere, that the log still holds it.
type Receipt struct {
	LogIndex int64
	TreeSize int64
	Root     Hash
}

// NewCommit returns the commit that appends records to a log that ends at head, and the head behind it. It leaves head
// as it is.
func NewCommit(head *Head, records []*datastorage.Record, now time.Time) (*Commit, Head) {
	next := Head{First: head.Size(), Range: head.Range.Clone()}
	c := &Commit{
		FirstIndex:  head.Size(),
		PrevFirst:   head.First,
		PrevRoot:    head.Range.Root(),
		Entries:     make([]byte, 0, len(records)*EntrySize),
		CommittedAt: now.UTC().Truncate(time.Microsecond),
	}
	for i, r := range records {
		start := len(c.Entries)
		c.Entries = AppendEntry(c.Entries, r.ID, r.Commitment)
		next.Range.Append(LeafHash(c.Entries[start:]))
		if i == 0 || r.Time.Before(c.MinTime) {
			c.MinTime = r.Time
		}
		if i == 0 || r.Time.After(c.MaxTime) {
			c.MaxTime = r.Time
		}
	}
	c.NextIndex = next.Size()
	c.Range = next.Range.AppendTo(nil)
	c.Root = next.Range.Root()
	return c, next
}

// Faults of a commit that the committer can act on. Every other error of a store is either a *datastorage.Error with
// CodeUnavailable (nothing is known to be stored, the store may be back soon) or a fault of the commit's content.
var (
	// ErrHeadMoved says that the log does not end where the commit begins, or not with the commit that it follows: another
	// replica was first, or the store lost commits. Nothing was stored.
	ErrHeadMoved = errors.New("the head of the log has moved")
	// ErrDuplicateID says that one of the commit's event_ids is taken. Nothing was stored.
	ErrDuplicateID = errors.New("an event_id is stored already")
	// ErrOutcomeUnknown says that the connection ended before the answer to the commit came: it is stored, or not, or
	// may still be. Only reading the log at FirstIndex, or committing there again, decides it.
	ErrOutcomeUnknown = errors.New("the outcome of the commit is unknown")
)
