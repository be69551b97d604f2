package project

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// BatchEvents is how many events a projection applies in one transaction, unless one commit holds more.
const BatchEvents = 5000

// ErrBuilding says that another process builds the projection.
var ErrBuilding = errors.New("another process builds this projection")

// Build makes new tables of a projection, applies the whole log to them, and puts them in the place of the live ones, which
// serve reads until then. It begins with removing what a build that was cut short has left. progress is called after each
// batch.
func Build(ctx context.Context, log Log, store Store, p Projection, progress func(*Batch)) error {
	led, err := store.Lead(ctx, "build-"+p.Name(), func(ctx context.Context) error {
		b := &build{log: log, store: store, projection: p}
		if err := b.begin(ctx); err != nil {
			return err
		}
		for {
			batch, err := b.step(ctx)
			if err != nil {
				return err
			}
			progress(batch)
			if batch.Next == batch.Size {
				return b.end(ctx)
			}
		}
	})
	if err == nil && !led {
		err = ErrBuilding
	}
	if err != nil {
		return fmt.Errorf("build %s: %w", p.Name(), err)
	}
	return nil
}

type build struct {
	log        Log
	store      Store
	projection Projection
	generation *Generation
}

// begin removes the generations that were left unfinished and creates the next one.
func (b *build) begin(ctx context.Context) error {
	return b.store.Update(ctx, func(tx Tx) error {
		all, err := generations(ctx, tx, b.projection.Name())
		if err != nil {
			return err
		}
		number := int64(1)
		for _, g := range all {
			number = g.Number + 1
			if g.State != building {
				continue
			}
			if err := g.drop(ctx, tx, b.projection); err != nil {
				return err
			}
		}
		b.generation, err = create(ctx, tx, b.projection, number, time.Now())
		return err
	})
}

// step applies the next batch.
func (b *build) step(ctx context.Context) (*Batch, error) {
	batch, err := b.log.Follow(ctx, b.generation.Position, BatchEvents, b.projection.Bodies())
	if err != nil || batch.Next == b.generation.Position {
		return &batch, err
	}
	err = b.store.Update(ctx, func(tx Tx) error {
		return b.generation.advance(ctx, tx, b.projection, &batch, time.Now())
	})
	if err == nil {
		b.generation.Position = batch.Next
	}
	return &batch, err
}

// end puts the new generation in the place of the live one. Nobody advances that one meanwhile, and the new one is brought
// as far, so that no reader sees less than before.
func (b *build) end(ctx context.Context) error {
	return b.store.Update(ctx, func(tx Tx) error {
		old, err := b.lockLive(ctx, tx)
		if err != nil {
			return err
		}
		g := *b.generation
		for old != nil && g.Position < old.Position {
			batch, err := b.log.Follow(ctx, g.Position, BatchEvents, b.projection.Bodies())
			if err != nil {
				return err
			}
			if err := g.advance(ctx, tx, b.projection, &batch, time.Now()); err != nil {
				return err
			}
			if batch.Next == g.Position {
				break // The live tables are ahead of the log: they were made from another one.
			}
			g.Position = batch.Next
		}
		if old != nil {
			if err := old.setState(ctx, tx, retired, time.Now()); err != nil {
				return err
			}
		}
		return g.setState(ctx, tx, live, time.Now())
	})
}

// lockLive keeps other processes from changing the live generation until tx ends, and returns it.
func (b *build) lockLive(ctx context.Context, tx Tx) (*Generation, error) {
	_, err := tx.Exec(ctx, `UPDATE projections SET state = state WHERE name = ? AND state = ?`, b.projection.Name(), live)
	if err != nil {
		return nil, err
	}
	return liveGeneration(ctx, tx, b.projection.Name())
}
