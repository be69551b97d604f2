package project

import (
	"context"
	"time"
)

// Step takes all projections, whose tables are there, one batch further. It returns how many events were applied, once for
// each position that projections stood at.
func (r *Runner) Step(ctx context.Context) (applied int, err error) {
	if r.loaded.IsZero() {
		if err := r.load(ctx); err != nil {
			return 0, err
		}
	}
	for _, jobs := range r.groups(time.Now()) {
		n, _ := r.round(ctx, jobs)
		applied += n
	}
	return applied, nil
}
