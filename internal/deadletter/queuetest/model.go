package queuetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// model is a queue as simple as can be, beside the one under test.
type model struct {
	t       testing.TB
	backend Backend
	queue   deadletter.Queue
	events  []datastorage.Event // few, so that they meet again

	waiting []*deadletter.Message
	letters []deadletter.Letter // in order of id
	lastID  string
}

// testModel does the same at random to a queue and to a model of it. The queue is emptied between runs, not made anew.
func testModel(t *testing.T, b Backend) {
	m := &model{t: t, backend: b, queue: b.Open(t, roomy)}
	t.Cleanup(func() { _ = m.queue.Close() })
	rapid.Check(t, func(r *rapid.T) {
		m.empty(r)
		m.events = nil
		for i := range 5 {
			m.events = append(m.events, event(fmt.Sprintf("c-%d", i%2), "model"))
		}
		r.Repeat(map[string]func(*rapid.T){
			"":           m.check,
			"put":        m.put,
			"remove":     m.remove,
			"quarantine": m.quarantine,
			"replay":     m.replay,
			"discard":    m.discard,
			"reopen":     m.reopen,
		})
	})
}

// empty takes everything out of the queue.
func (m *model) empty(r *rapid.T) {
	m.waiting, m.letters = nil, nil
	list, err := m.queue.Oldest(m.t.Context(), 1000)
	if err != nil {
		r.Fatalf("Oldest: %v", err)
	}
	if err := m.queue.Remove(m.t.Context(), ids(list)); err != nil {
		r.Fatalf("Remove: %v", err)
	}
	letters, err := m.queue.Letters(m.t.Context(), "", 1000)
	if err != nil {
		r.Fatalf("Letters: %v", err)
	}
	for _, l := range letters {
		if err := m.queue.Discard(m.t.Context(), l.ID); err != nil {
			r.Fatalf("Discard: %v", err)
		}
	}
}

// draw makes a message of one of few events, sometimes with other content.
func (m *model) draw(r *rapid.T) *deadletter.Message {
	e := m.events[rapid.IntRange(0, len(m.events)-1).Draw(r, "event")]
	switch rapid.IntRange(0, 9).Draw(r, "variant") {
	case 0:
		e.Outcome = "failure"
	case 1:
		e.Time = e.Time.Add(time.Hour)
		e.Sent |= datastorage.FieldSet(datastorage.FieldTime)
	case 2, 3:
		e.Time = e.Time.Add(time.Hour)
	}
	msg := message(e)
	if rapid.Bool().Draw(r, "notification") {
		msg.Notification = notification(e, rapid.IntRange(0, 4).Draw(r, "level"))
	}
	return msg
}

func (m *model) put(r *rapid.T) {
	list := make([]*deadletter.Message, rapid.IntRange(1, 4).Draw(r, "messages"))
	for i := range list {
		list[i] = m.draw(r)
	}
	want, conflict := m.expect(list)
	err := m.queue.Put(m.t.Context(), list)
	if conflict {
		if !errors.Is(err, deadletter.ErrConflict) {
			r.Fatalf("Put returned %v, want ErrConflict", err)
		}
		return
	}
	if err != nil {
		r.Fatalf("Put: %v", err)
	}
	for i, msg := range list {
		if (msg.ID != "") != want[i] {
			r.Fatalf("message %d has id %q, want one: %v", i, msg.ID, want[i])
		}
		if want[i] {
			m.appended(r, msg)
		}
	}
}

// expect says which of the messages a Put appends.
func (m *model) expect(list []*deadletter.Message) (appended []bool, conflict bool) {
	all := slices.Clone(m.waiting)
	for _, msg := range list {
		i := slices.IndexFunc(all, func(w *deadletter.Message) bool { return w.EventID == msg.EventID })
		if i >= 0 && !content(msg).SameContent(content(all[i])) {
			return nil, true
		}
		appended = append(appended, i < 0)
		if i < 0 {
			all = append(all, msg)
		}
	}
	return appended, false
}

func (m *model) appended(r *rapid.T, msg *deadletter.Message) {
	if msg.ID <= m.lastID {
		r.Fatalf("id %q does not sort behind %q", msg.ID, m.lastID)
	}
	m.lastID = msg.ID
	m.waiting = append(m.waiting, snapshot([]*deadletter.Message{msg})[0])
}

func (m *model) remove(r *rapid.T) {
	var gone []string
	n := rapid.IntRange(0, len(m.waiting)).Draw(r, "removed")
	for _, msg := range m.waiting[:n] {
		gone = append(gone, msg.ID)
	}
	m.waiting = slices.Clone(m.waiting[n:])
	for _, l := range m.letters {
		gone = append(gone, l.ID)
	}
	if err := m.queue.Remove(m.t.Context(), gone); err != nil {
		r.Fatalf("Remove: %v", err)
	}
}

func (m *model) quarantine(r *rapid.T) {
	if len(m.waiting) == 0 {
		r.Skip("nothing waits")
	}
	i := rapid.IntRange(0, len(m.waiting)-1).Draw(r, "place")
	msg := m.waiting[i]
	if err := m.queue.Quarantine(m.t.Context(), msg.ID, "reason "+msg.ID); err != nil {
		r.Fatalf("Quarantine: %v", err)
	}
	m.waiting = slices.Delete(m.waiting, i, i+1)
	at, _ := slices.BinarySearchFunc(m.letters, msg.ID, func(l deadletter.Letter, id string) int { return strings.Compare(l.ID, id) })
	m.letters = slices.Insert(m.letters, at, letter(msg, "reason "+msg.ID))
}

// pick draws a letter.
func (m *model) pick(r *rapid.T) int {
	if len(m.letters) == 0 {
		r.Skip("no letter")
	}
	return rapid.IntRange(0, len(m.letters)-1).Draw(r, "letter")
}

func (m *model) replay(r *rapid.T) {
	i := m.pick(r)
	l := m.letters[i]
	waits := slices.ContainsFunc(m.waiting, func(w *deadletter.Message) bool { return w.EventID == l.EventID })
	err := m.queue.Replay(m.t.Context(), l.ID)
	if waits {
		if !errors.Is(err, deadletter.ErrConflict) {
			r.Fatalf("Replay of what waits returned %v, want ErrConflict", err)
		}
		return
	}
	if err != nil {
		r.Fatalf("Replay: %v", err)
	}
	m.letters = slices.Delete(m.letters, i, i+1)
	got, err := m.queue.Oldest(m.t.Context(), len(m.waiting)+1)
	if err != nil || len(got) != len(m.waiting)+1 {
		r.Fatalf("%d messages wait behind a replay (%v), want %d", len(got), err, len(m.waiting)+1)
	}
	msg := l.Message
	msg.ID = got[len(got)-1].ID
	m.appended(r, &msg)
}

func (m *model) discard(r *rapid.T) {
	i := m.pick(r)
	if err := m.queue.Discard(m.t.Context(), m.letters[i].ID); err != nil {
		r.Fatalf("Discard: %v", err)
	}
	m.letters = slices.Delete(m.letters, i, i+1)
}

func (m *model) reopen(r *rapid.T) {
	if err := m.queue.Close(); err != nil {
		r.Fatalf("Close: %v", err)
	}
	m.queue = m.backend.Open(m.t, roomy)
}

// check compares all that can be read.
func (m *model) check(r *rapid.T) {
	got, err := m.queue.Oldest(m.t.Context(), 1000)
	if err != nil {
		r.Fatalf("Oldest: %v", err)
	}
	if diff := diffMessages(m.waiting, got); diff != "" {
		r.Fatalf("what waits differs (-want +got):\n%s", diff)
	}
	wantLetters(m.t, m.queue, m.letters...)
	s := stats(m.t, m.queue)
	if s.Depth != int64(len(m.waiting)) || s.Oldest.IsZero() != (len(m.waiting) == 0) {
		r.Fatalf("stats are %+v, %d messages wait", s, len(m.waiting))
	}
	if len(m.waiting) > 0 && !s.Oldest.Equal(m.waiting[0].QueuedAt) {
		r.Fatalf("the oldest is of %v, want %v", s.Oldest, m.waiting[0].QueuedAt)
	}
	var asked []uuid.UUID
	for _, e := range m.events {
		asked = append(asked, e.ID)
	}
	held, err := m.queue.Holds(m.t.Context(), asked)
	if err != nil {
		r.Fatalf("Holds: %v", err)
	}
	for _, id := range asked {
		if want := slices.ContainsFunc(m.waiting, func(w *deadletter.Message) bool { return w.EventID == id }); held[id] != want {
			r.Fatalf("Holds says %v of %v, want %v", held[id], id, want)
		}
	}
	waits, err := m.queue.HoldsCorrelations(m.t.Context(), []string{"c-0", "c-1"})
	if err != nil {
		r.Fatalf("HoldsCorrelations: %v", err)
	}
	for _, id := range []string{"c-0", "c-1"} {
		if want := slices.ContainsFunc(m.waiting, func(w *deadletter.Message) bool { return w.CorrelationID == id }); waits[id] != want {
			r.Fatalf("HoldsCorrelations says %v of %v, want %v", waits[id], id, want)
		}
	}
}
