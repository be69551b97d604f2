package ingest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
)

// finder looks up event_ids for many callers with one query at a time: whatever waits when the last query ends is the
// next one.
type finder struct {
	store   Store
	timeout time.Duration // of one query

	mu      sync.Mutex
	waiting *lookup // the next query, nil when nobody waits
	running bool
}

// lookup is one query and its shared answer.
type lookup struct {
	ids   []uuid.UUID
	done  chan struct{}
	found map[uuid.UUID]int64
	err   error
}

// maxLookup bounds the ids of one query; one caller may exceed it alone.
const maxLookup = 4000

// Find returns the log_index of each of ids that was ever stored; the map may hold more than the caller asked for.
func (f *finder) Find(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]int64, error) {
	f.mu.Lock()
	l := f.waiting
	if l == nil || len(l.ids)+len(ids) > maxLookup {
		l = &lookup{done: make(chan struct{})}
		if f.waiting != nil {
			// The full one runs beside the current query rather than grow.
			go f.run(f.waiting)
		}
		f.waiting = l
	}
	l.ids = append(l.ids, ids...)
	start := !f.running
	f.running = true
	f.mu.Unlock()
	if start {
		go f.loop()
	}
	select {
	case <-l.done:
		return l.found, l.err
	case <-ctx.Done():
		// The query goes on, and fails by itself when the store is down: this caller only came too late for its answer.
		return nil, fmt.Errorf("%w: %w", errLate, ctx.Err())
	}
}

// loop runs queries until nobody waits.
func (f *finder) loop() {
	for {
		f.mu.Lock()
		l := f.waiting
		f.waiting = nil
		f.running = l != nil
		f.mu.Unlock()
		if l == nil {
			return
		}
		f.run(l)
	}
}

func (f *finder) run(l *lookup) {
	ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
	defer cancel()
	l.found, l.err = f.store.Find(ctx, l.ids)
	close(l.done)
}
