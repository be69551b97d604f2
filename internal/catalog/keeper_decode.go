package catalog

import (
	"fmt"

	"github.com/datastorage-io/datastorage"
)

// add returns the catalogue after changes that were read from a store.
func (s *Snapshot) add(changes []*datastorage.CatalogChange) (*Snapshot, error) {
	decoded, err := decode(changes)
	if err != nil {
		return nil, err
	}
	return s.Apply(decoded)
}

// decode reads the documents of changes.
func decode(changes []*datastorage.CatalogChange) ([]Change, error) {
	decoded := make([]Change, len(changes))
	for i, c := range changes {
		if err := decoded[i].decode(c); err != nil {
			return nil, fmt.Errorf("change %d of the catalogue: %w", c.Version, err)
		}
	}
	return decoded, nil
}

func (d *Change) decode(c *datastorage.CatalogChange) (err error) {
	d.Version, d.Time = c.Version, c.Time
	switch c.Kind {
	case datastorage.ChangeWorkflow:
		d.Workflow, err = datastorage.ParseWorkflow(c.Document)
		if err == nil && d.Workflow.ID != c.WorkflowID {
			err = fmt.Errorf("its document is of workflow %s, not %s", d.Workflow.ID, c.WorkflowID)
		}
	case datastorage.ChangeState:
		d.WorkflowID = c.WorkflowID
		d.State, err = datastorage.ParseWorkflowState(c.Document)
	case datastorage.ChangeActionType:
		d.ActionType, err = datastorage.ParseActionType(c.Document)
	case datastorage.ChangeEventType:
		d.EventType, err = datastorage.ParseEventType(c.Document)
	default:
		err = fmt.Errorf("%q is no kind of change that this version knows", c.Kind)
	}
	return err
}
