package catalog

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/eventtype"
)

// PutEventType says how the next version of an event type is stored.
type PutEventType struct {
	// IfVersion is the newest version that the sender knows, 0 when none is stored; nil when it does not matter.
	IfVersion *int64
	// Forced says that stored events were not checked against the schema; the audit event records it.
	Forced bool
}

// PutEventType stores the next version of an event type, whose fields are valid and whose schema compiles, and returns it
// as it is stored. When the newest version says the same already nothing is stored, and that version is returned. Errors
// are *datastorage.Error: CodePrecondition when the newest version is another than IfVersion, CodeConflict when there are
// too many types, CodeUnavailable when the store does not take the change in time.
func (k *Keeper) PutEventType(
	ctx context.Context, t *datastorage.EventType, how PutEventType, by Actor,
) (stored *datastorage.EventType, changed bool, err error) {
	err = k.do(ctx, func(d *draft) (err error) {
		stored, changed, err = d.putEventType(t, how, by)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return stored, changed, nil
}

// VersionMoved is the error for an event type whose newest version is not the one that the sender knows.
func VersionMoved(newest, known int64) error {
	return datastorage.Errorf(datastorage.CodePrecondition, "the newest version of this event type is %d, not %d: read it again", newest, known)
}

// putEventType adds the next version of an event type.
func (d *draft) putEventType(sent *datastorage.EventType, how PutEventType, by Actor) (t *datastorage.EventType, changed bool, err error) {
	newest, known := d.types.Get(sent.Name)
	last := int64(0)
	if known {
		last = newest.Version
	}
	switch {
	case how.IfVersion != nil && *how.IfVersion != last:
		return nil, false, VersionMoved(last, *how.IfVersion)
	case last > 0 && newest.SameContent(sent):
		return newest, false, nil
	case last == 0 && d.types.Len() >= eventtype.MaxTypes:
		return nil, false, &datastorage.Error{
			Code: datastorage.CodeConflict, Detail: fmt.Sprintf("%d event types are stored, which is the most", eventtype.MaxTypes),
			Conflict: &datastorage.Conflict{Resource: "event_type", Field: "event_type", Value: sent.Name},
		}
	}
	next := *sent
	next.Version, next.UpdatedAt, next.UpdatedBy = last+1, d.time, by.ID
	types, err := d.types.Add(&next)
	if err != nil {
		return nil, false, err
	}
	change := d.add(datastorage.ChangeEventType, uuid.Nil, datastorage.EventTypeKey(next.Name, next.Version),
		datastorage.AppendEventType(nil, &next), Change{EventType: &next})
	d.types = types
	return &next, true, d.record(eventTypeEvent(&next, change, how.Forced, by))
}
