package tail_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/ledger"
)

// fakeLog is a log in memory.
type fakeLog struct {
	mu      sync.Mutex
	head    ledger.Head
	commits []*ledger.Commit
	events  []project.Event
	err     error // of every read while it is set
	reads   int   // calls of Follow
	largest int   // the greatest number of events that one Follow has returned
}

// event makes the n-th event of a test, of one of three types, with about size bytes of event_data.
func event(n, size int) datastorage.Event {
	return datastorage.Event{
		ID: uuid.New(), Version: "1.0", Type: fmt.Sprintf("kind.%d", n%3), Time: time.Unix(int64(n), 0).UTC(),
		Category: "gateway", Action: "x", Outcome: "success", CorrelationID: fmt.Sprintf("rr-%d", n%7), Retention: 1,
		Data: fmt.Appendf(nil, `{"n":%d,"pad":"%0*d"}`, n, size, 0),
	}
}

// append stores events in one commit.
func (l *fakeLog) append(events ...datastorage.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	records := make([]*datastorage.Record, len(events))
	for i, e := range events {
		records[i] = datastorage.NewRecord(e, [datastorage.SaltSize]byte{})
		h := datastorage.EventHeader{
			LogIndex: l.head.Size() + int64(i), ID: e.ID, Time: e.Time, Type: e.Type, Category: e.Category, Outcome: e.Outcome,
			CorrelationID: e.CorrelationID,
		}
		l.events = append(l.events, project.Event{EventHeader: h, Body: records[i].Body})
	}
	var c *ledger.Commit
	c, l.head = ledger.NewCommit(&l.head, records, time.Unix(0, 0))
	l.commits = append(l.commits, c)
}

// fill appends n events in commits of at most each.
func (l *fakeLog) fill(n, each, size int) {
	for done := 0; done < n; {
		var events []datastorage.Event
		for range min(each, n-done) {
			events = append(events, event(done, size))
			done++
		}
		l.append(events...)
	}
}

func (l *fakeLog) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *fakeLog) followed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads
}

func (l *fakeLog) Head(context.Context) (ledger.Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head, l.err
}

func (l *fakeLog) CommitOf(_ context.Context, index int64) (*ledger.Commit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.commits {
		if c.FirstIndex <= index && index < c.NextIndex {
			return c, l.err
		}
	}
	return nil, l.err
}

func (l *fakeLog) Follow(_ context.Context, from int64, limit int, bodies project.Bodies) (project.Batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	b := project.Batch{Next: from, Size: l.head.Size()}
	if l.err != nil || from == b.Size {
		return b, l.err
	}
	for _, c := range l.commits {
		if c.FirstIndex != b.Next || len(b.Events) >= limit {
			continue
		}
		for _, e := range l.events[c.FirstIndex:c.NextIndex] {
			if !asked(&e, bodies) {
				e.Body = nil
			}
			b.Events = append(b.Events, e)
		}
		b.Next = c.NextIndex
	}
	if b.Next == from {
		return b, errors.New("no commit begins there")
	}
	l.largest = max(l.largest, len(b.Events))
	return b, nil
}

func asked(e *project.Event, bodies project.Bodies) bool {
	for _, t := range bodies.Types {
		if prefix, ok := strings.CutSuffix(t, "*"); ok && strings.HasPrefix(e.Type, prefix) || t == e.Type {
			return true
		}
	}
	for _, c := range bodies.Categories {
		if c == e.Category {
			return true
		}
	}
	return false
}

var errAway = datastorage.Unavailable(errors.New("away"), "the store cannot be reached")

// row is what a reader must be sent of an event.
func (l *fakeLog) row(t testing.TB, index int) string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.events[index]
	return string(datastorage.AppendRow(nil, &datastorage.StoredEvent{LogIndex: e.LogIndex, Time: e.Time, Body: e.Body}))
}
