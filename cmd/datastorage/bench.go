package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage/internal/bench"
	"github.com/datastorage-io/datastorage/internal/telemetry"
)

// defaultBatch is what --batch is for the batch scenario when it is not given.
const defaultBatch = 100

// benchFlags are the flags of the bench command that are no option of the load itself.
type benchFlags struct {
	scenarios []string
	maxErrors float64
	json      bool
}

func newBenchCommand(a *app) *cobra.Command {
	o := bench.DefaultOptions()
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Put load on a server and measure it",
		Long: `Put load on a server and measure rates, latencies and what they cost.

The load is closed-loop: each client sends a request, waits for the answer, and sends
the next. Scenarios:

  single       store one event a request
  batch        store --batch events a request
  correlation  read the events of a correlation, chosen at random from the whole store
  list         read --limit events of one type since --since
  page         walk to page --page by cursor once, then read page 1 and that page in turn
  search       search the catalogue for workflows that are there, by labels of every kind

Those that store write real events, which stay. Those that read need events, and search
needs workflows. The CPU time of PostgreSQL is measured with --database-url when it runs on
this machine.

The exit code is 1 when the share of failed requests is above --max-errors.`,
		Example: `  datastorage bench
  datastorage bench --scenario batch --batch 100 --clients 8
  datastorage bench --scenario correlation,list --clients 4 --duration 30s
  datastorage bench --json --database-url postgres://user@localhost/audit`,
		Args: noArguments,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.URL, "url", o.URL, "base `URL` of the server")
	flags.StringSliceVar(&f.scenarios, "scenario", nil, "`scenarios` to run, one after the other (default single, or batch when --batch is above 1)")
	flags.IntVar(&o.Clients, "clients", o.Clients, "requests under way at any time")
	flags.IntVar(&o.Batch, "batch", o.Batch, fmt.Sprintf("events in a request of the batch scenario (there %d when not given)", defaultBatch))
	flags.DurationVar(&o.Duration, "duration", o.Duration, "how long to measure")
	flags.DurationVar(&o.Warmup, "warmup", o.Warmup, "how long to put load on before measuring")
	flags.IntVar(&o.Requests, "requests", 0, "measure so many requests instead of --duration")
	flags.IntVar(&o.EventSize, "event-size", o.EventSize, "length of an event's JSON in `bytes`")
	flags.BoolVar(&o.HotCorrelation, "hot-correlation", false, "put all events on one correlation_id instead of 20 on each")
	flags.BoolVar(&o.WithIDs, "with-ids", false, "send an event_id with every event")
	flags.StringVar(&o.Since, "since", o.Since, "start of the time range of the list scenario, as the API takes it (`time`)")
	flags.IntVar(&o.Limit, "limit", o.Limit, "events on a page of the list and page scenarios")
	flags.IntVar(&o.Page, "page", o.Page, "the deep page of the page scenario")
	flags.DurationVar(&o.Timeout, "timeout", o.Timeout, "how long to wait for an answer")
	flags.StringVar(&o.DatabaseURL, "database-url", "", "PostgreSQL `url` of the server, to measure the CPU time of a local PostgreSQL")
	flags.Uint64Var(&o.Seed, "seed", 0, "make the content repeatable (default another one each time)")
	flags.Float64Var(&f.maxErrors, "max-errors", 0.01, "`share` of failed requests to accept, 0 to 1")
	flags.BoolVar(&f.json, "json", false, "print one JSON object")
	complete := cobra.FixedCompletions(scenarioNames(), cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc("scenario", complete); err != nil {
		panic(err)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("seed") {
			o.Seed = uint64(time.Now().UnixNano())
		}
		loads, err := f.loads(o, cmd.Flags().Changed("batch"))
		if err != nil {
			return err
		}
		return a.bench(cmd.Context(), f, loads)
	}
	return cmd
}

// loads returns the options of each scenario, or every fault in them.
func (f benchFlags) loads(o bench.Options, batchGiven bool) ([]bench.Options, error) {
	names := f.scenarios
	if len(names) == 0 {
		names = []string{string(bench.Single)}
		if o.Batch > 1 {
			names = []string{string(bench.Batch)}
		}
	}
	if f.maxErrors < 0 || f.maxErrors > 1 {
		return nil, usagef("--max-errors must be between 0 and 1, not %v", f.maxErrors)
	}
	loads := make([]bench.Options, len(names))
	for i, name := range names {
		load := o
		load.Scenario = bench.Scenario(name)
		switch {
		case load.Scenario == bench.Batch && !batchGiven:
			load.Batch = defaultBatch
		case load.Scenario == bench.Single && len(names) > 1:
			load.Batch = 1
		}
		if err := load.Validate(); err != nil {
			return nil, usagef("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		loads[i] = load
	}
	return loads, nil
}

// bench runs the loads in turn and prints what they measured.
func (a *app) bench(ctx context.Context, f benchFlags, loads []bench.Options) error {
	line := newProgressLine(a.stderr)
	var results []bench.Result
	for _, load := range loads {
		line.show("preparing %s", load.Scenario)
		workload, err := bench.Prepare(ctx, load)
		if err == nil {
			var measured []bench.Result
			measured, err = workload.Run(ctx, line.progress)
			results = append(results, measured...)
		}
		line.clear()
		if err != nil {
			return fmt.Errorf("%s: %w", load.Scenario, err)
		}
	}
	if err := writeBench(a.stdout, f, loads[0].URL, results); err != nil {
		return err
	}
	for _, r := range results {
		if r.Requests == 0 && len(r.Errors) == 0 {
			return fmt.Errorf("no answer to %s came within the measured time: give a longer --duration", r.Scenario)
		}
		if r.ErrorShare > f.maxErrors {
			return fmt.Errorf("%.2f %% of the requests of %s failed, more than the %.2f %% of --max-errors", r.ErrorShare*100, r.Scenario, f.maxErrors*100)
		}
	}
	return nil
}

// writeBench prints the results.
func writeBench(w io.Writer, f benchFlags, url string, results []bench.Result) error {
	if !f.json {
		return bench.WriteTable(w, results)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(struct {
		Version version        `json:"version"`
		URL     string         `json:"url"`
		Results []bench.Result `json:"results"`
	}{buildVersion(), url, results})
}

func scenarioNames() []string {
	names := make([]string, len(bench.Scenarios))
	for i, s := range bench.Scenarios {
		names[i] = string(s)
	}
	slices.Sort(names)
	return names
}

// progressLine is one line on a terminal that is written over again and again. On anything else it writes nothing.
type progressLine struct {
	w io.Writer // nil when it is no terminal
}

func newProgressLine(w io.Writer) progressLine {
	if telemetry.IsTerminal(w) {
		return progressLine{w}
	}
	return progressLine{}
}

// show replaces the line.
func (p progressLine) show(format string, args ...any) {
	if p.w != nil {
		fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
	}
}

// clear removes the line.
func (p progressLine) clear() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// progress shows how far a load is.
func (p progressLine) progress(state bench.Progress) {
	phase := ""
	if state.Warming {
		phase = " (warming up)"
	}
	total := ""
	if state.Total > 0 {
		total = " of " + state.Total.Round(100*time.Millisecond).String()
	}
	p.show("%s%s: %s%s, %s requests/s", state.Scenario, phase, state.Elapsed.Round(100*time.Millisecond), total, bench.Count(state.Rate))
}
