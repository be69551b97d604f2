package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// ImportItem is one thing to import. Exactly one of its fields is set, and valid.
type ImportItem struct {
	Workflow   *datastorage.Workflow
	ActionType *datastorage.ActionType
}

// Outcome says what became of an ImportItem.
type Outcome string

// The outcomes of an import.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"   // an action type with other content
	Unchanged Outcome = "unchanged" // the same content is there
	Conflict  Outcome = "conflict"  // the version is there with other content, which never changes
)

// Imported is the result for one ImportItem.
type Imported struct {
	Outcome Outcome
	// WorkflowID is that of the workflow that is stored, also for Unchanged and Conflict; the nil UUID for an action type,
	// and for what a dry run would create.
	WorkflowID uuid.UUID
	// Detail says what is in conflict; "" otherwise.
	Detail string
}

// ImportOptions say how to import.
type ImportOptions struct {
	// DryRun finds out what would become of the items and stores nothing.
	DryRun bool
	By     Actor
	// Progress is told after each transaction how many items are done; nil is allowed.
	Progress func(done int)
}

// Import stores items in their order, in several transactions, and returns what became of each. Run again it changes
// nothing: what is there with the same content is Unchanged. The error is one of Create's for a transaction; the results
// of the items before it, which are stored, come with it.
func (k *Keeper) Import(ctx context.Context, items []ImportItem, opts ImportOptions) ([]Imported, error) {
	if opts.DryRun {
		return k.dryRun(items, opts.By)
	}
	var results []Imported
	for len(results) < len(items) {
		if err := ctx.Err(); err != nil {
			return results, err
		}
		var some []Imported
		err := k.do(ctx, func(d *draft) (err error) {
			some, err = d.importItems(items[len(results):], opts.By, d.isFull)
			return err
		})
		if err != nil {
			return results, err
		}
		results = append(results, some...)
		if opts.Progress != nil {
			opts.Progress(len(results))
		}
	}
	return results, nil
}

// dryRun finds out what would become of items.
func (k *Keeper) dryRun(items []ImportItem, by Actor) ([]Imported, error) {
	base := k.Snapshot()
	d := newDraft(base, k.now(), k.opts.Retention)
	results, err := d.importItems(items, by, func() bool { return false })
	for i := range results {
		if _, stored := base.Get(results[i].WorkflowID); !stored {
			results[i].WorkflowID = uuid.Nil
		}
	}
	return results, err
}

// importItems imports items until full says yes behind one.
func (d *draft) importItems(items []ImportItem, by Actor, full func() bool) ([]Imported, error) {
	var results []Imported
	for i := range items {
		result, err := d.importItem(&items[i], by)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
		if full() {
			break
		}
	}
	return results, nil
}

func (d *draft) importItem(item *ImportItem, by Actor) (Imported, error) {
	if item.ActionType != nil {
		return d.importActionType(item.ActionType, by)
	}
	stored, err := d.create(item.Workflow, by)
	if err == nil {
		return Imported{Outcome: Created, WorkflowID: stored.ID}, nil
	}
	if datastorage.CodeOf(err) != datastorage.CodeConflict {
		return Imported{}, err
	}
	return d.importKnown(item.Workflow)
}

// importKnown says what becomes of a workflow whose version is there.
func (d *draft) importKnown(w *datastorage.Workflow) (Imported, error) {
	v, err := datastorage.ParseSemVer(w.Version)
	if err != nil {
		return Imported{}, err
	}
	old, ok := d.named(w.Name, v)
	switch {
	case !ok:
		return Imported{}, errors.New("a workflow is there and cannot be found")
	case old.ContentHash == w.ContentHash:
		return Imported{Outcome: Unchanged, WorkflowID: old.ID}, nil
	}
	return Imported{
		Outcome: Conflict, WorkflowID: old.ID,
		Detail: fmt.Sprintf("version %s of %q is there with other content: publish the change as a new version", w.Version, w.Name),
	}, nil
}

func (d *draft) importActionType(a *datastorage.ActionType, by Actor) (Imported, error) {
	if old, ok := d.actionType(a.Name); ok && old.ContentHash == a.ContentHash {
		return Imported{Outcome: Unchanged}, nil
	}
	created, err := d.putActionType(a, by)
	if err != nil {
		return Imported{}, err
	}
	if created {
		return Imported{Outcome: Created}, nil
	}
	return Imported{Outcome: Updated}, nil
}
