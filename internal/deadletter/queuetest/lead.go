package queuetest

import (
	"context"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// lead is the lead of a queue, as a test holds it.
type lead struct {
	ctx     context.Context
	release func()
}

// take takes the lead, which must be possible.
func take(t *testing.T, q deadletter.Queue) lead {
	t.Helper()
	return await(t, "taking the lead", seek(t.Context(), t, q))
}

// seek asks for the lead and sends it once it is granted; nothing when ctx ends first.
func seek(ctx context.Context, t *testing.T, q deadletter.Queue) <-chan lead {
	granted := make(chan lead, 1)
	go func() {
		led, release, err := q.Lead(ctx)
		if err == nil {
			granted <- lead{led, release}
		} else if ctx.Err() == nil {
			t.Errorf("Lead: %v", err)
		}
	}()
	return granted
}

// notGranted checks that another one is kept from the lead.
func notGranted(t *testing.T, q deadletter.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, release, err := q.Lead(ctx); err == nil {
		release()
		t.Fatal("two have the lead at once")
	}
}

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(deadline):
		t.Fatalf("%s did not happen in %v", what, deadline)
		panic("unreachable")
	}
}

func testLead(t *testing.T, b Backend) {
	q := open(t, b)
	first := take(t, q)
	notGranted(t, q)
	if err := first.ctx.Err(); err != nil {
		t.Fatalf("the lead was lost: %v", err)
	}
	second := seek(t.Context(), t, q)
	first.release()
	await(t, "the end of a lead that was released", first.ctx.Done())
	next := await(t, "passing on the lead", second)
	// A second release takes nothing from who leads now.
	first.release()
	notGranted(t, q)
	next.release()

	// A lead ends with the context that asked for it.
	ctx, cancel := context.WithCancel(t.Context())
	led, release, err := q.Lead(ctx)
	if err != nil {
		t.Fatalf("Lead: %v", err)
	}
	if led.Err() != nil {
		t.Fatal("the lead was lost at once")
	}
	cancel()
	await(t, "the end of a lead with its context", led.Done())
	release()
	take(t, q).release()
}

func testLeadAtClose(t *testing.T, b Backend) {
	q := b.Open(t, roomy)
	first := take(t, q)
	var other deadletter.Queue
	var second <-chan lead
	if q.Shared() {
		other = open(t, b)
		notGranted(t, other)
		second = seek(t.Context(), t, other)
	}
	waiter := make(chan error, 1)
	go func() {
		_, _, err := q.Lead(background(t))
		waiter <- err
	}()
	if err := q.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	await(t, "the end of a closed queue's lead", first.ctx.Done())
	if err := await(t, "the answer to one that waits for the lead of a closed queue", waiter); err == nil {
		t.Error("a closed queue has a new leader")
	}
	first.release()
	if other == nil {
		second = seek(t.Context(), t, open(t, b))
	}
	await(t, "passing on the lead", second).release()
}

// testShared is what several servers that use one queue may rely on. One that is not shared has nothing to check.
func testShared(t *testing.T, b Backend) {
	q := open(t, b)
	if !q.Shared() {
		return
	}
	other := open(t, b)
	list := messages(4, "c")
	put(t, q, list[:2]...)
	put(t, other, list[2:]...)
	if list[2].ID <= list[1].ID {
		t.Errorf("id %q does not sort behind %q of another server", list[2].ID, list[1].ID)
	}
	wantWaiting(t, q, list...)
	wantWaiting(t, other, list...)
	if err := other.Put(t.Context(), snapshot(list[:1])); err != nil {
		t.Errorf("Put of what another server put: %v", err)
	}
	for i, left := range []int{4, 1, 0} {
		waits, err := q.HoldsCorrelations(t.Context(), []string{"c"})
		if err != nil || waits["c"] != (left > 0) {
			t.Errorf("with %d messages waiting HoldsCorrelations says %v, %v", left, waits, err)
		}
		if err := other.Remove(t.Context(), ids(list[:3+min(i, 1)])); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			wantWaiting(t, q, list[3])
		}
	}
	put(t, q, list[0])
	take(t, q).release()
	if err := q.Remove(t.Context(), ids(list[:1])); err != nil {
		t.Errorf("Remove after a lead: %v", err)
	}
	wantWaiting(t, other)
}
