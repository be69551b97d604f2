package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/demo"
	"github.com/datastorage-io/datastorage/internal/httpapi"
)

const (
	workflowsPath = "/api/v1/workflows"
	versionsPath  = workflowsPath + "/by-name/restart/versions"
	searchPath    = workflowsPath + "/search"
	importPath    = workflowsPath + "/import"
	exportPath    = workflowsPath + "/export"
	actionsPath   = "/api/v1/actions"
	actionPath    = actionsPath + "/GracefulRestart/workflows"
)

// workflow is a request to publish a workflow, in which some members are set or, with nil, removed.
func workflow(pairs ...any) object {
	w := object{
		"workflow_name": "restart", "version": "1.0.0", "name": "Restart", "description": "Restarts a pod", "content": "steps",
		"content_hash": datastorage.HashContent("steps"), "labels": labels(),
	}
	for i := 0; i < len(pairs); i += 2 {
		w[pairs[i].(string)] = pairs[i+1]
	}
	return w
}

// labels are the labels of an incident, in which some are set.
func labels(pairs ...any) object {
	l := object{"signal_type": "OOMKilled", "severity": "critical", "component": "pod", "environment": "production", "priority": "P1"}
	for i := 0; i < len(pairs); i += 2 {
		l[pairs[i].(string)] = pairs[i+1]
	}
	return l
}

// awayCatalogue is a catalogue that is served while its store takes no changes.
type awayCatalogue struct {
	httpapi.Catalogue
	stored int // of an import, before the store went away
}

var errAway = datastorage.Errorf(datastorage.CodeUnavailable, "the store cannot be reached")

func (awayCatalogue) Create(context.Context, *datastorage.Workflow, catalog.Actor) (*datastorage.Workflow, error) {
	return nil, errAway
}

func (awayCatalogue) PutEventType(context.Context, *datastorage.EventType, catalog.PutEventType, catalog.Actor) (*datastorage.EventType, bool, error) {
	return nil, false, errAway
}

func (awayCatalogue) Patch(context.Context, uuid.UUID, datastorage.WorkflowPatch, catalog.Actor) (*datastorage.Workflow, error) {
	return nil, errAway
}

func (awayCatalogue) Disable(context.Context, uuid.UUID, datastorage.WorkflowDisable, catalog.Actor) (*datastorage.Workflow, error) {
	return nil, errAway
}

func (a awayCatalogue) Import(context.Context, []catalog.ImportItem, catalog.ImportOptions) ([]catalog.Imported, error) {
	return make([]catalog.Imported, a.stored), errAway
}

func withAwayCatalogue(c *configuration) { c.Catalogue = awayCatalogue{Catalogue: c.Catalogue} }

// change sends a change and returns the answer's object; the status must be as wanted.
func (s *server) change(method, path string, body any, status int) object {
	s.t.Helper()
	return s.must(status, s.send(method, path, body))
}

// as sends a body of a media type.
func (s *server) as(media, method, path string, body any) answer {
	s.t.Helper()
	req := s.request(method, path, body)
	req.Header.Set("Content-Type", media)
	return s.do(req)
}

func (s *server) publish(pairs ...any) string {
	s.t.Helper()
	return s.change(http.MethodPost, workflowsPath, workflow(pairs...), http.StatusCreated)["workflow_id"].(string)
}

func TestServer_Workflows_Create(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	w := s.change(http.MethodPost, workflowsPath, workflow("labels", labels("severity", []string{"critical", "HIGH"}), "is_latest_version", false), http.StatusCreated)
	id := w["workflow_id"].(string)
	if w["is_latest_version"] != true || w["status"] != "active" || w["execution_engine"] != "tekton" || fmt.Sprint(w["labels"].(object)["severity"]) != "[critical high]" {
		t.Errorf("workflow is %v", w)
	}
	if got := s.get(workflowsPath + "/" + id); fmt.Sprint(got) != fmt.Sprint(w) {
		t.Errorf("the workflow is read as %v, want %v", got, w)
	}
	p := s.problem(s.send(http.MethodPost, workflowsPath, workflow("version", "v1")), http.StatusConflict, "conflict", "restart", "v1")
	if p["title"] != "Workflow Already Exists" {
		t.Errorf("the title is %v", p["title"])
	}
	bad := s.send(http.MethodPost, workflowsPath, workflow("version", "x", "content_hash", nil, "labels", labels("severity", "fatal")))
	s.fieldErrors(s.problem(bad, http.StatusBadRequest, "validation-error"), "version", "content_hash", "labels.severity")
	events := s.get(eventsPath + "?event_type=datastorage.workflow.created&correlation_id=" + id)
	if pagination(events)["total"] != 1.0 {
		t.Errorf("events are %v", events)
	}
}

func TestServer_Workflows_Versions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if got := s.get(versionsPath); got["total"] != 0.0 || len(got["versions"].([]any)) != 0 || got["workflow_name"] != "restart" {
		t.Errorf("an unknown name has %v", got)
	}
	s.publish()
	s.publish("version", "1.2")
	s.publish("version", "1.1.0")
	var got []string
	for _, v := range s.get(versionsPath)["versions"].([]any) {
		got = append(got, fmt.Sprintf("%v %v", v.(object)["version"], v.(object)["is_latest_version"]))
	}
	if want := "[1.1.0 false 1.2 true 1.0.0 false]"; fmt.Sprint(got) != want {
		t.Errorf("versions are %v, want %s", got, want)
	}
	s.get(workflowsPath + "/by-name/%ff/versions")
}

func TestServer_Workflows_State(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	path := workflowsPath + "/" + s.publish()
	same := s.change(http.MethodPatch, path, object{}, http.StatusOK)
	if same["updated_at"] != same["created_at"] {
		t.Errorf("an empty patch changed %v", same)
	}
	w := s.change(http.MethodPatch, path+"/disable", object{"reason": "harm", "updated_by": "sre"}, http.StatusOK)
	if w["status"] != "disabled" || w["disabled_reason"] != "harm" || w["disabled_by"] != "sre" || w["disabled_at"] == nil {
		t.Errorf("the disabled workflow is %v", w)
	}
	again := s.change(http.MethodPatch, path+"/disable", nil, http.StatusOK)
	if fmt.Sprint(again) != fmt.Sprint(w) {
		t.Errorf("a second disable made it %v", again)
	}
	w = s.change(http.MethodPatch, path, object{"status": "active"}, http.StatusOK)
	if w["status"] != "active" || w["disabled_at"] != nil || w["disabled_reason"] != nil {
		t.Errorf("the workflow that is active again is %v", w)
	}
	p := s.problem(s.send(http.MethodPatch, path, object{"content": "x", "status": "archived"}), http.StatusBadRequest, "immutable-field-violation", "content")
	if p["title"] != "Bad Request" {
		t.Errorf("the title is %v", p["title"])
	}
	s.fieldErrors(s.problem(s.send(http.MethodPatch, path, object{"status": "gone"}), http.StatusBadRequest, "validation-error"), "status")
	for _, id := range []string{uuid.NewString(), "x"} {
		s.problem(s.send(http.MethodGet, workflowsPath+"/"+id, nil), http.StatusNotFound, "not-found")
		s.problem(s.send(http.MethodPatch, workflowsPath+"/"+id, object{"status": "active"}), http.StatusNotFound, "not-found")
		s.problem(s.send(http.MethodPatch, workflowsPath+"/"+id+"/disable", nil), http.StatusNotFound, "not-found")
	}
}

func TestServer_Workflows_Incident(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	path := workflowsPath + "/" + s.publish("labels", labels("severity", []string{"critical", "high"}, "component", "*"))
	for _, query := range []string{"severity=HIGH", "component=any", "severity=critical&environment=Production&priority=p1&signal_type=OOMKilled&component=x", "severity="} {
		s.get(path + "?" + query)
	}
	s.problem(s.send(http.MethodGet, path+"?severity=low&environment=production", nil), http.StatusNotFound, "not-found", `its severity is "critical, high", not "low"`)
	s.problem(s.send(http.MethodGet, path+"?signal_type=Other&priority=P2", nil), http.StatusNotFound, "not-found", "signal_type", "priority")
	s.fieldErrors(s.problem(s.send(http.MethodGet, path+"?severity=fatal&priority=P9&as_of=soon", nil), http.StatusBadRequest, "validation-error"), "severity", "priority", "as_of")
	s.problem(s.send(http.MethodGet, path+"?as_of=2020-01-01", nil), http.StatusNotFound, "not-found")
	s.get(path + "?as_of=2199-01-01")
}

func TestServer_Workflows_Search(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	id := s.publish("custom_labels", object{"team": []string{"a"}}, "detected_labels", object{"gitOpsTool": "flux"}, "container_image", "quay.io/x")
	s.publish("workflow_name", "other", "labels", labels("component", "*"))
	filters := labels("severity", "Critical")
	filters["custom_labels"], filters["detected_labels"] = object{"team": []string{"a"}}, object{"gitOpsTool": "flux"}
	got := s.change(http.MethodPost, searchPath, object{"filters": filters, "explain": true}, http.StatusOK)
	first := got["workflows"].([]any)[0].(object)
	if got["total_results"] != 2.0 || first["workflow_id"] != id || first["final_score"] != 0.515 || first["confidence"] != 0.515 || first["label_boost"] != 0.15 ||
		first["label_penalty"] != 0.0 || first["rank"] != 1.0 || first["title"] != "Restart" || first["signal_type"] != "OOMKilled" {
		t.Errorf("the result is %v", got)
	}
	if fmt.Sprint(got["filters"]) != fmt.Sprint(filters) {
		t.Errorf("filters come back as %v", got["filters"])
	}
	sum := 0.0
	for _, term := range first["explanation"].([]any) {
		sum += 1000 * term.(object)["contribution"].(float64)
	}
	if sum != 5150 {
		t.Errorf("the terms add up to %v", sum)
	}
	none := s.change(http.MethodPost, searchPath, object{"filters": labels("environment", "moon"), "explain": true}, http.StatusOK)
	if none["total_results"] != 0.0 || len(none["workflows"].([]any)) != 0 || none["explanation"].(object)["emptied_by"] != "environment" {
		t.Errorf("a search without results is %v", none)
	}
	past := s.change(http.MethodPost, searchPath, object{"filters": labels(), "as_of": "2020-01-01"}, http.StatusOK)
	if past["total_results"] != 0.0 || past["catalog_version"] != 0.0 {
		t.Errorf("the past holds %v", past)
	}
	one := s.change(http.MethodPost, searchPath, object{"filters": labels(), "top_k": 1}, http.StatusOK)
	if one["total_results"] != 2.0 || len(one["workflows"].([]any)) != 1 || one["explanation"] != nil {
		t.Errorf("the best one is %v", one)
	}
	s.fieldErrors(s.problem(s.send(http.MethodPost, searchPath, object{"top_k": 0}), http.StatusBadRequest, "validation-error"),
		"top_k", "filters.signal_type", "filters.severity", "filters.component", "filters.environment", "filters.priority")
}

// knownOutcomes is what is known of workflows, whatever the incident type; nil when it cannot be read.
type knownOutcomes struct{ records *[]catalog.OutcomeRecord }

func (k knownOutcomes) Outcomes(context.Context, string) (*catalog.Outcomes, error) {
	if k.records == nil || *k.records == nil {
		return nil, errAway
	}
	return catalog.NewOutcomes(50, 5, *k.records), nil
}

func TestServer_Workflows_SearchByOutcomes(t *testing.T) {
	t.Parallel()
	var records []catalog.OutcomeRecord
	s := newServer(t, func(c *configuration) { c.Rankings = knownOutcomes{&records} })
	older, newer := s.publish("action_type", "GracefulRestart"), s.publish("action_type", "GracefulRestart", "workflow_name", "other")
	body := object{"filters": labels(), "explain": true, "rank": "outcomes"}
	s.problem(s.send(http.MethodPost, searchPath, body), http.StatusServiceUnavailable, "service-unavailable")
	records = []catalog.OutcomeRecord{{WorkflowID: uuid.MustParse(older), Executions: 50, Successful: 49, LowerBound: 8950}}

	first := func(answer object) object { return answer["workflows"].([]any)[0].(object) }
	plain := s.change(http.MethodPost, searchPath, object{"filters": labels(), "rank": "labels"}, http.StatusOK)
	if first(plain)["workflow_id"] != newer || plain["ranked_by"] != nil || first(plain)["outcome"] != nil {
		t.Errorf("by labels: %v", plain)
	}
	for _, path := range []string{searchPath, searchPath + "?rank=outcomes"} {
		got := s.change(http.MethodPost, path, body, http.StatusOK)
		best := first(got)
		want := object{"total_executions": 50.0, "successful_executions": 49.0, "lower_bound": 0.895, "shift": 0.04}
		if diff := cmp.Diff(want, best["outcome"]); diff != "" || best["workflow_id"] != older || best["final_score"] != 0.504 || got["ranked_by"] != "outcomes" {
			t.Errorf("%s: %v\n%s", path, got, diff)
		}
		terms := best["explanation"].([]any)
		if last := terms[len(terms)-1].(object); last["label"] != "outcomes" || last["contribution"] != 0.04 || last["query"] != "OOMKilled" ||
			last["workflow"] != "49 of 50 executions succeeded, lower bound 0.895" {
			t.Errorf("the term is %v", last)
		}
	}
	option := first(s.get(actionPath + "?rank=outcomes&signal_type=OOMKilled&severity=critical&component=pod&environment=production&priority=P1"))
	if option["workflow_id"] != older || option["outcome"].(object)["shift"] != 0.04 {
		t.Errorf("the option is %v", option)
	}
	for path, bad := range map[string]object{
		searchPath + "?rank=labels":   {"filters": labels(), "rank": "outcomes"},
		searchPath + "?rank=luck":     {"filters": labels()},
		searchPath:                    {"filters": labels(), "rank": 1},
		searchPath + "?rank=outcomes": {"filters": labels(), "as_of": "24h"},
		searchPath + "?":              {"filters": labels(), "as_of": "24h", "rank": "outcomes"},
	} {
		s.fieldErrors(s.problem(s.send(http.MethodPost, path, bad), http.StatusBadRequest, "validation-error"), "rank")
	}
}

func TestServer_Workflows_Import(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	send := func(query string, stream []byte) object {
		t.Helper()
		return s.must(http.StatusOK, s.as("application/yaml; charset=utf-8", http.MethodPost, importPath+query, stream))
	}
	counts := func(o object) string { return fmt.Sprint(o["created"], o["updated"], o["unchanged"], o["conflicts"]) }
	if got := counts(send("?dry_run=true", demo.Catalogue())); got != "69 0 0 0" {
		t.Errorf("a dry run has %s", got)
	}
	for _, want := range []string{"69 0 0 0", "0 0 69 0"} {
		if got := counts(send("", demo.Catalogue())); got != want {
			t.Errorf("import has %s, want %s", got, want)
		}
	}
	changed := strings.Replace(string(demo.Catalogue()), "Deletes orphaned", "Removes orphaned", 1)
	wrapped := s.change(http.MethodPost, importPath, object{"documents": changed}, http.StatusOK)
	if got := counts(wrapped); got != "0 0 68 1" {
		t.Errorf("an edited version has %s", got)
	}
	p := s.problem(s.send(http.MethodPost, importPath, object{"documents": "kind: ActionType\n---\nkind: Pod\n"}), http.StatusBadRequest, "validation-error", "nothing was stored")
	s.fieldErrors(p, "0.apiVersion", "0.metadata", "0.spec", "1.kind")
	s.fieldErrors(s.problem(s.send(http.MethodPost, importPath+"?dry_run=maybe", object{}), http.StatusBadRequest, "validation-error"), "dry_run")
	s.fieldErrors(s.problem(s.send(http.MethodPost, importPath, object{}), http.StatusBadRequest, "validation-error"), "documents")
	s.problem(s.send(http.MethodPost, importPath, object{"documents": "# nothing\n"}), http.StatusBadRequest, "validation-error", "no document")
	s.problem(s.as("text/plain", http.MethodPost, importPath, "a"), http.StatusUnsupportedMediaType, "unsupported-media-type", "application/yaml")
	away := newServer(t, func(c *configuration) { c.Catalogue = awayCatalogue{Catalogue: c.Catalogue, stored: 7} })
	a := away.send(http.MethodPost, importPath, object{"documents": string(demo.Catalogue())})
	away.problem(a, http.StatusServiceUnavailable, "service-unavailable", "the first 7 of 69 documents are stored")
}
