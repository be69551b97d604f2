// Command chaos breaks things under a DataStorage server while clients write to it, and checks that nothing that was
// acknowledged is lost, stored twice, or out of order. It is what "make chaos" runs.
//
// It builds the binary, starts a PostgreSQL of its own behind a proxy that injects faults, and removes all of it at the end,
// after a failure or an interrupt too. docs/chaos.md says what each column means.
//
//	go run ./test/chaos                                # every scenario once
//	go run ./test/chaos --short                        # with short outages, as in CI
//	go run ./test/chaos --scenario kill9-server,cut-mid-commit --rounds 20
//	go run ./test/chaos --dlq redis                    # two servers, with their queue in a Redis
//	go run ./test/chaos --figure drain                 # a figure instead of the scenarios
//	go run ./test/chaos --list                         # the names of scenarios and figures
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	scenarios []scenario
	figures   []figure
	rounds    int
	short     bool
	skips     bool // a scenario that needs what the machine does not have is left out
	clients   int
	seed      uint64
	json      bool
	redis     bool // the queue is in a Redis, and two servers share it
}

func parse(args []string, stdout, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("scenario", "", "comma-separated `names` of scenarios, instead of all")
	figureNames := flags.String("figure", "", "comma-separated `names` of figures to measure, instead of the scenarios")
	list := flags.Bool("list", false, "print the names of scenarios and figures and exit")
	flags.IntVar(&o.rounds, "rounds", 1, "how often to go through the scenarios; more than one has random timing")
	flags.BoolVar(&o.short, "short", false, "short outages and small figures, as in CI")
	flags.BoolVar(&o.skips, "skip-unmountable", false, "where no tmpfs can be mounted, leave out the scenarios with a full disk, and say so")
	queue := flags.String("dlq", "disk", "where the dead-letter queue is: disk, or redis for one that two servers share")
	flags.IntVar(&o.clients, "clients", 64, "clients that write")
	flags.Uint64Var(&o.seed, "seed", 0, "makes the timing repeatable; 0 draws one, which is printed")
	flags.BoolVar(&o.json, "json", false, "print one JSON object a line instead of a table")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is not a flag", flags.Arg(0))
	case o.rounds < 1:
		return o, fmt.Errorf("rounds must be at least 1, not %d", o.rounds)
	case o.clients < 1 || o.clients > 10_000:
		return o, fmt.Errorf("clients must be between 1 and 10000, not %d", o.clients)
	case *queue != "disk" && *queue != "redis":
		return o, fmt.Errorf("--dlq must be disk or redis, not %q", *queue)
	case *queue == "redis" && *figureNames != "":
		return o, errors.New("figures are measured with the queue on disk")
	case *only != "" && *figureNames != "":
		return o, errors.New("--scenario and --figure exclude each other")
	case *list:
		for _, s := range scenarios {
			fmt.Fprintf(stdout, "scenario %-24s %s\n", s.name, s.about)
		}
		for _, f := range figures {
			fmt.Fprintf(stdout, "figure   %-24s %s\n", f.name, f.about)
		}
		return o, flag.ErrHelp
	}
	if o.seed == 0 {
		o.seed = rand.Uint64()
	}
	if *figureNames != "" {
		o.figures, err = choose(figures, func(f figure) string { return f.name }, *figureNames)
		return o, err
	}
	o.redis = *queue == "redis"
	applicable := slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return s.queue != "" && s.queue != *queue })
	o.scenarios, err = choose(applicable, func(s scenario) string { return s.name }, *only)
	return o, err
}

// choose returns those of all with the given names, in their own order; all of them for "".
func choose[T any](all []T, name func(T) string, names string) ([]T, error) {
	if names == "" {
		return all, nil
	}
	wanted := map[string]bool{}
	for n := range strings.SplitSeq(names, ",") {
		wanted[n] = true
	}
	var chosen []T
	for _, t := range all {
		if wanted[name(t)] {
			chosen = append(chosen, t)
			delete(wanted, name(t))
		}
	}
	for n := range wanted {
		return nil, fmt.Errorf("nothing is named %q, with this --dlq; --list prints the names", n)
	}
	return chosen, nil
}

// run does what the flags ask for. The error names what failed; what a scenario found stands in its line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stdout, stderr)
	if err != nil {
		return err
	}
	l, err := newLab(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	out := &printer{w: stdout, json: o.json}
	if len(o.figures) > 0 {
		return l.measure(ctx, o.figures, out)
	}
	return l.breakThings(ctx, o, out)
}

// breakThings goes through the scenarios, round by round, whatever they find, and sums up what they found.
func (l *lab) breakThings(ctx context.Context, o options, out *printer) error {
	total := newSummary()
	for round := range o.rounds {
		for _, s := range o.scenarios {
			r, err := l.runScenario(ctx, s, round, o)
			if err != nil {
				return errors.Join(err, out.summary(total, o.seed))
			}
			if err := out.result(r); err != nil {
				return err
			}
			total.add(&r)
		}
	}
	if err := out.summary(total, o.seed); err != nil {
		return err
	}
	return total.err()
}

// runScenario runs one scenario of one round. What kept it from its end is among the failures of the result; the error says
// that the run was interrupted.
func (l *lab) runScenario(ctx context.Context, s scenario, round int, o options) (result, error) {
	// The timing belongs to the name, so that a scenario alone repeats what it did among all.
	name := fnv.New32a()
	name.Write([]byte(s.name))
	random := rand.New(rand.NewPCG(o.seed, uint64(round)<<32|uint64(name.Sum32())))
	l.say("%s: %s", s.name, s.about)
	err := l.revivePostgres(ctx)
	r := result{Scenario: s.name, Round: round + 1, Verify: notMeasured}
	if err == nil {
		r, err = l.try(ctx, s, round+1, o.rounds > 1, random)
	}
	switch {
	case ctx.Err() != nil:
		return r, errors.New("interrupted")
	case o.skips && errors.Is(err, errNoMount):
		r.NotRun = true
		r.Remarks = append(r.Remarks, "not run: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	case err != nil:
		r.Failures = append(r.Failures, err.Error())
	}
	return r, nil
}
