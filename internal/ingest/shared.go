package ingest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

const (
	// askAgain is how long a shared queue that could not be asked is left alone.
	askAgain = time.Second
	// turnPoll is how often a write that waits for its turn asks a shared queue again.
	turnPoll = 25 * time.Millisecond
	// pruneChunk is how many correlation_ids one question holds when the memory of this server's Puts is cleared.
	pruneChunk = 1000
)

// sharedOrder knows which correlation_ids wait in a queue that other servers put into as well: it asks the queue for each
// write. While the queue cannot be asked, it knows what this server put there.
type sharedOrder struct {
	queue deadletter.Queue
	log   *slog.Logger
	now   func() time.Time

	mu sync.Mutex
	// mine are the correlation_ids that this server put and has not seen gone, each with the number of its last Put.
	mine map[string]int64
	puts int64
	// askAt is when the queue that did not answer is asked again; zero while it answers.
	askAt time.Time
}

func newSharedOrder(queue deadletter.Queue, log *slog.Logger, now func() time.Time) *sharedOrder {
	return &sharedOrder{queue: queue, log: log, now: now, mine: map[string]int64{}}
}

// look finds out whether something of the batch's correlation_ids waits.
func (s *sharedOrder) look(ctx context.Context, b *batch) view {
	ids := b.correlations()
	before, ask := s.begin()
	if ask {
		held, err := s.queue.HoldsCorrelations(ctx, ids)
		if ctx.Err() == nil {
			s.answered(err)
		}
		if err == nil {
			s.forget(ids, held, before)
			return view{behind: len(held) > 0}
		}
	}
	return view{behind: s.isMine(ids), unknown: true}
}

// begin returns the number of Puts so far, and whether the queue is to be asked: of many callers one asks a queue that
// did not answer.
func (s *sharedOrder) begin() (puts int64, ask bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.askAt.IsZero() {
		return s.puts, true
	}
	if now.Before(s.askAt) {
		return s.puts, false
	}
	s.askAt = now.Add(askAgain)
	return s.puts, true
}

// answered notes whether the queue answers, and logs the change.
func (s *sharedOrder) answered(err error) {
	s.mu.Lock()
	before := s.askAt.IsZero()
	s.askAt = time.Time{}
	if err != nil {
		s.askAt = s.now().Add(askAgain)
	}
	s.mu.Unlock()
	switch {
	case err != nil && before:
		s.log.Error("the shared dead-letter queue does not answer; events of one correlation_id that reach several servers may be stored in another order", "error", err)
	case err == nil && !before:
		s.log.Info("the shared dead-letter queue answers again")
	}
}

// answers reports whether the queue answered when it was last asked.
func (s *sharedOrder) answers() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.askAt.IsZero()
}

// put notes a Put that ended and may have put the messages.
func (s *sharedOrder) put(messages []*deadletter.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	for _, m := range messages {
		s.mine[m.CorrelationID] = s.puts
	}
}

// forget drops what does not wait, as the queue said after a number of Puts had ended.
func (s *sharedOrder) forget(ids []string, held map[string]bool, puts int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if last, ok := s.mine[id]; ok && !held[id] && last <= puts {
			delete(s.mine, id)
		}
	}
}

func (s *sharedOrder) isMine(ids []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if _, ok := s.mine[id]; ok {
			return true
		}
	}
	return false
}

// prune forgets what this server put and others have redriven.
func (s *sharedOrder) prune(ctx context.Context) {
	s.mu.Lock()
	puts := s.puts
	ids := make([]string, 0, len(s.mine))
	for id := range s.mine {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	for len(ids) > 0 {
		chunk := ids[:min(len(ids), pruneChunk)]
		ids = ids[len(chunk):]
		held, err := s.queue.HoldsCorrelations(ctx, chunk)
		if err != nil {
			return
		}
		s.forget(chunk, held, puts)
	}
}

// correlations returns the correlation_ids of the batch, each once.
func (b *batch) correlations() []string {
	seen := make(map[string]bool, 1)
	var ids []string
	for n := range b.events {
		if id := b.events[n].CorrelationID; !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}
