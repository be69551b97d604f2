package catalog

import (
	"context"
	"errors"
	"time"

	"github.com/datastorage-io/datastorage"
)

// request is what one caller wants changed. Its answer is sent exactly once.
type request struct {
	// apply adds to a draft, or returns an error and adds nothing. It may be called again for another draft.
	apply  func(*draft) error
	err    error      // of the last apply
	answer chan error // buffered, so that answering never waits
	taken  bool       // guarded by Keeper.mu: the loop has it
}

var (
	errClosed = errors.New("the catalogue is closed")
	errLate   = errors.New("the change's time is over")
	errRaces  = errors.New("others were always first")
)

// do makes a change and waits for its answer. It goes on when ctx ends: what the caller sent is complete.
func (k *Keeper) do(ctx context.Context, apply func(*draft) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.opts.Timeout)
	defer cancel()
	c := &request{apply: apply, answer: make(chan error, 1)}
	if !k.enqueue(c) {
		return datastorage.Unavailable(errClosed, "the server is shutting down")
	}
	select {
	case err := <-c.answer:
		return err
	case <-ctx.Done():
	}
	if k.withdraw(c) {
		return datastorage.Unavailable(errLate, "the store did not take the change in time; nothing was stored, try again")
	}
	select {
	case err := <-c.answer:
		return err
	default:
		return unknownOutcome(errLate)
	}
}

func unknownOutcome(cause error) error {
	return datastorage.Unavailable(cause, "the store did not take the change in time; look whether it was stored before you try again")
}

func (k *Keeper) enqueue(c *request) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.queue = append(k.queue, c)
	k.signal()
	return true
}

// withdraw takes a change out of the queue; false when the loop has it.
func (k *Keeper) withdraw(c *request) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.taken {
		return false
	}
	for i, q := range k.queue {
		if q == c {
			k.queue = append(k.queue[:i:i], k.queue[i+1:]...)
			break
		}
	}
	return true
}

// commit stores as many of the changes as one transaction holds, answers them, and returns the others. Those that come
// together share a transaction and one new snapshot. When another server was first, its changes are loaded and everything
// is decided again.
func (k *Keeper) commit(waiting []*request) (rest []*request) {
	ctx, cancel := context.WithTimeout(context.Background(), k.opts.Timeout)
	defer cancel()
	for ctx.Err() == nil {
		if k.stale {
			if err := k.load(ctx); err != nil {
				k.note(err)
				answer(waiting, datastorage.Unavailable(err, "the store cannot be read; nothing was stored, try again"))
				return nil
			}
		}
		d := newDraft(k.Snapshot(), k.now(), k.opts.Retention)
		n := d.take(waiting)
		err := k.keep(ctx, d)
		switch {
		case err == nil:
			for _, c := range waiting[:n] {
				c.answer <- c.err
			}
			return waiting[n:]
		case errors.Is(err, datastorage.ErrCatalogMoved):
			k.stale = true
			k.opts.Metrics.moved.Inc()
		case datastorage.CodeOf(err) != datastorage.CodeUnavailable && n > 1:
			// The fault belongs to one of them.
			for i := range n {
				k.commit(waiting[i : i+1])
			}
			return waiting[n:]
		default:
			answer(waiting[:n], err)
			return waiting[n:]
		}
	}
	answer(waiting, datastorage.Unavailable(errRaces, "others are changing the catalogue all the time; nothing was stored, try again"))
	return nil
}

func answer(changes []*request, err error) {
	for _, c := range changes {
		c.answer <- err
	}
}

// keep stores a draft and makes it the current snapshot.
func (k *Keeper) keep(ctx context.Context, d *draft) error {
	if len(d.changes) == 0 {
		return nil
	}
	// What makes no catalogue is found out before it is stored.
	next, err := d.base.Apply(d.decoded)
	if err != nil {
		return &datastorage.Error{Code: datastorage.CodeInternal, Detail: "the change cannot be applied to the catalogue", Cause: err}
	}
	err = k.writer.WriteChanges(ctx, d.events, d.changes)
	if datastorage.CodeOf(err) == datastorage.CodeUnavailable {
		return k.settle(d, err)
	}
	if err != nil {
		return err
	}
	k.swap(next, d.changes)
	k.note(nil)
	return nil
}

// settleTimeout bounds the look whether a change was stored.
const settleTimeout = 500 * time.Millisecond

// settle finds out whether a draft was stored whose Writer failed with err.
func (k *Keeper) settle(d *draft, err error) error {
	k.stale = true
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	changes, readErr := k.store.Changes(ctx, d.base.Version(), 1)
	if readErr != nil {
		k.note(readErr)
		return unknownOutcome(err)
	}
	if len(changes) == 0 {
		// A transaction that is under way still may store it.
		return unknownOutcome(err)
	}
	if same(changes[0], d.changes[0]) {
		return k.load(ctx)
	}
	return datastorage.ErrCatalogMoved
}
