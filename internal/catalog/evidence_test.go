package catalog_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/catalog/catalogtest"
)

// record returns the evidence of a search as it comes back from its JSON form.
func record(t *testing.T, s *catalog.Snapshot, q *datastorage.WorkflowSearch) (*catalog.Evidence, []byte) {
	t.Helper()
	raw, err := json.Marshal(s.Evidence(q, s.Search(q)))
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := datastorage.Canonical(raw)
	if err != nil || string(canonical) != string(raw) {
		t.Errorf("evidence is not canonical: %s", raw)
	}
	var e catalog.Evidence
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return &e, raw
}

func TestEvidence_JSON(t *testing.T) {
	t.Parallel()
	workflows := catalogtest.Workflows(1, 500)
	anything := []string{datastorage.Wildcard}
	for _, w := range workflows[:50] { // so that searches find more than fits
		w.Labels = datastorage.Labels{SignalType: anything, Severity: anything, Component: anything, Environment: anything, Priority: anything}
	}
	s := snapshotOf(t, workflows)
	r := rand.New(rand.NewPCG(5, 5))
	full := 0
	for range 200 {
		q := catalogtest.Search(r)
		q.TopK, q.RemediationID, q.AsOf = 100, "rr-1", time.UnixMicro(1_800_000_000_123_456).UTC()
		e, raw := record(t, s, q)
		want := s.Evidence(q, s.Search(q))
		if len(raw) > catalog.EvidenceSize {
			t.Errorf("%d bytes: %s", len(raw), raw)
		}
		if len(e.Results) < len(want.Results) {
			full++
			if room := catalog.EvidenceSize - len(raw); room > 78 {
				t.Errorf("%d results of %d were left out with %d bytes to spare", len(want.Results)-len(e.Results), len(want.Results), room)
			}
			want.Results = want.Results[:len(e.Results)]
		}
		if diff := cmp.Diff(want, e, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("evidence came back changed (-want +got):\n%s", diff)
		}
	}
	if full == 0 {
		t.Error("no search found more than fits")
	}
}

// TestEvidence_JSON_golden holds the form to what stored evidence has.
func TestEvidence_JSON_golden(t *testing.T) {
	t.Parallel()
	q := plainSearch()
	q.Detected.GitOpsTool, q.CustomLabels, q.RemediationID = "flux", map[string][]string{"team": {"ads"}}, "rr-7"
	_, raw := record(t, snapshotOf(t, []*datastorage.Workflow{plain("w", "1")}), q)
	const want = `{"catalog_version":1,"filters":{"component":"pod","custom_labels":{"team":["ads"]},"detected_labels":{"gitOpsTool":"flux"},` +
		`"environment":"production","priority":"P0","severity":"critical","signal_type":"OOMKilled","status":["active"]},"format":1,"min_score":0,` +
		`"ranking_sha256":"4697df3fb067619f510e0dd4d767c4632ceb589cafc67ca3ded44e9d1b084d50","remediation_id":"rr-7","results":[{"final_score":0.49,"workflow_id":"0c2290ec-7120-5b07-8391-5deda389fe88"}],"returned":1,"top_k":10,"total_results":1,` +
		`"weights":{"base":5000,"custom_label":50,"custom_label_wildcard":25,"git_ops_managed":100,"git_ops_managed_penalty":100,"git_ops_tool":100,` +
		`"git_ops_tool_penalty":100,"git_ops_tool_wildcard":50,"helm_managed":20,"hpa_enabled":20,"network_isolated":30,"pdb_protected":50,` +
		`"service_mesh":50,"service_mesh_wildcard":25,"stateful":20},"weights_version":"d38f446735e6"}`
	if string(raw) != want {
		t.Errorf("evidence is\n%s\nwant\n%s", raw, want)
	}
}

// TestEvidence_JSON_largest keeps a search whole whose labels alone are longer than evidence should be.
func TestEvidence_JSON_largest(t *testing.T) {
	t.Parallel()
	q := plainSearch()
	long := strings.Repeat("\x01", datastorage.MaxCustomLabelValue-1)
	q.CustomLabels = map[string][]string{}
	for k := range datastorage.MaxCustomLabels {
		key := strings.Repeat("\x02", datastorage.MaxCustomLabelKey-1) + fmt.Sprint(k)
		for v := range datastorage.MaxCustomLabelValues {
			q.CustomLabels[key] = append(q.CustomLabels[key], long+fmt.Sprint(v))
		}
	}
	w := plain("w", "1")
	w.CustomLabels = q.CustomLabels
	s := snapshotOf(t, []*datastorage.Workflow{w})
	e, raw := record(t, s, q)
	if len(raw) > 48<<10 || len(e.Results) != 0 || e.Returned != 1 {
		t.Errorf("%d bytes with %d results", len(raw), len(e.Results))
	}
	if replayed, err := s.Replay(e); err != nil || !replayed.Identical() || replayed.Result.Matches[0].Score != 7500 {
		t.Errorf("replayed: %+v, %v", replayed, err)
	}
}

func TestEvidence_UnmarshalJSON_refuses(t *testing.T) {
	t.Parallel()
	_, raw := record(t, snapshotOf(t, []*datastorage.Workflow{plain("w", "1")}), plainSearch())
	tests := map[string][2]string{
		"is not known":                      {`"format":1`, `"format":2`},
		"top_k must lie between 1 and 100":  {`"top_k":10`, `"top_k":0`},
		"filters.status must name a status": {`"status":["active"]`, `"status":[]`},
		"numbers contradict each other":     {`"total_results":1`, `"total_results":0`},
		"weights_version is":                {`"stateful":20`, `"stateful":21`},
		"stateful must lie between":         {`"stateful":20`, `"stateful":-1`},
		"not the evidence of a search":      {`"top_k":10`, `"top_k":"10"`},
	}
	for want, change := range tests {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(string(raw), change[0], change[1], 1)
			var e catalog.Evidence
			if err := json.Unmarshal([]byte(changed), &e); err == nil || changed == string(raw) || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v, want %q", err, want)
			}
		})
	}
}

// TestSnapshot_Replay runs random searches again after the catalogue went on: each gives the same on the version of then.
func TestSnapshot_Replay(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		s := grow(t, r, randomCatalogue(r))
		var recorded []*catalog.Evidence
		for range 3 {
			e, _ := record(t, s, randomSearch(r))
			recorded = append(recorded, e)
			s = apply(t, s, catalog.Change{Workflow: plain("later", fmt.Sprint(s.Version()))})
		}
		for _, e := range recorded {
			replayed, err := s.At(e.CatalogVersion).Replay(e)
			if err != nil || !replayed.Identical() {
				t.Fatalf("seed %d: %v, %+v", seed, err, replayed)
			}
		}
		if _, err := s.Replay(recorded[0]); err == nil || !strings.Contains(err.Error(), "from version") {
			t.Fatalf("seed %d: another version of the catalogue was taken: %v", seed, err)
		}
	}
}

func TestSnapshot_Replay_differences(t *testing.T) {
	t.Parallel()
	var workflows []*datastorage.Workflow
	for i := range 40 {
		workflows = append(workflows, plain(fmt.Sprint("w", i), "1"))
	}
	s := snapshotOf(t, workflows)
	q := plainSearch()
	q.TopK = 40
	tests := map[string]struct {
		change func(*catalog.Evidence)
		want   string
	}{
		"total":    {func(e *catalog.Evidence) { e.Total = 41 }, "total_results: recorded 41, now 40"},
		"returned": {func(e *catalog.Evidence) { e.Returned = 39 }, "number of results: recorded 39, now 40"},
		"score":    {func(e *catalog.Evidence) { e.Results[1].Score = 5100 }, "rank 2: recorded "},
		"digest":   {func(e *catalog.Evidence) { e.Ranking = "00" }, "ranking: it differs behind rank "},
		"weights":  {func(e *catalog.Evidence) { e.Weights.Base = 6000 }, "weights_version: recorded d38f446735e6, but"},
		"missing":  {func(e *catalog.Evidence) { e.Search.TopK = 3 }, "number of results: recorded 40, now 3"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, _ := record(t, s, q)
			tt.change(e)
			r, err := s.Replay(e)
			if err != nil || r.Identical() || !strings.HasPrefix(r.Differences[0], tt.want) {
				t.Errorf("differences are %q, error %v; want %q", r.Differences, err, tt.want)
			}
		})
	}
}

func TestRunBacktest(t *testing.T) {
	t.Parallel()
	mesh, pdb := plain("mesh", "1"), plain("pdb", "1")
	mesh.Detected.ServiceMesh, pdb.Detected.PDBProtected = "istio", yes()
	mesh.CreatedAt = mesh.CreatedAt.Add(time.Hour) // first in a tie
	s := snapshotInOrder(t, mesh, pdb)
	q := plainSearch()
	q.Detected = datastorage.DetectedLabels{ServiceMesh: "istio", PDBProtected: yes()}
	alone, _ := record(t, s.At(1), q)
	tie, _ := record(t, s, q)
	forged, _ := record(t, s, q)
	forged.Total++
	w := catalog.DefaultWeights()
	w.PDBProtected = 60
	var asked []int64
	at := func(version int64) (*catalog.Snapshot, error) {
		asked = append(asked, version)
		return s.At(version), nil
	}
	got, err := catalog.RunBacktest([]*catalog.Evidence{tie, alone, forged}, at, w)
	if err != nil {
		t.Fatal(err)
	}
	if got.Searches != 3 || got.Changed != 1 || got.FirstChanged != 1 || fmt.Sprint(got.Unreplayable, asked) != "[2] [1 2]" {
		t.Errorf("backtest is %+v, asked for versions %v", got, asked)
	}
	if c := got.Changes[0]; c.Index != 0 || c.Before.Matches[0].Workflow.Name != "mesh" || c.After.Matches[0].Workflow.Name != "pdb" {
		t.Errorf("change is %+v", c)
	}
	gone := errors.New("gone")
	if _, err := catalog.RunBacktest([]*catalog.Evidence{tie}, func(int64) (*catalog.Snapshot, error) { return nil, gone }, w); !errors.Is(err, gone) {
		t.Errorf("error is %v", err)
	}
}

func BenchmarkEvidence(b *testing.B) {
	s := snapshotOf(b, catalogtest.Workflows(1, 10_000))
	q := searches(1)[0]
	r := s.Search(q)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Evidence(q, r).MarshalJSON(); err != nil {
			b.Fatal(err)
		}
	}
}
