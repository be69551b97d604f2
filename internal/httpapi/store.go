package httpapi

import (
	"context"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// Reader is what the API reads from a store. Every read sees all events that were acknowledged before it began. Errors
// are *datastorage.Error: CodeUnavailable when the store cannot be reached or took longer than its query time-out,
// CodeNotFound where a method says so.
type Reader interface {
	// Events returns one page of a query.
	Events(ctx context.Context, q datastorage.EventQuery) (datastorage.EventPage, error)

	// Event reads one event with its salt; CodeNotFound when the id was never stored or the event was removed.
	Event(ctx context.Context, id uuid.UUID) (datastorage.StoredEvent, error)

	// Correlation calls yield with each event of a correlation_id, oldest first (event_timestamp, then event_id), until
	// yield returns an error, which it returns. The header is only valid during the call.
	Correlation(ctx context.Context, correlationID string, yield func(*datastorage.EventHeader) error) error

	// Notifications returns one page of notification records.
	Notifications(ctx context.Context, q datastorage.NotificationQuery) (datastorage.NotificationPage, error)

	// QueueReports lists what the servers on the store tell of their dead-letter queues, by host and replica.
	QueueReports(ctx context.Context) ([]deadletter.Report, error)

	// Ping reports whether the store answers.
	Ping(ctx context.Context) error
}
