package httpapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const effectivenessPath = "/api/v1/effectiveness/"

func timelinePath(id string) string { return correlationsPath + url.PathEscape(id) + "/timeline" }

func reconstructPath(id string) string {
	return "/api/v1/audit/remediation-requests/" + url.PathEscape(id) + "/reconstruct"
}

func TestServer_GetTimeline(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	parent := s.storeAt(1, "event_data", object{"signal_name": "Down", "target_resource": object{"kind": "Pod", "name": "a", "namespace": "b"}})
	s.storeAt(2, "event_type", "orchestrator.request.created", "event_category", "orchestration", "parent_event_id", parent, "event_data", object{"remediation_request": "rr-1"})
	s.storeAt(90, "event_type", "orchestrator.lifecycle.completed", "event_category", "orchestration", "event_data", object{"outcome": "Remediated"})
	got := s.get(timelinePath("rr-1"))
	summary := got["summary"].(object)
	if text := summary["text"]; text != "Down (info) on Pod a in b. It ended as Remediated, 1m29s from the first event to the last." {
		t.Errorf("the summary is %v", text)
	}
	events := got["events"].([]any)
	if second := events[1].(object); second["sentence"] != "The remediation request rr-1 was created." || second["depth"] != 1.0 || second["log_index"] != 1.0 {
		t.Errorf("the second event is %v", second)
	}
	if len(got["large_gaps"].([]any)) != 1 || got["event_count"] != 3.0 {
		t.Errorf("gaps %v, %v events", got["large_gaps"], got["event_count"])
	}
	text := s.send(http.MethodGet, timelinePath("rr-1"), nil, "Accept", "text/plain;q=1")
	if text.status != http.StatusOK || !strings.HasPrefix(text.header.Get("Content-Type"), "text/plain") || !strings.Contains(string(text.body), "nothing for 1m28s") {
		t.Errorf("the text is %d %s", text.status, text.body)
	}
}

func TestServer_GetTimeline_Pages(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for n := range 5 {
		s.storeAt(n)
	}
	s.write("correlation_id", "rr-2")
	var got []any
	path, late := timelinePath("rr-1")+"?limit=2", 0
	for {
		page := s.get(path)
		for _, e := range page["events"].([]any) {
			got = append(got, e.(object)["log_index"])
		}
		pagination := page["pagination"].(object)
		if pagination["has_more"] != true {
			break
		}
		s.storeAt(100 + late) // no page shows what came later
		late++
		cursor := "limit=2&cursor=" + pagination["next_cursor"].(string)
		s.problem(s.send(http.MethodGet, timelinePath("rr-2")+"?"+cursor, nil), http.StatusBadRequest, "validation-error", "cursor")
		path = timelinePath("rr-1") + "?" + cursor
	}
	for i, n := range got {
		if n != float64(i) {
			t.Errorf("the pages are %v", got)
		}
	}
	if len(got) != 5 {
		t.Errorf("the pages are %v", got)
	}
	for _, bad := range []string{"limit=0", "limit=1001", "limit=x", "cursor=x"} {
		name, _, _ := strings.Cut(bad, "=")
		s.problem(s.send(http.MethodGet, timelinePath("rr-1")+"?"+bad, nil), http.StatusBadRequest, "validation-error", name)
	}
}

func TestServer_Story_Unknown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, id := range []string{"unknown", "%00", "%ff"} {
		s.problem(s.send(http.MethodGet, correlationsPath+id+"/timeline", nil), http.StatusNotFound, "not-found")
		s.problem(s.send(http.MethodGet, effectivenessPath+id, nil), http.StatusNotFound, "not-found")
		s.problem(s.send(http.MethodPost, "/api/v1/audit/remediation-requests/"+id+"/reconstruct", nil), http.StatusNotFound, "not-found")
	}
}

func TestServer_GetEffectiveness(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.storeAt(1)
	if got := s.get(effectivenessPath + "rr-1"); got["score"] != nil || got["assessment_status"] != "no_data" {
		t.Errorf("without assessments it is %v", got)
	}
	s.storeAt(2, "event_type", "effectiveness.assessment.completed", "event_category", "orchestration",
		"event_data", object{"health_score": 1, "alert_score": 0, "metrics_score": "high"})
	got := s.get(effectivenessPath + "rr-1")
	if got["score"] != 0.40/0.75 || len(got["ignored"].([]any)) != 1 || got["components"].(object)["metrics_score"] != nil {
		t.Errorf("the effectiveness is %v", got)
	}
}

func TestServer_Reconstruct(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.storeAt(1, "event_data", object{"signal_name": "Down", "severity": "high", "target_resource": object{"kind": "Pod", "name": "a"}})
	got := s.must(http.StatusOK, s.send(http.MethodPost, reconstructPath("rr-1"), nil))
	if v := got["validation"].(object); v["is_valid"] != true || v["completeness"] == 0.0 {
		t.Errorf("the answer is %v", got)
	}
	again := s.must(http.StatusOK, s.send(http.MethodPost, reconstructPath("rr-1"), "{"))
	if again["remediation_request_yaml"] != got["remediation_request_yaml"] {
		t.Errorf("the second answer is %v", again)
	}
	document := s.send(http.MethodPost, reconstructPath("rr-1"), nil, "Accept", "text/html, application/yaml;q=0.9")
	if document.header.Get("Content-Type") != "application/yaml" || string(document.body) != got["remediation_request_yaml"] {
		t.Errorf("the document is %s", document.body)
	}
	s.storeAt(2, "correlation_id", "rr-2", "event_type", "gateway.crd.created")
	s.problem(s.send(http.MethodPost, reconstructPath("rr-2"), nil), http.StatusBadRequest, "validation-error", "gateway.signal.received")
}
