package tail

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/datastorage-io/datastorage/internal/project"
)

// feed is what one follower publishes: the ring, and the position up to which it holds the log.
type feed struct {
	log    Log
	limits *Limits
	logger *slog.Logger
	cancel context.CancelFunc
	wake   chan struct{} // buffered 1: this process has committed

	mu       sync.RWMutex
	ring     ring
	position int64
	changed  chan struct{} // closed when position has moved
	stalled  bool          // the store cannot be read
}

func newFeed(log Log, limits *Limits, logger *slog.Logger, position int64, cancel context.CancelFunc) *feed {
	return &feed{
		log: log, limits: limits, logger: logger, cancel: cancel, wake: make(chan struct{}, 1),
		ring: newRing(limits.RingEvents, limits.RingBytes, position), position: position, changed: make(chan struct{}),
	}
}

// everything asks for the body of every event.
var everything = project.Bodies{Types: []string{"*"}}

// follow publishes the log until ctx ends.
func (f *feed) follow(ctx context.Context) {
	position, limit := f.position, fewEvents
	for ctx.Err() == nil {
		batch, err := f.log.Follow(ctx, position, limit, everything)
		if ctx.Err() != nil {
			return
		}
		f.noteState(err)
		pause := f.limits.Pace
		switch {
		case err != nil:
			pause = f.limits.RetryAfter
		case batch.Next > position:
			limit = f.limits.adapt(limit, f.publish(&batch))
			position = batch.Next
		default:
			f.idle(ctx)
			continue
		}
		f.sleep(ctx, pause)
	}
}

// idle waits until there may be something new.
func (f *feed) idle(ctx context.Context) {
	timer := time.NewTimer(f.limits.Poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-f.wake:
	}
}

func (f *feed) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// publish adds a piece of the log to the ring, wakes the readers, and returns the bytes of its bodies.
func (f *feed) publish(batch *project.Batch) (bytes int) {
	entries := make([]*entry, len(batch.Events))
	for i := range batch.Events {
		entries[i] = newEntry(&batch.Events[i])
		bytes += len(batch.Events[i].Body)
	}
	f.mu.Lock()
	for _, e := range entries {
		f.ring.add(e)
	}
	f.position = batch.Next
	changed := f.changed
	f.changed = make(chan struct{})
	f.mu.Unlock()
	close(changed)
	return bytes
}

// noteState says once that the store cannot be read, and once that it can again.
func (f *feed) noteState(err error) {
	f.mu.Lock()
	was := f.stalled
	f.stalled = err != nil
	f.mu.Unlock()
	switch {
	case err != nil && !was:
		f.logger.Warn("the log cannot be read for those who follow it; they wait", "error", err)
	case err == nil && was:
		f.logger.Info("the log can be read again for those who follow it")
	}
}

// view is what a reader finds at a position.
type view struct {
	entries  []*entry
	position int64         // up to which the ring holds the log
	behind   bool          // the ring begins later
	stalled  bool          // the store cannot be read
	changed  chan struct{} // closed when there is more
}

// from returns what the ring holds from the log_index next on, at most limit entries of it, in list.
func (f *feed) from(next int64, limit int, list []*entry) view {
	f.mu.RLock()
	defer f.mu.RUnlock()
	v := view{entries: list, position: f.position, behind: next < f.ring.low, stalled: f.stalled, changed: f.changed}
	if !v.behind && next < f.position {
		v.entries = f.ring.behind(next, limit, list)
	}
	return v
}
