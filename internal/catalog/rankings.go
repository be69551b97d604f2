package catalog

import (
	"context"
	"sync"
	"time"
)

// ReadOutcomes reads how each workflow fared with an incident type. An error is a *datastorage.Error.
type ReadOutcomes func(ctx context.Context, incidentType string) ([]OutcomeRecord, error)

// RankingOptions are the settings of Rankings. All are required.
type RankingOptions struct {
	// MaxShift and MinExecutions are those of NewOutcomes.
	MaxShift      Points
	MinExecutions int64
	// Fresh is how long what was read is used.
	Fresh time.Duration
	// Types is how many incident types are remembered.
	Types int
	Now   func() time.Time
}

// Rankings remembers for a moment what was read of outcomes, so that many searches for one kind of incident read it once.
type Rankings struct {
	read ReadOutcomes
	opts RankingOptions

	mu    sync.Mutex
	known map[string]*ranking
}

// ranking is what is known of one incident type.
type ranking struct {
	mu       sync.Mutex // held to read, so that one search does it for all
	outcomes *Outcomes
	until    time.Time
}

// NewRankings returns rankings by what read returns.
func NewRankings(read ReadOutcomes, opts RankingOptions) *Rankings {
	return &Rankings{read: read, opts: opts, known: map[string]*ranking{}}
}

// Outcomes returns what searches for an incident type rank by. The error
// is that of the read: a search must not be answered as if nothing were known.
func (r *Rankings) Outcomes(ctx context.Context, incidentType string) (*Outcomes, error) {
	one := r.ranking(incidentType)
	one.mu.Lock()
	defer one.mu.Unlock()
	if now := r.opts.Now(); one.outcomes == nil || !now.Before(one.until) {
		records, err := r.read(ctx, incidentType)
		if err != nil {
			return nil, err
		}
		one.outcomes = NewOutcomes(r.opts.MaxShift, r.opts.MinExecutions, records)
		one.until = now.Add(r.opts.Fresh)
	}
	return one.outcomes, nil
}

// ranking returns the place of an incident type. When too many are known it forgets one of them, whichever.
func (r *Rankings) ranking(incidentType string) *ranking {
	r.mu.Lock()
	defer r.mu.Unlock()
	one, ok := r.known[incidentType]
	if ok {
		return one
	}
	for other := range r.known {
		if len(r.known) < r.opts.Types {
			break
		}
		delete(r.known, other)
	}
	one = &ranking{}
	r.known[incidentType] = one
	return one
}
