package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/datastorage-io/datastorage/internal/bench"
)

// maxErrors is the share of failed requests above which a measurement is void.
const maxErrors = 0.001

// load is one measurement, for the table of all of them.
type load struct {
	row, what string
	result    bench.Result
}

// options are those of the single-event load on a target.
func (l *lab) options(t target) bench.Options {
	o := bench.DefaultOptions()
	o.URL, o.DatabaseURL = t.url, t.database
	o.Clients, o.Duration, o.Warmup = l.plan.clients, l.plan.duration, l.plan.warmup
	o.Seed = uint64(time.Now().UnixNano())
	return o
}

// single puts the single-event load on a target. change, unless nil, changes
// its options.
func (l *lab) single(ctx context.Context, what string, t target, change func(*bench.Options)) (bench.Result, error) {
	o := l.options(t)
	if change != nil {
		change(&o)
	}
	results, err := l.put(ctx, what, o)
	if err != nil {
		return bench.Result{}, err
	}
	return results[0], nil
}

// put prepares a load and runs it once.
func (l *lab) put(ctx context.Context, what string, o bench.Options) ([]bench.Result, error) {
	workload, err := bench.Prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	return l.runLoad(ctx, what, o, workload)
}

// runLoad runs a prepared load and notes what it measured.
func (l *lab) runLoad(ctx context.Context, what string, o bench.Options, workload *bench.Workload) ([]bench.Result, error) {
	if o.DatabaseURL != "" {
		if err := l.settle(ctx); err != nil {
			return nil, err
		}
	}
	results, err := workload.Run(ctx, nil)
	if err != nil {
		return nil, err
	}
	for _, r := range results {
		if err := l.note(what, r); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// note adds a measurement to the table of all of them. One with errors is void.
func (l *lab) note(what string, r bench.Result) error {
	l.loads = append(l.loads, load{l.rowed, what, r})
	l.say("  %s, %s: %s requests/s, %s events/s, p50 %s, p99 %s", what, r.Scenario, bench.Count(r.RequestsPerSecond), bench.Count(r.EventsPerSecond), bench.Micros(r.P50Micros), bench.Micros(r.P99Micros))
	if r.ErrorShare > maxErrors {
		return fmt.Errorf("%s: %.2f %% of the requests failed, the first with %s", what, r.ErrorShare*100, r.Example)
	}
	if r.Requests == 0 {
		return fmt.Errorf("%s: no request was answered", what)
	}
	return nil
}

// floorResult is what the floor program prints.
type floorResult struct {
	EventsPerSecond float64 `json:"events_per_second"`
	P50Micros       float64 `json:"p50_us"`
}

// runFloor runs the floor program in one of its modes.
func (l *lab) runFloor(ctx context.Context, db database, mode string) (floorResult, error) {
	if err := l.settle(ctx); err != nil {
		return floorResult{}, err
	}
	args := []string{"--database-url", db.url, "--mode", mode, "--duration", l.plan.duration.String(), "--warmup", l.plan.warmup.String(), "--json"}
	text, err := output(ctx, nil, l.floor, args...)
	if err != nil {
		return floorResult{}, err
	}
	var r floorResult
	if err := json.Unmarshal(text, &r); err != nil {
		return floorResult{}, fmt.Errorf("what floor prints: %w", err)
	}
	l.say("  floor, %s: %s events/s, p50 %s", mode, bench.Count(r.EventsPerSecond), bench.Micros(r.P50Micros))
	return r, nil
}

// measurement takes one figure.
type measurement func(context.Context) (float64, error)

// alternate takes each figure in turn, as often as there are rounds, and
// returns the median of each.
func (l *lab) alternate(ctx context.Context, measurements ...measurement) ([]float64, error) {
	values := make([][]float64, len(measurements))
	for range l.plan.rounds {
		for i, m := range measurements {
			v, err := m(ctx)
			if err != nil {
				return nil, err
			}
			values[i] = append(values[i], v)
		}
	}
	medians := make([]float64, len(measurements))
	for i := range values {
		medians[i] = median(values[i])
	}
	return medians, nil
}

// median returns the middle value; of an even number, the greater of the two.
func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
