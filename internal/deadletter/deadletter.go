// Package deadletter keeps the writes that were acknowledged while the store could not take them, until they are
// stored. What Put has taken is durable; nothing is ever dropped: a message leaves a queue only when its event is
// stored, or when an administrator discards it from the quarantine.
package deadletter

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// Message is one event on its way to the store, with its notification record when it stands for one.
type Message struct {
	// ID is the message's place in its queue, in order of arrival: what is put later sorts behind, as text. The queue sets
	// it in Put.
	ID string
	// EventID and CorrelationID are those of the event.
	EventID       uuid.UUID
	CorrelationID string
	// Body is the canonical body of the event, and Salt its salt: the event that is stored later has exactly this
	// commitment, so that a write whose outcome was unknown is recognised.
	Body []byte
	Salt [datastorage.SaltSize]byte
	// Sent are the fields that came from the producer. They alone count when the event_id turns out to be stored with
	// other content.
	Sent datastorage.FieldSet
	// Notification is the record that is stored with the event; nil for other events.
	Notification *datastorage.Notification
	// QueuedAt is when the message was acknowledged, UTC.
	QueuedAt time.Time
	// Cause says, for a person, why the store did not take the event.
	Cause string
}

// Record returns the event as the committer takes it.
func (m *Message) Record() (*datastorage.Record, error) {
	e, err := datastorage.ParseBody(m.Body)
	if err != nil {
		return nil, err
	}
	e.Sent = m.Sent
	r := &datastorage.Record{Event: *e, Body: m.Body, Salt: m.Salt, Commitment: datastorage.Commitment(m.Salt, m.Body)}
	r.Data = nil
	return r, nil
}

// Letter is a message in the quarantine: the store refuses it for its content.
type Letter struct {
	Message
	// Reason says, for a person, what the store objects to.
	Reason string
	// QuarantinedAt is when it was set aside, UTC.
	QuarantinedAt time.Time
}

// Stats is the state of a queue.
type Stats struct {
	// Depth is the number of messages that wait to be stored; Bytes is what the queue takes, on disk or in Redis.
	Depth int64
	Bytes int64
	// Notifications is the part of Depth that a queue keeps apart as notifications; zero when it keeps all together.
	Notifications int64
	// Capacity is the number of bytes at which the queue is full.
	Capacity int64
	// Oldest is the QueuedAt of the first message that waits; zero when none does.
	Oldest time.Time
	// Quarantined is the number of letters.
	Quarantined int64
}

// Errors of a queue. ErrNotFound is also what a method says of a message that is gone meanwhile.
var (
	// ErrFull says that the queue cannot take the messages within its bounds. Nothing was put.
	ErrFull = errors.New("the dead-letter queue is full")
	// ErrConflict says that the queue holds a message with the same EventID and another body. Nothing was put.
	ErrConflict = errors.New("the dead-letter queue holds this event_id with other content")
	// ErrNotFound says that there is no such letter.
	ErrNotFound = errors.New("there is no such dead letter")
)

// Queue keeps messages. All methods may be called concurrently. Every
// change is durable when the method returns nil; an error other than those above means that nothing is known to be
// changed, and calling again is safe.
type Queue interface {
	// Put appends messages, all or none, in their order, and sets the IDs of those that it appended. A message whose
	// EventID waits in the queue already counts as put: when its Sent fields equal the waiting one's content nothing is
	// appended for it and its ID stays empty, else the whole call is ErrConflict. Many callers share one sync to disk.
	Put(ctx context.Context, messages []*Message) error

	// Oldest returns up to limit waiting messages, oldest first: fewer than wait when they are large, but at least one if any
	// waits.
	Oldest(ctx context.Context, limit int) ([]*Message, error)

	// Remove takes messages that are stored out of the queue. Unknown ids are ignored.
	Remove(ctx context.Context, ids []string) error

	// Holds reports, for each event_id, whether a message with it waits.
	Holds(ctx context.Context, eventIDs []uuid.UUID) (map[uuid.UUID]bool, error)

	// HoldsCorrelations reports, for each correlation_id, whether a message with it waits. What was put, by whatever server,
	// before the call began is seen. In a queue that is shared, many callers share one look-up.
	HoldsCorrelations(ctx context.Context, correlationIDs []string) (map[string]bool, error)

	// Waiting calls yield with the correlation_id of every waiting message; one with several messages comes several times.
	Waiting(ctx context.Context, yield func(correlationID string)) error

	// Quarantine moves a waiting message to the quarantine, where it keeps its ID, or returns ErrNotFound.
	Quarantine(ctx context.Context, id string, reason string) error

	// Letters returns up to limit letters of the quarantine behind the given id ("" for the first), in order of id.
	Letters(ctx context.Context, after string, limit int) ([]Letter, error)

	// Letter returns one letter, or ErrNotFound.
	Letter(ctx context.Context, id string) (Letter, error)

	// Replay moves a letter back to the end of the waiting messages, with a new ID, or returns ErrNotFound. While a message
	// with the same EventID waits it returns ErrConflict, and the letter stays.
	Replay(ctx context.Context, id string) error

	// Discard removes a letter for good, or returns ErrNotFound.
	Discard(ctx context.Context, id string) error

	// Stats returns the state of the queue.
	Stats(ctx context.Context) (Stats, error)

	// Lead waits until the caller is the one that redrives the queue, or ctx ends. The context it returns ends with ctx, and
	// when the lead is lost or the queue closed; release, which may be called twice, gives the lead up. A queue that belongs
	// to one process has no other to wait for.
	Lead(ctx context.Context) (lead context.Context, release func(), err error)

	// Shared reports whether several servers put messages into this queue.
	Shared() bool

	// Close ends the use of the queue. What was put stays.
	Close() error
}
