package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datastorage-io/datastorage"
)

// Store is where the history of the catalogue is read. Both methods may be called concurrently and see every change that
// was acknowledged before the call, by any replica. Their errors have datastorage.CodeUnavailable.
type Store interface {
	// CatalogVersion returns the version of the last change, 0 when there is none. It is called many times a second.
	CatalogVersion(ctx context.Context) (int64, error)
	// Changes returns at most limit changes whose versions are greater than after, in order.
	Changes(ctx context.Context, after int64, limit int) ([]*datastorage.CatalogChange, error)
}

// Writer stores changes of the catalogue with the events that record them, all or nothing. Errors:
//   - datastorage.ErrCatalogMoved: the changes do not follow the last one that is stored, or claim a key that is taken;
//     nothing was stored.
//   - with datastorage.CodeUnavailable: the store does not take them, or did not answer and may have stored them.
//   - any other error: nothing was stored, and the content is to blame.
type Writer interface {
	WriteChanges(ctx context.Context, events []datastorage.Event, changes []*datastorage.CatalogChange) error
}

// Options are the settings of a Keeper. All are required.
type Options struct {
	// PollInterval is how often the store is asked for changes of other servers: the longest that such a change stays
	// unseen. A question is one look at the end of a primary key. To be told instead (LISTEN) would need a session of its
	// own on PostgreSQL, would not work on SQLite, and would need the same question after every lost connection.
	PollInterval time.Duration
	// Timeout is how long a change may take from its call to its answer.
	Timeout time.Duration
	// Weights are what searches score with; they must be valid.
	Weights Weights
	// Retention is how long the events of changes are kept, in days.
	Retention int
	Log       *slog.Logger
	Metrics   *Metrics
}

// Keeper holds the current catalogue of a server and changes it. Reading it needs no database and goes on while the
// store is away. All methods may be called concurrently.
type Keeper struct {
	store   Store
	writer  Writer
	opts    Options
	now     func() time.Time
	current atomic.Pointer[Snapshot]

	mu     sync.Mutex
	queue  []*request
	closed bool

	wake chan struct{} // buffered 1: a change waits, or closed
	done chan struct{} // closed when the loop has ended

	// Only the loop touches these.
	last *datastorage.CatalogChange // the last change of the current snapshot; nil at version 0
	// stale says that the store may hold changes that the snapshot lacks.
	stale bool
	away  bool // the store could not be read the last time
}

// NewKeeper reads the catalogue of a store and follows it until Close. The error says so when the store cannot be read
// or holds what is no catalogue.
func NewKeeper(ctx context.Context, store Store, writer Writer, opts Options) (*Keeper, error) {
	k := &Keeper{
		store: store, writer: writer, opts: opts, now: time.Now,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	k.current.Store(New(opts.Weights))
	if err := k.load(ctx); err != nil {
		return nil, fmt.Errorf("read the workflow catalogue: %w", err)
	}
	k.opts.Metrics.seen(k.now())
	go k.loop()
	return k, nil
}

// Load reads the catalogue of a store as it is now, for searches with the given weights, which must be valid. The errors
// are those of NewKeeper.
func Load(ctx context.Context, store Store, w Weights) (*Snapshot, error) {
	changes, err := read(ctx, store, nil)
	if err == nil {
		var s *Snapshot
		if s, err = New(w).add(changes); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("read the workflow catalogue: %w", err)
}

// Snapshot returns the catalogue as it is now: every change that was acknowledged by this server before the call, and
// those of others up to PollInterval ago.
func (k *Keeper) Snapshot() *Snapshot { return k.current.Load() }

// Close takes no more changes, answers those that wait, and stops following the store.
func (k *Keeper) Close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.signal()
	<-k.done
}

func (k *Keeper) signal() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *Keeper) loop() {
	defer close(k.done)
	poll := time.NewTicker(k.opts.PollInterval)
	defer poll.Stop()
	for {
		select {
		case <-k.wake:
		case <-poll.C:
			k.follow()
		}
		waiting, closed := k.take()
		for len(waiting) > 0 {
			waiting = k.commit(waiting)
		}
		if closed {
			return
		}
	}
}

// take returns the changes that wait.
func (k *Keeper) take() (waiting []*request, closed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	waiting, k.queue = k.queue, nil
	for _, c := range waiting {
		c.taken = true
	}
	return waiting, k.closed
}

// follow loads what other servers have changed.
func (k *Keeper) follow() {
	ctx, cancel := context.WithTimeout(context.Background(), k.opts.Timeout)
	defer cancel()
	version, err := k.store.CatalogVersion(ctx)
	if err == nil && (k.stale || version != k.Snapshot().Version()) {
		err = k.load(ctx)
	}
	k.note(err)
}

// note records whether the store could be read, and logs when that changes.
func (k *Keeper) note(err error) {
	switch {
	case err == nil:
		k.opts.Metrics.seen(k.now())
		if k.away {
			k.opts.Log.Info("the workflow catalogue follows the store again", "version", k.Snapshot().Version())
		}
	case !k.away:
		k.opts.Log.Error("the workflow catalogue cannot be read from the store; it is served as it was", "error", err,
			"version", k.Snapshot().Version())
	}
	k.away = err != nil
}

// page is how many changes are read at once.
const page = 256

// errRewritten says that the store's history does not continue the one that was read.
var errRewritten = errors.New("the store's catalogue does not continue the one that was read")

// load brings the snapshot up to date with the store.
func (k *Keeper) load(ctx context.Context) error {
	changes, err := read(ctx, k.store, k.last)
	base := k.Snapshot()
	if errors.Is(err, errRewritten) {
		// The store lost changes, say in a failover to a replica that lagged: it decides what the catalogue is.
		k.opts.Log.Error("the store has lost changes of the workflow catalogue; it is read anew", "version", base.Version())
		base = New(k.opts.Weights)
		changes, err = read(ctx, k.store, nil)
	}
	if err != nil {
		return err
	}
	if len(changes) > 0 || base != k.Snapshot() {
		next, err := base.add(changes)
		if err != nil {
			return err
		}
		k.swap(next, changes)
	}
	k.stale = false
	return nil
}

// read returns the changes that follow after, which is nil for all. It fails with errRewritten when the store does not
// hold after.
func read(ctx context.Context, store Store, after *datastorage.CatalogChange) (changes []*datastorage.CatalogChange, err error) {
	version := int64(0)
	if after != nil {
		version = after.Version - 1
	}
	for {
		more, err := store.Changes(ctx, version, page)
		if err != nil {
			return nil, err
		}
		changes = append(changes, more...)
		if len(more) < page {
			break
		}
		version = more[len(more)-1].Version
	}
	if after == nil {
		return changes, nil
	}
	if len(changes) == 0 || !same(changes[0], after) {
		return nil, errRewritten
	}
	return changes[1:], nil
}

func same(a, b *datastorage.CatalogChange) bool {
	return a.Version == b.Version && a.Time.Equal(b.Time) && a.Kind == b.Kind && a.WorkflowID == b.WorkflowID &&
		a.Key == b.Key && string(a.Document) == string(b.Document)
}

// swap makes next the current snapshot, changes being what it has more.
func (k *Keeper) swap(next *Snapshot, changes []*datastorage.CatalogChange) {
	k.last = nil
	if n := len(changes); n > 0 {
		k.last = changes[n-1]
	}
	k.current.Store(next)
	k.opts.Metrics.applied(next, len(changes))
}
