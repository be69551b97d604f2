package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/config"
	outcomes "github.com/datastorage-io/datastorage/internal/outcome"
	"github.com/datastorage-io/datastorage/internal/project"
)

const (
	// rankingFresh is how long searches use what was read of outcomes.
	rankingFresh = time.Second
	// rankingTypes is how many incident types are remembered.
	rankingTypes = 1000
)

// newRankings returns what searches with rank=outcomes rank by.
func newRankings(cfg *config.Config, view project.View) *catalog.Rankings {
	reader := outcomes.NewReader(view)
	o := cfg.Catalog.Outcomes
	return catalog.NewRankings(func(ctx context.Context, incidentType string) ([]catalog.OutcomeRecord, error) {
		tallies, err := reader.WorkflowTallies(ctx, incidentType, time.Now().Add(-o.Range))
		return outcomeRecords(tallies), err
	}, catalog.RankingOptions{
		MaxShift: catalog.Points(o.MaxShift), MinExecutions: int64(o.MinExecutions), Fresh: rankingFresh, Types: rankingTypes, Now: time.Now,
	})
}

// outcomeRecords returns the records of workflows that can be in the catalogue.
func outcomeRecords(tallies map[string]outcomes.Tally) []catalog.OutcomeRecord {
	records := make([]catalog.OutcomeRecord, 0, len(tallies))
	for text, t := range tallies {
		id, err := uuid.Parse(text)
		if err != nil || id.String() != text {
			continue
		}
		lower, _ := t.Wilson()
		records = append(records, catalog.OutcomeRecord{
			WorkflowID: id, Executions: t.Total, Successful: t.Successful, LowerBound: catalog.Score(math.Floor(lower * 10_000)),
		})
	}
	return records
}

// withView calls f with what is derived from the log of a store.
func withView(ctx context.Context, s store, f func(project.View) error) (err error) {
	projected, err := s.Projections(ctx)
	if err != nil {
		return fmt.Errorf("open the projections: %w", err)
	}
	defer func() { err = errors.Join(err, projected.Close()) }()
	err = f(project.NewReader(projected, projections()))
	if datastorage.CodeOf(err) == datastorage.CodeUnavailable {
		return fmt.Errorf("%w; no server need run for that: datastorage projections rebuild %s", err, outcomes.Name)
	}
	return err
}

// tallies are how often workflows succeeded, by incident type, each type read once.
type tallies struct {
	reader *outcomes.Reader
	since  time.Time
	read   map[string]map[string]outcomes.Tally
}

// withTallies calls f with the tallies of a store over catalog.outcomes.range.
func withTallies(ctx context.Context, cfg *config.Config, s store, f func(*tallies) error) error {
	return withView(ctx, s, func(view project.View) error {
		return f(&tallies{outcomes.NewReader(view), time.Now().Add(-cfg.Catalog.Outcomes.Range), map[string]map[string]outcomes.Tally{}})
	})
}

// fared says how often the first workflow of a result succeeded with an incident type.
func (t *tallies) fared(ctx context.Context, incidentType string, r *catalog.Result) (string, error) {
	if len(r.Matches) == 0 {
		return "-", nil
	}
	known, ok := t.read[incidentType]
	if !ok {
		var err error
		if known, err = t.reader.WorkflowTallies(ctx, incidentType, t.since); err != nil {
			return "", fmt.Errorf("read how workflows fared: %w", err)
		}
		t.read[incidentType] = known
	}
	tally := known[r.Matches[0].Workflow.ID.String()]
	if tally.Total == 0 {
		return "never executed", nil
	}
	lower, upper := tally.Wilson()
	return fmt.Sprintf("%d of %d (%.0f to %.0f %%)", tally.Successful, tally.Total, 100*lower, 100*upper), nil
}
