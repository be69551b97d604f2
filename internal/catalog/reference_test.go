package catalog_test

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/catalog/catalogtest"
)

// TestSnapshot_Search_reference compares searches with a second implementation, written from the text of the contract
// alone: no index, no integers of 1/1000, one workflow after the other.
func TestSnapshot_Search_reference(t *testing.T) {
	t.Parallel()
	const rounds = 10_000
	found, empty := 0, 0
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 6))
		workflows := randomCatalogue(r)
		s := grow(t, r, workflows)
		for range 2 {
			q := randomSearch(r)
			want, total := referenceSearch(workflows, q)
			got := s.Search(q)
			if diff := compareResults(got, want, total); diff != "" {
				t.Fatalf("seed %d, search %+v: %s", seed, *q, diff)
			}
			if total == 0 {
				empty++
			} else {
				found++
			}
			checkExplanation(t, s, q, got)
		}
	}
	if found < rounds/4 || empty < rounds/4 {
		t.Errorf("%d searches found something and %d nothing: too few of one kind to tell", found, empty)
	}
}

// TestSnapshot_Search_referenceLarge does the same with many workflows and many sets of values.
func TestSnapshot_Search_referenceLarge(t *testing.T) {
	t.Parallel()
	workflows := catalogtest.Workflows(4, 600)
	subjects, kinds := []string{"a", "b", "c", "d", "*"}, []string{"k1", "k2", "k3", "k4", "k5", "k6", "k7"}
	r := rand.New(rand.NewPCG(8, 8))
	for _, w := range workflows {
		w.Labels.SignalType, w.Labels.Component = some(r, subjects...), some(r, kinds...)
	}
	s := snapshotOf(t, workflows)
	found := 0
	for range 60 {
		q := catalogtest.Search(r)
		q.SignalType, q.Component, q.TopK = pick(r, subjects...), pick(r, kinds...), 1+r.IntN(20)
		want, total := referenceSearch(workflows, q)
		if diff := compareResults(s.Search(q), want, total); diff != "" {
			t.Fatalf("search %+v: %s", *q, diff)
		}
		found += total
	}
	if found < 100 {
		t.Errorf("all searches together found %d workflows", found)
	}
}

// grow makes the workflows in several steps, states set apart, so that snapshots are made from others.
func grow(t *testing.T, r *rand.Rand, workflows []*datastorage.Workflow) *catalog.Snapshot {
	t.Helper()
	s := catalog.New(catalog.DefaultWeights())
	var pending []catalog.Change
	version := int64(0)
	add := func(c catalog.Change) {
		version++
		c.Version, c.Time = version, time.UnixMicro(version)
		pending = append(pending, c)
		if r.IntN(3) > 0 {
			return
		}
		var err error
		if s, err = s.Apply(pending); err != nil {
			t.Fatal(err)
		}
		pending = nil
	}
	for _, w := range workflows {
		born := *w
		if r.IntN(2) == 0 {
			born.Status = datastorage.WorkflowStatuses[r.IntN(4)]
		}
		add(catalog.Change{Workflow: &born})
		if born.Status != w.Status {
			add(catalog.Change{WorkflowID: w.ID, State: &w.WorkflowState})
		}
	}
	s, err := s.Apply(pending)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type refMatch struct {
	w                     *datastorage.Workflow
	score, boost, penalty *big.Rat
	wild                  int
}

// referenceSearch is section 6.1 of the contract, word for word.
func referenceSearch(workflows []*datastorage.Workflow, q *datastorage.WorkflowSearch) (best []refMatch, total int) {
	var all []refMatch
	for _, w := range workflows {
		if !refLatest(workflows, w) || !slices.Contains(q.Statuses, w.Status) || !refMandatory(w, q) {
			continue
		}
		if q.ActionType != "" && w.ActionType != q.ActionType {
			continue
		}
		m := refScore(w, q)
		if m.score.Cmp(big.NewRat(int64(q.MinScore), 10_000)) >= 0 {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b refMatch) int {
		if c := b.score.Cmp(a.score); c != 0 {
			return c
		}
		if a.wild != b.wild {
			return a.wild - b.wild
		}
		if c := b.w.CreatedAt.Compare(a.w.CreatedAt); c != 0 {
			return c
		}
		return bytes.Compare(a.w.ID[:], b.w.ID[:])
	})
	return all[:min(len(all), q.TopK)], len(all)
}

// refLatest: the highest version of the name whose status is active, the highest of all when none is.
func refLatest(workflows []*datastorage.Workflow, w *datastorage.Workflow) bool {
	anyActive := false
	for _, other := range workflows {
		anyActive = anyActive || other.Name == w.Name && other.Status == "active"
	}
	if anyActive && w.Status != "active" {
		return false
	}
	for _, other := range workflows {
		eligible := other.Name == w.Name && (!anyActive || other.Status == "active")
		if eligible && refVersion(other.Version) > refVersion(w.Version) {
			return false
		}
	}
	return true
}

// refVersion orders the versions that tests make: an optional v and two numbers below 100.
func refVersion(v string) int {
	parts := strings.Split(strings.TrimPrefix(v, "v"), ".")
	a, _ := strconv.Atoi(parts[0])
	b, _ := strconv.Atoi(parts[1])
	return a*100 + b
}

func refMandatory(w *datastorage.Workflow, q *datastorage.WorkflowSearch) bool {
	exact := func(a, b string) bool { return a == b }
	matches := func(have []string, asked string, same func(a, b string) bool) bool {
		for _, v := range have {
			if v == "*" || same(v, asked) && asked != "*" {
				return true
			}
		}
		return false
	}
	return matches(w.Labels.SignalType, q.SignalType, exact) && matches(w.Labels.Component, q.Component, exact) &&
		matches(w.Labels.Severity, q.Severity, strings.EqualFold) && matches(w.Labels.Environment, q.Environment, strings.EqualFold) &&
		matches(w.Labels.Priority, q.Priority, strings.EqualFold)
}

// refScore: (5.0 + detected_boost + custom_boost − penalty) / 10.
func refScore(w *datastorage.Workflow, q *datastorage.WorkflowSearch) refMatch {
	boost, penalty := new(big.Rat), new(big.Rat)
	add := func(to *big.Rat, decimal string) {
		term, _ := new(big.Rat).SetString(decimal)
		to.Add(to, term)
	}
	asks := func(name string, flag *bool) bool {
		return flag != nil && *flag && !slices.Contains(q.Detected.Failed, name)
	}
	says := func(flag *bool) bool { return flag != nil && *flag }
	if asks("gitOpsManaged", q.Detected.GitOpsManaged) {
		if says(w.Detected.GitOpsManaged) {
			add(boost, "0.10")
		} else {
			add(penalty, "0.10")
		}
	}
	switch tool := w.Detected.GitOpsTool; q.Detected.GitOpsTool {
	case "argocd", "flux":
		switch tool {
		case q.Detected.GitOpsTool:
			add(boost, "0.10")
		case "*":
			add(boost, "0.05")
		default:
			add(penalty, "0.10")
		}
	case "*":
		if tool != "" {
			add(boost, "0.05")
		}
	}
	if asks("pdbProtected", q.Detected.PDBProtected) && says(w.Detected.PDBProtected) {
		add(boost, "0.05")
	}
	if !slices.Contains(q.Detected.Failed, "serviceMesh") {
		switch mesh := w.Detected.ServiceMesh; q.Detected.ServiceMesh {
		case "istio", "linkerd":
			switch mesh {
			case q.Detected.ServiceMesh:
				add(boost, "0.05")
			case "*":
				add(boost, "0.025")
			}
		case "*":
			if mesh != "" {
				add(boost, "0.025")
			}
		}
	}
	if asks("networkIsolated", q.Detected.NetworkIsolated) && says(w.Detected.NetworkIsolated) {
		add(boost, "0.03")
	}
	if asks("helmManaged", q.Detected.HelmManaged) && says(w.Detected.HelmManaged) {
		add(boost, "0.02")
	}
	if asks("stateful", q.Detected.Stateful) && says(w.Detected.Stateful) {
		add(boost, "0.02")
	}
	if asks("hpaEnabled", q.Detected.HPAEnabled) && says(w.Detected.HPAEnabled) {
		add(boost, "0.02")
	}
	for key, values := range q.CustomLabels {
		seen := map[string]bool{}
		for _, value := range values {
			if seen[value] {
				continue
			}
			seen[value] = true
			switch have := w.CustomLabels[key]; {
			case slices.Contains(have, value):
				add(boost, "0.05")
			case slices.Contains(have, "*"):
				add(boost, "0.025")
			}
		}
	}
	score := big.NewRat(5, 1)
	score.Add(score, boost).Sub(score, penalty).Quo(score, big.NewRat(10, 1))
	wild := 0
	for _, values := range [][]string{w.Labels.SignalType, w.Labels.Severity, w.Labels.Component, w.Labels.Environment, w.Labels.Priority} {
		if slices.Contains(values, "*") {
			wild++
		}
	}
	return refMatch{w: w, score: score, boost: boost, penalty: penalty, wild: wild}
}

func compareResults(got *catalog.Result, want []refMatch, total int) string {
	if got.Total != total || len(got.Matches) != len(want) {
		return fmt.Sprintf("%d of %d results, want %d of %d", len(got.Matches), got.Total, len(want), total)
	}
	for i, m := range got.Matches {
		w := want[i]
		same := m.Workflow.ID == w.w.ID && m.Rank == i+1 && equals(w.score, m.Score) && equals(w.boost, m.Boost) && equals(w.penalty, m.Penalty)
		if !same {
			return fmt.Sprintf("result %d is %s %v +%v -%v, want %s %s +%s -%s", i+1, m.Workflow.ID, m.Score, m.Boost, m.Penalty,
				w.w.ID, w.score.FloatString(4), w.boost.FloatString(3), w.penalty.FloatString(3))
		}
	}
	return ""
}

// equals compares with the decimal that goes over the wire.
func equals(want *big.Rat, got fmt.Stringer) bool {
	r, ok := new(big.Rat).SetString(got.String())
	return ok && r.Cmp(want) == 0
}

// checkExplanation holds the parts of an explanation to the result.
func checkExplanation(t *testing.T, s *catalog.Snapshot, q *datastorage.WorkflowSearch, got *catalog.Result) {
	t.Helper()
	for _, m := range got.Matches {
		sum := 0
		for _, term := range m.Terms {
			sum += int(term.Points)
		}
		if sum != int(m.Score) {
			t.Fatalf("search %+v: the terms of %s add up to %d, its score is %v: %+v", *q, m.Workflow.ID, sum, m.Score, m.Terms)
		}
	}
	left := got.Funnel.Workflows
	for _, step := range got.Funnel.Steps {
		if step.Left != left || step.Removed > left || step.Sole > step.Alone {
			t.Fatalf("search %+v: %d are left before %+v", *q, left, step)
		}
		left -= step.Removed
	}
	if left != got.Total || (got.Funnel.Emptied != "") != (got.Total == 0 && got.Funnel.Workflows > 0) {
		t.Fatalf("search %+v: the funnel leaves %d of %d, emptied by %q", *q, left, got.Total, got.Funnel.Emptied)
	}
}

func pick(r *rand.Rand, values ...string) string { return values[r.IntN(len(values))] }

// some returns one to three of the values, which may repeat.
func some(r *rand.Rand, values ...string) []string {
	var chosen []string
	for range 1 + r.IntN(3) {
		chosen = append(chosen, pick(r, values...))
	}
	return chosen
}

func maybe(r *rand.Rand) *bool {
	if r.IntN(3) == 0 {
		return nil
	}
	b := r.IntN(2) == 0
	return &b
}

func randomCustom(r *rand.Rand) map[string][]string {
	if r.IntN(3) == 0 {
		return nil
	}
	labels := map[string][]string{}
	for range r.IntN(4) {
		labels[pick(r, "team", "tier", "risk")] = some(r, "a", "b", "c", "*")
	}
	return labels
}

func randomDetected(r *rand.Rand) datastorage.DetectedLabels {
	return datastorage.DetectedLabels{
		GitOpsManaged: maybe(r), PDBProtected: maybe(r), HPAEnabled: maybe(r), Stateful: maybe(r), HelmManaged: maybe(r), NetworkIsolated: maybe(r),
		GitOpsTool: pick(r, "", "argocd", "flux", "*"), ServiceMesh: pick(r, "", "istio", "linkerd", "*"),
	}
}

func randomCatalogue(r *rand.Rand) []*datastorage.Workflow {
	var workflows []*datastorage.Workflow
	taken := map[string]bool{}
	for range r.IntN(14) {
		name, version := pick(r, "w1", "w2", "w3", "w4", "w5", "w6", "w7"), fmt.Sprintf("%d.%d", r.IntN(2), r.IntN(12))
		if taken[name+version] {
			continue
		}
		taken[name+version] = true
		w := &datastorage.Workflow{
			Name: name, Version: pick(r, "", "v") + version, ActionType: pick(r, "", "Restart", "Rollback"),
			Labels: datastorage.Labels{
				SignalType: some(r, "Oom", "oom", "*"), Severity: some(r, "critical", "high", "*"), Component: some(r, "pod", "Pod", "*"),
				Environment: some(r, "production", "PRODUCTION", "staging", "*"), Priority: some(r, "P0", "P1", "*"),
			},
			CustomLabels: randomCustom(r), Detected: randomDetected(r),
			CreatedAt: time.UnixMicro(int64(r.IntN(3))).UTC(),
		}
		for i := range w.ID {
			w.ID[i] = byte(r.Uint32())
		}
		w.Status = pick(r, "active", "active", "active", "disabled", "deprecated", "archived")
		workflows = append(workflows, w)
	}
	return workflows
}

func randomSearch(r *rand.Rand) *datastorage.WorkflowSearch {
	q := &datastorage.WorkflowSearch{
		SignalType: pick(r, "Oom", "Oom", "oom", "*", "unheard"), Severity: pick(r, "critical", "critical", "high", "low", "*"), Component: pick(r, "pod", "pod", "Pod", "*"),
		Environment: pick(r, "Production", "production", "staging", "*"), Priority: pick(r, "P0", "p1", "*"),
		CustomLabels: randomCustom(r), Detected: randomDetected(r),
		Statuses: []string{"active"}, TopK: 1 + r.IntN(4), Explain: true,
	}
	for range r.IntN(3) {
		q.Detected.Failed = append(q.Detected.Failed, pick(r, "gitOpsManaged", "pdbProtected", "hpaEnabled", "stateful", "helmManaged", "networkIsolated", "serviceMesh"))
	}
	if r.IntN(3) == 0 {
		q.Statuses = some(r, datastorage.WorkflowStatuses...)
	}
	if r.IntN(4) == 0 {
		q.ActionType = pick(r, "Restart", "Rollback", "Unheard")
	}
	if r.IntN(3) == 0 {
		q.MinScore = 4900 + r.IntN(400)
	}
	return q
}
