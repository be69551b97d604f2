package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestServer_GetCorrelation(t *testing.T) {
	s := newServer(t)
	root := s.storeAt(1, "resource_type", "Deployment", "resource_id", "demo/worker", "namespace", "demo", "cluster_name", "dev", "actor_id", "gateway")
	child := s.storeAt(3, "parent_event_id", root, "event_category", "analysis", "event_outcome", "failure", "severity", "warning", "actor_id", "agent")
	s.storeAt(2, "parent_event_id", root, "event_category", "analysis", "severity", "critical", "actor_id", "agent")
	s.storeAt(4, "parent_event_id", child, "event_outcome", "pending", "actor_id", "gateway")
	elsewhere := s.storeAt(5, "correlation_id", "rr-2")
	s.storeAt(6, "parent_event_id", elsewhere)

	got := s.get(correlationsPath + "rr-1")
	for name, want := range (object{
		"correlation_id": "rr-1", "first_event_at": "2026-05-11T14:00:01Z", "last_event_at": "2026-05-11T14:00:06Z", "duration_ms": 5000.0, "event_count": 5.0,
		"severity": "critical",
	}) {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for name, want := range map[string]string{
		"outcomes":   "map[failure:1 pending:1 success:3]",
		"categories": "[map[category:analysis count:2 outcomes:map[failure:1 pending:0 success:1]] map[category:gateway count:3 outcomes:map[failure:0 pending:1 success:2]]]",
		"resource":   "map[cluster_name:dev id:demo/worker namespace:demo type:Deployment]",
		"actors":     "[map[actor_id:gateway actor_type:service count:2] map[actor_id:agent actor_type:service count:2] map[actor_id:gateway-service actor_type:service count:1]]",
	} {
		if fmt.Sprint(got[name]) != want {
			t.Errorf("%s is %v, want %s", name, got[name], want)
		}
	}
	if tree := shape(got["events"]); tree != "1(2 3(4)) 6" {
		t.Errorf("the tree is %s", tree)
	}
}

// shape writes a tree of events by the last digit of their ids.
func shape(nodes any) string {
	var parts []string
	for _, n := range nodes.([]any) {
		id := n.(object)["event_id"].(string)
		part := id[len(id)-1:]
		if children := shape(n.(object)["children"]); children != "" {
			part += "(" + children + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

func TestServer_GetCorrelation_AwkwardIDs(t *testing.T) {
	s := newServer(t)
	for _, id := range []string{"a/b", "a b", "é€😀", "..", ".hidden", "a%2Fb", "a?b#c", "body", strings.Repeat("é", 255), "a//b"} {
		s.write("correlation_id", id)
		path := correlationsPath + url.PathEscape(id)
		if id == ".." {
			path = correlationsPath + "%2E%2E"
		}
		if got := s.get(path); got["correlation_id"] != id || got["event_count"] != 1.0 {
			t.Errorf("%q: the summary is %v", id, got)
		}
		if got := ids(s.get(query("correlation_id", id))); len(got) != 1 {
			t.Errorf("%q: the query finds %v", id, got)
		}
	}
	for _, id := range []string{"unknown", "%00", "%ff", "a%00"} {
		s.problem(s.send(http.MethodGet, correlationsPath+id, nil), http.StatusNotFound, "not-found")
	}
}

func TestServer_GetCorrelation_Truncated(t *testing.T) {
	s := newServer(t)
	// A chain as long as the tree may be, then one event more.
	events, parent := make([]object, 1000), ""
	for i := range events {
		id := uuid.NewString()
		events[i] = event("event_id", id, "event_timestamp", fmt.Sprintf("2026-05-11T14:00:00.%06dZ", i))
		if parent != "" {
			events[i]["parent_event_id"] = parent
		}
		parent = id
	}
	s.must(http.StatusCreated, s.send(http.MethodPost, batchPath, events))
	if got := s.get(correlationsPath + "rr-1"); got["event_count"] != 1000.0 || got["events_truncated"] != nil {
		t.Errorf("%v events, truncated %v", got["event_count"], got["events_truncated"])
	}
	s.write()
	got := s.get(correlationsPath + "rr-1")
	if got["event_count"] != 1001.0 || got["events_truncated"] != true || len(got["events"].([]any)) != 1 {
		t.Errorf("%v events, truncated %v", got["event_count"], got["events_truncated"])
	}
}
