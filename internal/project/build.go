package project

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrBuilding says that another process builds the projection.
var ErrBuilding = errors.New("another process builds this projection")

// BuildOptions say how to build.
type BuildOptions struct {
	// Progress, when set, is called after each batch with what has been applied.
	Progress func(position, size int64)
	// Keep is how long retired tables stay, since readers may be in them: longer than a read may take.
	Keep time.Duration
}

// Build makes new tables of projections, applies the whole log to them in one reading, and puts them in the place of the
// live ones, which serve reads until then. It begins with removing what a build that was cut short has left. The errors
// are those of the projections that could not be built; the others are.
func Build(ctx context.Context, log Log, store Store, projections []Projection, opts BuildOptions) []error {
	if opts.Progress == nil {
		opts.Progress = func(int64, int64) {}
	}
	b := &build{log: log, store: store, opts: opts}
	if err := b.lead(ctx, projections); err != nil {
		b.errs = append(b.errs, err)
	}
	return b.errs
}

type build struct {
	log     Log
	store   Store
	opts    BuildOptions
	members []*member
	errs    []error
}

// fail notes that a projection cannot be built.
func (b *build) fail(name string, err error) {
	b.errs = append(b.errs, fmt.Errorf("build %s: %w", name, err))
}

// lead claims each of the projections, creates its tables, and then runs the build.
func (b *build) lead(ctx context.Context, projections []Projection) error {
	if len(projections) == 0 {
		return b.run(ctx)
	}
	p := projections[0]
	led, err := insist(ctx, b.store, buildLead(p), func(ctx context.Context) error {
		if g, err := b.begin(ctx, p); err != nil {
			b.fail(p.Name(), err)
		} else {
			b.members = append(b.members, &member{p, g})
		}
		return b.lead(ctx, projections[1:])
	})
	if led {
		return err
	}
	if err == nil {
		err = ErrBuilding
	}
	b.fail(p.Name(), err)
	return b.lead(ctx, projections[1:])
}

// A runner that removes old tables leads for a moment.
const (
	leadTries = 10
	leadPause = 50 * time.Millisecond
)

// insist tries to lead until whoever leads is no longer likely to stop soon.
func insist(ctx context.Context, store Store, name string, f func(context.Context) error) (led bool, err error) {
	for range leadTries {
		if led, err = store.Lead(ctx, name, f); led || err != nil {
			return led, err
		}
		pause(ctx, leadPause)
	}
	return false, ctx.Err()
}

// buildLead is the name under which one process builds or removes tables of a projection.
func buildLead(p Projection) string { return "build-" + p.Name() }

// begin removes what was left behind, and creates the next generation.
func (b *build) begin(ctx context.Context, p Projection) (g *Generation, err error) {
	now := time.Now()
	err = b.store.Update(ctx, func(tx Tx) error {
		all, err := generations(ctx, tx, p.Name())
		if err != nil {
			return err
		}
		number := int64(1)
		for i := range all {
			number = all[i].Number + 1
			if all[i].State != building {
				continue
			}
			if err := all[i].drop(ctx, tx, p); err != nil {
				return err
			}
		}
		g, err = create(ctx, tx, p, number, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return g, sweep(ctx, b.store, p, now.Add(-b.opts.Keep))
}

// run applies the log to all members and makes them live.
func (b *build) run(ctx context.Context) error {
	if len(b.members) == 0 {
		return nil
	}
	for batch, err := range batches(ctx, b.log, 0, bodiesOf(b.members)) {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		b.each(func(m *member) error { return m.apply(ctx, b.store, batch) })
		if len(b.members) == 0 {
			return nil
		}
		b.opts.Progress(batch.Next, batch.Size)
	}
	b.each(func(m *member) error {
		return b.store.Update(ctx, func(tx Tx) error { return b.store.Analyze(ctx, m.generation.in(tx), m.projection.Tables()) })
	})
	b.each(func(m *member) error { return b.end(ctx, m) })
	return nil
}

// each calls f with every member, and goes on without those that fail.
func (b *build) each(f func(*member) error) {
	kept := b.members[:0]
	for _, m := range b.members {
		if err := f(m); err != nil {
			b.fail(m.projection.Name(), err)
			continue
		}
		kept = append(kept, m)
	}
	b.members = kept
}

// end puts a new generation in the place of the live one. Nobody advances that one meanwhile, and the new one is brought
// as far, so that no reader sees less than before.
func (b *build) end(ctx context.Context, m *member) error {
	now := time.Now()
	return b.store.Update(ctx, func(tx Tx) error {
		old, err := lockLive(ctx, tx, m.projection.Name())
		if err != nil {
			return err
		}
		g := *m.generation
		if old != nil {
			if err := b.reach(ctx, tx, &g, m.projection, old.Position); err != nil {
				return err
			}
			if err := old.setState(ctx, tx, retired, now); err != nil {
				return err
			}
		}
		return g.setState(ctx, tx, live, now)
	})
}

// reach advances a generation to a position, or to the end of the log when that comes before: what stands behind it was
// made from another log.
func (b *build) reach(ctx context.Context, tx Tx, g *Generation, p Projection, position int64) error {
	for g.Position < position {
		batch, err := b.log.Follow(ctx, g.Position, BatchEvents, p.Bodies())
		if err != nil || batch.Next == g.Position {
			return err
		}
		if err := g.advance(ctx, tx, p, &batch, time.Now()); err != nil {
			return err
		}
		g.Position = batch.Next
	}
	return nil
}

// lockLive keeps other processes from changing the live generation until tx ends, and returns it.
func lockLive(ctx context.Context, tx Tx, name string) (*Generation, error) {
	_, err := tx.Exec(ctx, `UPDATE projections SET state = state WHERE name = ? AND state = ?`, name, live)
	if err != nil {
		return nil, err
	}
	return liveGeneration(ctx, tx, name)
}

// sweep removes the generations that were retired before a time. The caller leads builds of the projection.
func sweep(ctx context.Context, store Store, p Projection, before time.Time) error {
	return store.Update(ctx, func(tx Tx) error {
		all, err := generations(ctx, tx, p.Name())
		if err != nil {
			return err
		}
		for i := range all {
			if !all[i].isUnused(before) {
				continue
			}
			if err := all[i].drop(ctx, tx, p); err != nil {
				return err
			}
		}
		return nil
	})
}
