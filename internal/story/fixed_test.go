package story_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

var began = time.Date(2026, 5, 11, 14, 40, 59, 0, time.UTC)

// fixed is a source of given events, some of which no store would take. Events are read in pages of three.
type fixed struct {
	events []datastorage.Event
	// broken is what every read from the nth on returns.
	broken  error
	healthy int
	reads   int
}

func (f *fixed) fault() error {
	if f.reads++; f.broken != nil && f.reads > f.healthy {
		return f.broken
	}
	return nil
}

func (f *fixed) stored(n int) datastorage.StoredEvent {
	e := &f.events[n]
	return datastorage.StoredEvent{LogIndex: int64(n), ID: e.ID, Time: e.Time, Body: datastorage.AppendBody(nil, e)}
}

func (f *fixed) Events(_ context.Context, q datastorage.EventQuery) (datastorage.EventPage, error) {
	if err := f.fault(); err != nil {
		return datastorage.EventPage{}, err
	}
	page := datastorage.EventPage{Size: q.Size}
	if page.Size == 0 {
		page.Size = int64(len(f.events))
	}
	order := func(a *datastorage.Event, t time.Time, id uuid.UUID) int {
		return cmp.Or(a.Time.Compare(t), strings.Compare(a.ID.String(), id.String()))
	}
	var all []int
	for n := range f.events {
		e := &f.events[n]
		behind := q.After == nil || order(e, q.After.Time, q.After.ID) > 0
		if behind && int64(n) < page.Size && e.CorrelationID == q.CorrelationID && (!q.EventTypePrefix || strings.HasPrefix(e.Type, q.EventType)) {
			all = append(all, n)
		}
	}
	slices.SortFunc(all, func(a, b int) int { return order(&f.events[a], f.events[b].Time, f.events[b].ID) })
	k := min(len(all), q.Limit, max(3, len(f.events)/4))
	for _, n := range all[:k] {
		page.Events = append(page.Events, f.stored(n))
	}
	page.HasMore = k < len(all)
	return page, nil
}

func (f *fixed) Event(_ context.Context, id uuid.UUID) (datastorage.StoredEvent, error) {
	if err := f.fault(); err != nil {
		return datastorage.StoredEvent{}, err
	}
	for n := range f.events {
		if f.events[n].ID == id {
			return f.stored(n), nil
		}
	}
	return datastorage.StoredEvent{}, datastorage.Errorf(datastorage.CodeNotFound, "no such event")
}

var errAway = datastorage.Errorf(datastorage.CodeUnavailable, "the store is away")

// number makes the id of the nth event.
func number(n int) uuid.UUID {
	var id uuid.UUID
	id[0], id[6], id[8], id[14], id[15] = 1, 0x70, 0x80, byte(n>>8), byte(n)
	return id
}

// at makes an event of the correlation rr-1, seconds after the beginning.
func at(n int, seconds float64, eventType, data string, change ...func(*datastorage.Event)) datastorage.Event {
	canonical, err := datastorage.Canonical(jsontext.Value(data))
	if err != nil {
		panic(errors.New(data + ": " + err.Error()))
	}
	category, _, _ := strings.Cut(eventType, ".")
	e := datastorage.Event{
		ID: number(n), Version: "1.0", Type: eventType, Time: began.Add(time.Duration(seconds * float64(time.Second))), Category: category,
		Action: "done", Outcome: "success", CorrelationID: "rr-1", Data: canonical, ActorType: "service", ActorID: category + "-service",
		ResourceType: category, ResourceID: "rr-1", Severity: "info", Retention: 30,
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func childOf(n int) func(*datastorage.Event) {
	return func(e *datastorage.Event) { e.ParentID = number(n) }
}

func in(correlationID string) func(*datastorage.Event) {
	return func(e *datastorage.Event) { e.CorrelationID = correlationID }
}

// away checks that a question is answered with the store's own error, whichever of its reads fails.
func away(t *testing.T, src *fixed, ask func() error) {
	t.Helper()
	src.broken, src.reads = nil, 0
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	reads := src.reads
	for n := range reads {
		src.broken, src.healthy, src.reads = errAway, n, 0
		if err := ask(); !errors.Is(err, errAway) {
			t.Errorf("read %d of %d fails: the answer is %v", n+1, reads, err)
		}
	}
}

// storable reports whether a store would take an event.
func storable(e *datastorage.Event) bool {
	if !utf8.ValidString(e.Type) {
		return false
	}
	_, err := datastorage.ParseBody(datastorage.AppendBody(nil, e))
	return err == nil
}
