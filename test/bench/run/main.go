// Command run measures DataStorage beside its references and prints what it
// found as Markdown tables. It is what "make bench" runs.
//
// It builds the programs, starts a PostgreSQL of its own (durable, with default
// settings) and the servers, and removes all of it at the end, after a failure
// or an interrupt too. Load generator, server and PostgreSQL share the machine,
// and each figure is the median of rounds that alternate with its reference.
//
//	go run ./test/bench/run                          # everything, about half an hour
//	go run ./test/bench/run --quick                  # short rounds on little data, to see that it works
//	go run ./test/bench/run --only single-pg,query   # some rows
//	go run ./test/bench/run --list                   # the names of the rows
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// plan is how much is measured.
type plan struct {
	rounds           int           // of each figure; the median counts
	duration, warmup time.Duration // of one round
	snapshot         time.Duration // how long a snapshot is held open, which is a round's duration there
	clients          int           // of the single-event load
	queryClients     int
	queryRequests    int // least number of requests of a query's p99
	small, large     int // events in the stores that are compared
	months           int // that the large store spans
	page, pageLimit  int
	verify           int // events that are verified
	workflows        int // in the catalogue that is searched
	searchClients    int
}

// fullPlan is what a figure worth writing down takes.
func fullPlan() plan {
	return plan{
		rounds: 3, duration: 10 * time.Second, warmup: 2 * time.Second, snapshot: time.Minute,
		clients: 64, queryClients: 4, queryRequests: 5000,
		small: 10_000, large: 1_000_000, months: 6, page: 10_000, pageLimit: 50, verify: 300_000,
		workflows: 10_000, searchClients: 16,
	}
}

// quickPlan goes through every row in a few minutes; its figures say little.
func quickPlan() plan {
	return plan{
		rounds: 1, duration: 2 * time.Second, warmup: 500 * time.Millisecond, snapshot: 10 * time.Second,
		clients: 64, queryClients: 4, queryRequests: 1000,
		small: 2000, large: 40_000, months: 6, page: 500, pageLimit: 50, verify: 20_000,
		workflows: 1000, searchClients: 16,
	}
}

// run measures what the flags ask for. It fails when a row could not be
// measured, not when a figure is poor.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "comma-separated `rows` to measure, instead of all")
	quick := flags.Bool("quick", false, "short rounds on little data, to see that it works")
	list := flags.Bool("list", false, "print the names of the rows and exit")
	rounds := flags.Int("rounds", 0, "rounds of each figure, instead of the plan's")
	duration := flags.Duration("duration", 0, "length of a round, instead of the plan's")
	queryClients := flags.Int("query-clients", 0, "clients of the query row, instead of the plan's")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *list {
		for _, r := range rows {
			fmt.Fprintf(stdout, "%-16s %s\n", r.name, r.about)
		}
		return nil
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	p := fullPlan()
	if *quick {
		p = quickPlan()
	}
	p.rounds = override(p.rounds, *rounds)
	p.duration = override(p.duration, *duration)
	p.queryClients = override(p.queryClients, *queryClients)
	return measure(ctx, p, chosen, stdout, stderr)
}

func override[T int | time.Duration](value, given T) T {
	if given > 0 {
		return given
	}
	return value
}

// choose returns the rows with the given names, in their own order.
func choose(names string) ([]row, error) {
	if names == "" {
		return rows, nil
	}
	wanted := strings.Split(names, ",")
	var chosen []row
	for _, r := range rows {
		if i := slices.Index(wanted, r.name); i >= 0 {
			chosen = append(chosen, r)
			wanted = slices.Delete(wanted, i, i+1)
		}
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("no row is named %s; --list prints the names", strings.Join(wanted, " or "))
	}
	return chosen, nil
}

// measure sets everything up, goes through the rows, prints the tables, and
// takes everything down.
func measure(ctx context.Context, p plan, chosen []row, stdout, stderr io.Writer) (err error) {
	l, err := newLab(ctx, p, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.describe(ctx, stdout); err != nil {
		return err
	}
	var lines []line
	var failed []error
	for _, r := range chosen {
		l.say("%s: %s", r.name, r.about)
		measured, err := l.row(ctx, r)
		if ctx.Err() != nil {
			return errors.Join(errors.New("interrupted"), writeTables(stdout, lines, l.loads))
		}
		if err != nil {
			l.say("%s failed: %v", r.name, err)
			failed = append(failed, fmt.Errorf("%s: %w", r.name, err))
			measured = append(measured, line{what: r.about, measured: "failed"})
		}
		lines = append(lines, measured...)
	}
	return errors.Join(writeTables(stdout, lines, l.loads), errors.Join(failed...))
}
