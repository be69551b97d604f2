package ingest

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a time, and that sets a timer only for one who waits for that: most writes are
// answered by the committer, which needs none. It must not be copied; end releases the timer.
type deadline struct {
	parent context.Context
	at     time.Time

	once   sync.Once
	ctx    context.Context // set by once
	cancel context.CancelFunc
}

// Deadline implements context.Context.
func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

// Value implements context.Context.
func (d *deadline) Value(key any) any { return d.parent.Value(key) }

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} { return d.timed().Done() }

// Err implements context.Context.
func (d *deadline) Err() error { return d.timed().Err() }

func (d *deadline) timed() context.Context {
	d.once.Do(func() { d.ctx, d.cancel = context.WithDeadline(d.parent, d.at) })
	return d.ctx
}

// end releases the timer. Whoever still uses the context finds it ended.
func (d *deadline) end() {
	d.once.Do(func() { d.ctx, d.cancel = over, func() {} })
	d.cancel()
}

// over is a context that has ended.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()
