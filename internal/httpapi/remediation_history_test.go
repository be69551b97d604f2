package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const historyPath = "/api/v1/remediation-history/context"

// attempt stores the events of a remediation of an object that ended minutes before the clock's time.
func (s *server) attempt(id string, minutes int, target object, pre, post string) {
	s.t.Helper()
	at := func(before int) string {
		return fmt.Sprintf("2026-05-11T%02d:%02d:00Z", 14-(minutes+before)/60, 59-(minutes+before)%60)
	}
	for _, e := range []object{
		{"event_type": "gateway.signal.received", "event_timestamp": at(3), "event_data": object{"signal_name": "Down", "severity": "high", "target_resource": target}},
		{"event_type": "analysis.workflow.selected", "event_timestamp": at(2), "event_data": object{"workflow_id": "w-1", "workflow_version": "1.0", "action_type": "Restart", "confidence": 0.9}},
		{"event_type": "orchestrator.lifecycle.completed", "event_timestamp": at(0), "event_data": object{"outcome": "Remediated", "phase": "Completed"}},
		{"event_type": "effectiveness.assessment.completed", "event_timestamp": at(0), "event_data": object{
			"alert_score": 1, "health_checks": object{"pod_running": true}, "metric_deltas": object{"cpu_before": 0.9}, "pre_remediation_spec_hash": pre, "post_remediation_spec_hash": post}},
	} {
		s.write("correlation_id", id, "cluster_name", "dev", "event_type", e["event_type"], "event_timestamp", e["event_timestamp"], "event_data", e["event_data"])
	}
}

func TestServer_GetRemediationHistory(t *testing.T) {
	s := newServer(t)
	web := object{"kind": "Deployment", "name": "web", "namespace": "prod"}
	s.attempt("rr-1", 180, web, "a", "b")
	s.attempt("rr-2", 120, web, "a", "b")
	s.attempt("rr-3", 60, web, "b", "c")
	const query = historyPath + "?target_kind=Deployment&target_name=web&target_namespace=prod&cluster_name=dev"
	got := s.get(query + "&current_spec_hash=a&tier1_window=90m")
	if got["targetResource"] != "prod/Deployment/web" || got["regressionDetected"] != true || got["logSize"] != 12.0 {
		t.Errorf("the answer is %v", got)
	}
	regressions := got["regressions"].([]any)
	if len(regressions) != 2 || regressions[0].(object)["remediationUID"] != "rr-2" || regressions[0].(object)["hashMatch"] != "preRemediation" {
		t.Errorf("the regressions are %v", regressions)
	}
	flapping := got["flapping"].(object)
	if flapping["detected"] != true || flapping["remediations"] != 3.0 || flapping["specReturns"] != 3.0 || len(flapping["reasons"].([]any)) != 2 {
		t.Errorf("flapping is %v", flapping)
	}
	recent, older := got["tier1"].(object)["chain"].([]any), got["tier2"].(object)["chain"].([]any)
	if len(recent) != 1 || len(older) != 2 || older[0].(object)["remediationUID"] != "rr-1" {
		t.Fatalf("the tiers are %v and %v", recent, older)
	}
	entry := recent[0].(object)
	for name, want := range map[string]string{
		"remediationUID": "rr-3", "matchedBy": "[target]", "signalType": "Down", "severity": "high", "workflowId": "w-1", "workflowVersion": "1.0",
		"workflowType": "Restart", "outcome": "Remediated", "status": "completed", "phase": "Completed", "effectivenessScore": "1", "signalResolved": "true",
		"hashMatch": "none", "preRemediationSpecHash": "b", "logIndexes": "[8 9 10 11]", "confidence": "0.9", "healthChecks": "map[podRunning:true]", "metricDeltas": "map[cpuBefore:0.9]", "completedAt": "2026-05-11T13:59:00Z",
	} {
		if fmt.Sprint(entry[name]) != want {
			t.Errorf("%s is %v, want %s", name, entry[name], want)
		}
	}
	camel := s.get(historyPath + "?targetKind=deployment&targetName=web&targetNamespace=prod&clusterName=dev&currentSpecHash=c")
	if camel["regressionDetected"] != false || len(camel["regressions"].([]any)) != 1 || len(camel["tier1"].(object)["chain"].([]any)) != 3 {
		t.Errorf("as V1.0 asks: %v", camel)
	}
	none := s.get(strings.TrimSuffix(query, "&cluster_name=dev"))
	if fmt.Sprint(none["otherClusters"]) != "[dev]" || len(none["tier1"].(object)["chain"].([]any)) != 0 {
		t.Errorf("without a cluster: %v", none)
	}
	for bad, field := range map[string]string{
		"target_name=web": "target_kind", "target_kind=Pod": "target_name", "target_kind=Pod&target_name=a&targetName=b": "target_name",
		"target_kind=Pod&target_name=" + strings.Repeat("x", 256): "target_name", "target_kind=Pod&target_name=a&tier1_window=-1h": "tier1_window",
		"target_kind=Pod&target_name=a&tier2_window=2026-01-01": "tier2_window", "target_kind=Pod&target_name=a&tier2_window=99999d": "tier2_window",
	} {
		s.problem(s.send(http.MethodGet, historyPath+"?"+bad, nil), http.StatusBadRequest, "validation-error", field)
	}
}

func TestServer_GetRemediationHistory_Away(t *testing.T) {
	s := newServer(t, func(c *configuration) { setProjections(c, brokenView{}) })
	s.problem(s.send(http.MethodGet, historyPath+"?target_kind=Pod&target_name=a", nil), http.StatusServiceUnavailable, "service-unavailable")
}
