package ingest

import (
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// breakerState says where writes go.
type breakerState int

const (
	// breakerClosed sends writes to the store.
	breakerClosed breakerState = iota
	// breakerOpen sends them to the dead-letter queue at once.
	breakerOpen
	// breakerHalfOpen does the same while the redriver tries the store.
	breakerHalfOpen
)

func (s breakerState) String() string { return [...]string{"closed", "open", "half-open"}[s] }

// breaker makes an outage cost microseconds: the first write that the store cannot take opens it, and the redriver, which
// tries the store again and again, closes it.
type breaker struct {
	log   *slog.Logger
	gauge prometheus.Gauge // the state as its number

	mu     sync.Mutex
	state  breakerState
	opened chan struct{} // buffered 1: it was opened
}

func newBreaker(log *slog.Logger, gauge prometheus.Gauge) *breaker {
	return &breaker{log: log, gauge: gauge, opened: make(chan struct{}, 1)}
}

// isClosed reports whether writes go to the store.
func (b *breaker) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state == breakerClosed
}

// trip opens the breaker because a write could not be stored.
func (b *breaker) trip(cause error) { b.set(breakerOpen, cause) }

// try marks that the redriver is trying the store, when the breaker is open.
func (b *breaker) try() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == breakerOpen {
		b.state = breakerHalfOpen
		b.gauge.Set(float64(breakerHalfOpen))
	}
}

// close marks that the store takes writes.
func (b *breaker) close() { b.set(breakerClosed, nil) }

// set changes the state and logs the change: between open and half-open there is none worth a line.
func (b *breaker) set(state breakerState, cause error) {
	b.mu.Lock()
	before := b.state
	b.state = state
	b.mu.Unlock()
	b.gauge.Set(float64(state))
	switch {
	case state == breakerOpen && before == breakerClosed:
		b.log.Error("the store cannot take writes; they go to the dead-letter queue", "error", cause)
		select {
		case b.opened <- struct{}{}:
		default:
		}
	case state == breakerClosed && before != breakerClosed:
		b.log.Info("the store takes writes again")
	}
}
