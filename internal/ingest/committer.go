package ingest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// Limits bound what waits and what one transaction holds. All must be positive.
type Limits struct {
	QueueEvents  int           // events that may wait or be under way
	QueueBytes   int64         // bytes of their bodies, and of changes of the catalogue
	CommitEvents int           // events in one transaction; one request may exceed it alone
	CommitBytes  int64         // bytes as in QueueBytes in one transaction; one request may exceed it alone
	WriteTimeout time.Duration // from submission to answer
	// RetryFor is how long a write is tried again while the store cannot be reached; less than WriteTimeout.
	RetryFor time.Duration
}

// recordOverhead is what an event costs in memory beside its body while it waits, in bytes.
const recordOverhead = 1024

// lockedRounds is how many commits take the advisory lock first after another writer was last seen to move the head.
const lockedRounds = 64

// errTaken sends a request back to its submitter: one of its event_ids was stored since it was looked up.
var errTaken = errors.New("an event_id was stored by someone else meanwhile")

// Causes of CodeUnavailable that are not the store's.
var (
	errFull    = errors.New("the queue of writes is full")
	errClosing = errors.New("the committer is closed")
	errBusyIDs = errors.New("event_ids are contended")
	// errHeldUnknown is for a parent that may wait in a dead-letter queue that cannot be asked.
	errHeldUnknown = errors.New("the parent may wait in the dead-letter queue")
)

// errLate is the cause of CodeUnavailable when a write's time was over before its commit was answered: the store is slow
// or hangs, or much waits for it.
var errLate = errors.New("the write's time is over")

// isOutage reports whether a write failed because the store could not take it, rather than for its content or because
// this server has too much to do.
func isOutage(err error) bool {
	return datastorage.CodeOf(err) == datastorage.CodeUnavailable &&
		!errors.Is(err, errFull) && !errors.Is(err, errClosing) && !errors.Is(err, errBusyIDs) &&
		!errors.Is(err, errHeldUnknown)
}

// placement is where a request's records stand in the log.
type placement struct {
	first int64 // log_index of the first record
	size  int64 // size of the log behind the commit
	root  ledger.Hash
}

// request is what one caller wants committed, all or nothing. Its answer is sent exactly once.
type request struct {
	write    datastorage.Write
	events   int
	bytes    int64
	queued   time.Time
	deadline time.Time   // when it is answered at the latest
	answer   chan answer // buffered, so that answering never waits
	answered bool        // guarded by Committer.mu
}

type answer struct {
	at  placement
	err error
}

// Committer is the group commit: whatever waits when the last commit ends is the next one. The store has it before those of
// the last one are answered, so that it works while their handlers write.
type Committer struct {
	store   Store
	limits  Limits
	log     *slog.Logger
	metrics *Metrics

	mu       sync.Mutex
	queue    []*request
	underway []*request // what the loop has taken, answered requests among them
	events   int        // events waiting or under way
	bytes    int64      // bytes waiting or under way
	closed   bool
	watched  bool // a timer will look for requests whose time is over

	wake chan struct{} // buffered 1: something waits, or closed
	done chan struct{} // closed when the loop has answered everything

	observer atomic.Pointer[Observer]

	// Only the loop touches these.
	head   *ledger.Head // nil when it must be read
	owed   []owed       // what is stored and not answered yet
	acked  ledger.Head  // the last head that a caller was told of
	locked int          // commits that still take the lock first
	now    func() time.Time

	stateMu  sync.Mutex
	size     int64
	diverged error
}

// NewCommitter starts the committer of a store. It reads the head first, so that a store that cannot be read is
// reported here. Close stops it.
func NewCommitter(ctx context.Context, store Store, limits Limits, log *slog.Logger, metrics *Metrics) (*Committer, error) {
	head, err := store.Head(ctx)
	if err != nil {
		return nil, err
	}
	c := &Committer{
		store: store, limits: limits, log: log, metrics: metrics,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
		head: &head, acked: head, size: head.Size(), now: time.Now,
	}
	metrics.ledgerSize.Set(float64(head.Size()))
	go c.loop()
	return c, nil
}

// Close stops taking requests, commits what is queued and returns when every caller was answered.
func (c *Committer) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.signal()
	<-c.done
}

// Observer is told of each commit that was stored, in order, before its callers are answered. It must not wait. The
// records do not change any more.
type Observer func(first int64, at time.Time, records []*datastorage.Record)

// Observe sets who is told of commits from now on.
func (c *Committer) Observe(o Observer) { c.observer.Store(&o) }

// Size returns the size of the log as of the last commit that this committer knows.
func (c *Committer) Size() int64 {
	c.stateMu.Lock()
	defer c.stateMu.Unlock()
	return c.size
}

// Diverged returns why the store does not continue the log that this committer acknowledged, nil when it does.
func (c *Committer) Diverged() error {
	c.stateMu.Lock()
	defer c.stateMu.Unlock()
	return c.diverged
}

// submit commits w and returns its place in the log, at the latest at the deadline of ctx. Errors: errTaken, or a
// *datastorage.Error; CodeUnavailable when the queue is full, the committer closes, the store fails, or no answer came in
// time.
func (c *Committer) submit(ctx context.Context, w datastorage.Write) (placement, error) {
	now := c.now()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = now.Add(c.limits.WriteTimeout)
	}
	r := &request{write: w, events: len(w.Records), queued: now, deadline: deadline, answer: make(chan answer, 1)}
	for _, rec := range w.Records {
		r.bytes += int64(len(rec.Body)) + recordOverhead
	}
	for _, change := range w.Changes {
		r.bytes += int64(len(change.Document))
	}
	if err := c.enqueue(r); err != nil {
		return placement{}, err
	}
	a := <-r.answer
	return a.at, a.err
}

func (c *Committer) enqueue(r *request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return datastorage.Unavailable(errClosing, "the server is shutting down")
	case c.events > 0 && (c.events+r.events > c.limits.QueueEvents || c.bytes+r.bytes > c.limits.QueueBytes):
		c.metrics.pushback.Inc()
		return datastorage.Unavailable(errFull, "the server is full; try again later")
	}
	c.events += r.events
	c.bytes += r.bytes
	c.queue = append(c.queue, r)
	if !c.watched {
		c.watched = true
		time.AfterFunc(r.deadline.Sub(r.queued), c.expire)
	}
	c.signal()
	return nil
}

// expire answers the requests whose time is over. One timer does for all of them: a timer for each is a measurable part
// of what a write costs.
func (c *Committer) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	var next time.Time
	late := func(r *request) bool {
		if r.deadline.After(now) {
			if next.IsZero() || r.deadline.Before(next) {
				next = r.deadline
			}
			return false
		}
		return true
	}
	waiting := c.queue[:0]
	for _, r := range c.queue {
		if !late(r) {
			waiting = append(waiting, r)
			continue
		}
		c.events -= r.events
		c.bytes -= r.bytes
		r.tell(answer{err: datastorage.Unavailable(errLate, "the store did not take the write in time; nothing was stored, try again")})
	}
	clear(c.queue[len(waiting):])
	c.queue = waiting
	for _, r := range c.underway {
		if !r.answered && late(r) {
			r.tell(answer{err: datastorage.Unavailable(errLate,
				"the store did not answer in time; whether the write was stored is unknown, try again with the same event_id")})
		}
	}
	c.watched = !next.IsZero()
	if c.watched {
		time.AfterFunc(next.Sub(now), c.expire)
	}
}

// tell answers r unless it was answered before. The caller holds Committer.mu.
func (r *request) tell(a answer) {
	if !r.answered {
		r.answered = true
		r.answer <- a
	}
}

func (c *Committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take removes from the queue what a commit holds beside the requests that it has already: at least one request if it
// has none and any waits, in order of arrival.
func (c *Committer) take(has []*request) (batch []*request, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	events, bytes := 0, int64(0)
	for _, r := range has {
		events += r.events
		bytes += r.bytes
	}
	for _, r := range c.queue {
		if events > 0 && (events+r.events > c.limits.CommitEvents || bytes+r.bytes > c.limits.CommitBytes) {
			break
		}
		events += r.events
		bytes += r.bytes
		batch = append(batch, r)
	}
	c.underway = append(slices.DeleteFunc(c.underway, func(r *request) bool { return r.answered }), batch...)
	rest := copy(c.queue, c.queue[len(batch):])
	clear(c.queue[rest:])
	c.queue = c.queue[:rest]
	c.metrics.queueDepth.Set(float64(c.events - events))
	return batch, c.closed
}

// reply ends r, whose caller may have been told already that it took too long.
func (c *Committer) reply(r *request, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(r, a)
}

// end is reply for a caller that holds mu.
func (c *Committer) end(r *request, a answer) {
	c.events -= r.events
	c.bytes -= r.bytes
	r.tell(a)
}

func (c *Committer) fail(batch []*request, err error) {
	for _, r := range batch {
		c.reply(r, answer{err: err})
	}
}

func (c *Committer) loop() {
	defer close(c.done)
	for {
		batch, closed := c.take(nil)
		if len(batch) > 0 {
			c.commit(batch)
			continue
		}
		c.pay()
		if closed {
			return
		}
		<-c.wake
	}
}

// commit stores a batch and answers every request of it. It may append to batch.
func (c *Committer) commit(batch []*request) {
	began := c.now()
	c.observeWait(batch)
	// The store may fail for a moment.
	giveUp := batch[0].queued.Add(c.limits.RetryFor)
	pause := 5 * time.Millisecond
	var open *pendingCommit
	for {
		err := c.try(&batch, &open)
		switch {
		case err == nil:
			c.metrics.commitSeconds.Observe(c.now().Sub(began).Seconds())
			return
		case errors.Is(err, ledger.ErrHeadMoved):
			c.locked = lockedRounds
			c.metrics.headMoved.Inc()
			continue
		case errors.Is(err, ledger.ErrDuplicateID):
			if batch, err = c.returnTaken(batch); err == nil && len(batch) == 0 {
				return
			} else if err == nil {
				open = nil
				continue
			}
		case errors.Is(err, datastorage.ErrCatalogMoved):
			c.commitApart(batch)
			return
		case datastorage.CodeOf(err) == datastorage.CodeUnavailable, errors.Is(err, ledger.ErrOutcomeUnknown):
		case len(batch) > 1:
			// The fault belongs to one request; the others must not suffer for it.
			c.log.Warn("a commit was refused; committing its requests in two parts", "error", err, "requests", len(batch))
			half := len(batch) / 2
			c.commit(batch[:half:half])
			c.commit(batch[half:])
			return
		default:
			c.log.Error("the store refused a write", "error", err)
			c.fail(batch, &datastorage.Error{Code: datastorage.CodeInternal, Detail: "the store refused the write", Cause: err})
			return
		}
		if c.now().Add(pause).After(giveUp) {
			c.giveUp(batch, err)
			return
		}
		time.Sleep(pause)
		pause = min(2*pause, 100*time.Millisecond)
	}
}

// commitApart stores a batch that was refused with ErrCatalogMoved: each request that changes the catalogue by itself, the
// others as before. One request alone gets that error: its caller knows what to do.
func (c *Committer) commitApart(batch []*request) {
	if len(batch) == 1 {
		c.fail(batch, datastorage.ErrCatalogMoved)
		return
	}
	var others []*request
	for i, r := range batch {
		if len(r.write.Changes) == 0 {
			others = append(others, r)
		} else {
			c.commit(batch[i : i+1 : i+1])
		}
	}
	if len(others) > 0 {
		c.commit(others)
	}
}

func (c *Committer) observeWait(requests []*request) {
	now := c.now()
	for _, r := range requests {
		c.metrics.queueWait.Observe(now.Sub(r.queued).Seconds())
	}
}

// pendingCommit is a commit whose outcome is unknown: the same one must be tried again, for it may be stored.
type pendingCommit struct {
	commit *ledger.Commit
	next   ledger.Head
}

// try makes one attempt to store batch, and answers it when it succeeded. open holds the commit of an earlier attempt
// whose outcome is unknown, nil when there is none. While others hold the lock of the log, requests that come meanwhile
// join the batch.
func (c *Committer) try(batch *[]*request, open **pendingCommit) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.limits.WriteTimeout)
	defer cancel()
	if c.head == nil || *open != nil {
		c.pay() // what comes may take a while
	}
	if err := c.readHead(ctx); err != nil {
		return err
	}
	w := join(*batch)
	var (
		commit *ledger.Commit
		next   ledger.Head
		err    error
	)
	switch {
	case *open != nil:
		commit, next = (*open).commit, (*open).next
		err = c.store.Commit(ctx, commit, w)
		if errors.Is(err, ledger.ErrHeadMoved) {
			err = c.settle(ctx, commit)
		}
	case c.locked > 0:
		c.locked--
		// The look-up goes on while the lock is waited for: others wait for that.
		acked := c.lookUpAcked(ctx)
		build := func(head ledger.Head) (*ledger.Commit, error) {
			if err := c.checkContinues(head, acked); err != nil {
				return nil, err
			}
			if head.Size() > c.acked.Size() {
				c.locked = lockedRounds // the other writer is still there
			}
			more, _ := c.take(*batch)
			for _, r := range more {
				r.joinTo(w)
			}
			*batch = append(*batch, more...)
			c.observeWait(more)
			commit, next = ledger.NewCommit(&head, w.Records, c.now())
			return commit, nil
		}
		err = c.payBeside(func() error { return c.store.CommitLocked(ctx, build, w) })
	default:
		commit, next = ledger.NewCommit(c.head, w.Records, c.now())
		err = c.payBeside(func() error { return c.store.Commit(ctx, commit, w) })
	}
	switch {
	case err == nil:
		c.succeed(*batch, w, commit, next)
		*open = nil
	case errors.Is(err, ledger.ErrOutcomeUnknown) && commit != nil:
		*open = &pendingCommit{commit, next}
	default:
		if !errors.Is(err, ledger.ErrDuplicateID) {
			c.head = nil
		}
		// Whatever is unavailable now, an earlier attempt whose outcome is unknown stays open.
		if datastorage.CodeOf(err) != datastorage.CodeUnavailable {
			*open = nil
		}
	}
	return err
}

// settle decides a commit whose outcome was unknown, now that the log goes beyond its place: nil when it is the one
// that stands there.
func (c *Committer) settle(ctx context.Context, commit *ledger.Commit) error {
	stored, err := c.store.CommitAt(ctx, commit.FirstIndex)
	if err != nil {
		return err
	}
	if stored != nil && stored.Root == commit.Root && stored.NextIndex == commit.NextIndex {
		return nil
	}
	return ledger.ErrHeadMoved
}

// join concatenates what the requests of a batch want stored. The result may be appended to.
func join(batch []*request) *datastorage.Write {
	n := 0
	for _, r := range batch {
		n += r.events
	}
	w := &datastorage.Write{Records: make([]*datastorage.Record, 0, n)}
	for _, r := range batch {
		r.joinTo(w)
	}
	return w
}

// joinTo adds what a request wants stored to w.
func (r *request) joinTo(w *datastorage.Write) {
	w.Records = append(w.Records, r.write.Records...)
	w.Notifications = append(w.Notifications, r.write.Notifications...)
	w.Changes = append(w.Changes, r.write.Changes...)
}

func (c *Committer) succeed(batch []*request, w *datastorage.Write, commit *ledger.Commit, next ledger.Head) {
	if observe := c.observer.Load(); observe != nil {
		(*observe)(commit.FirstIndex, commit.CommittedAt, w.Records)
	}
	c.head, c.acked = &next, next
	c.stateMu.Lock()
	c.size = next.Size()
	c.stateMu.Unlock()
	c.metrics.commitEvents.Observe(float64(commit.NextIndex - commit.FirstIndex))
	c.metrics.ledgerSize.Set(float64(next.Size()))
	c.owed = append(c.owed, owed{batch, commit})
}

// owed are requests whose commit is stored, and who are not told yet.
type owed struct {
	batch  []*request
	commit *ledger.Commit
}

// pay answers what is owed.
func (c *Committer) pay() {
	if len(c.owed) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.owed {
		first := o.commit.FirstIndex
		for _, r := range o.batch {
			c.end(r, answer{at: placement{first: first, size: o.commit.NextIndex, root: o.commit.Root}})
			first += int64(r.events)
		}
	}
	clear(c.owed)
	c.owed = c.owed[:0]
}

// payBeside has the store commit, and pays meanwhile.
func (c *Committer) payBeside(commit func() error) error {
	done := make(chan error, 1)
	go func() { done <- commit() }()
	c.pay()
	return <-done
}

// returnTaken sends back the requests of a batch that hold a stored event_id and returns the others.
func (c *Committer) returnTaken(batch []*request) ([]*request, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.limits.WriteTimeout)
	defer cancel()
	seen := map[uuid.UUID]bool{}
	found, err := c.store.Find(ctx, sentIDs(batch))
	if err != nil {
		return batch, err
	}
	var rest []*request
	for _, r := range batch {
		taken := false
		for _, rec := range r.write.Records {
			_, stored := found[rec.ID]
			taken = taken || stored || seen[rec.ID]
		}
		for _, rec := range r.write.Records {
			seen[rec.ID] = true
		}
		if taken {
			c.reply(r, answer{err: errTaken})
		} else {
			rest = append(rest, r)
		}
	}
	if len(rest) == len(batch) {
		return batch, errors.New("the store reports a duplicate event_id that it does not hold")
	}
	return rest, nil
}

func sentIDs(batch []*request) (ids []uuid.UUID) {
	for _, r := range batch {
		for _, rec := range r.write.Records {
			ids = append(ids, rec.ID)
		}
	}
	return ids
}

// giveUp answers a batch that the store did not take in time.
func (c *Committer) giveUp(batch []*request, err error) {
	c.head = nil
	c.log.Error("the store takes no writes", "error", err, "requests", len(batch))
	detail := "the store cannot be reached; nothing was stored, try again"
	if errors.Is(err, ledger.ErrOutcomeUnknown) {
		detail = "the store did not answer in time; whether the write was stored is unknown, try again with the same event_id"
	}
	c.fail(batch, datastorage.Unavailable(err, "%s", detail))
}

// readHead reads the head when it is not known.
func (c *Committer) readHead(ctx context.Context) error {
	if c.head != nil {
		return nil
	}
	head, err := c.store.Head(ctx)
	if err != nil {
		return err
	}
	acked := func() (*ledger.Commit, error) { return c.store.CommitAt(ctx, c.acked.First) }
	if err := c.checkContinues(head, acked); err != nil {
		return err
	}
	c.head = &head
	return nil
}

// lookUpAcked begins to read the last commit that callers were told of, and returns what waits for it.
func (c *Committer) lookUpAcked(ctx context.Context) func() (*ledger.Commit, error) {
	type result struct {
		commit *ledger.Commit
		err    error
	}
	found := make(chan result, 1)
	first := c.acked.First
	go func() {
		commit, err := c.store.CommitAt(ctx, first)
		found <- result{commit, err}
	}()
	return func() (*ledger.Commit, error) {
		r := <-found
		return r.commit, r.err
	}
}

// checkContinues checks that a head that the store showed continues the log that callers were told of. A store that
// lost acknowledged commits, say after a failover to a replica that lagged, must not be written to in silence. acked
// reads the last commit that callers were told of.
func (c *Committer) checkContinues(head ledger.Head, acked func() (*ledger.Commit, error)) error {
	err := c.continues(head, acked)
	if err != nil && datastorage.CodeOf(err) == datastorage.CodeUnavailable {
		return err
	}
	c.stateMu.Lock()
	before := c.diverged
	c.diverged = err
	c.stateMu.Unlock()
	if err == nil {
		c.metrics.diverged.Set(0)
		return nil
	}
	c.metrics.diverged.Set(1)
	if before == nil {
		c.log.Error("the store does not continue the log that this server acknowledged; writes are refused", "error", err)
	}
	return datastorage.Unavailable(err, "the store does not hold what this server has acknowledged; writes are refused")
}

func (c *Committer) continues(head ledger.Head, acked func() (*ledger.Commit, error)) error {
	size, root := c.acked.Size(), c.acked.Range.Root()
	if head.Size() < size {
		return &divergence{size: size, found: head.Size()}
	}
	if size == 0 || head.Size() == size && head.Range.Root() == root {
		return nil
	}
	at, err := acked()
	if err != nil {
		return err
	}
	if at == nil || at.NextIndex != size || at.Root != root {
		return &divergence{size: size, found: head.Size()}
	}
	return nil
}
