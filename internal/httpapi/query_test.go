package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/httpapi"
)

// storeAt stores an event with that time and id, the last three digits of both given.
func (s *server) storeAt(n int, set ...any) string {
	s.t.Helper()
	id := fmt.Sprintf("019e1780-45d8-7944-916f-c1dbe36a1%03d", n)
	at := start.Add(-time.Hour + time.Duration(n)*time.Second).Format(time.RFC3339)
	s.write(append([]any{"event_id", id, "event_timestamp", at}, set...)...)
	return id
}

func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return eventsPath + "?" + v.Encode()
}

func TestServer_ListEvents_Filters(t *testing.T) {
	s := newServer(t)
	parent := s.storeAt(1)
	trace := strings.Repeat("ab", 16)
	want := s.storeAt(2, "correlation_id", "rr-2", "event_type", "aiagent.llm.request", "event_category", "analysis", "event_outcome", "failure",
		"severity", "critical", "namespace", "demo", "cluster_name", "dev", "actor_id", "agent", "actor_type", "llm", "resource_type", "Pod",
		"resource_id", "p-1", "parent_event_id", parent, "trace_id", trace,
		"event_data", object{"a": object{"b": "x y", "n": 1, "t": true, "z": nil, "o": object{}}, "a.b": "dotted"})
	s.storeAt(3, "event_type", "aiagent.llm.response", "event_data", object{"a": object{"b": "other", "n": 2}})
	for _, pairs := range [][]string{
		{"correlation_id", "rr-2"}, {"event_type", "aiagent.llm.request"}, {"event_type", "aiagent.llm.req*"}, {"event_category", "analysis"}, {"event_outcome", "failure"},
		{"severity", "critical"}, {"namespace", "demo"}, {"cluster_name", "dev"}, {"actor_id", "agent"}, {"actor_type", "llm"}, {"resource_type", "Pod"},
		{"resource_id", "p-1"}, {"parent_event_id", parent}, {"parent_event_id", strings.ToUpper(parent)}, {"trace_id", trace},
		{"detail_key", "a.b", "detail_value", "x y"}, {"detail_key", "a.n", "detail_value", "1"}, {"detail_key", "a.t", "detail_value", "true"},
		{"correlation_id", "rr-2", "event_outcome", "failure", "severity", "critical", "namespace", ""},
		{"since", "2026-05-11T14:00:02Z", "until", "2026-05-11T14:00:02Z"},
	} {
		if got := ids(s.get(query(pairs...))); !slices.Equal(got, []string{want}) {
			t.Errorf("%v finds %v, want %s", pairs, got, want)
		}
	}
	for _, pairs := range [][]string{
		{"correlation_id", "rr-2", "event_outcome", "success"}, {"event_type", "aiagent"}, {"event_type", "AIAGENT*"}, {"severity", "Critical"}, {"event_category", "unheard"},
		{"parent_event_id", uuid.NewString()}, {"detail_key", "a.b", "detail_value", "X y"}, {"detail_key", "a.n", "detail_value", "1.0"},
		{"detail_key", "a.z", "detail_value", "null"}, {"detail_key", "a.o", "detail_value", "{}"}, {"detail_key", "a", "detail_value", "x y"},
		{"detail_key", "a.b.c", "detail_value", "x y"}, {"namespace", "%"}, {"correlation_id", "' OR 1=1 --"}, {"event_type", "_%*"},
	} {
		page := s.get(query(pairs...))
		if len(page["data"].([]any)) != 0 || pagination(page)["total"] != 0.0 || pagination(page)["has_more"] != false {
			t.Errorf("%v finds %v", pairs, page)
		}
	}
	for _, pairs := range [][]string{{"event_type", "*"}, {"event_type", ""}, {"cursor", "", "limit", "", "offset", "", "since", "", "order", "", "count", ""}, {"unknown", "x"}} {
		if got := ids(s.get(query(pairs...))); len(got) != 3 {
			t.Errorf("%v finds %v", pairs, got)
		}
	}
	if got := ids(s.get(query("event_type", "aiagent.*"))); len(got) != 2 {
		t.Errorf("a prefix finds %v", got)
	}
	if a := s.send(http.MethodGet, query("correlation_id", "none"), nil); !strings.Contains(string(a.body), `"data":[]`) {
		t.Errorf("an empty page is %s", a.body)
	}
}

func TestServer_ListEvents_Invalid(t *testing.T) {
	s := newServer(t)
	const times = "(expected: 24h, 7d, or RFC3339 timestamp)"
	for q, phrase := range map[string]string{
		"limit=0": "limit must be at least 1", "limit=-1": "must be at least 1", "limit=1001": "must be at most 1000", "limit=x": "limit",
		"limit=1.5": "limit", "limit=99999999999999999999": "must be at most 1000", "limit=-99999999999999999999": "must be at least 1", "limit=1&limit=2": "limit",
		"offset=-1": "offset must be at least 0", "offset=x": "offset",
		"event_outcome=ok": "must be one of: success, failure, pending", "order=up": "asc, desc", "count=some": "exact, none",
		"since=yesterday": "invalid time format: ", "until=24": times, "since=-1h": "since", "until=2026-02-30": times,
		"since=2026-05-11&until=2026-05-10": "since", "since=1h&until=2h": "since", "since=2026-05-11T14:40:59%2B02:00Z": "since",
		"parent_event_id=x": "parent_event_id", "cursor=x": "cursor", "cursor=AAAA": "cursor", "cursor=%00": "cursor",
		"detail_key=a": "detail_value", "detail_value=a": "detail_key", "detail_key=" + strings.Repeat("a.", 32) + "a&detail_value=x": "detail_key",
		"correlation_id=%ff": "correlation_id", "correlation_id=%00": "correlation_id", "namespace=a&namespace=b": "namespace",
	} {
		p := s.problem(s.send(http.MethodGet, eventsPath+"?"+q, nil), http.StatusBadRequest, "validation-error", phrase)
		if p["field_errors"] == nil {
			t.Errorf("%s: the problem is %v", q, p)
		}
	}
	p := s.problem(s.send(http.MethodGet, eventsPath+"?limit=0&offset=-1&since=x&event_outcome=y", nil), http.StatusBadRequest, "validation-error")
	s.fieldErrors(p, "limit", "offset", "since", "event_outcome")
}

func TestServer_ListEvents_Times(t *testing.T) {
	s := newServer(t)
	day := 24 * time.Hour
	at := func(back time.Duration) string { return start.Add(-back).Format("2006-01-02T15:04:05.000000Z") }
	backs := []time.Duration{time.Minute, 30 * time.Minute, 90 * time.Minute, 15 * time.Hour, day, 36 * time.Hour, 7 * day}
	for _, back := range backs {
		s.write("event_timestamp", at(back))
	}
	for since, want := range map[string]int{
		"30m": 2, "29m": 1, "1h30m": 3, "24h": 5, "1d": 5, "1.5d": 6, "7d": 7, "0s": 0, "1m": 1,
		"2026-05-11T14:30:00Z": 2, "2026-05-11T14:30:00.000001Z": 1, "2026-05-11T14:30:00.0000001Z": 1, "2026-05-11T16:30:00+02:00": 2,
		"2026-05-11T14:30:00": 2, "2026-05-11": 4, "2026-05-10": 6,
	} {
		if got := ids(s.get(query("since", since))); len(got) != want {
			t.Errorf("since %s finds %d events, want %d", since, len(got), want)
		}
	}
	for until, want := range map[string]int{
		"30m": 6, "24h": 3, "2026-05-11T14:30:00": 6, "2026-05-11T14:29:59.9999999Z": 5, "2026-05-11": 4,
	} {
		if got := ids(s.get(query("until", until))); len(got) != want {
			t.Errorf("until %s finds %d events, want %d", until, len(got), want)
		}
	}
	if got := ids(s.get(query("since", "24h", "until", "30m"))); len(got) != 4 {
		t.Errorf("a span finds %d events", len(got))
	}
}

func TestServer_ListEvents_Paging(t *testing.T) {
	s := newServer(t)
	var newest []string
	for n := 1; n <= 5; n++ {
		newest = append([]string{s.storeAt(n)}, newest...)
	}
	// Of the same time, the greater id comes first.
	twin := s.storeAt(6, "event_timestamp", start.Add(-time.Hour+5*time.Second).Format(time.RFC3339))
	newest = append([]string{twin}, newest...)
	page := s.get(eventsPath)
	if got := ids(page); !slices.Equal(got, newest) {
		t.Errorf("the order is %v, want %v", got, newest)
	}
	want := object{"limit": 50.0, "offset": 0.0, "total": 6.0, "has_more": false}
	if fmt.Sprint(pagination(page)) != fmt.Sprint(want) {
		t.Errorf("pagination is %v, want %v", pagination(page), want)
	}
	oldest := slices.Clone(newest)
	slices.Reverse(oldest)
	for order, all := range map[string][]string{"desc": newest, "asc": oldest} {
		for limit := 1; limit <= 7; limit++ {
			for offset := 0; offset <= 7; offset++ {
				page := s.get(query("order", order, "limit", fmt.Sprint(limit), "offset", fmt.Sprint(offset)))
				lo, hi := min(offset, 6), min(offset+limit, 6)
				p := pagination(page)
				if !slices.Equal(ids(page), all[lo:hi]) || p["has_more"] != (hi < 6) || (p["next_cursor"] != nil) != (hi < 6) || p["total"] != 6.0 || p["offset"] != float64(offset) {
					t.Errorf("%s %d+%d: %v, %v", order, offset, limit, ids(page), p)
				}
			}
			if got := s.walk(nil, "order", order, "limit", fmt.Sprint(limit)); !slices.Equal(got, all) {
				t.Errorf("a walk %s by %d is %v", order, limit, got)
			}
		}
	}
	for count, want := range map[string]any{"exact": 6.0, "none": nil} {
		if got := pagination(s.get(query("count", count)))["total"]; got != want {
			t.Errorf("count=%s gives total %v", count, got)
		}
	}
	if page := s.get(query("limit", "1000")); pagination(page)["limit"] != 1000.0 {
		t.Errorf("pagination is %v", pagination(page))
	}
}

// walk reads a list to its end by cursor and returns the ids. between is called after each page.
func (s *server) walk(between func(), pairs ...string) (all []string) {
	s.t.Helper()
	page := s.get(query(pairs...))
	for {
		all = append(all, ids(page)...)
		next, _ := pagination(page)["next_cursor"].(string)
		if (next != "") != (pagination(page)["has_more"] == true) {
			s.t.Fatalf("pagination is %v", pagination(page))
		}
		if next == "" {
			return all
		}
		if between != nil {
			between()
		}
		page = s.get(query(append(slices.Clone(pairs), "cursor", next)...))
		if _, ok := pagination(page)["total"]; ok {
			s.t.Errorf("a page by cursor has a total: %v", pagination(page))
		}
	}
}

func TestServer_ListEvents_WalkUnderWrites(t *testing.T) {
	for _, order := range []string{"asc", "desc"} {
		s := newServer(t)
		var want []string
		for n := 100; n < 110; n++ {
			want = append(want, s.storeAt(n))
		}
		if order == "desc" {
			slices.Reverse(want)
		}
		n := 0
		got := s.walk(func() {
			// Before, between and behind the events that were there.
			s.storeAt(n)
			s.write("event_timestamp", start.Add(-time.Hour+time.Duration(100+n)*time.Second+time.Millisecond).Format(time.RFC3339Nano))
			s.storeAt(200 + n)
			n++
		}, "order", order, "limit", "2", "since", "2h")
		if !slices.Equal(got, want) {
			t.Errorf("the walk %s is %v, want %v", order, got, want)
		}
	}
}

func TestServer_ListEvents_CursorKeepsItsBounds(t *testing.T) {
	s := newServer(t)
	var want []string
	for n := range 4 {
		want = append([]string{s.storeAt(n)}, want...)
	}
	// The clock passes the oldest event's hour, and then until less an hour, during the walk.
	got := s.walk(func() { s.clock.add(time.Hour) }, "since", "1h", "until", start.Format(time.RFC3339), "limit", "1")
	if !slices.Equal(got, want) {
		t.Errorf("the walk is %v, want %v", got, want)
	}
}

func TestServer_ListEvents_Cursor(t *testing.T) {
	s := newServer(t)
	for n := range 4 {
		s.storeAt(n, "namespace", "demo")
		s.must(http.StatusCreated, s.send(http.MethodPost, notificationsPath, notification("notification_id", fmt.Sprint(n))))
	}
	cursor := pagination(s.get(query("namespace", "demo", "limit", "1")))["next_cursor"].(string)
	refuse := func(path, phrase string) {
		t.Helper()
		p := s.problem(s.send(http.MethodGet, path, nil), http.StatusBadRequest, "validation-error", "cursor", phrase)
		if p["field_errors"] == nil {
			t.Errorf("the problem is %v", p)
		}
	}
	for _, pairs := range [][]string{
		{}, {"namespace", "other"}, {"namespace", "demo", "severity", "info"}, {"namespace", "demo", "order", "asc"}, {"namespace", "demo", "since", "1h"}, {"cluster_name", "demo"},
	} {
		refuse(query(append(pairs, "cursor", cursor)...), "other filters")
	}
	for i := range cursor {
		forged := []byte(cursor)
		forged[i] ^= 1
		refuse(query("namespace", "demo", "cursor", string(forged)), "not a cursor")
	}
	for _, forged := range []string{cursor[:len(cursor)-1], cursor + "A", cursor + "=", strings.Repeat("A", len(cursor)), cursor + cursor} {
		refuse(query("namespace", "demo", "cursor", forged), "not a cursor")
	}
	others := pagination(s.get(notificationsPath + "?limit=1"))["next_cursor"].(string)
	refuse(query("cursor", others), "not a cursor")
	own := pagination(s.get(query("limit", "1")))["next_cursor"].(string)
	refuse(notificationsPath+"?cursor="+own, "not a cursor")
	p := s.problem(s.send(http.MethodGet, query("namespace", "demo", "cursor", cursor, "offset", "1"), nil), http.StatusBadRequest, "validation-error", "offset")
	s.fieldErrors(p, "offset")
	// The page size and the way of counting may change; parameters that are empty do not count.
	for _, pairs := range [][]string{{"limit", "2"}, {"limit", "2", "count", "exact"}, {"limit", "2", "severity", ""}} {
		page := s.get(query(append(pairs, "namespace", "demo", "cursor", cursor)...))
		if len(ids(page)) != 2 || pagination(page)["total"] != nil {
			t.Errorf("%v: the page is %v", pairs, page)
		}
	}
}

// crowdedStore says of every query that more events match than are counted. Counting itself is the stores' business.
type crowdedStore struct{ httpapi.Reader }

func (s crowdedStore) Events(ctx context.Context, q datastorage.EventQuery) (datastorage.EventPage, error) {
	page, err := s.Reader.Events(ctx, q)
	switch q.Count {
	case datastorage.CountBounded:
		page.Total, page.TotalIsLowerBound = datastorage.CountBound, true
	case datastorage.CountExact:
		page.Total = datastorage.CountBound + 1
	}
	return page, err
}

func TestServer_ListEvents_Bound(t *testing.T) {
	s := newServer(t, func(c *configuration) { c.Reader = crowdedStore{c.Reader} })
	s.write()
	s.write()
	for count, want := range map[string]object{
		"": {"total": 10000.0, "total_is_lower_bound": true}, "exact": {"total": 10001.0}, "none": {},
	} {
		p := pagination(s.get(query("limit", "1", "count", count)))
		if p["total"] != want["total"] || p["total_is_lower_bound"] != want["total_is_lower_bound"] || p["has_more"] != true {
			t.Errorf("count=%s: pagination is %v, want %v", count, p, want)
		}
	}
}

// TestServer_RecordedEvents stores recorded events and reads them back.
func TestServer_RecordedEvents(t *testing.T) {
	s := newServer(t, func(c *configuration) { c.Rules.Window = false })
	f, err := os.Open("../../testdata/events.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []string
	for in := bufio.NewScanner(f); in.Scan(); {
		lines = append(lines, in.Text())
	}
	s.must(http.StatusCreated, s.send(http.MethodPost, eventsPath, lines[0]))
	s.must(http.StatusCreated, s.send(http.MethodPost, batchPath, "["+strings.Join(lines[1:], ",")+"]"))
	page := s.get(query("limit", "1000"))
	if len(ids(page)) != len(lines) {
		t.Errorf("%d of %d events come back", len(ids(page)), len(lines))
	}
	for _, id := range ids(page) {
		if a := s.send(http.MethodGet, eventsPath+"/"+id+"/body", nil); a.status != http.StatusOK {
			t.Errorf("%s: %d", id, a.status)
		}
	}
}
