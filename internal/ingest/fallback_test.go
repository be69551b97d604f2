package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/deadletter/disk"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/ledger"
)

// quick makes outages short.
var quick = ingest.Limits{
	QueueEvents: 10_000, QueueBytes: 64 << 20, CommitEvents: 500, CommitBytes: 4 << 20,
	WriteTimeout: 2 * time.Second, RetryFor: 20 * time.Millisecond,
}

// faultQueue is a real queue whose changes can be made to fail on either side.
type faultQueue struct {
	deadletter.Queue
	mu            sync.Mutex
	before, after func() error
}

func (q *faultQueue) set(before, after func() error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.before, q.after = before, after
}

func (q *faultQueue) around(change func() error) error {
	q.mu.Lock()
	before, after := q.before, q.after
	q.mu.Unlock()
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	if err := change(); err != nil {
		return err
	}
	if after != nil {
		return after()
	}
	return nil
}

func (q *faultQueue) Put(ctx context.Context, messages []*deadletter.Message) error {
	return q.around(func() error { return q.Queue.Put(ctx, messages) })
}

func (q *faultQueue) Remove(ctx context.Context, ids []string) error {
	return q.around(func() error { return q.Queue.Remove(ctx, ids) })
}

func (q *faultQueue) Quarantine(ctx context.Context, id, reason string) error {
	return q.around(func() error { return q.Queue.Quarantine(ctx, id, reason) })
}

func (q *faultQueue) Replay(ctx context.Context, id string) error {
	return q.around(func() error { return q.Queue.Replay(ctx, id) })
}

func openQueue(t *testing.T, dir string) *disk.Queue {
	t.Helper()
	q, err := disk.Open(t.Context(), dir, disk.Options{MaxBytes: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// system is a server's write path with a queue, on stores that can be made to fail.
type system struct {
	*ingest.Service
	store    *faultStore
	queue    *faultQueue
	fallback *ingest.Fallback
}

// startSystem starts the write path on a store and a queue, and stops it in order at the end of the test.
func startSystem(t *testing.T, store *faultStore, queue *faultQueue) *system {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	reg := prometheus.NewRegistry()
	c, err := ingest.NewCommitter(t.Context(), store, quick, log, ingest.NewMetrics(reg))
	if err != nil {
		t.Fatal(err)
	}
	stats := func() (deadletter.Stats, error) { return queue.Stats(context.Background()) }
	f, err := ingest.NewFallback(t.Context(), queue, log, ingest.NewFallbackMetrics(reg, stats))
	if err != nil {
		t.Fatal(err)
	}
	r := ingest.NewRedriver(f, c, log)
	t.Cleanup(func() {
		r.Close()
		c.Close()
		if err := queue.Close(); err != nil {
			t.Error(err)
		}
	})
	return &system{ingest.NewServiceWithFallback(c, f), store, queue, f}
}

func newSystem(t *testing.T) *system {
	t.Helper()
	return startSystem(t, &faultStore{Store: openStore(t, t.TempDir())}, &faultQueue{Queue: openQueue(t, t.TempDir())})
}

func (s *system) outage() {
	s.store.set(func(*datastorage.Write) error { return datastorage.Unavailable(nil, "outage") }, nil)
}

// drained waits until nothing waits any more and the store takes the writes.
func (s *system) drained(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		stats, err := s.queue.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if stats.Depth == 0 && s.fallback.StoreTakesWrites() {
			return
		}
		<-tick.C
	}
	t.Fatal("the queue is not drained")
}

func stored(t *testing.T, s *system, id uuid.UUID) bool {
	t.Helper()
	_, err := s.store.Event(t.Context(), id)
	if err != nil && datastorage.CodeOf(err) != datastorage.CodeNotFound {
		t.Fatal(err)
	}
	return err == nil
}

func TestFallback_Outage(t *testing.T) {
	s := newSystem(t)
	s.outage()
	first, err := writeOne(s.Service, event(t, ""))
	if err != nil || !first.Queued || first.ID == uuid.Nil {
		t.Fatalf("%+v, %v", first, err)
	}
	if stored(t, s, first.ID) {
		t.Error("it is stored already")
	}
	// With the breaker open, a parent cannot be looked up: the event is taken.
	child, err := writeOne(s.Service, event(t, fmt.Sprintf(`,"parent_event_id":%q`, uuid.New())))
	if err != nil || !child.Queued {
		t.Fatalf("%+v, %v", child, err)
	}
	// The same id again is the same message; other content is a conflict.
	id := uuid.New()
	for range 2 {
		again, err := writeOne(s.Service, withID(t, id, ""))
		if err != nil || !again.Queued || again.ID != id {
			t.Fatalf("%+v, %v", again, err)
		}
	}
	if _, err := writeOne(s.Service, withID(t, id, `,"severity":"high"`)); datastorage.CodeOf(err) != datastorage.CodeConflict {
		t.Errorf("other content: %v", err)
	}
	s.store.set(nil, nil)
	s.drained(t)
	for _, id := range []uuid.UUID{first.ID, child.ID, id} {
		if !stored(t, s, id) {
			t.Errorf("%s is not stored", id)
		}
	}
	again, err := writeOne(s.Service, withID(t, id, ""))
	if err != nil || again.Queued || !again.Duplicate {
		t.Errorf("after the outage: %+v, %v", again, err)
	}
	checkStored(t, s.store, nil, 3)
}

// What the store refuses for its content, or the server for its load, is never queued.
func TestFallback_NotForFaultsOfTheEvent(t *testing.T) {
	s := newSystem(t)
	s.store.set(func(*datastorage.Write) error { return errors.New("this content cannot be stored") }, nil)
	if got, err := writeOne(s.Service, event(t, "")); datastorage.CodeOf(err) != datastorage.CodeInternal {
		t.Errorf("%+v, %v", got, err)
	}
	s.store.set(nil, nil)
	if _, err := writeOne(s.Service, event(t, fmt.Sprintf(`,"parent_event_id":%q`, uuid.New()))); datastorage.CodeOf(err) != datastorage.CodeValidation {
		t.Errorf("a missing parent: %v", err)
	}
	if stats, err := s.queue.Stats(t.Context()); err != nil || stats.Depth != 0 {
		t.Errorf("%+v, %v", stats, err)
	}
}

func TestFallback_BothDown(t *testing.T) {
	s := newSystem(t)
	s.outage()
	s.queue.set(func() error { return deadletter.ErrFull }, nil)
	if got, err := writeOne(s.Service, event(t, "")); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("%+v, %v", got, err)
	}
	if s.fallback.TakesWrites(t.Context()) {
		t.Error("a full queue is said to take writes")
	}
	s.queue.set(nil, nil)
	if got, err := writeOne(s.Service, event(t, "")); err != nil || !got.Queued {
		t.Errorf("%+v, %v", got, err)
	}
}

// Whatever fails on either side of store and queue, what was acknowledged is stored once, and each correlation keeps the
// order in which its client wrote.
func TestFallback_FaultsEverywhere(t *testing.T) {
	s := newSystem(t)
	rng := rand.New(rand.NewPCG(3, 4))
	var mu sync.Mutex
	sometimes := func(n int, err error) error {
		mu.Lock()
		defer mu.Unlock()
		if rng.IntN(n) == 0 {
			return err
		}
		return nil
	}
	down := datastorage.Unavailable(nil, "outage")
	s.store.set(
		func(*datastorage.Write) error {
			return errors.Join(sometimes(3, down), sometimes(5, ledger.ErrOutcomeUnknown))
		},
		func() error { return sometimes(4, ledger.ErrOutcomeUnknown) },
	)
	broken := errors.New("the disk of the queue fails")
	s.queue.set(func() error { return sometimes(8, broken) }, func() error { return sometimes(8, broken) })

	const clients, events = 12, 15
	order := make([][]uuid.UUID, clients)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for range events {
				e := withID(t, uuid.New(), "")
				e.CorrelationID = fmt.Sprintf("client-%d", c)
				for try := 0; ; try++ {
					_, err := writeOne(s.Service, e)
					if err == nil {
						break
					}
					if datastorage.CodeOf(err) != datastorage.CodeUnavailable || try > 200 {
						t.Error(err)
						return
					}
				}
				order[c] = append(order[c], e.ID)
			}
		})
	}
	wg.Wait()
	s.store.set(nil, nil)
	s.queue.set(nil, nil)
	s.drained(t)
	for c, ids := range order {
		last := int64(-1)
		for n, id := range ids {
			e, err := s.store.Event(t.Context(), id)
			if err != nil {
				t.Fatalf("event %d of client %d was acknowledged: %v", n, c, err)
			}
			if e.LogIndex <= last {
				t.Errorf("event %d of client %d stands at %d, the one before at %d", n, c, e.LogIndex, last)
			}
			last = e.LogIndex
		}
	}
	checkStored(t, s.store, nil, clients*events)
}

// While an event of a correlation waits, a new one does not overtake it, and others are not held up.
func TestFallback_NoOvertaking(t *testing.T) {
	store := &faultStore{Store: openStore(t, t.TempDir())}
	dir := t.TempDir()
	queue := openQueue(t, dir)
	waiting := event(t, "")
	waiting.ID, waiting.CorrelationID = uuid.New(), "waits"
	record := datastorage.NewRecord(waiting, [datastorage.SaltSize]byte{1})
	message := &deadletter.Message{
		EventID: record.ID, CorrelationID: "waits", Body: record.Body, Salt: record.Salt, QueuedAt: time.Now().UTC(),
	}
	if err := queue.Put(t.Context(), []*deadletter.Message{message}); err != nil {
		t.Fatal(err)
	}
	held := &heldQueue{Queue: queue, release: make(chan struct{})}
	s := startSystem(t, store, &faultQueue{Queue: held})
	behind := event(t, "")
	behind.CorrelationID = "waits"
	// Nothing leaves the queue, so it does not wait for its turn.
	began := time.Now()
	if got, err := writeOne(s.Service, behind); err != nil || !got.Queued {
		t.Errorf("behind a waiting event: %+v, %v", got, err)
	}
	if took := time.Since(began); took > 200*time.Millisecond {
		t.Errorf("it waited %s behind events that nobody stores", took)
	}
	if got, err := writeOne(s.Service, event(t, "")); err != nil || got.Queued {
		t.Errorf("another correlation: %+v, %v", got, err)
	}
	// A parent that waits counts as stored.
	if got, err := writeOne(s.Service, event(t, fmt.Sprintf(`,"parent_event_id":%q`, waiting.ID))); err != nil || got.Queued {
		t.Errorf("a child of a waiting event: %+v, %v", got, err)
	}
	close(held.release)
	s.drained(t)
	checkStored(t, store, nil, 4)
}

// heldQueue shows no messages to the redriver until it is released.
type heldQueue struct {
	deadletter.Queue
	release chan struct{}
}

func (q *heldQueue) Oldest(ctx context.Context, limit int) ([]*deadletter.Message, error) {
	select {
	case <-q.release:
		return q.Queue.Oldest(ctx, limit)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lateQueue lets a Put end between the moment at which the redriver sees the queue empty and that at which it says so.
type lateQueue struct {
	deadletter.Queue
	began   chan struct{} // closed when the Put begins
	looked  chan struct{} // closed when the queue was seen empty beside it
	written chan struct{} // closed by the test: the caller of the Put has its answer
	next    chan struct{} // closed when the redriver looks again
	release chan struct{} // closed by the test: the redriver may go on

	looks int // beside the Put; only the redriver looks
}

func (q *lateQueue) Put(ctx context.Context, messages []*deadletter.Message) error {
	select {
	case <-q.looked:
	default:
		close(q.began)
		<-q.looked
	}
	return q.Queue.Put(ctx, messages)
}

func (q *lateQueue) Oldest(ctx context.Context, limit int) ([]*deadletter.Message, error) {
	messages, err := q.Queue.Oldest(ctx, limit)
	select {
	case <-q.began:
	default:
		return messages, err
	}
	switch q.looks++; q.looks {
	case 1: // the round may have begun before the Put
	case 2:
		close(q.looked)
		<-q.written
	case 3:
		close(q.next)
		<-q.release
		return q.Queue.Oldest(ctx, limit)
	}
	return messages, err
}

// A queue that was empty when it was looked at is not empty any more when a Put was under way meanwhile: later events must
// not overtake what it has put.
func TestFallback_PutBesideLook(t *testing.T) {
	t.Parallel()
	late := &lateQueue{
		Queue: openQueue(t, t.TempDir()), began: make(chan struct{}), looked: make(chan struct{}), written: make(chan struct{}),
		next: make(chan struct{}), release: make(chan struct{}),
	}
	s := startSystem(t, &faultStore{Store: openStore(t, t.TempDir())}, &faultQueue{Queue: late})
	s.outage()
	if got, err := writeOne(s.Service, event(t, "")); err != nil || !got.Queued {
		t.Fatalf("%+v, %v", got, err)
	}
	s.store.set(nil, nil)
	close(late.written)
	<-late.next
	if got, err := writeOne(s.Service, event(t, "")); err != nil || !got.Queued {
		t.Errorf("behind a waiting event of its correlation_id: %+v, %v", got, err)
	}
	close(late.release)
	s.drained(t)
	checkStored(t, s.store, nil, 2)
}

// An event_id that meanwhile belongs to other content goes to the quarantine and holds nobody up; one that is stored with
// the same content just leaves.
func TestRedriver_Quarantine(t *testing.T) {
	store := &faultStore{Store: openStore(t, t.TempDir())}
	direct, _ := start(t, store, quick)
	same, other := uuid.New(), uuid.New()
	for _, id := range []uuid.UUID{same, other} {
		if _, err := writeOne(direct, withID(t, id, "")); err != nil {
			t.Fatal(err)
		}
	}
	queue := openQueue(t, t.TempDir())
	var messages []*deadletter.Message
	for _, e := range []datastorage.Event{withID(t, other, `,"severity":"low"`), withID(t, same, ""), withID(t, uuid.New(), "")} {
		record := datastorage.NewRecord(e, [datastorage.SaltSize]byte{2})
		messages = append(messages, &deadletter.Message{
			EventID: record.ID, CorrelationID: record.CorrelationID, Body: record.Body, Salt: record.Salt,
			Sent: record.Sent, QueuedAt: time.Now().UTC(),
		})
	}
	if err := queue.Put(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	s := startSystem(t, store, &faultQueue{Queue: queue})
	s.drained(t)
	letters, err := queue.Letters(t.Context(), "", 10)
	if err != nil || len(letters) != 1 || letters[0].EventID != other || letters[0].Reason == "" {
		t.Fatalf("%+v, %v", letters, err)
	}
	checkStored(t, store, nil, 3)
	// Replayed, it is refused again; it never blocks others.
	if err := s.fallback.DeadLetters().Replay(t.Context(), letters[0].ID); err != nil {
		t.Fatal(err)
	}
	if got, err := writeOne(s.Service, event(t, "")); err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	s.drained(t)
	if again, err := queue.Letters(t.Context(), "", 10); err != nil || len(again) != 1 {
		t.Errorf("%+v, %v", again, err)
	}
}

// slowFinder is a store that looks nothing up before it is released.
type slowFinder struct {
	ingest.Store
	release chan struct{}
}

func (s *slowFinder) Find(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]int64, error) {
	<-s.release
	return s.Store.Find(ctx, ids)
}

// A look-up that comes too late for its caller sends that write to the queue, and no other.
func TestFallback_LateLookup(t *testing.T) {
	t.Parallel()
	slow := &slowFinder{openStore(t, t.TempDir()), make(chan struct{})}
	s := startSystem(t, &faultStore{Store: slow}, &faultQueue{Queue: openQueue(t, t.TempDir())})
	if got, err := writeOne(s.Service, withID(t, uuid.New(), "")); err != nil || !got.Queued {
		t.Errorf("%+v, %v", got, err)
	}
	if !s.fallback.StoreTakesWrites() {
		t.Error("the store is avoided")
	}
	close(slow.release)
	s.drained(t)
	checkStored(t, s.store, nil, 1)
}

func TestFallback_Notification(t *testing.T) {
	s := newSystem(t)
	s.outage()
	raw := `{"remediation_id":"rr-1","notification_id":"n-1","recipient":"oncall","channel":"slack",` +
		`"message_summary":"done","status":"sent","sent_at":"2026-05-11T14:40:59Z"}`
	n, err := testRules.DecodeNotification([]byte(raw), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.WriteNotification(t.Context(), n, n.Event(&testRules))
	if err != nil || !got.Queued {
		t.Fatalf("%+v, %v", got, err)
	}
	s.store.set(nil, nil)
	s.drained(t)
	if !stored(t, s, n.EventID) {
		t.Error("its event is not stored")
	}
	if _, err := s.WriteNotification(t.Context(), n, n.Event(&testRules)); datastorage.CodeOf(err) != datastorage.CodeConflict {
		t.Errorf("the same notification_id again: %v", err)
	}
}
