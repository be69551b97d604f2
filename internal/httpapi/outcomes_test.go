package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/outcome"
)

const (
	incidentTypeRatePath = "/api/v1/success-rate/incident-type"
	workflowRatePath     = "/api/v1/success-rate/workflow"
	multiRatePath        = "/api/v1/success-rate/multi-dimensional"
	incidentsPath        = "/api/v1/incidents"
	aggregatePath        = incidentsPath + "/aggregate/"
)

// outcomePaths are questions that every server can answer.
var outcomePaths = []string{
	incidentTypeRatePath + "?incident_type=CrashLoop", workflowRatePath + "?workflow_id=w-1", multiRatePath + "?action_type=Restart",
	incidentsPath, aggregatePath + "success-rate?workflow_id=w-1", aggregatePath + "by-namespace", aggregatePath + "by-severity", aggregatePath + "trend",
}

// result stores the event that an execution has come to, n minutes before the time of the server.
func (s *server) result(minutes int, outcome string, data object, set ...any) object {
	s.t.Helper()
	at := start.Add(-time.Duration(minutes) * time.Minute).Format(time.RFC3339)
	return s.write(append([]any{
		"event_category", "execution", "event_type", "workflow.execution.ended", "event_timestamp", at, "event_outcome", outcome, "event_data", data,
	}, set...)...)
}

// five stores five executions for CrashLoop, one for another incident type, and what is no outcome.
func (s *server) five() {
	s.t.Helper()
	for i, outcome := range []string{"success", "success", "failure", "pending"} {
		s.result(10*i+1, outcome, object{
			"incident_type": "CrashLoop", "workflow_id": "w-1", "workflow_version": []string{"1.0", "2.0"}[i/2], "workflow_execution_id": fmt.Sprint("we-", i),
			"action_type": "Restart", "ai_selected_workflow": i < 3, "ai_chained_workflows": i == 2, "environment": "production",
		}, "correlation_id", fmt.Sprint("rr-", i), "namespace", "shop", "cluster_name", "dev", "severity", "critical", "duration_ms", 60_000)
	}
	s.result(50, "success", object{"incident_type": "CrashLoop", "ai_manual_escalation": true}, "correlation_id", "rr-person")
	s.result(60, "success", object{"incident_type": "Evicted", "workflow_id": "w-1", "execution_status": "rolled-back"}, "correlation_id", "rr-other")
	s.result(70, "success", object{"workflow_id": "w-1"}, "correlation_id", "rr-nothing")
}

// expect reads a path and compares members of its answer.
func (s *server) expect(path string, want object) object {
	s.t.Helper()
	got := s.get(path)
	for name, value := range want {
		if fmt.Sprint(got[name]) != fmt.Sprint(value) {
			s.t.Errorf("%s: %s is %v, want %v", path, name, got[name], value)
		}
	}
	return got
}

func TestServer_SuccessRate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.five()
	got := s.expect(incidentTypeRatePath+"?incident_type=CrashLoop&citations=true", object{
		"incident_type": "CrashLoop", "time_range": "7d", "total_executions": 5.0, "successful_executions": 3.0, "failed_executions": 1.0,
		"success_rate": 60.0, "confidence": "low", "min_samples_met": true, "log_size": 7.0, "citations": "[0 1 2 3 4]",
		"breakdown_by_workflow": "[map[executions:2 success_rate:1 workflow_id:w-1 workflow_version:1.0] map[executions:2 success_rate:0 workflow_id:w-1 workflow_version:2.0]]",
		"ai_execution_mode":     object{"catalog_selected": 3.0, "chained": 1.0, "manual_escalation": 1.0},
	})
	interval := got["interval"].(object)
	if text := fmt.Sprintf("%.2f to %.2f", interval["lower"], interval["upper"]); text != "23.07 to 88.24" {
		t.Errorf("the interval is %s", text)
	}
	s.expect(workflowRatePath+"?workflow_id=w-1&time_range=1h&min_samples=6", object{
		"workflow_id": "w-1", "workflow_version": nil, "time_range": "1h", "total_executions": 5.0, "successful_executions": 2.0, "failed_executions": 1.0,
		"min_samples_met": false, "citations": nil,
		"breakdown_by_incident_type": "[map[executions:4 incident_type:CrashLoop success_rate:0.5] map[executions:1 incident_type:Evicted success_rate:0]]",
	})
	s.expect(workflowRatePath+"?workflow_id=w-1&workflow_version=1.0&time_range=0005h", object{
		"workflow_version": "1.0", "time_range": "0005h", "total_executions": 2.0, "success_rate": 100.0, "confidence": "insufficient_data",
	})
	s.expect(multiRatePath+"?incident_type=CrashLoop&workflow_id=w-1&workflow_version=2.0&action_type=Restart&time_range=3650d", object{
		"total_executions": 2.0, "failed_executions": 1.0, "incident_type": "CrashLoop", "action_type": "Restart",
		"dimensions": object{"incident_type": "CrashLoop", "workflow_id": "w-1", "workflow_version": "2.0", "action_type": "Restart"},
	})
	s.expect(multiRatePath+"?incident_type=Unheard&citations=true", object{
		"total_executions": 0.0, "successful_executions": 0.0, "failed_executions": 0.0, "success_rate": 0.0, "confidence": "insufficient_data",
		"min_samples_met": false, "breakdown_by_workflow": "[]", "breakdown_by_incident_type": "[]", "interval": object{"lower": 0.0, "upper": 100.0}, "citations": "[]",
	})
}

func TestServer_SuccessRate_Refused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for path, field := range map[string]string{
		incidentTypeRatePath:                                    "incident_type",
		incidentTypeRatePath + "?incident_type=":                "incident_type",
		incidentTypeRatePath + "?incident_type=a&incident_type": "incident_type",
		workflowRatePath:                                        "workflow_id",
		workflowRatePath + "?workflow_version=1":                "workflow_id",
		multiRatePath:                                           "incident_type",
		multiRatePath + "?action_type=a&workflow_version=1":     "workflow_id",
		multiRatePath + "?action_type=a&citations=yes":          "citations",
		aggregatePath + "success-rate":                          "workflow_id",
		aggregatePath + "trend?period=8d":                       "period",
		incidentsPath + "?limit=1001":                           "limit",
		incidentsPath + "?offset=-1":                            "offset",
	} {
		s.fieldErrors(s.problem(s.send(http.MethodGet, path, nil), http.StatusBadRequest, "validation-error", field), field)
	}
	for _, value := range []string{"7", "d", "0d", "00h", "-1d", "+1d", "1.5d", "1m", "1D", "1 d", "d7", "3651d", "87601h", "99999999999999999999d", "7d7d", strings.Repeat("7", 500)} {
		path := multiRatePath + "?action_type=a&time_range=" + url.QueryEscape(value)
		p := s.problem(s.send(http.MethodGet, path, nil), http.StatusBadRequest, "validation-error", "time_range")
		s.fieldErrors(p, "time_range")
	}
	for _, value := range []string{"0", "-1", "x", "1.5", "1000000001"} {
		p := s.problem(s.send(http.MethodGet, multiRatePath+"?action_type=a&min_samples="+value, nil), http.StatusBadRequest, "validation-error", "min_samples")
		s.fieldErrors(p, "min_samples")
	}
}

func TestServer_Incidents(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.five()
	s.result(1, "success", object{"incident_type": "CrashLoop", "workflow_execution_id": "we-9"}, "correlation_id", "rr-1")
	page := s.get(incidentsPath + "?limit=2&offset=1")
	if got := fmt.Sprint(pagination(page)); got != "map[has_more:true limit:2 offset:1 total:7]" || len(page["data"].([]any)) != 2 {
		t.Errorf("the page is %s, %v", got, page["data"])
	}
	for query, want := range map[string]string{
		"":                           "[7 0 1 2 3 4 5]",
		"signal_name=Evicted":        "[5]",
		"namespace=shop":             "[0 1 2 3]",
		"severity=critical":          "[0 1 2 3]",
		"cluster=dev&limit=1":        "[0]",
		"environment=production":     "[0 1 2 3]",
		"action_type=Restart":        "[0 1 2 3]",
		"action_type=Scale":          "[]",
		"severity=info&offset=9":     "[]",
		"namespace=&signal_name=":    "[7 0 1 2 3 4 5]",
		"namespace=shop&severity=no": "[]",
	} {
		page := s.get(incidentsPath + "?" + query)
		indexes := []any{}
		for _, row := range page["data"].([]any) {
			indexes = append(indexes, row.(object)["log_index"])
		}
		if fmt.Sprint(indexes) != want {
			t.Errorf("%s: %v, want %s", query, indexes, want)
		}
	}
	s.expect(incidentsPath+"/rr-2", object{
		"id": "rr-2", "correlation_id": "rr-2", "workflow_execution_id": "we-2", "signal_name": "CrashLoop", "severity": "critical", "namespace": "shop",
		"cluster": "dev", "environment": "production", "action_type": "Restart", "workflow_id": "w-1", "workflow_version": "2.0", "status": "failed",
		"outcome": "failure", "started_at": "2026-05-11T14:38:00Z", "completed_at": "2026-05-11T14:39:00Z", "duration_ms": 60000.0, "log_index": 2.0,
		"other_executions": nil, "log_size": 8.0,
	})
	s.expect(incidentsPath+"/rr-3", object{"status": "pending", "completed_at": nil, "started_at": "2026-05-11T14:28:00Z"})
	s.expect(incidentsPath+"/rr-person", object{"duration_ms": nil, "workflow_id": nil, "namespace": nil, "completed_at": "2026-05-11T14:10:00Z"})
	others := s.expect(incidentsPath+"/rr-1", object{"workflow_execution_id": "we-9"})["other_executions"].([]any)
	if len(others) != 1 || others[0].(object)["workflow_execution_id"] != "we-1" {
		t.Errorf("the other executions are %v", others)
	}
	for _, id := range []string{"rr-nothing", "aggregate", "%ff", "%00"} {
		s.problem(s.send(http.MethodGet, incidentsPath+"/"+id, nil), http.StatusNotFound, "not-found")
	}
}

func TestServer_Incidents_Aggregate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.five()
	s.result(24*60, "failure", object{"incident_type": "CrashLoop"}, "correlation_id", "rr-yesterday", "namespace", "shop")
	s.expect(aggregatePath+"success-rate?workflow_id=w-1", object{
		"workflow_id": "w-1", "total_count": 5.0, "success_count": 2.0, "failure_count": 1.0, "success_rate": 0.4, "log_size": 8.0,
	})
	s.expect(aggregatePath+"success-rate?workflow_id=none", object{"total_count": 0.0, "success_rate": 0.0})
	s.expect(aggregatePath+"by-namespace", object{"aggregations": "[map[count:5 namespace:shop] map[count:2 namespace:]]"})
	s.expect(aggregatePath+"by-severity", object{"aggregations": "[map[count:4 severity:critical] map[count:3 severity:info]]"})
	for query, days := range map[string]int{"": 7, "?period=7d": 7, "?period=30d": 30, "?period=90d": 90} {
		trend := s.get(aggregatePath + "trend" + query)
		points := trend["data_points"].([]any)
		if len(points) != days || trend["period"] != fmt.Sprint(days, "d") {
			t.Errorf("%s: period %v with %d days", query, trend["period"], len(points))
		}
		slices.Reverse(points)
		if got := fmt.Sprint(points[:3]); got != "[map[count:6 date:2026-05-11] map[count:1 date:2026-05-10] map[count:0 date:2026-05-09]]" {
			t.Errorf("%s: the last days are %s", query, got)
		}
	}
}

// TestServer_Outcomes_Unavailable: what cannot be read is a 503, never a zero.
func TestServer_Outcomes_Unavailable(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *configuration) { c.Outcomes = outcome.NewReader(brokenView{}) })
	for _, path := range append(slices.Clone(outcomePaths), incidentsPath+"/rr-1") {
		a := s.send(http.MethodGet, path, nil)
		if p := s.problem(a, http.StatusServiceUnavailable, "service-unavailable"); p["retry"] != true {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

// fakeTotals is a store of executions that fails as long as it is told to, and counts how often it is asked.
type fakeTotals struct {
	httpapi.Outcomes
	err   error
	asked int
}

func (f *fakeTotals) Totals(ctx context.Context, ids []string) (map[string]outcome.Tally, error) {
	f.asked++
	if f.err != nil {
		return nil, f.err
	}
	return f.Outcomes.Totals(ctx, ids)
}

// TestServer_Workflow_Totals: a workflow shows what has become of it, and nothing rather than zeros when that is not known.
func TestServer_Workflow_Totals(t *testing.T) {
	t.Parallel()
	var totals *fakeTotals
	s := newServer(t, func(c *configuration) {
		totals = &fakeTotals{Outcomes: c.Outcomes}
		c.Outcomes = totals
	})
	id := s.publish("workflow_name", "restart")
	other := s.publish("workflow_name", "untried")
	for i, result := range []string{"success", "success", "failure", "pending"} {
		s.result(i+1, result, object{"incident_type": "CrashLoop", "workflow_id": id}, "correlation_id", fmt.Sprint("rr-", i))
	}
	known := object{"total_executions": 4.0, "successful_executions": 2.0, "actual_success_rate": 0.5}
	unknown := object{"total_executions": nil, "successful_executions": nil, "actual_success_rate": nil}
	s.expect(workflowsPath+"/"+id, known)
	s.expect(workflowsPath+"/"+other, object{"total_executions": 0.0, "successful_executions": 0.0, "actual_success_rate": nil})
	if got := s.must(http.StatusOK, s.send(http.MethodPatch, workflowsPath+"/"+id, object{"status": "deprecated"})); got["total_executions"] != 4.0 {
		t.Errorf("a changed workflow has %v executions", got["total_executions"])
	}
	for _, w := range s.get(workflowsPath)["workflows"].([]any) {
		if w := w.(object); w["workflow_id"] == id && w["actual_success_rate"] != 0.5 {
			t.Errorf("in the list it is %v", w)
		}
	}
	version := s.get(workflowsPath + "/by-name/restart/versions")["versions"].([]any)[0].(object)
	if version["successful_executions"] != 2.0 {
		t.Errorf("among the versions it is %v", version)
	}
	totals.err, totals.asked = errBroken, 0
	for range 3 {
		s.expect(workflowsPath+"/"+id, unknown)
	}
	if totals.asked != 1 {
		t.Errorf("a store that does not answer was asked %d times", totals.asked)
	}
	totals.err = nil
	s.clock.add(5 * time.Second)
	s.expect(workflowsPath+"/"+id, known)
	// The catalogue has a clock of its own.
	s.clock.add(time.Until(s.clock.Now()).Abs() + time.Hour)
	s.expect(workflowsPath+"/"+id+"?as_of=1m", unknown)
}
