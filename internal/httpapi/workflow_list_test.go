package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/demo"
)

// names are one member of the objects in a list, joined.
func names(rows any, member string) string {
	var all []string
	for _, row := range rows.([]any) {
		all = append(all, fmt.Sprint(row.(object)[member]))
	}
	return strings.Join(all, " ")
}

func TestServer_Workflows_List(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.publish("workflow_name", "a", "custom_labels", object{"team": []string{"x"}})
	s.publish("workflow_name", "b", "labels", labels("environment", "staging"), "status", "deprecated")
	s.publish("workflow_name", "c", "description", "Frees a disk", "action_type", "CleanUp", "labels", labels("component", "*"))
	for query, want := range map[string]string{
		"": "c b a", "?limit=2": "c b", "?limit=2&offset=2": "a", "?offset=9": "", "?status=deprecated": "b", "?environment=Production": "c a", "?component=pod": "b a",
		"?component=*": "c", "?signal_type=OOMKilled&severity=critical&priority=p1&status=active": "c a", "?workflow_name=b": "b", "?action_type=CleanUp": "c",
		"?custom_labels[team]=y,x": "a", "?custom_labels[team]=": "a", "?custom_labels[team]=y": "", "?q=FREES+disk": "c", "?q=nothing": "", "?as_of=2020-01-01": "",
	} {
		if got := names(s.get(workflowsPath + query)["workflows"], "workflow_name"); got != want {
			t.Errorf("%s lists %q, want %q", query, got, want)
		}
	}
	page := s.get(workflowsPath + "?limit=1&facets=true")
	if page["total"] != 3.0 || page["limit"] != 1.0 || page["offset"] != 0.0 || fmt.Sprint(page["facets"].(object)["status"]) != "[map[count:2 value:active] map[count:1 value:deprecated]]" {
		t.Errorf("page is %v", page)
	}
	found := s.get(workflowsPath + "?q=disk")["workflows"].([]any)[0].(object)
	parts := found["highlights"].([]any)[0].(object)["parts"]
	if found["relevance"].(float64) <= 0 || fmt.Sprint(parts) != "[map[found:false text:Frees a ] map[found:true text:disk]]" {
		t.Errorf("found is %v", found)
	}
	bad := s.send(http.MethodGet, workflowsPath+"?limit=1001&offset=-1&status=gone&facets=x&as_of=soon&q="+strings.Repeat("x", 201), nil)
	s.fieldErrors(s.problem(bad, http.StatusBadRequest, "validation-error"), "limit", "offset", "status", "facets", "as_of", "q")
	many := strings.Builder{}
	for i := range 11 {
		fmt.Fprintf(&many, "&custom_labels[k%d]=v", i)
	}
	s.fieldErrors(s.problem(s.send(http.MethodGet, workflowsPath+"?"+many.String(), nil), http.StatusBadRequest, "validation-error"), "custom_labels")
	if a := s.send(http.MethodHead, workflowsPath, nil); a.status != http.StatusOK || len(a.body) != 0 {
		t.Errorf("HEAD: %d %s", a.status, a.body)
	}
}

// TestServer_Workflows_Export checks that an export is what was imported, and makes the same catalogue elsewhere.
func TestServer_Workflows_Export(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.must(http.StatusOK, s.as("application/yaml", http.MethodPost, importPath, demo.Catalogue()))
	a := s.send(http.MethodGet, exportPath, nil)
	if a.header.Get("Content-Type") != "application/yaml" || len(a.body) != len(demo.Catalogue()) {
		t.Errorf("the export is %d bytes of %s, want %d", len(a.body), a.header.Get("Content-Type"), len(demo.Catalogue()))
	}
	s.api.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, exportPath, nil))
	if bytes := fmt.Sprintf(`"path":%q,"status":200,"bytes":%d,`, exportPath, len(a.body)); !strings.Contains(s.logs.String(), bytes) {
		t.Errorf("the log does not hold %s", bytes)
	}
	s.publish("content", "a\u2028b\n---\n", "content_hash", datastorage.HashContent("a\u2028b\n---\n"), "status", "deprecated")
	a = s.send(http.MethodGet, exportPath, nil)
	other := newServer(t)
	got := other.must(http.StatusOK, other.as("application/yaml", http.MethodPost, importPath, a.body))
	if got["created"] != 70.0 {
		t.Errorf("the import says %v", got)
	}
	if again := other.send(http.MethodGet, exportPath, nil); len(again.body) < len(demo.Catalogue()) {
		t.Errorf("the second export has %d bytes", len(again.body))
	}
	one := s.send(http.MethodGet, exportPath+"?workflow_name=cleanup-pvc-v1", nil)
	if strings.Count(string(one.body), "---\n") != 1 || !strings.Contains(string(one.body), "name: cleanup-pvc-v1") {
		t.Errorf("one workflow is %s", one.body)
	}
	s.fieldErrors(s.problem(s.send(http.MethodGet, exportPath+"?status=gone", nil), http.StatusBadRequest, "validation-error"), "status")
}

const incidentQuery = "?signal_type=X&severity=critical&component=apps/v1/Deployment&environment=production&priority=P1"

func TestServer_Actions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.must(http.StatusOK, s.as("application/yaml", http.MethodPost, importPath, demo.Catalogue()))
	s.publish("action_type", "AnUndescribedOne")
	all := s.send(http.MethodGet, actionsPath, nil)
	page := s.must(http.StatusOK, all)
	if page["total"] != 36.0 || page["actions"].([]any)[0].(object)["action_type"] != "AnUndescribedOne" {
		t.Errorf("actions are %v", page)
	}
	few := s.send(http.MethodGet, actionsPath+incidentQuery, nil)
	fits := s.must(http.StatusOK, few)
	if fits["total"].(float64) == 0 || fits["total"].(float64) >= 36 || fits["actions"].([]any)[0].(object)["best_score"] != 0.5 {
		t.Errorf("for the incident there are %v", fits)
	}
	first := fits["actions"].([]any)[0].(object)["action_type"].(string)
	options := s.send(http.MethodGet, actionsPath+"/"+first+"/workflows"+incidentQuery+"&detected_labels[gitOpsTool]=flux&detected_labels[stateful]=true&detected_labels[failed_detections]=stateful&custom_labels[team]=a,b", nil)
	choice := s.must(http.StatusOK, options)
	option := choice["workflows"].([]any)[0].(object)
	if option["final_score"] == nil || option["what"] == "" || option["when_to_use"] == nil {
		t.Errorf("the workflows are %v", choice)
	}
	if got := s.get(actionPath); got["total"] != 1.0 || names(got["workflows"], "workflow_name") != "graceful-restart-v1" {
		t.Errorf("without an incident they are %v", got)
	}
	// An agent reads these answers: a token is about four bytes.
	t.Logf("tokens: all actions %d, the %v for an incident %d, the %v workflows of the first %d",
		len(all.body)/4, fits["total"], len(few.body)/4, choice["total"], len(options.body)/4)
	if len(all.body)/4 > 6000 {
		t.Errorf("all actions are about %d tokens", len(all.body)/4)
	}
	s.problem(s.send(http.MethodGet, actionsPath+"/Unknown/workflows", nil), http.StatusNotFound, "not-found")
	s.fieldErrors(s.problem(s.send(http.MethodGet, actionsPath+"?severity=low&component=x", nil), http.StatusBadRequest, "validation-error"), "signal_type", "environment", "priority")
	s.fieldErrors(s.problem(s.send(http.MethodGet, actionPath+incidentQuery+"&limit=0&detected_labels[gitOpsTool]=x&custom_labels[team]=", nil), http.StatusBadRequest, "validation-error"), "limit", "detected_labels[gitOpsTool]")
}
