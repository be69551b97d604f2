package catalog_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
)

// plain returns a workflow that matches plainSearch and scores 0.5.
func plain(name, version string) *datastorage.Workflow {
	return &datastorage.Workflow{
		ID: uuid.NewSHA1(uuid.Nil, []byte(name+version)), Name: name, Version: version, Title: name,
		Labels: datastorage.Labels{
			SignalType: []string{"OOMKilled"}, Severity: []string{"critical"}, Component: []string{"pod"}, Environment: []string{"production"},
			Priority: []string{"P0"},
		},
		CreatedAt:     time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
		WorkflowState: datastorage.WorkflowState{Status: datastorage.StatusActive},
	}
}

func plainSearch() *datastorage.WorkflowSearch {
	return &datastorage.WorkflowSearch{
		SignalType: "OOMKilled", Severity: "critical", Component: "pod", Environment: "production", Priority: "P0",
		Statuses: []string{datastorage.StatusActive}, TopK: 10, Explain: true,
	}
}

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

// TestSnapshot_Search_terms has one example for each row of the contract's table, and what is next to it.
func TestSnapshot_Search_terms(t *testing.T) {
	t.Parallel()
	type detected = datastorage.DetectedLabels
	type custom = map[string][]string
	tests := []struct {
		name           string
		query, says    detected
		asked, have    custom
		boost, penalty string
		final          string
	}{
		{name: "nothing asked", says: detected{GitOpsManaged: yes(), GitOpsTool: "flux"}, have: custom{"team": {"a"}}, boost: "0", penalty: "0", final: "0.5"},
		{name: "gitOpsManaged on both sides", query: detected{GitOpsManaged: yes()}, says: detected{GitOpsManaged: yes()}, boost: "0.1", penalty: "0", final: "0.51"},
		{name: "gitOpsManaged false", query: detected{GitOpsManaged: yes()}, says: detected{GitOpsManaged: no()}, boost: "0", penalty: "0.1", final: "0.49"},
		{name: "gitOpsManaged absent", query: detected{GitOpsManaged: yes()}, boost: "0", penalty: "0.1", final: "0.49"},
		{name: "gitOpsManaged asked false", query: detected{GitOpsManaged: no()}, says: detected{GitOpsManaged: yes()}, boost: "0", penalty: "0", final: "0.5"},
		{name: "gitOpsManaged failed", query: detected{GitOpsManaged: yes(), Failed: []string{"gitOpsManaged"}}, boost: "0", penalty: "0", final: "0.5"},
		{name: "gitOpsTool the same", query: detected{GitOpsTool: "argocd"}, says: detected{GitOpsTool: "argocd"}, boost: "0.1", penalty: "0", final: "0.51"},
		{name: "gitOpsTool any", query: detected{GitOpsTool: "argocd"}, says: detected{GitOpsTool: "*"}, boost: "0.05", penalty: "0", final: "0.505"},
		{name: "gitOpsTool another", query: detected{GitOpsTool: "argocd"}, says: detected{GitOpsTool: "flux"}, boost: "0", penalty: "0.1", final: "0.49"},
		{name: "gitOpsTool absent", query: detected{GitOpsTool: "flux"}, boost: "0", penalty: "0.1", final: "0.49"},
		{name: "gitOpsTool asked any", query: detected{GitOpsTool: "*"}, says: detected{GitOpsTool: "flux"}, boost: "0.05", penalty: "0", final: "0.505"},
		{name: "gitOpsTool any on both sides", query: detected{GitOpsTool: "*"}, says: detected{GitOpsTool: "*"}, boost: "0.05", penalty: "0", final: "0.505"},
		{name: "gitOpsTool asked any, absent", query: detected{GitOpsTool: "*"}, boost: "0", penalty: "0", final: "0.5"},
		{name: "pdbProtected", query: detected{PDBProtected: yes()}, says: detected{PDBProtected: yes()}, boost: "0.05", penalty: "0", final: "0.505"},
		{name: "pdbProtected absent", query: detected{PDBProtected: yes()}, boost: "0", penalty: "0", final: "0.5"},
		{name: "serviceMesh the same", query: detected{ServiceMesh: "istio"}, says: detected{ServiceMesh: "istio"}, boost: "0.05", penalty: "0", final: "0.505"},
		{name: "serviceMesh any", query: detected{ServiceMesh: "istio"}, says: detected{ServiceMesh: "*"}, boost: "0.025", penalty: "0", final: "0.5025"},
		{name: "serviceMesh another", query: detected{ServiceMesh: "istio"}, says: detected{ServiceMesh: "linkerd"}, boost: "0", penalty: "0", final: "0.5"},
		{name: "serviceMesh asked any", query: detected{ServiceMesh: "*"}, says: detected{ServiceMesh: "linkerd"}, boost: "0.025", penalty: "0", final: "0.5025"},
		{name: "serviceMesh failed", query: detected{ServiceMesh: "istio", Failed: []string{"serviceMesh"}}, says: detected{ServiceMesh: "istio"}, boost: "0", penalty: "0", final: "0.5"},
		{name: "networkIsolated", query: detected{NetworkIsolated: yes()}, says: detected{NetworkIsolated: yes()}, boost: "0.03", penalty: "0", final: "0.503"},
		{name: "helmManaged", query: detected{HelmManaged: yes()}, says: detected{HelmManaged: yes()}, boost: "0.02", penalty: "0", final: "0.502"},
		{name: "stateful", query: detected{Stateful: yes()}, says: detected{Stateful: yes()}, boost: "0.02", penalty: "0", final: "0.502"},
		{name: "hpaEnabled", query: detected{HPAEnabled: yes()}, says: detected{HPAEnabled: yes()}, boost: "0.02", penalty: "0", final: "0.502"},
		{name: "custom value", asked: custom{"team": {"payments"}}, have: custom{"team": {"checkout", "payments"}}, boost: "0.05", penalty: "0", final: "0.505"},
		{name: "custom any", asked: custom{"team": {"payments"}}, have: custom{"team": {"*"}}, boost: "0.025", penalty: "0", final: "0.5025"},
		{name: "custom value beside any", asked: custom{"team": {"payments", "ads"}}, have: custom{"team": {"*", "payments"}}, boost: "0.075", penalty: "0", final: "0.5075"},
		{name: "custom asked any", asked: custom{"team": {"*"}}, have: custom{"team": {"*"}}, boost: "0.05", penalty: "0", final: "0.505"},
		{name: "custom asked any, a value", asked: custom{"team": {"*"}}, have: custom{"team": {"payments"}}, boost: "0", penalty: "0", final: "0.5"},
		{name: "custom other key", asked: custom{"team": {"a"}}, have: custom{"tier": {"a", "*"}}, boost: "0", penalty: "0", final: "0.5"},
		{name: "boost and penalty", query: detected{GitOpsManaged: yes(), GitOpsTool: "argocd"}, says: detected{GitOpsManaged: yes()}, boost: "0.1", penalty: "0.1", final: "0.5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, q := plain("w", "1"), plainSearch()
			w.Detected, w.CustomLabels, q.Detected, q.CustomLabels = tt.says, tt.have, tt.query, tt.asked
			r := snapshotOf(t, []*datastorage.Workflow{w}).Search(q)
			if len(r.Matches) != 1 {
				t.Fatalf("found %d workflows", len(r.Matches))
			}
			if m := r.Matches[0]; m.Boost.String() != tt.boost || m.Penalty.String() != tt.penalty || m.Score.String() != tt.final {
				t.Errorf("boost %v, penalty %v, score %v; want %s, %s, %s", m.Boost, m.Penalty, m.Score, tt.boost, tt.penalty, tt.final)
			}
		})
	}
}

func TestSnapshot_Search_ties(t *testing.T) {
	t.Parallel()
	older, newer, twin, wild := plain("older", "1"), plain("newer", "1"), plain("twin", "1"), plain("wild", "1")
	older.CreatedAt = older.CreatedAt.Add(-time.Microsecond)
	wild.CreatedAt = wild.CreatedAt.Add(time.Hour)
	wild.Labels.Priority = []string{"*"}
	newer.ID, twin.ID = uuid.UUID{1}, uuid.UUID{2}
	older.ID = uuid.UUID{0}
	s := snapshotInOrder(t, older, twin, newer, wild)
	var got []string
	for _, m := range s.Search(plainSearch()).Matches {
		got = append(got, m.Workflow.Name)
	}
	if want := "newer twin older wild"; strings.Join(got, " ") != want {
		t.Errorf("order is %v, want %s", got, want)
	}
}

// snapshotInOrder makes the workflows one after the other, whatever their times.
func snapshotInOrder(t *testing.T, workflows ...*datastorage.Workflow) *catalog.Snapshot {
	t.Helper()
	s := catalog.New(catalog.DefaultWeights())
	for _, w := range workflows {
		s = apply(t, s, catalog.Change{Workflow: w})
	}
	return s
}

// apply makes one change a second after the one before it.
func apply(t *testing.T, s *catalog.Snapshot, c catalog.Change) *catalog.Snapshot {
	t.Helper()
	c.Version = s.Version() + 1
	c.Time = time.Unix(1_800_000_000+c.Version, 0).UTC()
	next, err := s.Apply([]catalog.Change{c})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestSnapshot_Search_explain(t *testing.T) {
	t.Parallel()
	w, q := plain("w", "1"), plainSearch()
	w.Labels.Environment = []string{"production", "staging"}
	w.Detected = datastorage.DetectedLabels{GitOpsManaged: no(), ServiceMesh: "*"}
	w.CustomLabels = map[string][]string{"team": {"ads", "*"}}
	q.Detected = datastorage.DetectedLabels{GitOpsManaged: yes(), Stateful: yes(), ServiceMesh: "istio", Failed: []string{"stateful"}}
	q.CustomLabels = map[string][]string{"team": {"ads", "data"}, "risk": {"low"}}
	var got []string
	for _, term := range snapshotOf(t, []*datastorage.Workflow{w}).Search(q).Matches[0].Terms {
		got = append(got, fmt.Sprintf("%s|%s|%s|%v|%v", term.Label, term.Query, term.Workflow, term.Points, term.Skipped))
	}
	want := []string{
		"base|||5|false", "signal_type|OOMKilled|OOMKilled|0|false", "component|pod|pod|0|false",
		"environment|production|production, staging|0|false", "severity|critical|critical|0|false", "priority|P0|P0|0|false",
		"gitOpsManaged|true|false|-0.1|false", "stateful|true||0|true", "serviceMesh|istio|*|0.025|false",
		"custom_labels.risk|low||0|false", "custom_labels.team|ads|ads, *|0.05|false", "custom_labels.team|data|ads, *|0.025|false",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("terms are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSnapshot_Search_funnel(t *testing.T) {
	t.Parallel()
	staging, lonely, old, disabled := plain("staging", "1"), plain("lonely", "1"), plain("staging", "0.9"), plain("disabled", "1")
	staging.Labels.Environment = []string{"staging"}
	lonely.Labels.Environment, lonely.Labels.Priority = []string{"staging"}, []string{"P3"}
	disabled.Status = datastorage.StatusDisabled
	r := snapshotInOrder(t, old, staging, lonely, disabled).Search(plainSearch())
	if r.Total != 0 || r.Funnel.Emptied != "environment" || r.Funnel.Workflows != 4 {
		t.Fatalf("found %d of %d, emptied by %q", r.Total, r.Funnel.Workflows, r.Funnel.Emptied)
	}
	want := map[string]catalog.Step{
		"latest":      {"latest", "true", 4, 1, 1, 1},
		"status":      {"status", "active", 3, 1, 1, 1},
		"environment": {"environment", "production", 2, 2, 2, 1},
		"priority":    {"priority", "P0", 0, 0, 1, 0},
	}
	for _, step := range r.Funnel.Steps {
		if w, ok := want[step.Condition]; ok && step != w {
			t.Errorf("step is %+v, want %+v", step, w)
		} else if !ok && (step.Removed != 0 || step.Alone != 0) {
			t.Errorf("step %+v excludes something", step)
		}
	}
}

func TestSnapshot_Why(t *testing.T) {
	t.Parallel()
	best, second, staging, old := plain("best", "1"), plain("second", "1"), plain("staging", "1"), plain("best", "0.1")
	best.Detected.PDBProtected = yes()
	staging.Labels.Environment = []string{"staging", "test"}
	staging.ActionType = "Restart"
	s := snapshotInOrder(t, best, second, staging, old)
	q := plainSearch()
	q.TopK, q.MinScore, q.Detected.PDBProtected = 1, 4000, yes()
	tests := []struct {
		w    *datastorage.Workflow
		want string
	}{
		{best, "[] 0.505 rank 1 of 2, chosen true"},
		{second, "[] 0.5 rank 2 of 2, chosen false"},
		{staging, "[{environment production staging, test}] 0.5 rank 0 of 2, chosen false"},
		{old, "[{latest true 1}] 0.5 rank 0 of 2, chosen false"},
	}
	for _, tt := range tests {
		v, ok := s.Why(q, tt.w.ID)
		got := fmt.Sprintf("%v %v rank %d of %d, chosen %v", v.Excluded, v.Score, v.Rank, v.Total, v.Chosen)
		if !ok || got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.w.Name, tt.w.Version, got, tt.want)
		}
	}
	if _, ok := s.Why(q, uuid.Max); ok {
		t.Error("a workflow that does not exist was explained")
	}
	q.ActionType, q.MinScore, q.Statuses = "Rollback", 5001, []string{datastorage.StatusDisabled}
	excluded, _ := s.Excludes(q, second.ID)
	if got := fmt.Sprint(excluded); got != "[{status disabled active} {action_type Rollback } {min_score 0.5001 0.5}]" {
		t.Errorf("excluded by %s", got)
	}
}

func TestSnapshot_Actions(t *testing.T) {
	t.Parallel()
	restart, again, rollback, none := plain("a", "1"), plain("b", "1"), plain("c", "1"), plain("d", "1")
	restart.ActionType, again.ActionType, rollback.ActionType = "RestartPod", "RestartPod", "Rollback"
	rollback.Detected.Stateful = yes()
	other := plain("e", "1")
	other.ActionType, other.Labels.Component = "Elsewhere", []string{"node"}
	s := snapshotInOrder(t, restart, again, rollback, none, other)
	s = apply(t, s, catalog.Change{ActionType: &datastorage.ActionType{Name: "RestartPod", Guidance: datastorage.Guidance{What: "Kill it."}}})
	q := plainSearch()
	q.ActionType, q.Detected.Stateful = "RestartPod", yes()
	options, untyped := s.Actions(q)
	if untyped != 1 || len(options) != 2 || options[0].Name != "Rollback" || options[0].Best != 5020 || options[0].Type != nil ||
		options[1].Count != 2 || options[1].Type.What != "Kill it." {
		t.Errorf("options are %+v, %d without a type", options, untyped)
	}
	for _, o := range options {
		q.ActionType = o.Name
		if r := s.Search(q); r.Total != o.Count || r.Matches[0].Score != o.Best {
			t.Errorf("a search for %s finds %d, best %v; the option says %+v", o.Name, r.Total, r.Matches[0].Score, o)
		}
	}
}

// TestSnapshot_Search_allocations holds a search to what its result needs, however many workflows it looks at.
func TestSnapshot_Search_allocations(t *testing.T) {
	var workflows []*datastorage.Workflow
	for i := range 2000 {
		workflows = append(workflows, plain(fmt.Sprint(i), "1"))
	}
	s := snapshotOf(t, workflows)
	q := plainSearch()
	q.Explain = false
	q.CustomLabels = map[string][]string{"team": {"a"}}
	if n := testing.AllocsPerRun(200, func() { s.Search(q) }); n > 3 {
		t.Errorf("%v allocations for a search over 2000 matches", n)
	}
}
