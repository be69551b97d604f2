package project

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"
)

// BatchEvents is how many events a projection applies in one transaction, unless one commit holds more.
const BatchEvents = 5000

// member is a generation of a projection that follows the log.
type member struct {
	projection Projection
	generation *Generation
}

// apply adds a batch that begins at the member's position. After an error the member stands where it stood, or behind the
// batch when the outcome of the transaction is unknown; its next batch tells with errMoved.
func (m *member) apply(ctx context.Context, store Store, b *Batch) error {
	if b.Next == m.generation.Position {
		return nil
	}
	now := time.Now()
	err := store.Update(ctx, func(tx Tx) error { return m.generation.advance(ctx, tx, m.projection, b, now) })
	if err == nil {
		m.generation.Position, m.generation.UpdatedAt = b.Next, now
	}
	return err
}

// bodiesOf returns the bodies that any of the members asks for.
func bodiesOf(members []*member) (all Bodies) {
	for _, m := range members {
		b := m.projection.Bodies()
		all.Types = append(all.Types, b.Types...)
		all.Categories = append(all.Categories, b.Categories...)
		all.Members = append(all.Members, b.Members...)
	}
	for _, list := range []*[]string{&all.Types, &all.Categories, &all.Members} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return all
}

// batches reads the log from a position to its end, one batch ahead of who ranges over it. An error is the last element.
func batches(ctx context.Context, log Log, from int64, bodies Bodies) iter.Seq2[*Batch, error] {
	type read struct {
		batch Batch
		err   error
	}
	return func(yield func(*Batch, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		ahead := make(chan read)
		defer func() {
			cancel()
			for range ahead { //revive:disable-line:empty-block // The reader is gone when it has closed the channel.
			}
		}()
		go func() {
			defer close(ahead)
			for at := from; ; {
				b, err := log.Follow(ctx, at, BatchEvents, bodies)
				select {
				case ahead <- read{b, err}:
				case <-ctx.Done():
					return
				}
				if err != nil || b.Next == b.Size {
					return
				}
				at = b.Next
			}
		}()
		for r := range ahead {
			if !yield(&r.batch, r.err) {
				return
			}
		}
	}
}

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
		return errors.Join(Build(ctx, log, store, []Projection{p}, BuildOptions{})...)
	}
	m := &member{p, g}
	for b, err := range batches(ctx, log, g.Position, p.Bodies()) {
		if err == nil {
			err = m.apply(ctx, store, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
