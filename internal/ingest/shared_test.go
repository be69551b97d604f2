package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// sharedQueue is a queue that says it is shared, and that can be made not to answer: at all, or to who empties it.
type sharedQueue struct {
	deadletter.Queue
	silent, unread atomic.Bool
}

var errSilent = errors.New("the queue does not answer")

func (q *sharedQueue) Shared() bool { return true }

func (q *sharedQueue) err() error {
	if q.silent.Load() {
		return errSilent
	}
	return nil
}

func (q *sharedQueue) Put(ctx context.Context, messages []*deadletter.Message) error {
	if err := q.err(); err != nil {
		return err
	}
	return q.Queue.Put(ctx, messages)
}

func (q *sharedQueue) Oldest(ctx context.Context, limit int) ([]*deadletter.Message, error) {
	if q.silent.Load() || q.unread.Load() {
		return nil, errSilent
	}
	return q.Queue.Oldest(ctx, limit)
}

func (q *sharedQueue) Holds(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]bool, error) {
	if err := q.err(); err != nil {
		return nil, err
	}
	return q.Queue.Holds(ctx, ids)
}

func (q *sharedQueue) HoldsCorrelations(ctx context.Context, ids []string) (map[string]bool, error) {
	if err := q.err(); err != nil {
		return nil, err
	}
	return q.Queue.HoldsCorrelations(ctx, ids)
}

// TestFallback_SharedQueueSilent: while a shared queue does not answer and the store does, writes go on in the store, but
// for those that would overtake what this server put.
func TestFallback_SharedQueueSilent(t *testing.T) {
	queue := &sharedQueue{Queue: openQueue(t, t.TempDir())}
	queue.unread.Store(true) // or the redriver may have in hand what is put
	s := startSystem(t, &faultStore{Store: openStore(t, t.TempDir())}, &faultQueue{Queue: queue})
	s.outage()
	waiting := event(t, "")
	waiting.CorrelationID = "waits"
	first, err := writeOne(s.Service, waiting)
	if err != nil || !first.Queued {
		t.Fatalf("%+v, %v", first, err)
	}
	queue.silent.Store(true)
	s.store.set(nil, nil)
	eventually(t, "the breaker closes", s.fallback.StoreTakesWrites)

	named := withID(t, uuid.New(), "")
	if got, err := writeOne(s.Service, named); err != nil || got.Queued {
		t.Errorf("another correlation_id: %+v, %v", got, err)
	}
	if len(s.fallback.Warnings()) != 1 {
		t.Errorf("the warnings are %q", s.fallback.Warnings())
	}
	behind := event(t, "")
	behind.CorrelationID = "waits"
	if got, err := writeOne(s.Service, behind); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("behind what this server put: %+v, %v", got, err)
	}
	// The parent may wait, or be nowhere: that is no reason to refuse the event for good, nor to open the breaker.
	child := event(t, fmt.Sprintf(`,"parent_event_id":%q`, first.ID))
	if got, err := writeOne(s.Service, child); datastorage.CodeOf(err) != datastorage.CodeUnavailable || !s.fallback.StoreTakesWrites() {
		t.Errorf("a child of what may wait: %+v, %v", got, err)
	}

	queue.silent.Store(false)
	queue.unread.Store(false)
	s.drained(t)
	eventually(t, "the queue is asked again", func() bool {
		got, err := writeOne(s.Service, behind)
		return err == nil && !got.Queued && len(s.fallback.Warnings()) == 0
	})
	if got, err := writeOne(s.Service, child); err != nil || got.Queued {
		t.Errorf("a child of what is stored: %+v, %v", got, err)
	}
}

// TestRedriver_SharedHandsOver: a server that leads and cannot reach the store leaves the lead to one that can.
func TestRedriver_SharedHandsOver(t *testing.T) {
	store, queue := openStore(t, t.TempDir()), &sharedQueue{Queue: openQueue(t, t.TempDir())}
	cut := startSystem(t, &faultStore{Store: store}, &faultQueue{Queue: queue})
	cut.outage()
	if got, err := writeOne(cut.Service, event(t, "")); err != nil || !got.Queued {
		t.Fatalf("%+v, %v", got, err)
	}
	// Nobody else is there yet: the cut one leads.
	other := startSystem(t, &faultStore{Store: store}, &faultQueue{Queue: queue})
	other.drained(t)
	checkStored(t, store, nil, 1)
}

// eventually waits for what other goroutines do.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !happened(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not so after 20 s: %s", what)
		}
	}
}
