package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/outcome"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/correlations"
	"github.com/datastorage-io/datastorage/internal/project/producers"
	"github.com/datastorage-io/datastorage/internal/remediation"
	"github.com/datastorage-io/datastorage/internal/sqlite"
)

// projections are those that a test server has.
var projections = []project.Projection{correlations.Projection{}, producers.Projection{}, outcome.Projection{}, remediation.Projection{}}

// setProjections has a server read projections through a view; with nil, what reads them fails without an error.
func setProjections(c *configuration, view project.View) {
	c.Correlations = correlations.NewList(view)
	c.Producers = producers.NewReader(view)
	c.Outcomes = outcome.NewReader(view)
	c.History = remediation.NewHistory(view)
}

// freshView brings a projection up with the log before each read.
type freshView struct {
	store       *sqlite.Store
	projections project.Store
}

func (v *freshView) View(ctx context.Context, name string, f func(project.Tx, int64) error) error {
	for _, p := range projections {
		if p.Name() != name {
			continue
		}
		if err := project.CatchUp(ctx, v.store, v.projections, p); err != nil {
			return err
		}
	}
	return project.NewReader(v.projections, projections).View(ctx, name, f)
}

const correlationListPath = "/api/v1/audit/correlations"

// TestServer_ListCorrelations walks the list, and asks for each filter.
func TestServer_ListCorrelations(t *testing.T) {
	s := newServer(t)
	if a := s.send(http.MethodGet, correlationListPath, nil); string(a.body) != `{"data":[],"pagination":{"limit":50,"offset":0,"total":0,"has_more":false}}` {
		t.Errorf("an empty store: %s", a.body)
	}
	for i := range 7 {
		id := fmt.Sprint("rr-", i)
		at := start.Add(time.Duration(i-60) * time.Minute)
		s.write("correlation_id", id, "event_timestamp", at.Format(time.RFC3339Nano), "event_type", "gateway.signal.received", "event_outcome", "success", "namespace", "shop")
		s.write("correlation_id", id, "event_timestamp", at.Add(time.Second).Format(time.RFC3339Nano), "event_type", fmt.Sprint("execution.step", i), "event_outcome", []string{"failure", "pending"}[i%2])
	}
	first := s.get(correlationListPath + "?limit=1")
	row := first["data"].([]any)[0].(object)
	want := object{
		"correlation_id": "rr-6", "first_event_at": "2026-05-11T14:06:00Z", "last_event_at": "2026-05-11T14:06:01Z", "duration_ms": 1000.0,
		"event_count": 2.0, "outcomes": object{"success": 1.0, "failure": 1.0, "pending": 0.0}, "first_log_index": 12.0, "last_log_index": 13.0,
	}
	if fmt.Sprint(row) != fmt.Sprint(want) {
		t.Errorf("the newest is\n%v, want\n%v", row, want)
	}
	for query, want := range map[string]string{
		"":                           "[rr-6 rr-5 rr-4 rr-3 rr-2 rr-1 rr-0]",
		"limit=2":                    "[rr-6 rr-5 rr-4 rr-3 rr-2 rr-1 rr-0]",
		"limit=3&outcome=failure":    "[rr-6 rr-4 rr-2 rr-0]",
		"event_type=execution.step3": "[rr-3]",
		"event_type=execution.*&limit=4&namespace=shop": "[rr-6 rr-5 rr-4 rr-3 rr-2 rr-1 rr-0]",
		"event_type=execution":                          "[]",
		"event_type=*":                                  "[rr-6 rr-5 rr-4 rr-3 rr-2 rr-1 rr-0]",
		"namespace=none":                                "[]",
		"since=56m":                                     "[rr-6 rr-5 rr-4]",
		"since=2026-05-11T14:02:00&until=2026-05-11T14:04:30&limit=1": "[rr-4 rr-3 rr-2]",
	} {
		if got := s.walkCorrelations(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"outcome=maybe", "since=yesterday", "limit=1001", "offset=-1", "cursor=AAAA", "since=2026-05-12&until=2026-05-11", "count=all"} {
		s.problem(s.send(http.MethodGet, correlationListPath+"?"+query, nil), http.StatusBadRequest, "validation-error")
	}
	cursor := first["pagination"].(object)["next_cursor"].(string)
	s.problem(s.send(http.MethodGet, correlationListPath+"?outcome=failure&cursor="+cursor, nil), http.StatusBadRequest, "validation-error")
	s.problem(s.send(http.MethodGet, eventsPath+"?cursor="+cursor, nil), http.StatusBadRequest, "validation-error")
}

// walkCorrelations follows a query to its end and returns the ids.
func (s *server) walkCorrelations(query string) string {
	s.t.Helper()
	ids := []string{}
	for path := correlationListPath + "?" + query; ; {
		page := s.get(path)
		for _, row := range page["data"].([]any) {
			ids = append(ids, row.(object)["correlation_id"].(string))
		}
		pagination := page["pagination"].(object)
		if pagination["has_more"] == false {
			return fmt.Sprint(ids)
		}
		path = correlationListPath + "?" + query + "&cursor=" + pagination["next_cursor"].(string)
	}
}
