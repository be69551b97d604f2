package project

import (
	"context"
	"time"
)

// CatchUp applies to the live tables of a projection what they lack of the log. Without live tables of its version it
// builds them.
func CatchUp(ctx context.Context, log Log, store Store, p Projection) error {
	var g *Generation
	err := store.Snapshot(ctx, func(tx Tx) (err error) {
		g, err = liveGeneration(ctx, tx, p.Name())
		return err
	})
	if err != nil {
		return err
	}
	if g == nil || g.Version != p.Version() {
		return Build(ctx, log, store, p, func(*Batch) {})
	}
	for {
		batch, err := log.Follow(ctx, g.Position, BatchEvents, p.Bodies())
		if err != nil || batch.Next == g.Position {
			return err
		}
		err = store.Update(ctx, func(tx Tx) error { return g.advance(ctx, tx, p, &batch, time.Now()) })
		if err != nil {
			return err
		}
		g.Position = batch.Next
	}
}
