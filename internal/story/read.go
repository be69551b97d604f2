package story

import (
	"context"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// Source is what is read of a store. Both methods see all events that were acknowledged before they were called. Errors
// are *datastorage.Error and are returned as they are, so that a store that is away is never an empty story.
type Source interface {
	// Events returns one page of a query.
	Events(ctx context.Context, q datastorage.EventQuery) (datastorage.EventPage, error)
	// Event reads one event; CodeNotFound when it was never stored or was removed.
	Event(ctx context.Context, id uuid.UUID) (datastorage.StoredEvent, error)
}

const (
	// MaxEvents is how many events of a correlation are read, the oldest ones.
	MaxEvents = 10_000
	// pageEvents is how many events are in memory with their bodies at once.
	pageEvents = 100
)

// read is what reading a correlation found.
type read struct {
	size      int64 // of the log when reading began
	count     int
	truncated bool // there are more than MaxEvents
}

// readAll calls yield with each event of a correlation, oldest first by event_timestamp, then event_id. typePrefix is
// that of the event types to read, "" for all; size restricts the log, 0 for all of it now.
func readAll(ctx context.Context, src Source, correlationID, typePrefix string, size int64, yield func(*datastorage.Event, *project.Event) error) (read, error) {
	r := read{size: size}
	q := datastorage.EventQuery{
		CorrelationID: correlationID, EventType: typePrefix, EventTypePrefix: typePrefix != "",
		Ascending: true, Limit: pageEvents, Size: size, Count: datastorage.CountNone,
	}
	for {
		page, err := src.Events(ctx, q)
		if err != nil {
			return r, err
		}
		r.size, q.Size = page.Size, page.Size
		for i := range page.Events {
			if r.count == MaxEvents {
				r.truncated = true
				return r, nil
			}
			fields, e, err := parse(&page.Events[i])
			if err != nil {
				return r, err
			}
			if err := yield(fields, e); err != nil {
				return r, err
			}
			r.count++
		}
		if !page.HasMore {
			return r, nil
		}
		last := page.Events[len(page.Events)-1]
		q.After = &datastorage.Position{Time: last.Time, ID: last.ID}
	}
}

// parse reads the fields of a stored event.
func parse(stored *datastorage.StoredEvent) (*datastorage.Event, *project.Event, error) {
	f, err := datastorage.ParseBody(stored.Body)
	if err != nil {
		return nil, nil, &datastorage.Error{Code: datastorage.CodeInternal, Detail: "a stored event cannot be read", Cause: err}
	}
	return f, &project.Event{
		EventHeader: datastorage.EventHeader{
			LogIndex: stored.LogIndex, ID: stored.ID, ParentID: f.ParentID, Time: stored.Time, Type: f.Type, Category: f.Category,
			Outcome: f.Outcome, Severity: f.Severity, ActorType: f.ActorType, ActorID: f.ActorID, ResourceType: f.ResourceType,
			ResourceID: f.ResourceID, Namespace: f.Namespace, ClusterName: f.ClusterName, CorrelationID: f.CorrelationID,
		},
		Body: stored.Body,
	}, nil
}

// NotFound is the error of a correlation_id that no event has.
func NotFound() error {
	return datastorage.Errorf(datastorage.CodeNotFound, "no event has this correlation_id")
}
