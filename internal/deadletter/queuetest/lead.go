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
	take(t, open(t, b)).release()
}
