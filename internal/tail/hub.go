package tail

import (
	"context"
	"log/slog"
	"sync"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/ledger"
)

// Log is the log as readers need it. Errors are *datastorage.Error with CodeUnavailable when the store cannot be reached.
type Log interface {
	project.Log
	// Head reads the end of the log. It sees every commit that was acknowledged before the call.
	Head(ctx context.Context) (ledger.Head, error)
	// CommitOf reads the commit that holds the event with that log_index; nil when there is none.
	CommitOf(ctx context.Context, logIndex int64) (*ledger.Commit, error)
}

// Hub sends the log to its readers. Its methods may be called concurrently.
type Hub struct {
	log     Log
	limits  Limits
	logger  *slog.Logger
	metrics *Metrics
	slots   chan struct{} // one for each reader that holds a piece from the store
	closing chan struct{} // closed by Close
	running sync.WaitGroup

	mu      sync.Mutex
	readers int
	feed    *feed // nil while nobody reads
	closed  bool
}

// NewHub returns the hub of a log. It costs nothing while it has no reader. Close stops it.
func NewHub(log Log, limits Limits, logger *slog.Logger, metrics *Metrics) *Hub {
	return &Hub{
		log: log, limits: limits, logger: logger, metrics: metrics,
		slots: make(chan struct{}, limits.CatchUps), closing: make(chan struct{}),
	}
}

// Wake says that this process has committed something. It never waits.
func (h *Hub) Wake() {
	h.mu.Lock()
	f := h.feed
	h.mu.Unlock()
	if f == nil {
		return
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Close ends every reader's Serve with a last message, and lets no reader in any more. It returns when the follower has
// ended.
func (h *Hub) Close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.closing)
	}
	if h.feed != nil {
		h.feed.cancel()
	}
	h.mu.Unlock()
	h.running.Wait()
}

// End stands for the end of the log in Open.
const End = -1

// Open lets a reader in that begins with the event with the log_index from, or behind the last event when from is End. It
// is sent the events that the query matches, whose order and paging are disregarded. The reader must be closed. Errors:
// CodeUnavailable when there are too many readers, the hub is closed, or the store cannot be reached; CodeValidation when
// the log ends before from.
func (h *Hub) Open(ctx context.Context, from int64, q *datastorage.EventQuery) (*Reader, error) {
	if err := h.enter(); err != nil {
		return nil, err
	}
	head, err := h.log.Head(ctx)
	if err == nil && from > head.Size() {
		err = datastorage.Errorf(datastorage.CodeValidation,
			"the log ends before event %d: it holds %d events. It is another log, or an older state of it", from, head.Size())
	}
	if err != nil {
		h.leave()
		return nil, err
	}
	if from == End {
		from = head.Size()
	}
	return newReader(h, h.join(head.Size()), from, q), nil
}

// enter counts one reader more.
func (h *Hub) enter() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return datastorage.Errorf(datastorage.CodeUnavailable, "the server is stopping")
	case h.readers >= h.limits.Readers:
		h.metrics.refused.Inc()
		return datastorage.Errorf(datastorage.CodeUnavailable, "too many readers follow the log already (%d); try again later", h.readers)
	}
	h.readers++
	h.metrics.readers.Inc()
	return nil
}

// leave counts one reader less. The last one stops the follower.
func (h *Hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers--
	h.metrics.readers.Dec()
	if h.readers == 0 && h.feed != nil {
		h.feed.cancel()
		h.feed = nil
	}
}

// join returns the feed, and starts it at a position when there is none.
func (h *Hub) join(position int64) *feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.feed == nil {
		ctx, cancel := context.WithCancel(context.Background())
		f := newFeed(h.log, &h.limits, h.logger, position, cancel)
		h.feed = f
		if h.closed { // the reader is sent away at once
			cancel()
			return f
		}
		h.running.Go(func() { f.follow(ctx) })
	}
	return h.feed
}
