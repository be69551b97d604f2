package bench

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// sampleInterval is how often the server's memory is looked at during a run.
const sampleInterval = 500 * time.Millisecond

// progressInterval is how often the progress function is called.
const progressInterval = 200 * time.Millisecond

// Progress is the state of a run under way.
type Progress struct {
	Scenario Scenario
	Warming  bool
	// Elapsed and Total are of the whole run with its warm-up; Total is 0 when
	// the run goes by a number of requests.
	Elapsed, Total time.Duration
	// Rate is the number of good answers per second since the last call.
	Rate float64
}

// Run puts the load on the server and returns what it measured, one result
// for each kind of request (the page scenario has two). It calls progress,
// unless that is nil, from one goroutine a few times a second. Requests that
// fail are counted in the result and are no error; the error is of a server
// that could not be reached at all, of a PostgreSQL that could not be asked, or
// of ctx.
func (w *Workload) Run(ctx context.Context, progress func(Progress)) ([]Result, error) {
	probe := newConn(w.endpoint, w.options.Timeout)
	if err := probe.open(ctx); err != nil {
		return nil, fmt.Errorf("nothing answers at %s: %w", w.options.URL, err)
	}
	probe.close()
	meters, err := newMeters(ctx, w.options)
	if err != nil {
		return nil, err
	}
	defer meters.close()

	o := w.options
	win := window{start: o.Warmup, end: o.Warmup + o.Duration}
	if o.Requests > 0 {
		win.end, win.quota = 0, uint64(max(1, (o.Requests+o.Clients-1)/o.Clients))
	}
	clients := make([]*client, o.Clients)
	for i := range clients {
		clients[i] = newClient(w, i)
	}
	// Garbage of the preparation is not collected while the clock runs.
	runtime.GC()

	began := time.Now()
	done := make(chan struct{})
	var helpers sync.WaitGroup
	helpers.Go(func() { meters.watch(ctx, win, began, done) })
	if progress != nil {
		helpers.Go(func() { w.report(ctx, clients, win, began, done, progress) })
	}
	var running sync.WaitGroup
	for _, c := range clients {
		running.Go(func() { c.run(ctx, began, win) })
	}
	running.Wait()
	close(done)
	helpers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return w.results(clients, win, meters), nil
}

// report calls progress until the load is done.
func (w *Workload) report(ctx context.Context, clients []*client, win window, began time.Time, done <-chan struct{}, progress func(Progress)) {
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	var answered uint64
	before := began
	for {
		select {
		case <-ticker.C:
		case <-done:
			return
		case <-ctx.Done():
			return
		}
		now, sum := time.Now(), uint64(0)
		for _, c := range clients {
			sum += c.answered.Load()
		}
		elapsed := now.Sub(began)
		progress(Progress{
			Scenario: w.options.Scenario,
			Warming:  elapsed < win.start,
			Elapsed:  elapsed,
			Total:    win.end,
			Rate:     float64(sum-answered) / now.Sub(before).Seconds(),
		})
		answered, before = sum, now
	}
}

// results adds up what the clients counted.
func (w *Workload) results(clients []*client, win window, meters *meters) []Result {
	measured := w.options.Duration
	if win.quota > 0 {
		var last time.Duration
		for _, c := range clients {
			last = max(last, c.last)
		}
		measured = max(last-win.start, time.Nanosecond)
	}
	results := make([]Result, len(w.series))
	var requests, events uint64
	for i, name := range w.series {
		var latencies Histogram
		r := &results[i]
		*r = w.newResult(name, measured)
		for _, c := range clients {
			latencies.Merge(&c.latencies[i])
			r.Requests += c.requests[i]
			r.Events += c.events[i]
		}
		r.setLatencies(&latencies)
		requests += r.Requests
		events += r.Events
	}
	// Errors and costs belong to the run as a whole: each result carries them.
	faults := map[string]uint64{}
	var example error
	for _, c := range clients {
		for name, n := range c.errors {
			faults[name] += n
		}
		if example == nil {
			example = c.example
		}
	}
	for i := range results {
		results[i].setErrors(faults, requests, example)
		results[i].setCosts(meters.costs(), requests, events)
	}
	return results
}
