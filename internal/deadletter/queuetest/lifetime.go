package queuetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

func testStats(t *testing.T, b Backend) {
	q := open(t, b)
	list := messages(10, "c")
	for i, m := range list {
		m.QueuedAt = m.QueuedAt.Add(time.Duration(i-100) * time.Second)
	}
	empty := stats(t, q)
	for i, m := range list {
		put(t, q, m)
		s := stats(t, q)
		if s.Depth != int64(i+1) || !s.Oldest.Equal(list[0].QueuedAt) || s.Quarantined != 0 || s.Capacity != roomy {
			t.Fatalf("behind %d messages: %+v", i+1, s)
		}
	}
	if s := stats(t, q); s.Bytes <= empty.Bytes || s.Bytes > s.Capacity || s.Oldest.Location() != time.UTC {
		t.Errorf("an empty queue takes %d bytes, one with 10 messages %d", empty.Bytes, s.Bytes)
	}
	if err := q.Remove(t.Context(), []string{list[0].ID}); err != nil {
		t.Fatal(err)
	}
	if err := q.Quarantine(t.Context(), list[1].ID, "reason"); err != nil {
		t.Fatal(err)
	}
	if s := stats(t, q); s.Depth != 8 || s.Quarantined != 1 || !s.Oldest.Equal(list[2].QueuedAt) {
		t.Errorf("want 8 waiting, 1 letter: %+v", s)
	}
	if err := q.Remove(t.Context(), ids(list)); err != nil {
		t.Fatal(err)
	}
	if s := stats(t, q); s.Depth != 0 || s.Quarantined != 1 || !s.Oldest.IsZero() {
		t.Errorf("want none waiting, 1 letter: %+v", s)
	}
}

func testReopen(t *testing.T, b Backend) {
	var all []*deadletter.Message
	last := ""
	for i := range 4 {
		q := b.Open(t, roomy)
		wantWaiting(t, q, all...)
		list := messages(5, fmt.Sprint(i))
		put(t, q, list...)
		if list[0].ID <= last {
			t.Fatalf("id %q does not sort behind %q of before", list[0].ID, last)
		}
		last = list[4].ID
		all = append(all, list...)
		if i == 1 {
			// An empty queue still knows which ids were used.
			if err := q.Remove(t.Context(), ids(all)); err != nil {
				t.Fatal(err)
			}
			all = nil
		}
		if i == 2 {
			if err := q.Quarantine(t.Context(), last, "reason"); err != nil {
				t.Fatal(err)
			}
			if err := q.Discard(t.Context(), last); err != nil {
				t.Fatal(err)
			}
			all = all[:4]
		}
		if err := q.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	wantWaiting(t, open(t, b), all...)
}

func testClose(t *testing.T, b Backend) {
	q := b.Open(t, roomy)
	// Whoever is answered with nil while the queue closes was put.
	type outcome struct {
		m   *deadletter.Message
		err error
	}
	const callers = 20
	outcomes := make(chan outcome, callers)
	for range callers {
		m := message(event("c", "racing"))
		go func() { outcomes <- outcome{m, q.Put(background(t), []*deadletter.Message{m})} }()
	}
	first := <-outcomes
	if err := q.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := q.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	put := map[string]bool{}
	for i := range callers {
		o := first
		if i > 0 {
			o = <-outcomes
		}
		if o.err == nil {
			put[o.m.EventID.String()] = true
		}
	}
	if err := q.Put(t.Context(), messages(1, "c")); err == nil {
		t.Error("a closed queue takes messages")
	}
	if _, err := q.Oldest(t.Context(), 1); err == nil {
		t.Error("a closed queue can be read")
	}
	if _, _, err := q.Lead(t.Context()); err == nil {
		t.Error("a closed queue can be led")
	}
	q = open(t, b)
	list, err := q.Oldest(t.Context(), callers+1)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		delete(put, m.EventID.String())
	}
	if len(put) > 0 {
		t.Errorf("%d messages were acknowledged and are not there", len(put))
	}
}

func testCancelled(t *testing.T, b Backend) {
	q := open(t, b)
	list := messages(2, "c")
	put(t, q, list...)
	if err := q.Quarantine(t.Context(), list[1].ID, "reason"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Put":               func() error { return q.Put(ctx, messages(1, "c")) },
		"Oldest":            func() error { _, err := q.Oldest(ctx, 1); return err },
		"Remove":            func() error { return q.Remove(ctx, ids(list)) },
		"Holds":             func() error { _, err := q.Holds(ctx, eventIDs(list)); return err },
		"HoldsCorrelations": func() error { _, err := q.HoldsCorrelations(ctx, []string{"c"}); return err },
		"Waiting":           func() error { return q.Waiting(ctx, func(string) {}) },
		"Quarantine":        func() error { return q.Quarantine(ctx, list[0].ID, "reason") },
		"Letters":           func() error { _, err := q.Letters(ctx, "", 1); return err },
		"Letter":            func() error { _, err := q.Letter(ctx, list[1].ID); return err },
		"Replay":            func() error { return q.Replay(ctx, list[1].ID) },
		"Discard":           func() error { return q.Discard(ctx, list[1].ID) },
		"Stats":             func() error { _, err := q.Stats(ctx); return err },
		"Lead":              func() error { _, _, err := q.Lead(ctx); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context returned %v", name, err)
		}
	}
	wantWaiting(t, q, list[0])
	wantLetters(t, q, letter(list[1], "reason"))
}
