// Command fill stores many events at past times, spread evenly over a number of months, through the commit path: what a
// server holds after months of service. It is for benchmarks.
//
//	go run ./test/bench/fill --events 1000000 --months 6 --database-url postgres://…
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/bench"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/postgres"
	"github.com/datastorage-io/datastorage/internal/sqlite"
)

// chunk is the number of events in one commit.
const chunk = 1000

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(1)
	}
}

// options are the command's flags.
type options struct {
	events, months, perCorrelation, size int
	databaseURL, dataDir                 string
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var o options
	flags := flag.NewFlagSet("fill", flag.ContinueOnError)
	flags.IntVar(&o.events, "events", 1_000_000, "number of `events`")
	flags.IntVar(&o.months, "months", 6, "spread them over the last `months`")
	flags.IntVar(&o.perCorrelation, "per-correlation", 20, "events of one correlation_id")
	flags.IntVar(&o.size, "event-size", 1000, "size of an event in `bytes`")
	flags.StringVar(&o.databaseURL, "database-url", "", "PostgreSQL to fill")
	flags.StringVar(&o.dataDir, "data-dir", "", "embedded store to fill")
	if err := flags.Parse(args); err != nil {
		return err
	}
	store, closeStore, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	return fill(ctx, o, store, out)
}

func open(ctx context.Context, o options) (ingest.Store, func() error, error) {
	switch {
	case (o.databaseURL == "") == (o.dataDir == ""):
		return nil, nil, fmt.Errorf("give --database-url or --data-dir")
	case o.dataDir != "":
		s, err := sqlite.Open(ctx, o.dataDir, sqlite.Options{Readers: 2})
		if err != nil {
			return nil, nil, err
		}
		return s, s.Close, nil
	}
	s, err := postgres.Open(ctx, postgres.Config{URL: o.databaseURL, Migrate: true, MaxQueryConns: 2, QueryTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

func fill(ctx context.Context, o options, store ingest.Store, out io.Writer) error {
	limits := ingest.Limits{
		QueueEvents: 4 * chunk, QueueBytes: 256 << 20, CommitEvents: chunk, CommitBytes: 64 << 20, WriteTimeout: time.Minute,
	}
	committer, err := ingest.NewCommitter(ctx, store, limits, slog.New(slog.DiscardHandler), ingest.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		return err
	}
	defer committer.Close()
	service := ingest.NewService(committer)
	source, err := bench.NewEvents(bench.EventOptions{Size: o.size, PerCorrelation: o.perCorrelation, Seed: 1})
	if err != nil {
		return err
	}
	generator := source.Generator(0)
	rules := datastorage.Rules{AnyCategory: true, RetentionDays: datastorage.DefaultRetentionDays}
	began := time.Now()
	first := began.AddDate(0, -o.months, 0)
	step := began.Sub(first) / time.Duration(o.events)
	var raw []byte
	for done := 0; done < o.events; {
		n := min(chunk, o.events-done)
		events := make([]datastorage.Event, n)
		for i := range events {
			at := first.Add(time.Duration(done+i) * step)
			raw = generator.Append(raw[:0], at)
			if events[i], err = rules.Decode(raw, at); err != nil {
				return err
			}
		}
		if _, err := service.Write(ctx, events, true); err != nil {
			return fmt.Errorf("after %d events: %w", done, err)
		}
		if done += n; done%100_000 == 0 && ctx.Err() == nil {
			fmt.Fprintf(out, "%d events, %.0f/s\n", done, float64(done)/time.Since(began).Seconds())
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Fprintf(out, "%d events in %s\n", o.events, time.Since(began).Round(time.Millisecond))
	return nil
}
