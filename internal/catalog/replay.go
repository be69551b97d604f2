package catalog

import (
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// Replayed is a recorded search, run again.
type Replayed struct {
	Result *Result
	// Differences are sentences that say in what the result is another one than was recorded; none when it is the same,
	// bit for bit.
	Differences []string
}

// Identical reports whether the search gave what was recorded.
func (r *Replayed) Identical() bool { return len(r.Differences) == 0 }

// Replay runs a recorded search again, with the weights of then. s must be the catalogue at the version of the evidence,
// see At; the error says so when it is not.
func (s *Snapshot) Replay(e *Evidence) (*Replayed, error) {
	if s.version != e.CatalogVersion {
		return nil, fmt.Errorf("the search was answered from version %d of the catalogue, this is version %d", e.CatalogVersion, s.version)
	}
	if err := e.Weights.Validate(); err != nil {
		return nil, fmt.Errorf("the weights of the search are not valid: %w", err)
	}
	q := e.Search
	r := &Replayed{Result: s.WithWeights(e.Weights).SearchByOutcomes(&q, e.Outcomes)}
	r.compare(e)
	return r, nil
}

func (r *Replayed) compare(e *Evidence) {
	differ := func(format string, args ...any) { r.Differences = append(r.Differences, fmt.Sprintf(format, args...)) }
	now := r.Result
	if now.WeightsVersion != e.WeightsVersion {
		differ("weights_version: recorded %s, but the recorded weights are version %s", e.WeightsVersion, now.WeightsVersion)
	}
	if now.Total != e.Total {
		differ("total_results: recorded %d, now %d", e.Total, now.Total)
	}
	if len(now.Matches) != e.Returned {
		differ("number of results: recorded %d, now %d", e.Returned, len(now.Matches))
	}
	for i, was := range e.Results {
		if i >= len(now.Matches) {
			differ("rank %d: recorded %s with %v, now nothing", i+1, was.WorkflowID, was.Score)
			continue
		}
		if is := now.Matches[i]; is.Workflow.ID != was.WorkflowID || is.Score != was.Score {
			differ("rank %d: recorded %s with %v, now %s with %v", i+1, was.WorkflowID, was.Score, is.Workflow.ID, is.Score)
		}
	}
	if ranking := now.Ranking(); ranking != e.Ranking && len(r.Differences) == 0 {
		differ("ranking: it differs behind rank %d, the last one that the evidence holds: recorded %s, now %s", len(e.Results), e.Ranking, ranking)
	}
}

// Backtest is what other weights would have made of recorded searches.
type Backtest struct {
	Searches int
	// Unreplayable are those that did not give what was recorded, by their index among the evidence. They are not compared.
	Unreplayable []int
	// FirstChanged is how many searches would have had another workflow first, or none; Changed how many another ranking of
	// workflows at all. Scores alone do not count.
	FirstChanged, Changed int
	// Changes are the searches with another ranking, in the order of the evidence.
	Changes []BacktestChange
}

// BacktestChange is a search that other weights would have answered otherwise.
type BacktestChange struct {
	Index         int // of the evidence
	Before, After *Result
}

// RunBacktest runs recorded searches with other weights, which must be valid, each on the catalogue of its time. It asks
// at for each version once, in ascending order, and stops with its error.
func RunBacktest(recorded []*Evidence, at func(version int64) (*Snapshot, error), weights Weights) (*Backtest, error) {
	order := make([]int, len(recorded))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(recorded[a].CatalogVersion - recorded[b].CatalogVersion) })
	t := &Backtest{Searches: len(recorded)}
	var then *Snapshot
	for _, i := range order {
		e := recorded[i]
		if then == nil || then.version != e.CatalogVersion {
			var err error
			if then, err = at(e.CatalogVersion); err != nil {
				return nil, fmt.Errorf("catalogue at version %d: %w", e.CatalogVersion, err)
			}
		}
		if err := t.add(i, e, then, weights); err != nil {
			return nil, err
		}
	}
	slices.Sort(t.Unreplayable)
	slices.SortFunc(t.Changes, func(a, b BacktestChange) int { return a.Index - b.Index })
	return t, nil
}

func (t *Backtest) add(i int, e *Evidence, then *Snapshot, weights Weights) error {
	replayed, err := then.Replay(e)
	if err != nil {
		return err
	}
	if !replayed.Identical() {
		t.Unreplayable = append(t.Unreplayable, i)
		return nil
	}
	q := e.Search
	before, after := replayed.Result, then.WithWeights(weights).SearchByOutcomes(&q, e.Outcomes)
	was, is := before.ids(), after.ids()
	if slices.Equal(was, is) {
		return nil
	}
	t.Changed++
	if len(was) == 0 || len(is) == 0 || was[0] != is[0] {
		t.FirstChanged++
	}
	t.Changes = append(t.Changes, BacktestChange{Index: i, Before: before, After: after})
	return nil
}

func (r *Result) ids() []uuid.UUID {
	ids := make([]uuid.UUID, len(r.Matches))
	for i := range r.Matches {
		ids[i] = r.Matches[i].Workflow.ID
	}
	return ids
}
