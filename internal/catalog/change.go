package catalog

import (
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// Change is a datastorage.CatalogChange whose document is decoded. Exactly one of Workflow, State, ActionType and
// EventType is set,
// and belongs to the catalogue from then on: whoever made it must not change it.
type Change struct {
	// Version is one more than that of the change before it; the first is 1.
	Version int64
	// Time is never before that of the change before it.
	Time time.Time

	Workflow *datastorage.Workflow
	// State is the new state of the workflow WorkflowID.
	State      *datastorage.WorkflowState
	WorkflowID uuid.UUID
	ActionType *datastorage.ActionType
	EventType  *datastorage.EventType
}

// history is all changes of a catalogue, the last ones first.
type history struct {
	before  *history
	changes []Change
}

// until returns the changes from the first up to the last that keep says yes to.
func (h *history) until(keep func(*Change) bool) []Change {
	var parts [][]Change
	for ; h != nil; h = h.before {
		parts = append(parts, h.changes)
	}
	var all []Change
	for i := len(parts) - 1; i >= 0; i-- {
		for n := range parts[i] {
			if !keep(&parts[i][n]) {
				return all
			}
			all = append(all, parts[i][n])
		}
	}
	return all
}
