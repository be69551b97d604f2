// Command floor is the least that a program can do to store events in
// PostgreSQL: it writes the bodies that the load generator makes straight into
// a table with a primary key and three btree indexes, with synchronous_commit
// on. What it reaches is what PostgreSQL and a disk allow on a machine.
//
// Mode copy writes batches with COPY over a few connections and reports events
// per second. Mode lone writes one event at a time with an INSERT that commits,
// and reports latencies.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/datastorage-io/datastorage/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

// The modes.
const (
	modeCopy = "copy"
	modeLone = "lone"
)

// options are the flags.
type options struct {
	databaseURL      string
	mode             string
	duration, warmup time.Duration
	batch            int
	connections      int
	eventSize        int
	json             bool
}

// result is what a run measured. Latencies are those of one batch or INSERT,
// with the making of its events.
type result struct {
	Mode            string  `json:"mode"`
	Seconds         float64 `json:"seconds"`
	Events          uint64  `json:"events"`
	EventsPerSecond float64 `json:"events_per_second"`
	P50Micros       float64 `json:"p50_us"`
	P95Micros       float64 `json:"p95_us"`
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("floor", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.databaseURL, "database-url", "", "PostgreSQL to write to; the table floor_events is replaced and dropped")
	flags.StringVar(&o.mode, "mode", modeCopy, "copy or lone")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "how long to measure")
	flags.DurationVar(&o.warmup, "warmup", time.Second, "how long to write before measuring")
	flags.IntVar(&o.batch, "batch", 500, "events in one COPY")
	flags.IntVar(&o.connections, "connections", 4, "connections of mode copy")
	flags.IntVar(&o.eventSize, "event-size", 1000, "length of an event's JSON in bytes")
	flags.BoolVar(&o.json, "json", false, "print one JSON object")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if (o.mode != modeCopy && o.mode != modeLone) || o.databaseURL == "" || o.duration <= 0 || o.warmup < 0 || o.batch < 1 || o.connections < 1 {
		return errors.New("give --database-url, --mode copy or lone, and positive --duration, --batch and --connections")
	}
	r, err := measure(ctx, o)
	if err != nil {
		return err
	}
	return write(stdout, o.json, r)
}

func write(w io.Writer, asJSON bool, r result) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := fmt.Fprintf(w, "%s: %s events/s, p50 %s, p95 %s (%s events in %.1f s)\n",
		r.Mode, bench.Count(r.EventsPerSecond), bench.Micros(r.P50Micros), bench.Micros(r.P95Micros), bench.Count(float64(r.Events)), r.Seconds)
	return err
}

// measure makes the table, writes to it, and drops it.
func measure(ctx context.Context, o options) (r result, err error) {
	events, err := bench.NewEvents(bench.EventOptions{Size: o.eventSize, PerCorrelation: 20, Seed: uint64(time.Now().UnixNano())})
	if err != nil {
		return result{}, err
	}
	db, err := pgx.Connect(ctx, o.databaseURL)
	if err != nil {
		return result{}, err
	}
	defer func() {
		ctx := context.WithoutCancel(ctx)
		_, dropErr := db.Exec(ctx, dropTable)
		err = errors.Join(err, dropErr, db.Close(ctx))
	}()
	if _, err := db.Exec(ctx, dropTable+createTable); err != nil {
		return result{}, err
	}
	connections := o.connections
	if o.mode == modeLone {
		connections, o.batch = 1, 1
	}
	var writers []*writer
	defer func() {
		for _, w := range writers {
			w.close(ctx)
		}
	}()
	for i := range connections {
		w, err := newWriter(ctx, o, events.Generator(i))
		if err != nil {
			return result{}, err
		}
		writers = append(writers, w)
	}
	var group errgroup.Group
	began := time.Now()
	for _, w := range writers {
		group.Go(func() error { return w.run(ctx, began) })
	}
	if err := group.Wait(); err != nil {
		return result{}, err
	}
	var latencies bench.Histogram
	for _, w := range writers {
		latencies.Merge(&w.latencies)
	}
	r = result{Mode: o.mode, Seconds: o.duration.Seconds(), Events: latencies.Count() * uint64(o.batch)}
	r.EventsPerSecond = float64(r.Events) / r.Seconds
	r.P50Micros = float64(latencies.Quantile(0.50)) / 1e3
	r.P95Micros = float64(latencies.Quantile(0.95)) / 1e3
	return r, nil
}
