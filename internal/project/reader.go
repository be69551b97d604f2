package project

import (
	"context"
	"fmt"

	"github.com/datastorage-io/datastorage"
)

// Reader reads the live tables of projections. It implements View.
type Reader struct {
	store    Store
	versions map[string]int
}

// NewReader returns a reader of projections.
func NewReader(store Store, projections []Projection) *Reader {
	r := &Reader{store: store, versions: map[string]int{}}
	for _, p := range projections {
		r.versions[p.Name()] = p.Version()
	}
	return r
}

// View implements View.
func (r *Reader) View(ctx context.Context, name string, f func(tx Tx, position int64) error) error {
	version, ok := r.versions[name]
	if !ok {
		return fmt.Errorf("there is no projection %q", name)
	}
	return r.store.Snapshot(ctx, func(tx Tx) error {
		g, err := liveGeneration(ctx, tx, name)
		if err != nil {
			return err
		}
		if g == nil || g.Version != version {
			return datastorage.Unavailable(nil, "what this reads is being derived from the log; try again in a minute")
		}
		return f(g.in(tx), g.Position)
	})
}

// liveGeneration reads the generation that serves reads; nil when there is none.
func liveGeneration(ctx context.Context, tx Tx, name string) (*Generation, error) {
	all, err := generations(ctx, tx, name)
	for i := range all {
		if all[i].State == live {
			return &all[i], err
		}
	}
	return nil, err
}
