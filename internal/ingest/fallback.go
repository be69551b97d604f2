package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// Fallback takes the writes that the store cannot take, durably, into the dead-letter queue. A Redriver stores them
// later. Events of one correlation_id keep their order: while some of them wait, new ones wait behind them.
type Fallback struct {
	letters deadletter.Queue
	breaker *breaker
	metrics *FallbackMetrics
	now     func() time.Time
	put     chan struct{} // buffered 1: something was put
	// shared knows the order of a queue that other servers put into too; nil for a queue of this server alone, whose order
	// the counts below know.
	shared *sharedOrder

	// takes says that the last Put was durable.
	takes atomic.Bool

	mu sync.Mutex
	// left is closed, and replaced, when messages leave the queue.
	left chan struct{}
	// leftAt is when that was last.
	leftAt time.Time
	// began and ended count the Puts.
	began, ended int64
	// waiting counts the messages of each correlation_id that wait in the queue, or are being put.
	waiting map[string]int
	total   int
}

// NewFallback returns the fallback to a queue. It reads which correlation_ids wait there from before.
func NewFallback(ctx context.Context, queue deadletter.Queue, log *slog.Logger, metrics *FallbackMetrics) (*Fallback, error) {
	f := &Fallback{
		letters: queue, breaker: newBreaker(log, metrics.breaker), metrics: metrics, now: time.Now,
		put: make(chan struct{}, 1), left: make(chan struct{}), waiting: map[string]int{},
	}
	f.takes.Store(true)
	if queue.Shared() {
		f.shared = newSharedOrder(queue, log, f.now)
		return f, nil
	}
	err := queue.Waiting(ctx, func(correlation string) {
		f.waiting[correlation]++
		f.total++
	})
	if err != nil {
		return nil, fmt.Errorf("read the dead-letter queue: %w", err)
	}
	return f, nil
}

// TakesWrites reports whether the queue is able to take writes, as far as is known: readiness during an outage.
func (f *Fallback) TakesWrites(ctx context.Context) bool {
	stats, err := f.letters.Stats(ctx)
	return err == nil && f.takes.Load() && stats.Bytes < stats.Capacity
}

// StoreTakesWrites reports whether the breaker is closed.
func (f *Fallback) StoreTakesWrites() bool { return f.breaker.isClosed() }

// Warnings says, for an operator, what is not as promised at the moment.
func (f *Fallback) Warnings() []string {
	if f.shared == nil || f.shared.answers() {
		return nil
	}
	return []string{"the shared dead-letter queue does not answer: events of one correlation_id that reach several servers may be stored in another order"}
}

// mustQueue reports, as a sentence, why a batch must go to the queue before the store is even tried; "" when it need
// not. It also finds which of the event_ids and parents that the batch names wait in the queue.
func (f *Fallback) mustQueue(ctx context.Context, b *batch) (string, error) {
	if !f.breaker.isClosed() {
		return "the store cannot be reached", nil
	}
	turn := f.awaitTurn(ctx, b)
	switch {
	case turn.empty:
		return "", nil
	case turn.behind:
		return "earlier events of the correlation_id wait", nil
	case !b.lookups:
		return "", nil
	case turn.unknown:
		b.heldUnknown = true
		return "", nil
	}
	held, err := f.letters.Holds(ctx, b.named())
	if err != nil {
		return "", datastorage.Unavailable(err, "the dead-letter queue cannot be read; try again")
	}
	b.held = held
	for n := range b.events {
		if b.events[n].Sent.Has(datastorage.FieldID) && held[b.events[n].ID] {
			return "the event_id waits", nil
		}
	}
	return "", nil
}

// turnWait is how long a write waits for earlier events of its correlation_id to be stored before it joins them in the
// queue. Without it, clients that go on would keep the end of the queue in motion for ever.
const turnWait = 250 * time.Millisecond

// stuckAfter is how long nothing may leave the queue before writes no longer wait for their turn: the store is silent, and
// nobody has found out yet. It is longer than one round of the redriver takes.
const stuckAfter = time.Second

// view is what a write sees of the queue.
type view struct {
	empty   bool // nothing waits, as far as is known
	behind  bool // something of its correlation_ids waits
	unknown bool // the queue could not be asked
	// stuck says that nothing has left the queue for a while, so that waiting is of no use.
	stuck bool
	// left is closed when messages leave the queue; nil for a queue that is asked again instead.
	left <-chan struct{}
}

// awaitTurn waits, for a while, until nothing of the batch's correlation_ids is in the queue, and returns what it saw
// last.
func (f *Fallback) awaitTurn(ctx context.Context, b *batch) view {
	v := f.look(ctx, b)
	if !v.behind || v.stuck {
		return v
	}
	timeout := time.NewTimer(turnWait)
	defer timeout.Stop()
	var poll <-chan time.Time
	if v.left == nil {
		ticker := time.NewTicker(turnPoll)
		defer ticker.Stop()
		poll = ticker.C
	}
	for v.behind && f.breaker.isClosed() {
		select {
		case <-v.left:
		case <-poll:
		case <-timeout.C:
			return v
		case <-ctx.Done():
			return v
		}
		v = f.look(ctx, b)
	}
	return v
}

// look returns what the batch sees of the queue now.
func (f *Fallback) look(ctx context.Context, b *batch) view {
	if f.shared != nil {
		return f.shared.look(ctx, b)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return view{empty: f.total == 0, behind: f.behind(b), stuck: f.now().Sub(f.leftAt) > stuckAfter, left: f.left}
}

// behind reports whether something of the batch's correlation_ids waits. The caller holds mu.
func (f *Fallback) behind(b *batch) bool {
	if f.total == 0 {
		return false
	}
	for n := range b.events {
		if f.waiting[b.events[n].CorrelationID] > 0 {
			return true
		}
	}
	return false
}

// queue puts the events of a batch that are not settled into the queue, all or none.
func (f *Fallback) queue(ctx context.Context, b *batch, note *datastorage.Notification, cause string) error {
	records, places := b.records()
	messages := make([]*deadletter.Message, len(records))
	stream := streamEvents
	for i, r := range records {
		messages[i] = &deadletter.Message{
			EventID: r.ID, CorrelationID: r.CorrelationID, Body: r.Body, Salt: r.Salt, Sent: r.Sent,
			QueuedAt: f.now().UTC(), Cause: cause,
		}
	}
	if note != nil && len(messages) == 1 {
		messages[0].Notification = note
		stream = streamNotifications
	}
	f.beginPut(messages)
	err := f.letters.Put(ctx, messages)
	appended := f.endPut(messages, err)
	if f.shared != nil && !nothingPut(err) {
		f.shared.put(messages)
	}
	f.takes.Store(err == nil || errors.Is(err, deadletter.ErrConflict))
	if err != nil {
		return f.refused(err)
	}
	f.metrics.enqueued.WithLabelValues(stream, stream).Add(float64(appended))
	for _, n := range places {
		b.stored[n].Queued = true
		b.done(n)
	}
	select {
	case f.put <- struct{}{}:
	default:
	}
	return nil
}

// refused turns the error of a Put into the caller's.
func (f *Fallback) refused(err error) error {
	switch {
	case errors.Is(err, deadletter.ErrConflict):
		return &datastorage.Error{
			Code:   datastorage.CodeConflict,
			Detail: "event_id belongs to a queued event with other content",
			Fields: map[string]string{"event_id": "event_id belongs to a queued event with other content"},
			Cause:  err,
		}
	case errors.Is(err, deadletter.ErrFull):
		return datastorage.Unavailable(err, "the store cannot be reached and the dead-letter queue is full; nothing was stored, try again")
	}
	return datastorage.Unavailable(err, "neither the store nor the dead-letter queue can be reached; nothing was stored, try again")
}

// count adds n to the number of waiting messages of each correlation_id.
func (f *Fallback) count(messages []*deadletter.Message, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range messages {
		f.add(m.CorrelationID, n)
	}
	if n < 0 {
		f.tellLeft()
	}
}

func (f *Fallback) add(correlation string, n int) {
	if f.shared != nil {
		return
	}
	f.total += n
	if f.waiting[correlation] += n; f.waiting[correlation] <= 0 {
		delete(f.waiting, correlation)
	}
}

// beginPut counts messages as waiting before they are put, so that nothing overtakes them.
func (f *Fallback) beginPut(messages []*deadletter.Message) {
	f.count(messages, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.began++
}

// endPut takes back the count of messages that the Put did not append, and returns how many it did. After an error that
// leaves it open they stay counted: that costs their correlation_ids a wait until forgetCounts, and no order.
func (f *Fallback) endPut(messages []*deadletter.Message, err error) (appended int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended++
	certain := err == nil || nothingPut(err)
	for _, m := range messages {
		if err == nil && m.ID != "" {
			appended++
		} else if certain {
			f.add(m.CorrelationID, -1)
		}
	}
	return appended
}

// nothingPut reports whether the error of a Put says that nothing was put.
func nothingPut(err error) bool {
	return errors.Is(err, deadletter.ErrFull) || errors.Is(err, deadletter.ErrConflict)
}

// endReplay marks the end of a replay, which counts as a Put.
func (f *Fallback) endReplay() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended++
}

// puts returns the number of Puts that have ended.
func (f *Fallback) puts() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// forgetCounts drops all counts: the queue was seen empty after that many Puts had ended. It does nothing when more than
// those have begun by now: what another one has put may not have been there to be seen.
func (f *Fallback) forgetCounts(puts int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.began != puts || f.total == 0 {
		return
	}
	f.total = 0
	clear(f.waiting)
	f.tellLeft()
}

// tellLeft tells those who wait for their turn that messages have left the queue. The caller holds mu.
func (f *Fallback) tellLeft() {
	close(f.left)
	f.left, f.leftAt = make(chan struct{}), f.now()
}

// DeadLetters is the queue as an administrator uses it: a letter that is replayed counts as waiting again.
func (f *Fallback) DeadLetters() deadletter.Queue { return &replayCounter{f.letters, f} }

type replayCounter struct {
	deadletter.Queue
	fallback *Fallback
}

// Replay implements deadletter.Queue.
func (r *replayCounter) Replay(ctx context.Context, id string) error {
	letter, err := r.Letter(ctx, id)
	if err != nil {
		return err
	}
	counted := []*deadletter.Message{&letter.Message}
	r.fallback.beginPut(counted)
	err = r.Queue.Replay(ctx, id)
	if errors.Is(err, deadletter.ErrNotFound) || errors.Is(err, deadletter.ErrConflict) || errors.Is(err, deadletter.ErrFull) {
		r.fallback.count(counted, -1)
	}
	r.fallback.endReplay()
	if err != nil {
		return err
	}
	select {
	case r.fallback.put <- struct{}{}:
	default:
	}
	return nil
}
