package bench

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// listOfWorkflows is a page of the list, with what no search is made of: an older version, and a workflow for anything.
const listOfWorkflows = `{"workflows":[
	{"is_latest_version":true,"labels":{"signal_type":"A","severity":["*","low"],"component":"c","environment":["test","production"],"priority":"P1"},
	 "custom_labels":{"team":["x"]},"detected_labels":{"stateful":true}},
	{"is_latest_version":false,"labels":{"signal_type":"B","severity":"low","component":"c","environment":"test","priority":"P1"}},
	{"is_latest_version":true,"labels":{"signal_type":"*","severity":"low","component":"c","environment":"test","priority":"P1"}},
	{"is_latest_version":true,"labels":{"signal_type":"C","severity":"low","component":"c","environment":"test","priority":"P1"}}]}`

// found is an answer with two workflows; a description that looks like a third is none.
const found = `{"workflows":[
	{"workflow_id":"019e1780-45d8-7944-916f-c1dbe36a146d","description":"{\"workflow_id\":\"","final_score":0.6,"rank":1},
	{"workflow_id":"019e1780-45d8-7944-916f-c1dbe36a146e","final_score":0.5,"rank":2}],"total_results":2}`

// newCatalogServer lists and finds what it is given, and remembers the searches.
func newCatalogServer(t *testing.T, list, answer string) (url string, searches func() []string) {
	t.Helper()
	var mu sync.Mutex
	var bodies []string
	f := newFakeServer(t, func(w http.ResponseWriter, r *http.Request) bool {
		switch r.Method + " " + r.URL.Path {
		case "GET " + workflowsPath:
			_, _ = io.WriteString(w, list)
		case "POST " + searchPath:
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			bodies = append(bodies, string(body))
			mu.Unlock()
			_, _ = io.WriteString(w, answer)
		default:
			return false
		}
		return true
	})
	return f.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return bodies
	}
}

func TestRun_Search(t *testing.T) {
	t.Parallel()
	url, searches := newCatalogServer(t, listOfWorkflows, found)
	r := mustRun(t, shortOptions(url, Search, 400))[0]
	if r.Requests != 400 || r.Events != 800 || len(r.Errors) != 0 {
		t.Errorf("%d requests, %d workflows, errors %v (%s), want 400, 800, none", r.Requests, r.Events, r.Errors, r.Example)
	}
	asked := slices.Compact(slices.Sorted(slices.Values(searches())))
	const optional = `,"custom_labels":{"team":["x"]},"detected_labels":{"stateful":true}}}`
	want := []string{
		`{"filters":{"signal_type":"A","severity":"low","component":"c","environment":"test","priority":"P1"` + optional,
		`{"filters":{"signal_type":"C","severity":"low","component":"c","environment":"test","priority":"P1"` + optional,
	}
	if !slices.Equal(asked, want) {
		t.Errorf("searches are %q, want %q", asked, want)
	}
}

func TestRun_Search_LooksIntoAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"no JSON":      `{"workflows"`,
		"nothing":      `{"workflows":[],"total_results":0}`,
		"too few":      strings.Replace(found, `"total_results":2`, `"total_results":1`, 1),
		"rank":         strings.Replace(found, `"rank":2`, `"rank":1`, 1),
		"out of order": strings.Replace(found, `0.5`, `0.7`, 1),
	} {
		url, _ := newCatalogServer(t, listOfWorkflows, answer)
		o := shortOptions(url, Search, 8)
		if r := mustRun(t, o)[0]; r.Errors[faultAnswer] != uint64(o.Clients) {
			t.Errorf("%s: errors = %v, want one bad answer from each of %d clients", name, r.Errors, o.Clients)
		}
	}
}

func TestPrepare_SearchWithoutWorkflows(t *testing.T) {
	t.Parallel()
	url, _ := newCatalogServer(t, `{"workflows":[]}`, found)
	if _, err := Prepare(t.Context(), shortOptions(url, Search, 8)); !errors.Is(err, errNoWorkflow) {
		t.Errorf("err = %v, want that there is nothing to search for", err)
	}
	url, _ = newCatalogServer(t, `{"workflows":[{"labels":{"severity":1}}]}`, found)
	if _, err := Prepare(t.Context(), shortOptions(url, Search, 8)); err == nil {
		t.Error("a list of another form is accepted")
	}
}

func TestListedWorkflow_Search_keepsOptionalLabels(t *testing.T) {
	t.Parallel()
	var own listedWorkflow
	if err := json.Unmarshal([]byte(`{"custom_labels":{"a":["b"]}}`), &own); err != nil {
		t.Fatal(err)
	}
	var kept optional
	if body, err := own.search(&kept); body != nil || err != nil || string(kept.Custom) != `{"a":["b"]}` || kept.Detected != nil {
		t.Errorf("search = %s, %v, kept %s and %s", body, err, kept.Custom, kept.Detected)
	}
}
