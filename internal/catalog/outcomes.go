package catalog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

const (
	// MaxOutcomeRecords is how many workflows a ranking by outcomes looks at: those that were executed most often. The
	// others count as workflows without a history.
	MaxOutcomeRecords = 100
	// neutralBound stands for the lower bound of a workflow without enough history.
	neutralBound = maxScore / 2
	termOutcomes = "outcomes"
)

// Outcomes is what is known of how workflows fared with one incident type, and how much it may count in a search. It must
// not change while it is in use.
type Outcomes struct {
	// MaxShift is what a workflow that never failed, over endless executions, gains, and one that never succeeded loses.
	MaxShift Points `json:"max_shift"`
	// Records are in order of WorkflowID, no two of one workflow.
	Records []OutcomeRecord `json:"records"`
}

// OutcomeRecord is how one workflow fared.
type OutcomeRecord struct {
	WorkflowID uuid.UUID `json:"workflow_id"`
	Executions int64     `json:"executions"`
	Successful int64     `json:"successful"`
	// LowerBound is the lower end of the 95 % confidence interval of its success rate, in 1/10 000.
	LowerBound Score `json:"lower_bound"`
}

// NewOutcomes returns what a search can rank by. A workflow with fewer executions than least is left out: too little is
// known of it to prefer or to punish it. At most MaxOutcomeRecords records are kept.
func NewOutcomes(maxShift Points, least int64, records []OutcomeRecord) *Outcomes {
	kept := slices.DeleteFunc(slices.Clone(records), func(r OutcomeRecord) bool { return r.Executions < least })
	slices.SortFunc(kept, func(a, b OutcomeRecord) int {
		return cmp.Or(cmp.Compare(b.Executions, a.Executions), compareIDs(a, b))
	})
	kept = kept[:min(len(kept), MaxOutcomeRecords)]
	slices.SortFunc(kept, compareIDs)
	return &Outcomes{MaxShift: maxShift, Records: kept}
}

func compareIDs(a, b OutcomeRecord) int { return bytes.Compare(a.WorkflowID[:], b.WorkflowID[:]) }

// shift returns what the record adds to the score of its workflow: nothing where as much speaks for it as against it. The
// sum stays in the range of scores.
func (o *Outcomes) shift(score int32, r *OutcomeRecord) int32 {
	shift := int32(math.Round(float64(o.MaxShift) * float64(r.LowerBound-neutralBound) / neutralBound))
	return max(-score, min(shift, maxScore-score))
}

// find returns the record of a workflow, nil when it has none.
func (o *Outcomes) find(id uuid.UUID) *OutcomeRecord {
	i, ok := slices.BinarySearchFunc(o.Records, id, func(r OutcomeRecord, id uuid.UUID) int {
		return bytes.Compare(r.WorkflowID[:], id[:])
	})
	if !ok {
		return nil
	}
	return &o.Records[i]
}

// check says what is wrong with outcomes that were read from evidence.
func (o *Outcomes) check() error {
	if o.MaxShift < 0 || o.MaxShift > maxScore || len(o.Records) > MaxOutcomeRecords {
		return fmt.Errorf("outcomes: max_shift must lie between 0 and 10 and there are at most %d records", MaxOutcomeRecords)
	}
	for i := range o.Records {
		r := &o.Records[i]
		if r.Successful < 0 || r.Successful > r.Executions || r.LowerBound < 0 || r.LowerBound > maxScore {
			return errors.New("outcomes: the numbers of a record contradict each other")
		}
		if i > 0 && compareIDs(o.Records[i-1], *r) >= 0 {
			return errors.New("outcomes: the records are not in order of workflow_id")
		}
	}
	return nil
}

// contender is a workflow that may be among the results.
type contender struct {
	entry   *entry
	score   int32          // what its labels make
	shift   int32          // what its record adds
	bound   Score          // of its success rate
	outcome *OutcomeRecord // nil when it has none
}

// searchByOutcomes is search with an order that outcomes change: the score and what they add to it, then the greater lower
// bound, then as without them. Only workflows with a record move, so that whatever is in the result is one of them, or
// among the first k of the others.
func (s *Snapshot) searchByOutcomes(q *datastorage.WorkflowSearch, o *Outcomes) *Result {
	p := borrowPlan()
	defer p.giveBack()
	p.prepare(s, q, q.TopK+len(o.Records))
	p.walk(0, 0, s.tree.size(0))
	p.best.sort()
	contenders := s.recorded(p, q, o)
	for _, key := range p.best {
		e := s.entries[s.ranked[key.rank()]]
		if o.find(e.workflow.ID) == nil {
			contenders = append(contenders, contender{entry: e, score: int32(key.score()), bound: neutralBound})
		}
	}
	slices.SortFunc(contenders, func(a, b contender) int {
		return cmp.Or(cmp.Compare(b.score+b.shift, a.score+a.shift), cmp.Compare(b.bound, a.bound), compareRank(a.entry, b.entry))
	})
	contenders = contenders[:min(len(contenders), q.TopK)]
	r := &Result{
		CatalogVersion: s.version, WeightsVersion: s.weightsVersion, Total: p.total, Outcomes: o,
		Matches: make([]Match, len(contenders)),
	}
	for i, c := range contenders {
		m := p.match(i+1, c.entry, Score(c.score))
		m.Score += Score(c.shift)
		m.Outcome, m.Shift = c.outcome, Points(c.shift)
		r.Matches[i] = m
	}
	return r
}

// recorded returns the candidates that have a record.
func (s *Snapshot) recorded(p *plan, q *datastorage.WorkflowSearch, o *Outcomes) []contender {
	contenders := make([]contender, 0, q.TopK+len(o.Records))
	for i := range o.Records {
		record := &o.Records[i]
		n, ok := s.number(record.WorkflowID)
		if !ok {
			continue
		}
		e := s.entries[n]
		if p.failed(q, e, n == s.family(e.workflow.Name).latest) != 0 {
			continue
		}
		score := p.score(e)
		contenders = append(contenders, contender{
			entry: e, score: score, shift: o.shift(score, record), bound: record.LowerBound, outcome: record,
		})
	}
	return contenders
}

// outcomeTerm explains what outcomes added to a score.
func outcomeTerm(q *datastorage.WorkflowSearch, m *Match) Term {
	t := Term{Label: termOutcomes, Query: q.SignalType, Points: m.Shift}
	if r := m.Outcome; r != nil {
		t.Workflow = strconv.FormatInt(r.Successful, 10) + " of " + strconv.FormatInt(r.Executions, 10) +
			" executions succeeded, lower bound " + r.LowerBound.String()
	}
	return t
}
