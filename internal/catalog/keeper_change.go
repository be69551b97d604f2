package catalog

import (
	"context"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// Create publishes a workflow, whose fields are valid, and returns it as it is stored, which the caller must not change.
// ID and times are the server's. The errors of Create, Patch and Disable are *datastorage.Error: CodeConflict when name
// and version are taken, CodeNotFound for a workflow_id that nobody has, CodeUnavailable when the store does not take the
// change in time.
func (k *Keeper) Create(ctx context.Context, w *datastorage.Workflow, by Actor) (*datastorage.Workflow, error) {
	return k.one(ctx, func(d *draft) (*datastorage.Workflow, error) { return d.create(w, by) })
}

// Patch changes the state of a workflow and returns it. A patch that changes nothing stores nothing.
func (k *Keeper) Patch(ctx context.Context, id uuid.UUID, p datastorage.WorkflowPatch, by Actor) (*datastorage.Workflow, error) {
	return k.one(ctx, func(d *draft) (*datastorage.Workflow, error) {
		return d.setState(id, func(s datastorage.WorkflowState) datastorage.WorkflowState { return s.Patch(p, d.time) }, by)
	})
}

// Disable disables a workflow and returns it. One that is disabled stays as it is, with its first time and reason.
func (k *Keeper) Disable(ctx context.Context, id uuid.UUID, r datastorage.WorkflowDisable, by Actor) (*datastorage.Workflow, error) {
	return k.one(ctx, func(d *draft) (*datastorage.Workflow, error) {
		return d.setState(id, func(s datastorage.WorkflowState) datastorage.WorkflowState { return s.Disable(r, d.time) }, by)
	})
}

// one makes a change of one workflow.
func (k *Keeper) one(ctx context.Context, apply func(*draft) (*datastorage.Workflow, error)) (*datastorage.Workflow, error) {
	var stored *datastorage.Workflow
	err := k.do(ctx, func(d *draft) (err error) {
		stored, err = apply(d)
		return err
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}
