package catalog

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// Funnel says how a search came from all workflows to its results: what each condition excluded, in the order in which
// the conditions are listed.
type Funnel struct {
	// Workflows is how many there are, all versions counted.
	Workflows int
	Steps     []Step
	// Emptied is the condition that excluded the last workflows that were left; "" when there are results.
	Emptied string
}

// Step is one condition of a search. "environment=production removed 12 of 34" is Removed of Left.
type Step struct {
	// Condition is latest, status, a mandatory label, action_type or min_score.
	Condition string
	// Asked is what the search asks for; several values are joined with ", ".
	Asked string
	// Left is how many workflows the conditions before this one leave, and Removed how many of them this one excludes.
	Left, Removed int
	// Alone is how many this condition excludes, whatever the others say. Conditions after status look at latest
	// versions in a status that is asked for, status at latest versions, latest at all.
	Alone int
	// Sole is how many workflows meet every condition but this one: what the search would find without it.
	Sole int
}

// The conditions of a search beside the mandatory labels.
const (
	conditionLatest     = "latest"
	conditionStatus     = "status"
	conditionActionType = "action_type"
	conditionMinScore   = "min_score"
)

// The conditions by their bit in a set of them.
const (
	bitLatest = iota
	bitStatus
	bitLabels
	bitAction = bitLabels + numLabels
	bitScore  = bitAction + 1
	numBits   = bitScore + 1
)

// conditions returns the steps of a search with nothing counted.
func conditions(q *datastorage.WorkflowSearch) []Step {
	steps := make([]Step, 0, numBits)
	steps = append(steps, Step{Condition: conditionLatest, Asked: "true"})
	steps = append(steps, Step{Condition: conditionStatus, Asked: strings.Join(q.Statuses, ", ")})
	for label, name := range labelNames {
		steps = append(steps, Step{Condition: name, Asked: askedValue(q, label)})
	}
	steps = append(steps, Step{Condition: conditionActionType, Asked: q.ActionType})
	return append(steps, Step{Condition: conditionMinScore, Asked: Score(q.MinScore).String()})
}

func (s *Snapshot) funnel(q *datastorage.WorkflowSearch) *Funnel {
	p := borrowPlan()
	defer p.giveBack()
	p.prepare(s, q, 0)
	f := &Funnel{Workflows: len(s.entries), Steps: conditions(q)}
	for _, family := range s.families {
		for _, n := range family.versions {
			f.count(p.failed(q, s.entries[n], n == family.latest))
		}
	}
	left := f.Workflows
	for i := range f.Steps {
		step := &f.Steps[i]
		step.Left = left
		left -= step.Removed
		if left == 0 && step.Removed > 0 {
			f.Emptied = step.Condition
		}
	}
	return f
}

// failed returns a bit for each condition that a workflow does not meet.
func (p *plan) failed(q *datastorage.WorkflowSearch, e *entry, latest bool) (bits uint) {
	fail := func(bit int, fails bool) {
		if fails {
			bits |= 1 << bit
		}
	}
	fail(bitLatest, !latest)
	fail(bitStatus, !slices.Contains(q.Statuses, e.workflow.Status))
	for label, set := range e.sets {
		_, found := slices.BinarySearch(p.sets[label], set)
		fail(bitLabels+label, set != anySet && !found)
	}
	fail(bitAction, q.ActionType != "" && q.ActionType != e.workflow.ActionType)
	fail(bitScore, p.score(e) < p.least)
	return bits
}

// score returns what a workflow would score, whether its mandatory labels match or not.
func (p *plan) score(e *entry) int32 {
	score := p.byFlags[e.detected.flags()] + p.byValues[e.detected.values()]
	if len(p.counted) > 0 {
		for _, n := range e.custom {
			score += p.byCustom[n]
		}
	}
	return score
}

// count adds a workflow that fails the given conditions.
func (f *Funnel) count(failed uint) {
	counted := false
	for bit := range f.Steps {
		if failed>>bit&1 == 0 {
			continue
		}
		step := &f.Steps[bit]
		if !counted {
			counted = true
			step.Removed++
		}
		if bit <= bitStatus && failed&(1<<bit-1) == 0 || failed&(1<<bitLabels-1) == 0 {
			step.Alone++
		}
		if failed == 1<<bit {
			step.Sole++
		}
	}
}

// Exclusion is a condition of a search that a workflow does not meet.
type Exclusion struct {
	// Condition is named as in a Step.
	Condition string
	// Asked and Has are what the search asks for and what the workflow has; several values are joined with ", ". For
	// latest, Has is the version that is the latest one.
	Asked, Has string
}

// Verdict says what became of one workflow in a search.
type Verdict struct {
	Workflow *datastorage.Workflow
	// Excluded are the conditions that it does not meet; none when it is among the results or only ranks too low.
	Excluded []Exclusion
	// Score is what it scores, or would score if its labels matched; Terms are the parts of it.
	Score Score
	Terms []Term
	// Rank is its place among all that match, from 1, and Total how many there are; Rank is 0 when it is excluded.
	Rank, Total int
	// Chosen says that it is among the results: not excluded, and Rank at most the search's top_k.
	Chosen bool
}

// Why says why a workflow was or was not found by a search; ok is false when there is no such workflow.
func (s *Snapshot) Why(q *datastorage.WorkflowSearch, id uuid.UUID) (v Verdict, ok bool) {
	v.Excluded, ok = s.Excludes(q, id)
	if !ok {
		return Verdict{}, false
	}
	n, _ := s.number(id)
	v.Workflow = s.entries[n].workflow
	v.Terms = s.terms(q, v.Workflow)
	for _, t := range v.Terms {
		v.Score += Score(t.Points)
	}
	all := s.search(q, len(s.ranked))
	v.Total = all.Total
	i := slices.IndexFunc(all.Matches, func(m Match) bool { return m.Workflow.ID == id })
	v.Rank = i + 1
	v.Chosen = i >= 0 && v.Rank <= q.TopK
	return v, true
}

// Excludes returns the conditions of a search that a workflow does not meet, all of them; none when the workflow is a
// candidate that reaches the least score. ok is false when there is no such workflow.
func (s *Snapshot) Excludes(q *datastorage.WorkflowSearch, id uuid.UUID) (excluded []Exclusion, ok bool) {
	n, ok := s.number(id)
	if !ok {
		return nil, false
	}
	p := borrowPlan()
	defer p.giveBack()
	p.prepare(s, q, 0)
	e := s.entries[n]
	latest := s.family(e.workflow.Name).latest
	failed := p.failed(q, e, n == latest)
	for bit, step := range conditions(q) {
		if failed>>bit&1 != 0 {
			excluded = append(excluded, Exclusion{Condition: step.Condition, Asked: step.Asked, Has: s.has(p, e, latest, bit)})
		}
	}
	return excluded, true
}

// has returns what a workflow has where a condition looks.
func (s *Snapshot) has(p *plan, e *entry, latest uint32, bit int) string {
	switch bit {
	case bitLatest:
		return s.entries[latest].workflow.Version
	case bitStatus:
		return e.workflow.Status
	case bitAction:
		return e.workflow.ActionType
	case bitScore:
		return Score(p.score(e)).String()
	}
	return strings.Join(labelValues(&e.workflow.Labels, bit-bitLabels), ", ")
}
