package catalog

import (
	"github.com/datastorage-io/datastorage"
)

// Match is one workflow that a search found.
type Match struct {
	Workflow *datastorage.Workflow
	Rank     int // from 1
	Score    Score
	// Boost and Penalty are the sums of what was added to the base and taken from it; neither is negative.
	Boost, Penalty Points
	// Terms are the parts of the score; nil unless the search asks for an explanation.
	Terms []Term
}

// Result is the answer to a search.
type Result struct {
	// CatalogVersion and WeightsVersion say what the search was answered from.
	CatalogVersion int64
	WeightsVersion string
	// Total is how many workflows match and reach the least score; Matches are the best of them, the best first.
	Total   int
	Matches []Match
	// Funnel says what each condition excluded; nil unless the search asks for an explanation.
	Funnel *Funnel
}

// Search returns the best workflows for an incident. It answers from s whatever q.AsOf says: see AsOf. The search must be
// valid: TopK at least 1, Statuses not empty, at most 10 custom keys.
//
// Order: the score, then fewer wildcards among the mandatory labels, then the newest, then the lower workflow_id.
func (s *Snapshot) Search(q *datastorage.WorkflowSearch) *Result {
	r := s.search(q, q.TopK)
	if q.Explain {
		for i := range r.Matches {
			r.Matches[i].Terms = s.terms(q, r.Matches[i].Workflow)
		}
		r.Funnel = s.funnel(q)
	}
	return r
}

func (s *Snapshot) search(q *datastorage.WorkflowSearch, k int) *Result {
	p := borrowPlan()
	defer p.giveBack()
	p.prepare(s, q, k)
	p.walk(0, 0, s.tree.size(0))
	return p.result()
}

// result returns what walk found.
func (p *plan) result() *Result {
	s := p.snapshot
	r := &Result{
		CatalogVersion: s.version, WeightsVersion: s.weightsVersion, Total: p.total, Matches: make([]Match, len(p.best)),
	}
	p.best.sort()
	for i, key := range p.best {
		e := s.entries[s.ranked[key.rank()]]
		m := &r.Matches[i]
		m.Workflow, m.Rank, m.Score = e.workflow, i+1, key.score()
		m.Penalty = p.penalty(e.detected)
		m.Boost = Points(int(m.Score)-s.weights.Base) + m.Penalty
	}
	return r
}

// penalty returns what the detected labels of a workflow take away.
func (p *plan) penalty(says signature) Points {
	w, penalty := p.snapshot.weights, 0
	if p.asked.flag(flagGitOpsManaged) {
		penalty += max(0, -flagTerm(w, flagGitOpsManaged, says.flag(flagGitOpsManaged)))
	}
	penalty += max(0, -toolTerm(w, p.asked.tool(), says.tool()))
	return Points(penalty)
}
