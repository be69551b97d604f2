package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/eventtype"
)

const (
	// maxDraftChanges and maxDraftBytes bound what one transaction changes: what reaches them takes no further request.
	maxDraftChanges = 500
	maxDraftBytes   = 4 << 20
)

// draft is a snapshot and what one transaction adds to it.
type draft struct {
	base      *Snapshot
	time      time.Time
	retention int

	changes []*datastorage.CatalogChange
	decoded []Change // the same
	events  []datastorage.Event
	bytes   int

	// What changes holds, as Snapshot finds it.
	workflows map[uuid.UUID]*datastorage.Workflow
	keys      map[string]*datastorage.Workflow
	actions   map[string]*datastorage.ActionType
	types     *eventtype.Registry
}

func newDraft(base *Snapshot, now time.Time, retention int) *draft {
	now = now.UTC().Truncate(time.Microsecond)
	if now.Before(base.Time()) {
		now = base.Time()
	}
	return &draft{
		base: base, time: now, retention: retention, workflows: map[uuid.UUID]*datastorage.Workflow{},
		keys: map[string]*datastorage.Workflow{}, actions: map[string]*datastorage.ActionType{}, types: base.EventTypes(),
	}
}

// take applies requests until the draft is full, at least one, and returns how many.
func (d *draft) take(waiting []*request) int {
	for n, r := range waiting {
		if n > 0 && d.isFull() {
			return n
		}
		r.err = r.apply(d)
	}
	return len(waiting)
}

func (d *draft) isFull() bool { return len(d.changes) >= maxDraftChanges || d.bytes >= maxDraftBytes }

func (d *draft) workflow(id uuid.UUID) (*datastorage.Workflow, bool) {
	if w, ok := d.workflows[id]; ok {
		return w, true
	}
	item, ok := d.base.Get(id)
	return item.Workflow, ok
}

// named returns the workflow with that name and a version of that meaning.
func (d *draft) named(name string, v datastorage.SemVer) (*datastorage.Workflow, bool) {
	if w, ok := d.keys[datastorage.WorkflowKey(name, v)]; ok {
		return w, true
	}
	return d.base.Has(name, v)
}

func (d *draft) actionType(name string) (*datastorage.ActionType, bool) {
	if a, ok := d.actions[name]; ok {
		return a, true
	}
	return d.base.ActionType(name)
}

// create adds a new workflow and returns it as it is stored. The error has datastorage.CodeConflict when its name and
// version are taken.
func (d *draft) create(sent *datastorage.Workflow, by Actor) (*datastorage.Workflow, error) {
	v, err := datastorage.ParseSemVer(sent.Version)
	if err != nil {
		return nil, datastorage.Invalid(map[string]string{"version": "version " + err.Error()})
	}
	if other, ok := d.named(sent.Name, v); ok {
		return nil, taken(sent, other)
	}
	w := *sent
	if w.ID, err = uuid.NewV7(); err != nil {
		return nil, datastorage.Unavailable(err, "the server cannot make an identifier")
	}
	w.CreatedAt, w.UpdatedAt = d.time, d.time
	if w.Status == datastorage.StatusDisabled {
		w.DisabledAt = d.time
	}
	key := datastorage.WorkflowKey(w.Name, v)
	change := d.add(datastorage.ChangeWorkflow, w.ID, key, datastorage.AppendWorkflow(nil, &w), Change{Workflow: &w})
	d.workflows[w.ID], d.keys[key] = &w, &w
	return &w, d.record(workflowEvent("created", &w, change, by, ""))
}

func taken(w, other *datastorage.Workflow) error {
	detail := fmt.Sprintf("the workflow %q has a version %s already", w.Name, w.Version)
	if w.Version != other.Version {
		detail += fmt.Sprintf(" (it was published as %s, which is the same)", other.Version)
	}
	return &datastorage.Error{
		Code: datastorage.CodeConflict, Detail: detail,
		Conflict: &datastorage.Conflict{Resource: "workflow", Field: "workflow_name, version", Value: w.Name + " " + w.Version},
	}
}

// setState gives a workflow the state that next makes of its present one, and returns it. A state that stays the same
// is no change.
func (d *draft) setState(
	id uuid.UUID, next func(datastorage.WorkflowState) datastorage.WorkflowState, by Actor,
) (*datastorage.Workflow, error) {
	old, ok := d.workflow(id)
	if !ok {
		return nil, datastorage.Errorf(datastorage.CodeNotFound, "no workflow has this workflow_id")
	}
	state := next(old.WorkflowState)
	if state == old.WorkflowState {
		return old, nil
	}
	w := *old
	w.WorkflowState = state
	change := d.add(datastorage.ChangeState, id, "", datastorage.AppendWorkflowState(nil, &state), Change{State: &state, WorkflowID: id})
	d.workflows[id] = &w
	act := "updated"
	if state.Status == datastorage.StatusDisabled && old.Status != datastorage.StatusDisabled {
		act = "disabled"
	}
	return &w, d.record(workflowEvent(act, &w, change, by, state.StatusReason))
}

// putActionType adds or replaces an action type.
func (d *draft) putActionType(sent *datastorage.ActionType, by Actor) (created bool, err error) {
	_, known := d.actionType(sent.Name)
	a := *sent
	a.UpdatedAt = d.time
	change := d.add(datastorage.ChangeActionType, uuid.Nil, "", datastorage.AppendActionType(nil, &a), Change{ActionType: &a})
	d.actions[a.Name] = &a
	act := "created"
	if known {
		act = "updated"
	}
	return !known, d.record(actionTypeEvent(act, &a, change, by))
}

// add appends a change.
func (d *draft) add(
	kind datastorage.CatalogChangeKind, id uuid.UUID, key string, document []byte, decoded Change,
) *datastorage.CatalogChange {
	change := &datastorage.CatalogChange{
		Version: d.base.Version() + int64(len(d.changes)) + 1, Time: d.time, Kind: kind, WorkflowID: id, Key: key, Document: document,
	}
	decoded.Version, decoded.Time = change.Version, change.Time
	d.changes, d.decoded = append(d.changes, change), append(d.decoded, decoded)
	d.bytes += len(document)
	return change
}

// record appends the event of a change.
func (d *draft) record(e datastorage.Event, err error) error {
	if err != nil {
		return err
	}
	e.Time, e.Retention = d.time, d.retention
	d.events = append(d.events, e)
	return nil
}

// digest is the SHA-256 of a document in hex digits.
func digest(document []byte) string {
	sum := sha256.Sum256(document)
	return hex.EncodeToString(sum[:])
}
