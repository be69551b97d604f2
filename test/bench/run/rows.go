package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/datastorage-io/datastorage/internal/bench"
)

// row is one thing to find out. measure returns a line of the table for each
// figure; what it starts belongs to the scope.
type row struct {
	name, about string
	measure     func(ctx context.Context, s *scope) ([]line, error)
}

// rows are all of them, in the order in which they are measured: those that
// read the large database come before the one that writes to it.
var rows = []row{
	{"single-pg", "single events on PostgreSQL, and a handler that does nothing", singlePostgres},
	{"batch-pg", "batches of 100 on PostgreSQL, and COPY into a lean table", batchPostgres},
	{"lone-pg", "a lone client's single event on PostgreSQL, and one durable INSERT", lonePostgres},
	{"embedded", "single events on the embedded store, and on PostgreSQL", embedded},
	{"query", "query by correlation_id in a large database, and in a small one", queryCorrelation},
	{"page", "a deep page by cursor, and page 1", deepPage},
	{"filled", "single events into a large database, and into an empty one", filled},
	{"snapshot", "single events while a snapshot is held open, and without", snapshotHeld},
	{"hot", "single events on one correlation_id, and spread over many", hotCorrelation},
	{"two-servers", "two servers on one PostgreSQL, and one", twoServers},
	{"memory", "memory of the server under the single-event load", memory},
	{"catalog-search", "import of workflows, and searches among them", catalogSearch},
	{"projections", "single events while projections follow the log, and while nobody does", projections},
	{"verify", "verify of an embedded store on one core", verify},
}

// The rate of single events of V1.0: the least and the most that it reached.
const (
	v1Least = 1650
	v1Most  = 2000
)

// rate is the measurement of the single-event load on a target.
func (s *scope) rate(what string, t target, change func(*bench.Options)) measurement {
	return func(ctx context.Context) (float64, error) {
		r, err := s.single(ctx, what, t, change)
		return r.EventsPerSecond, err
	}
}

func singlePostgres(ctx context.Context, s *scope) ([]line, error) {
	server, err := s.serveFresh(ctx)
	if err != nil {
		return nil, err
	}
	echo, err := s.startEcho(ctx)
	if err != nil {
		return nil, err
	}
	m, err := s.alternate(ctx, s.rate("PostgreSQL", server, nil), s.rate("echo", echo, nil))
	if err != nil {
		return nil, err
	}
	return []line{
		ratio(fmt.Sprintf("single events, PostgreSQL, %d clients, with `echo`", s.plan.clients), m[0], m[1], perSecond, atLeast(0.30, 0.50)),
		{
			what:      "the same, with V1.0",
			measured:  perSecond(m[0]),
			reference: fmt.Sprintf("%s–%s/s", bench.Count(v1Least), bench.Count(v1Most)),
			value:     m[0] / v1Most,
			show:      times,
			bound:     atLeast(4, 8),
		},
	}, nil
}

func batchPostgres(ctx context.Context, s *scope) ([]line, error) {
	server, err := s.serveFresh(ctx)
	if err != nil {
		return nil, err
	}
	lean, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	m, err := s.alternate(ctx,
		s.rate("PostgreSQL", server, func(o *bench.Options) { o.Scenario, o.Batch, o.Clients = bench.Batch, 100, 8 }),
		func(ctx context.Context) (float64, error) {
			r, err := s.runFloor(ctx, lean, "copy")
			return r.EventsPerSecond, err
		})
	if err != nil {
		return nil, err
	}
	return []line{ratio("batches of 100, 8 clients, PostgreSQL, with `floor`", m[0], m[1], perSecond, atLeast(0.25, 0.50))}, nil
}

func lonePostgres(ctx context.Context, s *scope) ([]line, error) {
	server, err := s.serveFresh(ctx)
	if err != nil {
		return nil, err
	}
	lean, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	m, err := s.alternate(ctx,
		func(ctx context.Context) (float64, error) {
			r, err := s.single(ctx, "lone client", server, func(o *bench.Options) { o.Clients = 1 })
			return r.P50Micros, err
		},
		func(ctx context.Context) (float64, error) {
			r, err := s.runFloor(ctx, lean, "lone")
			return r.P50Micros, err
		})
	if err != nil {
		return nil, err
	}
	return []line{ratio("a lone client's single event, p50, with one durable INSERT", m[0], m[1], bench.Micros, atMost(3, 1.7))}, nil
}

func embedded(ctx context.Context, s *scope) ([]line, error) {
	own, err := s.serveEmbedded(ctx)
	if err != nil {
		return nil, err
	}
	server, err := s.serveFresh(ctx)
	if err != nil {
		return nil, err
	}
	m, err := s.alternate(ctx, s.rate("embedded", own, nil), s.rate("PostgreSQL", server, nil))
	if err != nil {
		return nil, err
	}
	return []line{ratio(fmt.Sprintf("single events, embedded, %d clients, with PostgreSQL", s.plan.clients), m[0], m[1], perSecond, atLeast(1, 1.5))}, nil
}

func queryCorrelation(ctx context.Context, s *scope) ([]line, error) {
	large, err := s.filledDatabase(ctx)
	if err != nil {
		return nil, err
	}
	small, err := s.fillDatabase(ctx, s.plan.small)
	if err != nil {
		return nil, err
	}
	s.dropLater(ctx, small)
	p99 := func(what string, db database) (measurement, error) {
		t, err := s.serve(ctx, db)
		if err != nil {
			return nil, err
		}
		o := s.options(t)
		o.Scenario, o.Clients, o.Requests = bench.Correlation, s.plan.queryClients, s.plan.queryRequests
		workload, err := bench.Prepare(ctx, o)
		return func(ctx context.Context) (float64, error) {
			results, err := s.runLoad(ctx, what, o, workload)
			if err != nil {
				return 0, err
			}
			return results[0].P99Micros, nil
		}, err
	}
	many, err := p99(bench.Count(float64(s.plan.large))+" events", large)
	if err != nil {
		return nil, err
	}
	few, err := p99(bench.Count(float64(s.plan.small))+" events", small)
	if err != nil {
		return nil, err
	}
	m, err := s.alternate(ctx, many, few)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("query by correlation_id (20 events) at %s events, %d clients, p99 of %s requests",
		bench.Count(float64(s.plan.large)), s.plan.queryClients, bench.Count(float64(s.plan.queryRequests)))
	return []line{
		{what: what, measured: bench.Micros(m[0]), value: m[0], show: bench.Micros, bound: atMost(10_000, 2_000)},
		ratio("the same, with "+bench.Count(float64(s.plan.small))+" events", m[0], m[1], bench.Micros, atMost(2, 1)),
	}, nil
}

func deepPage(ctx context.Context, s *scope) ([]line, error) {
	db, err := s.filledDatabase(ctx)
	if err != nil {
		return nil, err
	}
	t, err := s.serve(ctx, db)
	if err != nil {
		return nil, err
	}
	o := s.options(t)
	o.Scenario, o.Clients, o.Page, o.Limit = bench.Page, 1, s.plan.page, s.plan.pageLimit
	s.say("  walking to page %d", o.Page)
	workload, err := bench.Prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	// Both pages are asked for in turn within a run.
	var first, deep []float64
	name := ""
	for range s.plan.rounds {
		results, err := s.runLoad(ctx, "PostgreSQL", o, workload)
		if err != nil {
			return nil, err
		}
		first, deep = append(first, results[0].P50Micros), append(deep, results[1].P50Micros)
		name = results[1].Scenario
	}
	return []line{ratio(fmt.Sprintf("%s of %d by cursor, p50, with page 1", name, o.Limit), median(deep), median(first), bench.Micros, atMost(1.5, 1))}, nil
}

func filled(ctx context.Context, s *scope) ([]line, error) {
	db, err := s.filledDatabase(ctx)
	if err != nil {
		return nil, err
	}
	large, err := s.serve(ctx, db)
	if err != nil {
		return nil, err
	}
	m, err := s.alternate(ctx, s.rate("filled", large, nil), func(ctx context.Context) (rate float64, err error) {
		// A table that the round before filled is empty no more.
		fresh := &scope{lab: s.lab}
		defer func() { err = errors.Join(err, fresh.close()) }()
		t, err := fresh.serveFresh(ctx)
		if err != nil {
			return 0, err
		}
		return s.rate("empty", t, nil)(ctx)
	})
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("single events with %s events in %d months, with an empty table", bench.Count(float64(s.plan.large)), s.plan.months)
	return []line{ratio(what, m[0], m[1], perSecond, atLeast(0.8, 1))}, nil
}

func snapshotHeld(ctx context.Context, s *scope) ([]line, error) {
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	t, err := s.serve(ctx, db)
	if err != nil {
		return nil, err
	}
	long := func(o *bench.Options) { o.Duration = s.plan.snapshot }
	m, err := s.alternate(ctx, func(ctx context.Context) (rate float64, err error) {
		release, err := holdSnapshot(ctx, db.admin)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, release()) }()
		return s.rate("snapshot held", t, long)(ctx)
	}, s.rate("without", t, long))
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("single events while a snapshot is held open for %v, with none", s.plan.snapshot)
	return []line{ratio(what, m[0], m[1], perSecond, atLeast(0.9, 1))}, nil
}

func hotCorrelation(ctx context.Context, s *scope) ([]line, error) {
	t, err := s.serveFresh(ctx)
	if err != nil {
		return nil, err
	}
	hot := func(o *bench.Options) { o.HotCorrelation = true }
	m, err := s.alternate(ctx, s.rate("one correlation", t, hot), s.rate("many", t, nil))
	if err != nil {
		return nil, err
	}
	return []line{ratio("single events on one hot correlation_id, with spread over many", m[0], m[1], perSecond, atLeast(0.9, 1))}, nil
}

func twoServers(ctx context.Context, s *scope) ([]line, error) {
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	var targets [2]target
	for i := range targets {
		if targets[i], err = s.serve(ctx, db); err != nil {
			return nil, err
		}
	}
	both := func(ctx context.Context) (float64, error) {
		if err := s.settle(ctx); err != nil {
			return 0, err
		}
		return s.together(ctx, targets)
	}
	m, err := s.alternate(ctx, both, s.rate("one server", targets[0], nil))
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("two servers on one PostgreSQL, %d clients each, with one server, %d clients", s.plan.clients/2, s.plan.clients)
	return []line{ratio(what, m[0], m[1], perSecond, atLeast(0.7, 1))}, nil
}

// together puts half of the single-event load on each of two targets at the
// same time and returns the sum of their rates.
func (s *scope) together(ctx context.Context, targets [2]target) (float64, error) {
	var results [2][]bench.Result
	var errs [2]error
	var group sync.WaitGroup
	for i, t := range targets {
		o := s.options(t)
		o.Clients = s.plan.clients / 2
		o.Seed += uint64(i)
		group.Go(func() {
			var workload *bench.Workload
			if workload, errs[i] = bench.Prepare(ctx, o); errs[i] == nil {
				results[i], errs[i] = workload.Run(ctx, nil)
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return 0, err
	}
	sum := 0.0
	for i := range results {
		r := results[i][0]
		// PostgreSQL and the load generator served both.
		r.PostgresMicrosPerEvent, r.GeneratorMicrosPerRequest = nil, nil
		if err := s.note(fmt.Sprintf("server %d of 2", i+1), r); err != nil {
			return 0, err
		}
		sum += r.EventsPerSecond
	}
	return sum, nil
}

func memory(ctx context.Context, s *scope) ([]line, error) {
	server, err := s.serveFresh(ctx)
	if err != nil {
		return nil, err
	}
	own, err := s.serveEmbedded(ctx)
	if err != nil {
		return nil, err
	}
	largest := func(what string, t target) measurement {
		return func(ctx context.Context) (float64, error) {
			r, err := s.single(ctx, what, t, nil)
			if err == nil && r.ServerMemory == nil {
				err = errors.New("the server does not tell its memory")
			}
			if err != nil {
				return 0, err
			}
			return *r.ServerMemory / 1e6, nil
		}
	}
	m, err := s.alternate(ctx, largest("PostgreSQL", server), largest("embedded", own))
	if err != nil {
		return nil, err
	}
	lines := make([]line, 2)
	for i, store := range []string{"PostgreSQL", "embedded"} {
		lines[i] = line{what: "memory of the server under the single-event load, " + store, measured: megabytes(m[i]), value: m[i], show: megabytes, bound: atMost(150, 80)}
	}
	return lines, nil
}

func verify(ctx context.Context, s *scope) ([]line, error) {
	dir, err := s.dataDir()
	if err != nil {
		return nil, err
	}
	s.say("  filling an embedded store with %d events", s.plan.verify)
	if _, err := output(ctx, nil, s.server, "migrate", "--data-dir", dir); err != nil {
		return nil, err
	}
	if _, err := output(ctx, nil, s.fill, "--events", fmt.Sprint(s.plan.verify), "--months", fmt.Sprint(s.plan.months), "--data-dir", dir); err != nil {
		return nil, err
	}
	m, err := s.alternate(ctx, func(ctx context.Context) (float64, error) {
		began := time.Now()
		if _, err := output(ctx, []string{"GOMAXPROCS=1"}, s.server, "verify", "--data-dir", dir); err != nil {
			return 0, err
		}
		rate := float64(s.plan.verify) / time.Since(began).Seconds()
		s.say("  verify: %s events/s", bench.Count(rate))
		return rate, nil
	})
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("`verify` on one core, embedded, %s events, with the start of the program", bench.Count(float64(s.plan.verify)))
	return []line{{what: what, measured: perSecond(m[0]), value: m[0], show: perSecond, bound: atLeast(100_000, 130_000)}}, nil
}
