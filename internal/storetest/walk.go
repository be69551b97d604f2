package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// walk follows a query from page to page by position, calls between after each, and returns the events in the order in
// which they came.
func walk(t *testing.T, s Store, q datastorage.EventQuery, between func(page int)) []uuid.UUID {
	t.Helper()
	var ids []uuid.UUID
	for n := 0; ; n++ {
		page, err := s.Events(t.Context(), q)
		if err != nil {
			t.Fatalf("page %d: %v", n, err)
		}
		for _, e := range page.Events {
			ids = append(ids, e.ID)
		}
		if !page.HasMore {
			return ids
		}
		if len(page.Events) != q.Limit {
			t.Fatalf("page %d has %d events of %d, and more follow", n, len(page.Events), q.Limit)
		}
		last := page.Events[len(page.Events)-1]
		q.After, q.Size = &datastorage.Position{Time: last.Time, ID: last.ID}, page.Size
		between(n)
	}
}

func ids(found []stored) []uuid.UUID {
	var list []uuid.UUID
	for _, e := range found {
		list = append(list, e.ID)
	}
	return list
}

func testWalk(t *testing.T, s Store) {
	all := fillCorpus(t, s)
	for _, q := range []datastorage.EventQuery{
		{Limit: 1},
		{Limit: 7},
		{Limit: 7, Ascending: true},
		{Limit: len(all)},
		{Limit: len(all) - 1},
		{Limit: 3, CorrelationID: "a"},
		{Limit: 3, EventType: "a", EventTypePrefix: true, Ascending: true},
		{Limit: 5, Since: base.Add(2 * time.Microsecond), Until: base.Add(4 * time.Microsecond)},
		{Limit: 5, Since: base.Add(2 * time.Microsecond), Until: base.Add(4 * time.Microsecond), Ascending: true},
	} {
		got := walk(t, s, q, func(int) {})
		want := ids(evaluate(all, &q))
		if diff := cmp.Diff(list(want), list(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", describe(q), diff)
		}
		var paged []uuid.UUID
		for more := true; more; q.Offset += int64(q.Limit) {
			page, err := s.Events(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				paged = append(paged, e.ID)
			}
			more = page.HasMore
		}
		if !slices.Equal(paged, want) {
			t.Errorf("%s: other events by offset:%s", describe(q), list(paged))
		}
	}
}

func testWalkUnderCommits(t *testing.T, s Store) {
	walkUnderCommits(t, s, datastorage.EventQuery{Limit: 20})
}

func testWalkUpUnderCommits(t *testing.T, s Store) {
	walkUnderCommits(t, s, datastorage.EventQuery{Limit: 20, Ascending: true, Since: base})
}

// walkUnderCommits commits events before, among and behind those of a walk while it goes on. The size of the log when
// the first page is read bounds the walk.
func walkUnderCommits(t *testing.T, s Store, q datastorage.EventQuery) {
	all := fillCorpus(t, s)
	writer := share(t, s)
	got := walk(t, s, q, func(page int) {
		var late []*datastorage.Record
		for i := range 8 {
			late = append(late, build(t, datastorage.Event{Time: base.Add(time.Duration(i-1) * time.Microsecond), Type: "late"}))
		}
		commit(t, writer, late...)
		if page == 0 {
			commit(t, writer, build(t, datastorage.Event{Time: base.Add(time.Hour), Type: "late"}))
		}
	})
	seen := map[uuid.UUID]int{}
	for _, id := range got {
		seen[id]++
	}
	for _, e := range all {
		if seen[e.ID] != 1 {
			t.Errorf("event %d of the log comes %d times", e.index, seen[e.ID])
		}
	}
	if len(got) != len(all) {
		t.Errorf("%d events of a log of %d", len(got), len(all))
	}
}

func testCorrelation(t *testing.T, s Store) {
	all := fillCorpus(t, s)
	for _, correlation := range []string{"a", "A", "a%", `a"b`, "none"} {
		q := datastorage.EventQuery{CorrelationID: correlation, Ascending: true}
		var want, got []datastorage.EventHeader
		for _, e := range evaluate(all, &q) {
			want = append(want, datastorage.EventHeader{
				LogIndex: e.index, ID: e.ID, ParentID: e.ParentID, Time: e.Time, Type: e.Type, Category: e.Category,
				Outcome: e.Outcome, Severity: e.Severity, ActorType: e.ActorType, ActorID: e.ActorID,
				ResourceType: e.ResourceType, ResourceID: e.ResourceID, Namespace: e.Namespace, ClusterName: e.ClusterName,
				CorrelationID: e.CorrelationID,
			})
		}
		err := s.Correlation(t.Context(), correlation, func(h *datastorage.EventHeader) error {
			got = append(got, *h)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", correlation, diff)
		}
	}
}

func testCorrelationYield(t *testing.T, s Store) {
	commit(t, s, events(t, 5)...)
	enough := errors.New("enough")
	n := 0
	err := s.Correlation(t.Context(), "rr-1", func(*datastorage.EventHeader) error {
		n++
		if n == 2 {
			return enough
		}
		return nil
	})
	if err != enough || n != 2 { //nolint:errorlint // The error comes back as it is.
		t.Errorf("%d calls, error %v; want 2 and the error of yield", n, err)
	}
	// A caller may read and write while it is called.
	err = s.Correlation(t.Context(), "rr-1", func(h *datastorage.EventHeader) error {
		commit(t, s, build(t, datastorage.Event{CorrelationID: "rr-2"}))
		_, err := s.Event(t.Context(), h.ID)
		return err
	})
	if err != nil {
		t.Errorf("reading and writing from yield: %v", err)
	}
	checkSize(t, s, 10)
}
