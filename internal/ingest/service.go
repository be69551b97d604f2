package ingest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// Stored is the answer for one event: where it stands in the log.
type Stored struct {
	ID      uuid.UUID
	Time    time.Time // event_timestamp
	Receipt ledger.Receipt
	// Duplicate says that the event was stored before, by an earlier request with the same event_id.
	Duplicate bool
	// Queued says that the event is durable in the dead-letter queue and will be stored; it has no Receipt yet.
	Queued bool
}

// Service takes decoded events: it completes them, answers those that are stored already, and commits the others. What
// the store cannot take goes to the fallback, when there is one.
type Service struct {
	committer *Committer
	store     Store
	finder    finder
	timeout   time.Duration
	fallback  *Fallback // nil: the store alone
}

// NewService returns the service in front of a committer.
func NewService(c *Committer) *Service {
	return &Service{
		committer: c, store: c.store, timeout: c.limits.WriteTimeout,
		finder: finder{store: c.store, timeout: c.limits.WriteTimeout},
	}
}

// NewServiceWithFallback returns a service that puts into the dead-letter queue what the store cannot take.
func NewServiceWithFallback(c *Committer, f *Fallback) *Service {
	s := NewService(c)
	s.fallback = f
	return s
}

// storeShare is the part of a write's time, in percent, that the store has before the dead-letter queue takes it.
const storeShare = 75

// maxRounds bounds how often a write whose event_ids are being stored by others at the same time is looked at again.
const maxRounds = 5

// Write stores events, all or nothing, and returns their places in the same order. Events without an ID get one. Errors
// are *datastorage.Error: CodeValidation for a parent that does not exist, CodeConflict for an event_id that belongs to
// other content, CodeUnavailable when nothing was acknowledged. With indexed, the detail begins "event at index N:".
// When the store cannot take the events and the dead-letter queue did, all that are not stored are Queued.
func (s *Service) Write(ctx context.Context, events []datastorage.Event, indexed bool) ([]Stored, error) {
	return s.write(ctx, events, nil, indexed)
}

// WriteNotification stores a notification record together with its event, and fills in the record's ID.
// CodeConflict says that the notification_id is taken. A record that is Queued gets its ID when it is stored.
func (s *Service) WriteNotification(ctx context.Context, n *datastorage.Notification, e datastorage.Event) (Stored, error) {
	n.EventID = e.ID
	stored, err := s.write(ctx, []datastorage.Event{e}, n, false)
	if err == nil && stored[0].Queued {
		return stored[0], nil
	}
	taken := err == nil && stored[0].Duplicate || datastorage.CodeOf(err) == datastorage.CodeConflict
	switch {
	case err != nil && !taken:
		return Stored{}, err
	case taken:
		return Stored{}, &datastorage.Error{
			Code:     datastorage.CodeConflict,
			Detail:   fmt.Sprintf("notification_id %q is taken", n.NotificationID),
			Conflict: &datastorage.Conflict{Resource: "notification_audit", Field: "notification_id", Value: n.NotificationID},
		}
	}
	return stored[0], nil
}

func (s *Service) write(ctx context.Context, events []datastorage.Event, note *datastorage.Notification, indexed bool) ([]Stored, error) {
	now := time.Now()
	// The write goes on when the client hangs up: what it sent is complete.
	ctx = context.WithoutCancel(ctx)
	forStore := now.Add(s.timeout)
	if s.fallback != nil {
		// What the store leaves of the time is for the queue.
		forStore = now.Add(s.timeout * storeShare / 100)
	}
	storeCtx := &deadline{parent: ctx, at: forStore}
	defer storeCtx.end()
	b := newBatch(events)
	b.indexed = indexed
	if err := b.identify(); err != nil {
		return nil, err
	}
	if s.fallback == nil {
		if err := s.commit(storeCtx, &b, note); err != nil {
			return nil, err
		}
		return b.answer()
	}
	ahead, err := s.fallback.mustQueue(storeCtx, &b)
	if err != nil {
		return nil, err
	}
	if ahead == "" {
		err := s.commit(storeCtx, &b, note)
		if err == nil {
			return b.answer()
		}
		if !isOutage(err) {
			return nil, err
		}
		// A store that is only slow, because much waits for it, is not avoided.
		if !errors.Is(err, errLate) {
			s.fallback.breaker.trip(err)
		}
		ahead = err.Error()
	}
	whole := &deadline{parent: ctx, at: now.Add(s.timeout)}
	defer whole.end()
	if err := s.fallback.queue(whole, &b, note, ahead); err != nil {
		return nil, err
	}
	return b.answer()
}

// commit stores what is not stored yet, and answers what is.
func (s *Service) commit(ctx context.Context, b *batch, note *datastorage.Notification) error {
	for range maxRounds {
		if err := s.settleKnown(ctx, b); err != nil {
			return err
		}
		fresh, places := b.records()
		if len(fresh) == 0 {
			return nil
		}
		w := datastorage.Write{Records: fresh}
		if note != nil {
			w.Notifications = []*datastorage.Notification{note}
		}
		at, err := s.committer.submit(ctx, w)
		if errors.Is(err, errTaken) {
			continue
		}
		if err != nil {
			return err
		}
		for i, n := range places {
			b.stored[n].Receipt = ledger.Receipt{LogIndex: at.first + int64(i), TreeSize: at.size, Root: at.root}
			b.done(n)
		}
		return nil
	}
	return datastorage.Unavailable(errBusyIDs, "the same event_ids are being written by others; try again")
}

// batch is the events of one write on their way.
type batch struct {
	events  []datastorage.Event
	stored  []Stored // of each event
	state   []state  // of each event
	indexed bool
	lookups bool // some event names an event_id or a parent
	// held are those of the named event_ids and parents that wait in the dead-letter queue.
	held map[uuid.UUID]bool
	// heldUnknown says that the queue could not be asked for them.
	heldUnknown bool
}

// state is how far one event is on its way.
type state struct {
	alias   int // index of the first event with the same ID; its own index when there is none before it
	settled bool
	record  *datastorage.Record // nil while it was not made
}

func newBatch(events []datastorage.Event) batch {
	return batch{events: events, stored: make([]Stored, len(events)), state: make([]state, len(events))}
}

func (b *batch) done(n int) { b.state[n].settled = true }

// at marks err as belonging to the n-th event.
func (b *batch) at(n int, err *datastorage.Error) error {
	if b.indexed {
		return datastorage.AtIndex(n, err)
	}
	return err
}

// identify gives every event its ID and finds those that name the same one.
func (b *batch) identify() error {
	var first map[uuid.UUID]int
	for n := range b.events {
		e := &b.events[n]
		b.state[n].alias = n
		b.lookups = b.lookups || e.ParentID != uuid.Nil
		if e.ID == uuid.Nil {
			id, err := uuid.NewV7()
			if err != nil {
				return datastorage.Unavailable(err, "the server cannot make an identifier")
			}
			e.ID = id
			continue
		}
		b.lookups = true
		if first == nil {
			first = map[uuid.UUID]int{}
		}
		before, ok := first[e.ID]
		if !ok {
			first[e.ID] = n
			continue
		}
		other := &b.events[before]
		if !e.SameContent(other) || !other.SameContent(e) {
			return b.at(n, taken(e.ID, "another event of the batch"))
		}
		b.state[n].alias = before
	}
	return nil
}

func taken(id uuid.UUID, by string) *datastorage.Error {
	return &datastorage.Error{
		Code:     datastorage.CodeConflict,
		Detail:   fmt.Sprintf("event_id %s belongs to %s with other content", id, by),
		Fields:   map[string]string{"event_id": "event_id belongs to " + by + " with other content"},
		Conflict: &datastorage.Conflict{Resource: "audit_events", Field: "event_id", Value: id.String()},
	}
}

// records returns the records of the events that still have to be stored, and their indexes.
func (b *batch) records() (fresh []*datastorage.Record, places []int) {
	for n := range b.state {
		state := &b.state[n]
		if state.settled || state.alias != n {
			continue
		}
		if state.record == nil {
			var salt [datastorage.SaltSize]byte
			rand.Read(salt[:])
			state.record = datastorage.NewRecord(b.events[n], salt)
		}
		fresh = append(fresh, state.record)
		places = append(places, n)
	}
	return fresh, places
}

func (b *batch) answer() ([]Stored, error) {
	for n := range b.events {
		b.stored[n].ID, b.stored[n].Time = b.events[n].ID, b.events[n].Time
		if first := b.state[n].alias; first != n {
			b.stored[n].Receipt = b.stored[first].Receipt
			b.stored[n].Duplicate = b.stored[first].Duplicate
			b.stored[n].Queued = b.stored[first].Queued
		}
	}
	return b.stored, nil
}

// settleKnown looks up the event_ids and parents that the producer named: events that are stored get their old answer,
// and what contradicts the store is an error.
func (s *Service) settleKnown(ctx context.Context, b *batch) error {
	if !b.lookups {
		return nil
	}
	found, err := s.finder.Find(ctx, b.named())
	if err != nil {
		return unavailable(err)
	}
	earlier := map[uuid.UUID]bool{}
	for n := range b.events {
		e := &b.events[n]
		if _, stored := found[e.ID]; stored && e.Sent.Has(datastorage.FieldID) && !b.state[n].settled && b.state[n].alias == n {
			if err := s.settleDuplicate(ctx, b, n); err != nil {
				return err
			}
		}
		_, parentStored := found[e.ParentID]
		if e.ParentID != uuid.Nil && !b.state[n].settled && !parentStored && !earlier[e.ParentID] && !b.held[e.ParentID] {
			if b.heldUnknown {
				return datastorage.Unavailable(errHeldUnknown, "the parent event is not stored, and the dead-letter queue, where it may wait, cannot be asked; try again")
			}
			const sentence = "parent_event_id is wrong: parent event does not exist"
			return b.at(n, datastorage.Invalid(map[string]string{"parent_event_id": sentence}))
		}
		earlier[e.ID] = true
	}
	return nil
}

// unavailable makes sure that a failed look-up reaches the caller as an outage.
func unavailable(err error) error {
	if datastorage.CodeOf(err) == datastorage.CodeUnavailable {
		return err
	}
	return datastorage.Unavailable(err, "the store cannot be reached; nothing was stored, try again")
}

// named returns the identifiers that the producer named and that are not settled.
func (b *batch) named() []uuid.UUID {
	var ids []uuid.UUID
	for n := range b.events {
		e := &b.events[n]
		if b.state[n].settled {
			continue
		}
		if e.Sent.Has(datastorage.FieldID) {
			ids = append(ids, e.ID)
		}
		if e.ParentID != uuid.Nil {
			ids = append(ids, e.ParentID)
		}
	}
	return ids
}

// settleDuplicate answers the n-th event, whose ID is stored, with the place that the stored one has.
func (s *Service) settleDuplicate(ctx context.Context, b *batch, n int) error {
	e := &b.events[n]
	old, err := s.store.Event(ctx, e.ID)
	if datastorage.CodeOf(err) == datastorage.CodeNotFound {
		return b.at(n, taken(e.ID, "an event that was removed"))
	}
	if err != nil {
		return unavailable(err)
	}
	stored, err := datastorage.ParseBody(old.Body)
	if err != nil {
		return &datastorage.Error{Code: datastorage.CodeInternal, Detail: "a stored event cannot be read", Cause: err}
	}
	if !e.SameContent(stored) {
		return b.at(n, taken(e.ID, "a stored event"))
	}
	commit, err := s.store.CommitOf(ctx, old.LogIndex)
	if err != nil {
		return unavailable(err)
	}
	if commit == nil {
		return datastorage.Errorf(datastorage.CodeInternal, "a stored event has no commit")
	}
	b.stored[n].Receipt = ledger.Receipt{LogIndex: old.LogIndex, TreeSize: commit.NextIndex, Root: commit.Root}
	b.stored[n].Duplicate = true
	b.events[n].Time = stored.Time
	b.done(n)
	return nil
}
