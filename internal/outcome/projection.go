package outcome

import (
	"context"

	"github.com/datastorage-io/datastorage/internal/project"
)

// Projection keeps the executions and their rollups. It implements project.Projection.
type Projection struct{}

// Name implements project.Projection.
func (Projection) Name() string { return Name }

// Version implements project.Projection.
func (Projection) Version() int { return version }

// Bodies implements project.Projection.
func (Projection) Bodies() project.Bodies {
	return project.Bodies{Types: []string{lifecycleType}, Categories: []string{category}}
}

// Schema implements project.Projection.
func (Projection) Schema() []string { return schema() }

// Tables implements project.Projection.
func (Projection) Tables() []string { return tables() }

// Apply implements project.Projection. What it reads and writes grows with the outcomes among the events, not with what
// their correlations and executions already hold.
func (Projection) Apply(ctx context.Context, tx project.Tx, events []project.Event) error {
	var outcomes []Outcome
	r := newReader()
	for i := range events {
		if o, ok := r.read(&events[i]); ok {
			outcomes = append(outcomes, o)
		}
	}
	if len(outcomes) == 0 {
		return nil
	}
	f, err := loadFold(ctx, tx, outcomes)
	if err != nil {
		return err
	}
	for i := range outcomes {
		f.add(&outcomes[i])
	}
	return f.finish(ctx, tx)
}
