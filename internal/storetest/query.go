package storetest

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
)

// checkPage compares a page, and what a filter of the query says of each event, with what a naive evaluation finds.
func checkPage(t testing.TB, s Store, all []stored, q datastorage.EventQuery) {
	t.Helper()
	got, err := s.Events(t.Context(), q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	found := evaluate(all, &q)
	want, more := toPage(found, &q)
	if !slices.EqualFunc(want, got.Events, sameEvent) {
		t.Fatalf("%s: events (-want +got):\n%s", describe(q), cmp.Diff(want, got.Events))
	}
	if got.HasMore != more {
		t.Errorf("%s: has more: %v, want %v", describe(q), got.HasMore, more)
	}
	size := q.Size
	if size == 0 {
		size = int64(len(all))
	}
	if got.Size != size {
		t.Errorf("%s: size %d, want %d", describe(q), got.Size, size)
	}
	if q.After == nil && q.Count != datastorage.CountNone && (got.Total != int64(len(found)) || got.TotalIsLowerBound) {
		t.Errorf("%s: total %d (lower bound: %v), want %d", describe(q), got.Total, got.TotalIsLowerBound, len(found))
	}
	checkFilter(t, all, q)
}

// checkFilter compares what a filter says of each event with the naive evaluation.
func checkFilter(t testing.TB, all []stored, q datastorage.EventQuery) {
	t.Helper()
	filter := datastorage.NewEventFilter(&q)
	for i := range all {
		e := &all[i]
		row := datastorage.AppendRow(nil, &datastorage.StoredEvent{LogIndex: e.index, Time: e.Time, Body: e.Body})
		got, want := filter.Match(headerOf(e), row), matches(e, &q)
		if got != want {
			t.Errorf("%s: an EventFilter says %v of %s, want %v", describe(q), got, e.Body, want)
		}
	}
}

func headerOf(e *stored) *datastorage.EventHeader {
	return &datastorage.EventHeader{
		LogIndex: e.index, ID: e.ID, ParentID: e.ParentID, Time: e.Time, Type: e.Type, Category: e.Category, Outcome: e.Outcome,
		Severity: e.Severity, ActorType: e.ActorType, ActorID: e.ActorID, ResourceType: e.ResourceType, ResourceID: e.ResourceID,
		Namespace: e.Namespace, ClusterName: e.ClusterName, CorrelationID: e.CorrelationID,
	}
}

func sameEvent(a, b datastorage.StoredEvent) bool {
	return a.LogIndex == b.LogIndex && a.ID == b.ID && a.Time.Equal(b.Time) && bytes.Equal(a.Body, b.Body) && a.Salt == b.Salt
}

// describe writes what is set in a query.
func describe(q datastorage.EventQuery) string {
	var b strings.Builder
	v := reflect.ValueOf(q)
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() {
			fmt.Fprintf(&b, "%s=%+v ", v.Type().Field(i).Name, reflect.Indirect(f))
		}
	}
	return "query " + b.String()
}

// testFilters sets each filter alone to each value that the corpus has, and to one that it has not.
func testFilters(t *testing.T, s Store) {
	all := fillCorpus(t, s)
	filters := map[string]struct {
		value func(*stored) string
		set   func(*datastorage.EventQuery, string)
	}{
		"correlation_id": {func(e *stored) string { return e.CorrelationID }, func(q *datastorage.EventQuery, v string) { q.CorrelationID = v }},
		"event_type":     {func(e *stored) string { return e.Type }, func(q *datastorage.EventQuery, v string) { q.EventType = v }},
		"event_category": {func(e *stored) string { return e.Category }, func(q *datastorage.EventQuery, v string) { q.Category = v }},
		"event_outcome":  {func(e *stored) string { return e.Outcome }, func(q *datastorage.EventQuery, v string) { q.Outcome = v }},
		"severity":       {func(e *stored) string { return e.Severity }, func(q *datastorage.EventQuery, v string) { q.Severity = v }},
		"namespace":      {func(e *stored) string { return e.Namespace }, func(q *datastorage.EventQuery, v string) { q.Namespace = v }},
		"cluster_name":   {func(e *stored) string { return e.ClusterName }, func(q *datastorage.EventQuery, v string) { q.ClusterName = v }},
		"actor_id":       {func(e *stored) string { return e.ActorID }, func(q *datastorage.EventQuery, v string) { q.ActorID = v }},
		"actor_type":     {func(e *stored) string { return e.ActorType }, func(q *datastorage.EventQuery, v string) { q.ActorType = v }},
		"resource_type":  {func(e *stored) string { return e.ResourceType }, func(q *datastorage.EventQuery, v string) { q.ResourceType = v }},
		"resource_id":    {func(e *stored) string { return e.ResourceID }, func(q *datastorage.EventQuery, v string) { q.ResourceID = v }},
		"trace_id":       {func(e *stored) string { return e.TraceID }, func(q *datastorage.EventQuery, v string) { q.TraceID = v }},
	}
	for name, f := range filters {
		seen := map[string]bool{"not there": true, "%": true}
		for i := range all {
			seen[f.value(&all[i])] = true
		}
		if len(seen) < 4 {
			t.Errorf("%s: the corpus has too few values", name)
		}
		for value := range seen {
			q := datastorage.EventQuery{Limit: 1000}
			f.set(&q, value)
			checkPage(t, s, all, q)
		}
	}
	for i := range all[:10] {
		checkPage(t, s, all, datastorage.EventQuery{Limit: 1000, ParentID: all[i].ID})
	}
	checkPage(t, s, all, datastorage.EventQuery{Limit: 1000, ParentID: uuid.New()})
	checkPage(t, s, all, datastorage.EventQuery{Limit: 1000, EventTypePrefix: true})
}

// testRandomQueries combines filters and paging at random.
func testRandomQueries(t *testing.T, s Store) {
	all := fillCorpus(t, s)
	rapid.Check(t, func(rt *rapid.T) {
		checkPage(drawnT{t, rt}, s, all, drawQuery(rt, all))
	})
}

// drawnT reports to rapid, which shrinks what fails.
type drawnT struct {
	*testing.T
	draws *rapid.T
}

func (t drawnT) Helper()                           {}
func (t drawnT) Fatalf(format string, args ...any) { t.draws.Fatalf(format, args...) }
func (t drawnT) Errorf(format string, args ...any) { t.draws.Errorf(format, args...) }

// drawQuery draws a query whose filters come from one event, so that combinations of several still match something.
func drawQuery(t *rapid.T, all []stored) datastorage.EventQuery {
	e := rapid.SampledFrom(all).Draw(t, "event")
	q := datastorage.EventQuery{
		Limit:     rapid.OneOf(rapid.IntRange(1, 8), rapid.IntRange(1, 1000)).Draw(t, "limit"),
		Ascending: rapid.Bool().Draw(t, "ascending"),
		Count:     rapid.SampledFrom([]datastorage.CountMode{datastorage.CountBounded, datastorage.CountExact, datastorage.CountNone}).Draw(t, "count"),
	}
	one := func(name string, n int) bool { return rapid.IntRange(1, n).Draw(t, name) == 1 }
	for name, set := range map[string]func(){
		"correlation": func() { q.CorrelationID = e.CorrelationID },
		"type":        func() { q.EventType = e.Type },
		"prefix": func() {
			runes := []rune(e.Type)
			q.EventType, q.EventTypePrefix = string(runes[:rapid.IntRange(0, len(runes)).Draw(t, "prefix length")]), true
		},
		"category":      func() { q.Category = e.Category },
		"outcome":       func() { q.Outcome = e.Outcome },
		"severity":      func() { q.Severity = e.Severity },
		"namespace":     func() { q.Namespace = e.Namespace },
		"cluster":       func() { q.ClusterName = e.ClusterName },
		"actor":         func() { q.ActorID = e.ActorID },
		"actor type":    func() { q.ActorType = e.ActorType },
		"resource type": func() { q.ResourceType = e.ResourceType },
		"resource":      func() { q.ResourceID = e.ResourceID },
		"trace":         func() { q.TraceID = e.TraceID },
		"parent":        func() { q.ParentID = e.ParentID },
		"detail": func() {
			q.DetailPath = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "0", "a.b", "", "é"}), 1, 3).Draw(t, "path")
			q.DetailValue = rapid.SampledFrom([]string{"1", "1.0", "x", "true", "null", "", "deep", "y"}).Draw(t, "value")
		},
		"since": func() { q.Since = base.Add(time.Duration(rapid.IntRange(-1, 6).Draw(t, "since")) * time.Microsecond) },
		"until": func() { q.Until = base.Add(time.Duration(rapid.IntRange(-1, 6).Draw(t, "until")) * time.Microsecond) },
		"size":  func() { q.Size = rapid.Int64Range(1, int64(len(all))).Draw(t, "size") },
	} {
		if one(name, 6) {
			set()
		}
	}
	switch {
	case one("after", 3):
		at := rapid.SampledFrom(all).Draw(t, "position")
		q.After = &datastorage.Position{Time: at.Time, ID: at.ID}
	case one("offset", 3):
		q.Offset = rapid.Int64Range(0, int64(len(all)+1)).Draw(t, "offset")
	}
	return q
}

// testOrder compares identifiers as unsigned bytes, from the first to the last.
func testOrder(t *testing.T, s Store) {
	var records []*datastorage.Record
	for _, id := range []string{
		"ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000001", "7fffffff-ffff-ffff-ffff-ffffffffffff",
		"80000000-0000-0000-0000-000000000000", "00000000-0000-0000-8000-000000000000", "00000000-0000-0000-7fff-ffffffffffff",
	} {
		for _, at := range []time.Time{base, base.Add(time.Microsecond), time.Unix(0, 0).UTC(), time.Date(2199, 12, 31, 23, 59, 59, 999_999_000, time.UTC)} {
			e := datastorage.Event{ID: uuid.MustParse(id), Time: at}
			// The same place in each time: the identifiers differ in a byte that decides last.
			e.ID[6] = byte(len(records))
			records = append(records, build(t, e))
		}
	}
	commit(t, s, records...)
	var all []stored
	for i, r := range records {
		all = append(all, stored{Record: r, index: int64(i)})
	}
	checkPage(t, s, all, datastorage.EventQuery{Limit: 100})
	checkPage(t, s, all, datastorage.EventQuery{Limit: 100, Ascending: true})
	for _, e := range all {
		after := &datastorage.Position{Time: e.Time, ID: e.ID}
		checkPage(t, s, all, datastorage.EventQuery{Limit: 3, After: after})
		checkPage(t, s, all, datastorage.EventQuery{Limit: 3, After: after, Ascending: true})
	}
}

func testLimits(t *testing.T, s Store) {
	records := events(t, 10)
	commit(t, s, records...)
	var all []stored
	for i, r := range records {
		all = append(all, stored{Record: r, index: int64(i)})
	}
	for _, limit := range []int{1, 9, 10, 11, 1000} {
		for _, offset := range []int64{0, 1, 9, 10, 11, 1 << 40} {
			checkPage(t, s, all, datastorage.EventQuery{Limit: limit, Offset: offset})
		}
	}
}

func testSize(t *testing.T, s Store) {
	records := events(t, 10)
	commit(t, s, records...)
	page, err := s.Events(t.Context(), datastorage.EventQuery{Limit: 100, Size: 4})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Events) != 4 || page.Size != 4 || page.Total != 4 || page.HasMore {
		t.Errorf("restricted to 4 events: %d, size %d, total %d, more %v", len(page.Events), page.Size, page.Total, page.HasMore)
	}
	page, err = s.Events(t.Context(), datastorage.EventQuery{Limit: 100, CorrelationID: "none"})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Events) != 0 || page.Size != 10 {
		t.Errorf("an empty page of a log of 10: %d events, size %d", len(page.Events), page.Size)
	}
}

func testCount(t *testing.T, s Store) {
	const bound = datastorage.CountBound
	// Most match the bound exactly; one more stands aside.
	for range bound / 1000 {
		commit(t, s, events(t, 1000)...)
	}
	commit(t, s, build(t, datastorage.Event{CorrelationID: "aside", Time: base.Add(-time.Hour)}))
	for _, c := range []struct {
		name  string
		query datastorage.EventQuery
		total int64
		lower bool
	}{
		{"at the bound", datastorage.EventQuery{CorrelationID: "rr-1"}, bound, false},
		{"beyond the bound", datastorage.EventQuery{}, bound, true},
		{"beyond the bound, exact", datastorage.EventQuery{Count: datastorage.CountExact}, bound + 1, false},
		{"beyond the bound, last page", datastorage.EventQuery{Offset: bound}, bound, true},
		{"one", datastorage.EventQuery{CorrelationID: "aside"}, 1, false},
		{"behind the end", datastorage.EventQuery{CorrelationID: "aside", Offset: 5}, 1, false},
		{"in a part of the log", datastorage.EventQuery{Size: 500}, 500, false},
		{"exact in a part of the log", datastorage.EventQuery{Size: 500, Count: datastorage.CountExact}, 500, false},
	} {
		c.query.Limit = 1
		page, err := s.Events(t.Context(), c.query)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if page.Total != c.total || page.TotalIsLowerBound != c.lower {
			t.Errorf("%s: %d, lower bound %v; want %d, %v", c.name, page.Total, page.TotalIsLowerBound, c.total, c.lower)
		}
	}
	page, err := s.Events(t.Context(), datastorage.EventQuery{Limit: 1, Count: datastorage.CountNone})
	if err != nil || page.TotalIsLowerBound || !page.HasMore || page.Size != bound+1 {
		t.Errorf("without a count: %+v, %v", page, err)
	}
}

// testPrefix searches the words of the corpus by each of their beginnings.
func testPrefix(t *testing.T, s Store) {
	var records []*datastorage.Record
	for i, w := range words {
		records = append(records, build(t, datastorage.Event{Type: w, Time: base.Add(time.Duration(i) * time.Microsecond)}))
	}
	// As long as an event_type can be, of the greatest character.
	records = append(records, build(t, datastorage.Event{Type: strings.Repeat("\U0010FFFF", 100)}))
	commit(t, s, records...)
	var all []stored
	prefixes := map[string]bool{"%": true, "_": true, `\`: true, "a__": true, "\U0010FFFE": true, "\U0010FFFF\U0010FFFF\U0010FFFF": true}
	for i, r := range records {
		all = append(all, stored{Record: r, index: int64(i)})
		for _, part := range []int{1, 2, 3} {
			if runes := []rune(r.Type); part <= len(runes) {
				prefixes[string(runes[:part])] = true
			}
		}
	}
	for prefix := range prefixes {
		checkPage(t, s, all, datastorage.EventQuery{Limit: 1000, EventType: prefix, EventTypePrefix: true})
		checkPage(t, s, all, datastorage.EventQuery{Limit: 1000, EventType: prefix})
	}
}

// testDetail asks each payload of the corpus for each of many details.
func testDetail(t *testing.T, s Store) {
	var records []*datastorage.Record
	for i, p := range payloads {
		records = append(records, build(t, datastorage.Event{Data: []byte(p), Time: base.Add(time.Duration(i) * time.Microsecond)}))
	}
	commit(t, s, records...)
	var all []stored
	for i, r := range records {
		all = append(all, stored{Record: r, index: int64(i), data: dataOf(t, r)})
	}
	paths := [][]string{
		{"a"}, {"b"}, {"c"}, {"a", "b"}, {"a", "a", "a"}, {"a", "0"}, {"0"}, {"a.b"}, {`a"b`}, {`a\b`}, {"é", "😀"}, {""}, {"a", "", ""},
		{"event_data"}, {"event_data", "a"}, {"$"}, {"[0]"}, {"a", "[0]"}, {"a", "-1"}, {"\u0001"}, {"x"}, {"#"}, {"a", "#-1"},
		{"correlation_id"}, {"missing"}, {"%"},
	}
	values := []string{
		"1", "1.0", "10", "1e1", "true", "false", "null", "", "x", "y", "deep", "9007199254740993", "9007199254740992",
		"123456789012345678901234567890", "-0", "0", "1E5", "100000", "0.10", "0.1", "line\nbreak \"quoted\" back\\slash",
		"\u2028 é 😀", "empty", `"a":1`, "[1,\"x\"]", `{"b":1}`, "rr-1", "%", " 1", "1 ",
	}
	matched := 0
	for _, path := range paths {
		for _, value := range values {
			q := datastorage.EventQuery{Limit: 1000, DetailPath: path, DetailValue: value}
			checkPage(t, s, all, q)
			matched += len(evaluate(all, &q))
		}
	}
	if matched < 30 {
		t.Errorf("only %d matches were compared", matched)
	}
}

func testTimes(t *testing.T, s Store) {
	records := events(t, 5)
	commit(t, s, records...)
	for since := -1; since <= 5; since++ {
		for until := since; until <= 6; until++ {
			page, err := s.Events(t.Context(), datastorage.EventQuery{
				Limit: 10, Since: base.Add(time.Duration(since) * time.Microsecond), Until: base.Add(time.Duration(until) * time.Microsecond),
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := max(0, min(until, 4)-max(since, 0)+1); len(page.Events) != want {
				t.Errorf("from %d to %d: %d events, want %d", since, until, len(page.Events), want)
			}
			for _, e := range page.Events {
				if e.Time.Location() != time.UTC {
					t.Errorf("a time in %v, want UTC", e.Time.Location())
				}
			}
		}
	}
	// Other zones are the same moments.
	elsewhere := base.In(time.FixedZone("", 5*3600))
	page, err := s.Events(t.Context(), datastorage.EventQuery{Limit: 10, Since: elsewhere, Until: elsewhere})
	if err != nil || len(page.Events) != 1 {
		t.Errorf("at a moment in another zone: %d events, %v", len(page.Events), err)
	}
}
