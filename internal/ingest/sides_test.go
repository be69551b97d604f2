package ingest_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/ledger"
)

// errDisk is what a broken disk of the queue says, whether the change was made or not.
var errDisk = errors.New("the disk of the queue fails")

// sides are the two ways in which a step fails, twice each: before anything is changed, and after all of it is.
var sides = map[string]func(err error) (before, after func() error){
	"failed and not stored": func(err error) (before, after func() error) { return twice(err), nil },
	"failed but stored":     func(err error) (before, after func() error) { return nil, twice(err) },
}

func twice(err error) func() error {
	var n atomic.Int32
	return func() error {
		if n.Add(1) <= 2 {
			return err
		}
		return nil
	}
}

// eachSide runs a test for a fault of the queue on either side of a change.
func eachSide(t *testing.T, test func(t *testing.T, before, after func() error)) {
	t.Parallel()
	for name, side := range sides {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := side(errDisk)
			test(t, before, after)
		})
	}
}

// waiting returns messages as they wait in a queue from before.
func waiting(t *testing.T, queue deadletter.Queue, events ...datastorage.Event) {
	t.Helper()
	var messages []*deadletter.Message
	for _, e := range events {
		r := datastorage.NewRecord(e, [datastorage.SaltSize]byte{3})
		messages = append(messages, &deadletter.Message{
			EventID: r.ID, CorrelationID: r.CorrelationID, Body: r.Body, Salt: r.Salt, Sent: r.Sent, QueuedAt: time.Now().UTC(),
		})
	}
	if err := queue.Put(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
}

// again writes until it is acknowledged, as a client does; nothing but CodeUnavailable may come before.
func again(t *testing.T, write func() (queued bool, err error)) (queued bool) {
	t.Helper()
	for range 10 {
		queued, err := write()
		if err == nil {
			return queued
		}
		if datastorage.CodeOf(err) != datastorage.CodeUnavailable {
			t.Fatal(err)
		}
	}
	t.Fatal("the write is refused again and again")
	return false
}

func TestSides_Put(t *testing.T) {
	eachSide(t, func(t *testing.T, before, after func() error) {
		s := newSystem(t)
		s.outage()
		s.queue.set(before, after)
		e := withID(t, uuid.New(), "")
		if !again(t, func() (bool, error) { got, err := writeOne(s.Service, e); return got.Queued, err }) {
			t.Error("it is not queued")
		}
		s.store.set(nil, nil)
		s.drained(t)
		checkStored(t, s.store, nil, 1)
	})
}

func TestSides_PutNotification(t *testing.T) {
	eachSide(t, func(t *testing.T, before, after func() error) {
		s := newSystem(t)
		s.outage()
		s.queue.set(before, after)
		raw := `{"remediation_id":"rr-1","notification_id":"n-1","recipient":"oncall","channel":"slack",` +
			`"message_summary":"done","status":"sent","sent_at":"2026-05-11T14:40:59Z"}`
		n, err := testRules.DecodeNotification([]byte(raw), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if !again(t, func() (bool, error) {
			got, err := s.WriteNotification(t.Context(), n, n.Event(&testRules))
			return got.Queued, err
		}) {
			t.Error("it is not queued")
		}
		s.store.set(nil, nil)
		s.drained(t)
		checkStored(t, s.store, nil, 1)
		if !stored(t, s, n.EventID) {
			t.Error("its event is not stored")
		}
	})
}

// The event is stored, and its message leaves the queue with an error.
func TestSides_Remove(t *testing.T) {
	eachSide(t, func(t *testing.T, before, after func() error) {
		queue := openQueue(t, t.TempDir())
		first, second := withID(t, uuid.New(), ""), withID(t, uuid.New(), "")
		waiting(t, queue, first, second)
		s := startSystem(t, &faultStore{Store: openStore(t, t.TempDir())}, &faultQueue{Queue: queue, before: before, after: after})
		s.drained(t)
		checkStored(t, s.store, nil, 2)
		// What was counted as waiting does not hold up later events for ever.
		s.queue.set(nil, nil)
		for try := 0; ; try++ {
			got, err := writeOne(s.Service, withID(t, uuid.New(), ""))
			if err != nil || try > 1000 {
				t.Fatalf("%+v, %v", got, err)
			}
			if !got.Queued {
				break
			}
			s.drained(t)
		}
	})
}

func TestSides_Quarantine(t *testing.T) {
	eachSide(t, func(t *testing.T, before, after func() error) {
		store := &faultStore{Store: openStore(t, t.TempDir())}
		direct, _ := start(t, store, quick)
		id := uuid.New()
		if _, err := writeOne(direct, withID(t, id, "")); err != nil {
			t.Fatal(err)
		}
		queue := openQueue(t, t.TempDir())
		waiting(t, queue, withID(t, id, `,"severity":"low"`), withID(t, uuid.New(), ""))
		s := startSystem(t, store, &faultQueue{Queue: queue, before: before, after: after})
		s.drained(t)
		if letters, err := queue.Letters(t.Context(), "", 10); err != nil || len(letters) != 1 || letters[0].EventID != id {
			t.Errorf("%+v, %v", letters, err)
		}
		checkStored(t, store, nil, 2)
	})
}

// A letter that can be stored now is replayed; the administrator tries until it is gone from the quarantine.
func TestSides_Replay(t *testing.T) {
	eachSide(t, func(t *testing.T, before, after func() error) {
		queue := openQueue(t, t.TempDir())
		e := withID(t, uuid.New(), "")
		waiting(t, queue, e)
		oldest, err := queue.Oldest(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := queue.Quarantine(t.Context(), oldest[0].ID, "for the test"); err != nil {
			t.Fatal(err)
		}
		s := startSystem(t, &faultStore{Store: openStore(t, t.TempDir())}, &faultQueue{Queue: queue})
		s.queue.set(before, after)
		for range 10 {
			if err := s.fallback.DeadLetters().Replay(t.Context(), oldest[0].ID); err == nil || errors.Is(err, deadletter.ErrNotFound) {
				break
			} else if !errors.Is(err, errDisk) {
				t.Fatal(err)
			}
		}
		s.drained(t)
		checkStored(t, s.store, nil, 1)
		if letters, err := queue.Letters(t.Context(), "", 10); err != nil || len(letters) != 0 {
			t.Errorf("%+v, %v", letters, err)
		}
	})
}

// The commit of what is redriven fails, and its outcome may be unknown.
func TestSides_RedriveCommit(t *testing.T) {
	t.Parallel()
	down := datastorage.Unavailable(nil, "outage")
	for name, c := range map[string]struct{ before, after func() error }{
		"failed and not stored":                       {twice(down), nil},
		"outcome unknown, not stored":                 {twice(ledger.ErrOutcomeUnknown), nil},
		"failed but stored":                           {nil, twice(ledger.ErrOutcomeUnknown)},
		"stored at first, then the store cannot tell": {twice(down), twice(ledger.ErrOutcomeUnknown)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queue := openQueue(t, t.TempDir())
			waiting(t, queue, withID(t, uuid.New(), ""), withID(t, uuid.New(), ""))
			store := &faultStore{Store: openStore(t, t.TempDir())}
			var before func(*datastorage.Write) error
			if c.before != nil {
				before = func(*datastorage.Write) error { return c.before() }
			}
			store.set(before, c.after)
			s := startSystem(t, store, &faultQueue{Queue: queue})
			s.drained(t)
			checkStored(t, store, nil, 2)
		})
	}
}

// When what is redriven together is refused and then goes in parts, a part of which another server has stored something
// is not overtaken by the next one.
func TestRedriver_PartsInOrder(t *testing.T) {
	t.Parallel()
	queue := openQueue(t, t.TempDir())
	var events []datastorage.Event
	for range 4 {
		events = append(events, withID(t, uuid.New(), ""))
	}
	waiting(t, queue, events...)
	sqlite := openStore(t, t.TempDir())
	other, _ := start(t, sqlite, quick)
	store := &faultStore{Store: sqlite}
	var commits atomic.Int32
	store.set(func(*datastorage.Write) error {
		switch commits.Add(1) {
		case 1:
			return errors.New("one of these cannot be stored")
		case 2:
			_, err := writeOne(other, events[0])
			return err
		}
		return nil
	}, nil)
	s := startSystem(t, store, &faultQueue{Queue: queue})
	s.drained(t)
	checkStored(t, store, nil, 4)
	last := int64(-1)
	for n, e := range events {
		stored, err := store.Event(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if stored.LogIndex < last {
			t.Errorf("event %d stands at %d, the one before at %d", n, stored.LogIndex, last)
		}
		last = stored.LogIndex
	}
}
