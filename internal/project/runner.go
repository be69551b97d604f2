package project

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

const (
	// pollInterval is how often the runner looks for commits that nobody told it of.
	pollInterval = 200 * time.Millisecond
	// batchInterval is the least time between two batches while the log grows slowly: fewer, larger batches leave more of
	// the machine to ingest, but what they hold must still be in memory, see Recent.
	batchInterval = 250 * time.Millisecond
	// leadInterval is how often a process that does not lead tries to.
	leadInterval = 2 * time.Second
	// loadInterval is how often the runner reads the registry again, and removes tables that are out of use.
	loadInterval = 10 * time.Second
	// maxBackoff is the longest pause before a projection that fails is tried again.
	maxBackoff = 30 * time.Second
)

// RunnerOptions are the settings of a runner. All fields are required.
type RunnerOptions struct {
	Log         Log
	Store       Store
	Projections []Projection
	// Keep is how long retired tables stay; see BuildOptions.
	Keep    time.Duration
	Logger  *slog.Logger
	Metrics *Metrics
}

// Runner keeps projections up with the log: in one process of those that share a store, whichever is first. It builds
// tables that are missing, of another version, or made from another log.
type Runner struct {
	RunnerOptions
	wake chan struct{}
	jobs []*job

	// building are the jobs whose tables are being built, one build at a time; built tells its end.
	building []*job
	built    chan []error
	// loaded is when the registry was read; zero when it must be read now.
	loaded time.Time
}

// job is a projection in the care of the runner.
type job struct {
	member // generation is nil while there are no tables that can be advanced
	// foreign is the number of a generation that was made from another log; 0 when there is none.
	foreign int64
	// failures counts those since the last success; retry is when the projection is tried again.
	failures int
	retry    time.Time
}

// NewRunner returns a runner that Run starts.
func NewRunner(o RunnerOptions) *Runner {
	r := &Runner{RunnerOptions: o, wake: make(chan struct{}, 1), built: make(chan []error, 1)}
	for _, p := range o.Projections {
		r.jobs = append(r.jobs, &job{member: member{projection: p}})
		o.Metrics.add(p.Name())
	}
	return r
}

// Wake says that the log has grown. It never waits.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run follows the log until ctx ends, whenever this process leads.
func (r *Runner) Run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		led, err := r.Store.Lead(ctx, "runner", r.lead)
		if err != nil && ctx.Err() == nil && !failing {
			r.Logger.Warn("projections do not follow the log; tried again", "error", err)
		}
		failing = err != nil
		if !led || failing {
			pause(ctx, leadInterval)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// lead follows the log until ctx ends. A build that it has started ends before it returns.
func (r *Runner) lead(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		if r.building != nil {
			r.endBuild(<-r.built)
		}
	}()
	r.loaded = time.Time{}
	for ctx.Err() == nil {
		if time.Since(r.loaded) >= loadInterval {
			if err := r.load(ctx); err != nil {
				return err
			}
		}
		applied, behind := 0, false
		for _, group := range r.groups(time.Now()) {
			n, more := r.round(ctx, group)
			applied, behind = applied+n, behind || more
		}
		if !behind {
			r.rest(ctx, applied > 0)
		}
	}
	return ctx.Err()
}

// rest waits until there may be something to do. What is committed just behind a round is taken with the next one.
func (r *Runner) rest(ctx context.Context, busy bool) {
	interval, wake := pollInterval, r.wake
	if busy {
		interval, wake = batchInterval, nil
	}
	timer := time.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	case errs := <-r.built:
		r.endBuild(errs)
	}
}

// load reads the registry, removes tables that are out of use, and starts to build what is missing.
func (r *Runner) load(ctx context.Context) error {
	found, unused := map[string]*Generation{}, map[string]bool{}
	before := time.Now().Add(-r.Keep)
	err := r.Store.Snapshot(ctx, func(tx Tx) error {
		all, err := generations(ctx, tx, "")
		for i := range all {
			if all[i].State == live {
				found[all[i].Name] = &all[i]
			}
			if all[i].isUnused(before) {
				unused[all[i].Name] = true
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	r.loaded = time.Now()
	var missing []*job
	for _, j := range r.jobs {
		g := found[j.projection.Name()]
		if g != nil && (g.Version != j.projection.Version() || g.Number == j.foreign) {
			g = nil
		}
		if j.generation = g; g == nil && !r.loaded.Before(j.retry) {
			missing = append(missing, j)
		}
	}
	if r.building == nil {
		r.sweep(ctx, unused, before)
		r.startBuild(ctx, missing)
	}
	return nil
}

// sweep removes tables that no reader can be in any more. No build may run, whose claim it would take. What fails is tried
// again with the next load.
func (r *Runner) sweep(ctx context.Context, unused map[string]bool, before time.Time) {
	for _, j := range r.jobs {
		p := j.projection
		if !unused[p.Name()] {
			continue
		}
		_, err := r.Store.Lead(ctx, buildLead(p), func(ctx context.Context) error {
			return sweep(ctx, r.Store, p, before)
		})
		if err != nil && ctx.Err() == nil {
			r.Logger.Debug("tables of a projection that are out of use cannot be removed now", "projection", p.Name(), "error", err)
		}
	}
}

// startBuild builds tables of jobs, if any, beside everything else.
func (r *Runner) startBuild(ctx context.Context, jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	r.building = jobs
	projections := make([]Projection, len(jobs))
	names := make([]string, len(jobs))
	for i, j := range jobs {
		projections[i], names[i] = j.projection, j.projection.Name()
	}
	r.Logger.Info("projections are being built from the log", "projections", names)
	go func() {
		r.built <- Build(ctx, r.Log, r.Store, projections, BuildOptions{Keep: r.Keep})
	}()
}

// endBuild takes the result of a build. Jobs whose tables are still missing are tried again later.
func (r *Runner) endBuild(errs []error) {
	for _, err := range errs {
		if !errors.Is(err, context.Canceled) {
			r.Logger.Warn("a projection could not be built; tried again", "error", err)
		}
	}
	for _, j := range r.building {
		if len(errs) > 0 {
			j.retry = time.Now().Add(loadInterval)
		}
	}
	r.building, r.loaded = nil, time.Time{}
}

// groups returns the jobs that can be advanced, those together that stand at one position: they share one reading.
func (r *Runner) groups(now time.Time) [][]*job {
	at := map[int64][]*job{}
	for _, j := range r.jobs {
		if j.generation != nil && !now.Before(j.retry) {
			at[j.generation.Position] = append(at[j.generation.Position], j)
		}
	}
	groups := make([][]*job, 0, len(at))
	for _, g := range at {
		groups = append(groups, g)
	}
	return groups
}

// round takes jobs that stand at one position one batch further. It returns how many events the batch held, and whether
// more follow.
func (r *Runner) round(ctx context.Context, jobs []*job) (applied int, more bool) {
	members := make([]*member, len(jobs))
	for i, j := range jobs {
		members[i] = &j.member
	}
	from := jobs[0].generation.Position
	b, err := r.Log.Follow(ctx, from, BatchEvents, bodiesOf(members))
	if errors.Is(err, ErrPosition) {
		r.disown(jobs)
		return 0, false
	}
	for _, j := range jobs {
		jobErr := err
		if jobErr == nil {
			jobErr = j.apply(ctx, r.Store, &b)
		}
		r.note(ctx, j, jobErr, len(b.Events))
	}
	advanced := func(j *job) bool { return j.generation.Position == b.Next }
	return len(b.Events), err == nil && b.Next < b.Size && slices.ContainsFunc(jobs, advanced)
}

// disown has the tables of jobs built again, which were made from another log.
func (r *Runner) disown(jobs []*job) {
	for _, j := range jobs {
		r.Logger.Warn("a projection does not belong to this log; it is built again",
			"projection", j.projection.Name(), "position", j.generation.Position)
		j.foreign, j.generation = j.generation.Number, nil
	}
	r.loaded = time.Time{}
}

// note takes the result of a batch: a job that fails is tried again after a pause that grows.
func (r *Runner) note(ctx context.Context, j *job, err error, events int) {
	name := j.projection.Name()
	switch {
	case err == nil:
		if j.failures > 0 {
			r.Logger.Info("a projection follows the log again", "projection", name, "failures", j.failures)
		}
		j.failures, j.retry = 0, time.Time{}
		r.Metrics.applied(name, events)
	case ctx.Err() != nil:
	case errors.Is(err, errMoved):
		r.loaded = time.Time{}
	default:
		if j.failures == 0 {
			r.Logger.Warn("a projection does not follow the log; what it answers grows old; tried again", "projection", name, "error", err)
		}
		j.retry = time.Now().Add(min(pollInterval<<min(j.failures, 10), maxBackoff))
		j.failures++
		r.Metrics.failed(name)
	}
}
