package correlations_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project/correlations"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
)

func TestMain(m *testing.M) { os.Exit(projecttest.Main(m)) }

var base = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// randomEvents makes events of some correlations, out of order.
func randomEvents(rng *rand.Rand, n int) []datastorage.Event {
	namespaces := []string{"", "", "shop", "shop-2", "é"}
	types := []string{"gateway.signal.received", "gateway.signal.deduplicated", "gateway.", "orchestrator.lifecycle.completed", "z\U0010FFFF", "z"}
	events := make([]datastorage.Event, n)
	for i := range events {
		events[i] = datastorage.Event{
			CorrelationID: fmt.Sprint("rr-", rng.IntN(40)), Time: base.Add(time.Duration(rng.IntN(50)) * time.Second),
			Type: types[rng.IntN(len(types))], Outcome: datastorage.Outcomes[rng.IntN(3)], Namespace: namespaces[rng.IntN(len(namespaces))],
		}
	}
	return events
}

// evaluate answers a query without its paging.
func evaluate(events []datastorage.Event, q *correlations.Query) []correlations.Correlation {
	found := map[string]*correlations.Correlation{}
	matched := map[string][3]bool{}
	for i, e := range events {
		c := found[e.CorrelationID]
		if c == nil {
			c = &correlations.Correlation{ID: e.CorrelationID, FirstTime: e.Time, LastTime: e.Time, FirstIndex: int64(i)}
			found[e.CorrelationID] = c
		}
		c.LastIndex = int64(i)
		if e.Time.Before(c.FirstTime) {
			c.FirstTime = e.Time
		}
		if e.Time.After(c.LastTime) {
			c.LastTime = e.Time
		}
		*map[string]*int64{"success": &c.Successes, "failure": &c.Failures, "pending": &c.Pending}[e.Outcome]++
		m := matched[e.CorrelationID]
		m[0] = m[0] || q.Outcome == "" || q.Outcome == e.Outcome
		m[1] = m[1] || q.Namespace == "" || q.Namespace == e.Namespace
		m[2] = m[2] || q.EventType == "" || q.EventType == e.Type || q.EventTypePrefix && strings.HasPrefix(e.Type, q.EventType)
		matched[e.CorrelationID] = m
	}
	var all []correlations.Correlation
	for id, c := range found {
		if matched[id] == [3]bool{true, true, true} &&
			(q.Since.IsZero() || !c.LastTime.Before(q.Since)) && (q.Until.IsZero() || !c.LastTime.After(q.Until)) {
			all = append(all, *c)
		}
	}
	slices.SortFunc(all, func(a, b correlations.Correlation) int {
		return -cmp.Or(a.LastTime.Compare(b.LastTime), bytes.Compare([]byte(a.ID), []byte(b.ID)))
	})
	return all
}

// walk follows a query by position.
func walk(t *testing.T, l *correlations.List, q correlations.Query) (all []correlations.Correlation) {
	t.Helper()
	for {
		page, err := l.Correlations(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Correlations...)
		if !page.HasMore {
			return all
		}
		last := page.Correlations[len(page.Correlations)-1]
		q.After, q.Count = &correlations.Position{LastTime: last.LastTime, ID: last.ID}, datastorage.CountNone
	}
}

// TestList compares pages with a naive evaluation, while the log grows.
func TestList(t *testing.T) {
	t.Parallel()
	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
		rng := rand.New(rand.NewPCG(1, 2))
		var events []datastorage.Event
		for range 4 {
			more := randomEvents(rng, 60)
			l.Append(more...)
			events = append(events, more...)
			list := correlations.NewList(l.View(correlations.Projection{}))
			for range 40 {
				q := randomQuery(rng)
				check(t, list, events, q)
			}
		}
	})
}

func TestProjection_Splits(t *testing.T) {
	t.Parallel()
	projecttest.CheckSplits(t, correlations.Projection{}, randomEvents(rand.New(rand.NewPCG(3, 4)), 300))
	projecttest.CheckSplits(t, correlations.Projection{}, projecttest.Runs(t))
}

func randomQuery(rng *rand.Rand) correlations.Query {
	pick := func(values ...string) string { return values[rng.IntN(len(values))] }
	q := correlations.Query{
		Outcome: pick("", "", "success", "failure", "pending"), Namespace: pick("", "", "shop", "é", "none"),
		EventType: pick("", "", "gateway.", "gateway.signal.received", "z", "none"), Limit: 1 + rng.IntN(10),
	}
	q.EventTypePrefix = q.EventType != "" && rng.IntN(2) == 0
	if rng.IntN(2) == 0 {
		q.Since = base.Add(time.Duration(rng.IntN(50)) * time.Second)
	}
	if rng.IntN(2) == 0 {
		q.Until = base.Add(time.Duration(rng.IntN(50)) * time.Second)
	}
	return q
}

func check(t *testing.T, list *correlations.List, events []datastorage.Event, q correlations.Query) {
	t.Helper()
	want := evaluate(events, &q)
	if diff := gocmp.Diff(want, walk(t, list, q)); diff != "" {
		t.Errorf("%+v (-want +got):\n%s", q, diff)
	}
	q.Offset = 3
	page, err := list.Correlations(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	rest := want[min(3, len(want)):]
	if diff := gocmp.Diff(rest[:min(q.Limit, len(rest))], page.Correlations); diff != "" && len(rest)+len(page.Correlations) > 0 {
		t.Errorf("%+v (-want +got):\n%s", q, diff)
	}
	if page.Total != int64(len(want)) || page.TotalIsLowerBound || page.HasMore != (len(rest) > q.Limit) || page.Position != int64(len(events)) {
		t.Errorf("%+v: total %d, more %v, position %d; want %d, %v, %d", q, page.Total, page.HasMore, page.Position,
			len(want), len(rest) > q.Limit, len(events))
	}
}

// TestList_Many checks filters that many correlations match, which are looked up one by one, and the bound of the total.
func TestList_Many(t *testing.T) {
	t.Parallel()
	l := projecttest.SQLite(t)
	l.CommitEvents, l.BatchEvents = 1000, 3000
	events := make([]datastorage.Event, datastorage.CountBound+100)
	for i := range events {
		events[i] = datastorage.Event{CorrelationID: fmt.Sprint("rr-", i), Time: base.Add(time.Duration(i) * time.Second)}
		if i%1000 == 0 {
			events[i].Namespace = "rare"
		}
	}
	l.Append(events...)
	list := correlations.NewList(l.View(correlations.Projection{}))
	page, err := list.Correlations(t.Context(), correlations.Query{Outcome: "success", EventType: "test.", EventTypePrefix: true, Limit: 10})
	if err != nil || page.Total != datastorage.CountBound || !page.TotalIsLowerBound || page.Correlations[0].ID != fmt.Sprint("rr-", len(events)-1) {
		t.Errorf("%d of %d, %v", len(page.Correlations), page.Total, err)
	}
	page, err = list.Correlations(t.Context(), correlations.Query{Outcome: "success", Limit: 10, Count: datastorage.CountExact})
	if err != nil || page.Total != int64(len(events)) || page.TotalIsLowerBound {
		t.Errorf("%d of %d, %v", len(page.Correlations), page.Total, err)
	}
	page, err = list.Correlations(t.Context(), correlations.Query{Outcome: "success", Namespace: "rare", Limit: 20})
	if err != nil || len(page.Correlations) != 11 || page.Total != 11 || page.HasMore {
		t.Errorf("%d of %d, %v", len(page.Correlations), page.Total, err)
	}
}

// TestList_Runs lists the recorded runs.
func TestList_Runs(t *testing.T) {
	t.Parallel()
	events := projecttest.Runs(t)
	list := correlations.NewList(projecttest.Apply(t, correlations.Projection{}, events))
	for _, q := range []correlations.Query{{Limit: 50}, {Limit: 3, EventType: "orchestrator.approval.", EventTypePrefix: true}, {Limit: 50, Outcome: "failure"}} {
		check(t, list, events, q)
	}
	page, err := list.Correlations(t.Context(), correlations.Query{Limit: 50})
	if err != nil || len(page.Correlations) != 8 {
		t.Errorf("%d correlations, %v; want 8", len(page.Correlations), err)
	}
}

// TestList_Spilled looks for marks of a correlation that has more than its row holds, and for values that look like marks.
func TestList_Spilled(t *testing.T) {
	t.Parallel()
	var events []datastorage.Event
	for i := range 200 {
		events = append(events, datastorage.Event{CorrelationID: "rr-many", Time: base, Type: fmt.Sprintf("type.%03d", i%150), Namespace: fmt.Sprint("ns-", i)})
	}
	events = append(events,
		datastorage.Event{CorrelationID: "rr-odd", Time: base, Type: "a\nNns-7\n", Namespace: "100%"},
		datastorage.Event{CorrelationID: "rr-0A", Time: base, Type: "a%0ANns-7%0A", Namespace: "Ns-7"})
	for i := range events {
		events[i].Outcome = "success"
	}
	projecttest.CheckSplits(t, correlations.Projection{}, events)
	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
		l.Append(events...)
		list := correlations.NewList(l.View(correlations.Projection{}))
		for _, q := range []correlations.Query{
			{EventType: "type.001"}, {EventType: "type.149"}, {EventType: "type.14", EventTypePrefix: true}, {EventType: "type.15", EventTypePrefix: true},
			{EventType: "TYPE.001"}, {Namespace: "ns-7"}, {Namespace: "ns-199"}, {Namespace: "ns-200"}, {Namespace: "100%"}, {Namespace: "Ns-7"},
			{EventType: "a\n", EventTypePrefix: true}, {EventType: "a\nNns-7\n"}, {EventType: "a%0ANns-7%0A"}, {EventType: "type.149", Namespace: "ns-1"},
		} {
			q.Limit = 10
			if diff := gocmp.Diff(evaluate(events, &q), walk(t, list, q)); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", q, diff)
			}
		}
	})
}
