package catalog

import (
	"github.com/datastorage-io/datastorage"
)

// Match is one workflow that a search found.
type Match struct {
	Workflow *datastorage.Workflow
	Rank     int // from 1
	Score    Score
	// Boost and Penalty are the sums of what labels added to the base and took from it; neither is negative.
	Boost, Penalty Points
	// Shift is what Outcome added to the score: how the workflow fared. Outcome is nil unless the search ranks by outcomes
	// and enough is known of the workflow.
	Shift   Points
	Outcome *OutcomeRecord
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
	// Outcomes are what the search ranked by beside labels; nil when it did not.
	Outcomes *Outcomes
}

// Search returns the best workflows for an incident. It answers from s whatever q.AsOf says: see AsOf. The search must be
// valid: TopK at least 1, Statuses not empty, at most 10 custom keys.
//
// Order: the score, then fewer wildcards among the mandatory labels, then the newest, then the lower workflow_id.
func (s *Snapshot) Search(q *datastorage.WorkflowSearch) *Result { return s.SearchByOutcomes(q, nil) }

// SearchByOutcomes is Search with a ranking that knows how workflows fared with the incident type that is searched for:
// that shifts scores a little, and decides between equal ones by the greater lower bound. MinScore and Total go by labels
// alone. Without outcomes it is Search.
func (s *Snapshot) SearchByOutcomes(q *datastorage.WorkflowSearch, o *Outcomes) *Result {
	var r *Result
	if o == nil {
		r = s.search(q, q.TopK)
	} else {
		r = s.searchByOutcomes(q, o)
	}
	if q.Explain {
		for i := range r.Matches {
			m := &r.Matches[i]
			m.Terms = s.terms(q, m.Workflow)
			if o != nil {
				m.Terms = append(m.Terms, outcomeTerm(q, m))
			}
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
		r.Matches[i] = p.match(i+1, e, key.score())
	}
	return r
}

// match returns the result for a workflow whose labels make a score.
func (p *plan) match(rank int, e *entry, score Score) Match {
	m := Match{Workflow: e.workflow, Rank: rank, Score: score, Penalty: p.penalty(e.detected)}
	m.Boost = Points(int(score)-p.snapshot.weights.Base) + m.Penalty
	return m
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
