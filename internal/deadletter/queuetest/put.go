package queuetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

func testFull(t *testing.T, b Backend) {
	q := b.Open(t, tight)
	defer func() { _ = q.Close() }()
	var list []*deadletter.Message
	for len(list) < tight/4096 {
		e := event("c", "step")
		e.Data = fmt.Appendf(nil, `{"noise":"%04000d"}`, len(list))
		m := message(e)
		err := q.Put(t.Context(), []*deadletter.Message{m})
		if errors.Is(err, deadletter.ErrFull) {
			break
		}
		if err != nil {
			t.Fatalf("Put: %v", err)
		}
		list = append(list, m)
		if s := stats(t, q); s.Bytes > s.Capacity || s.Capacity != tight {
			t.Fatalf("the queue takes %d bytes of %d", s.Bytes, s.Capacity)
		}
	}
	if len(list) < tight/4096/4 || len(list) == tight/4096 {
		t.Fatalf("%d messages of 4 KiB fit into %d bytes", len(list), tight)
	}
	large := message(event("c", "large"))
	large.Body = fmt.Appendf(nil, `{"event_data":{"noise":"%0500000d"}}`, 1)
	wantError(t, "Put", q.Put(t.Context(), []*deadletter.Message{large}), deadletter.ErrFull)
	wantWaiting(t, q, list...)

	// What waits already counts as put, and what takes no room can be done.
	again := snapshot(list[3:4])
	if err := q.Put(t.Context(), again); err != nil {
		t.Fatalf("Put of what waits: %v", err)
	}
	last := list[len(list)-1]
	if err := q.Quarantine(t.Context(), last.ID, "reason"); err != nil {
		t.Fatalf("Quarantine in a full queue: %v", err)
	}
	wantLetters(t, q, letter(last, "reason"))
	if err := q.Discard(t.Context(), last.ID); err != nil {
		t.Fatalf("Discard in a full queue: %v", err)
	}

	// Removing makes room, again and again.
	list = list[:len(list)-1]
	for range 3 {
		half := len(list) / 2
		if err := q.Remove(t.Context(), ids(list[:half])); err != nil {
			t.Fatalf("Remove: %v", err)
		}
		list = list[half:]
		for range half * 3 / 4 {
			e := event("c", "later")
			e.Data = fmt.Appendf(nil, `{"noise":"%04000d"}`, len(list))
			m := message(e)
			put(t, q, m)
			list = append(list, m)
		}
	}
	wantWaiting(t, q, list...)
}

func testConcurrent(t *testing.T, b Backend) {
	q := open(t, b)
	const writers, rounds = 16, 12
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				list := messages(1+i%3, fmt.Sprintf("writer-%d", w))
				for k, m := range list {
					m.Cause = fmt.Sprintf("%04d", i*10+k)
				}
				if err := q.Put(background(t), list); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()

	// One redriver takes out what it sees; each message comes once, and those of a writer in its order.
	last, total := map[string]string{}, 0
	for finished := false; ; {
		list, err := q.Oldest(t.Context(), 50)
		if err != nil {
			t.Fatalf("Oldest: %v", err)
		}
		for _, m := range list {
			if m.Cause <= last[m.CorrelationID] {
				t.Fatalf("message %s of %s comes behind %s", m.Cause, m.CorrelationID, last[m.CorrelationID])
			}
			last[m.CorrelationID] = m.Cause
		}
		total += len(list)
		if err := q.Remove(t.Context(), ids(list)); err != nil {
			t.Fatalf("Remove: %v", err)
		}
		if len(list) > 0 {
			continue
		}
		if finished {
			break
		}
		select {
		case <-done:
			finished = true
		default:
		}
	}
	if want := writers * rounds * 2; total != want {
		t.Errorf("%d messages came out, want %d", total, want)
	}
	wantWaiting(t, q)
}

// testDuplicatesAtOnce puts the same events from several callers at once: each is appended exactly once.
func testDuplicatesAtOnce(t *testing.T, b Backend) {
	q := open(t, b)
	const callers, events = 8, 20
	var (
		mu       sync.Mutex
		appended = map[uuid.UUID]int{}
		wg       sync.WaitGroup
	)
	shared := make([]*deadletter.Message, events)
	for i := range shared {
		shared[i] = message(event("c", fmt.Sprint(i)))
	}
	for range callers {
		wg.Go(func() {
			for _, m := range snapshot(shared) {
				if err := q.Put(background(t), []*deadletter.Message{m}); err != nil {
					t.Errorf("Put: %v", err)
				}
				if m.ID != "" {
					mu.Lock()
					appended[m.EventID]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if len(appended) != events || slices.Max(slices.Collect(maps.Values(appended))) != 1 {
		t.Errorf("appended %v, want each of %d events once", appended, events)
	}
	wantDepth(t, q, events, 0)
}

func testRemove(t *testing.T, b Backend) {
	q := open(t, b)
	list := messages(30, "c")
	put(t, q, list...)
	if err := q.Quarantine(t.Context(), list[2].ID, "reason"); err != nil {
		t.Fatal(err)
	}
	// Letters stay, and what is unknown is ignored.
	gone := []string{list[0].ID, list[0].ID, list[2].ID, "", "nonsense", list[7].ID, "99999999999999999999"}
	for range 2 {
		if err := q.Remove(t.Context(), gone); err != nil {
			t.Fatalf("Remove: %v", err)
		}
	}
	rest := slices.Concat(list[1:2], list[3:7], list[8:])
	wantWaiting(t, q, rest...)
	wantLetters(t, q, letter(list[2], "reason"))
	if err := q.Remove(t.Context(), ids(rest)); err != nil {
		t.Fatal(err)
	}
	wantWaiting(t, q)
	after := message(event("c", "after"))
	put(t, q, after)
	if last := list[len(list)-1].ID; after.ID <= last {
		t.Errorf("id %q does not sort behind %q, which is gone", after.ID, last)
	}
}

func testHoldsAndWaiting(t *testing.T, b Backend) {
	q := open(t, b)
	list := slices.Concat(messages(3, "a"), messages(2, "b"), messages(1, "c"))
	put(t, q, list...)
	if err := q.Quarantine(t.Context(), list[3].ID, "reason"); err != nil {
		t.Fatal(err)
	}
	if err := q.Remove(t.Context(), []string{list[5].ID}); err != nil {
		t.Fatal(err)
	}
	var asked []uuid.UUID
	for _, m := range list {
		asked = append(asked, m.EventID)
	}
	// Many at once, most of them unknown.
	for range 2000 {
		asked = append(asked, uuid.New())
	}
	held, err := q.Holds(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range asked {
		if want := i < 5 && i != 3; held[id] != want {
			t.Errorf("Holds says %v of message %d, want %v", held[id], i, want)
		}
	}
	counts := map[string]int{}
	if err := q.Waiting(t.Context(), func(c string) { counts[c]++ }); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"a": 3, "b": 1}; !maps.Equal(counts, want) {
		t.Errorf("Waiting counts %v, want %v", counts, want)
	}
	correlations := []string{"c", "b", "", "a", "b"}
	for i := range 2000 {
		correlations = append(correlations, fmt.Sprint(i))
	}
	waits, err := q.HoldsCorrelations(t.Context(), correlations)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range correlations {
		if want := id == "a" || id == "b"; waits[id] != want {
			t.Errorf("HoldsCorrelations says %v of %q, want %v", waits[id], id, want)
		}
	}
}

// content is an event as the queue compares it.
func content(m *deadletter.Message) *datastorage.Event {
	e, err := datastorage.ParseBody(m.Body)
	if err != nil {
		panic(err)
	}
	e.Sent = m.Sent
	return e
}
