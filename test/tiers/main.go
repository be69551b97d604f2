// Command tiers runs the tests of the module tier by tier, counts them, and checks that nothing they started is left:
//
//	go run ./test/tiers [-race] [-only PATTERN,...] [unit] [integration] [redis] [e2e]
//
// Without a tier named it runs all. A tier is a list of packages that follows from what their tests import: integration is
// what starts a PostgreSQL, redis what starts a Redis server, e2e is everything below test/e2e and test/chaos, unit is the
// rest. A skipped test fails its tier: what cannot run here has not been tested. The tests that need a Redis server are the
// exception, since few who build this need one: without its program the last line says that they did not run, and when the
// tier redis is asked for by name that is a failure.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// timeout is how long the tests of one package may take, as a duration that the go command understands.
const timeout = "10m"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tiers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("tiers", flag.ContinueOnError)
	race := flags.Bool("race", false, "run under the race detector, which needs a C compiler")
	only := flags.String("only", "./...", "package patterns, separated by commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	missing := redisMissing(exec.LookPath)
	wanted := flags.Args()
	switch {
	case len(wanted) == 0 && missing == "":
		wanted = tierNames
	case len(wanted) == 0:
		wanted = slices.DeleteFunc(slices.Clone(tierNames), func(name string) bool { return name == "redis" })
	case missing != "" && slices.Contains(wanted, "redis"):
		return errors.New(missing)
	}
	packages, err := listTiers(ctx, strings.Split(*only, ","))
	if err != nil {
		return err
	}
	box, err := newSandbox()
	if err != nil {
		return err
	}
	err = runTiers(ctx, wanted, packages, box, options{race: *race, noRedis: missing != ""}, stdout)
	if missing != "" {
		fmt.Fprintf(stdout, "redis:       NOT RUN, nor the tests of e2e that need it: %s\n", missing)
	}
	return errors.Join(err, box.close())
}

// options are what a run does otherwise than usual.
type options struct {
	race    bool // run under the race detector
	noRedis bool // leave out what needs a Redis server
}

// runTiers runs every wanted tier, also after one has failed, and prints the table of counts at the end.
func runTiers(ctx context.Context, wanted []string, packages map[string][]string, box *sandbox, o options, stdout io.Writer) error {
	var failed []string
	var summary bytes.Buffer
	for _, name := range wanted {
		if !slices.Contains(tierNames, name) {
			return fmt.Errorf("no tier named %q, there are %s", name, strings.Join(tierNames, ", "))
		}
		fmt.Fprintf(stdout, "=== %s tests\n", name)
		start := time.Now()
		result, err := runTier(ctx, name, packages[name], box, o, stdout)
		if err != nil {
			return fmt.Errorf("%s tests: %w", name, err)
		}
		if !result.ok() {
			failed = append(failed, name)
		}
		fmt.Fprintf(&summary, "%-12s %s, %s\n", name+":", result, time.Since(start).Round(100*time.Millisecond))
	}
	fmt.Fprintf(stdout, "\n%s", summary.String())
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

// runTier runs the tests of one tier and prints what a person wants to see of them.
func runTier(ctx context.Context, name string, packages []string, box *sandbox, o options, stdout io.Writer) (*tally, error) {
	result := newTally(stdout)
	if len(packages) == 0 {
		return result, nil
	}
	args := []string{"test", "-json", "-timeout", timeout}
	if name != "unit" {
		args = append(args, "-count=1") // a cached result says nothing about a server that was not started
	}
	if o.race {
		args = append(args, "-race")
	}
	if o.noRedis {
		args = append(args, "-skip", redisTests)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	cmd.Env = append(os.Environ(), box.env()...)
	if o.race {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=1")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	readErr := result.read(out)
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && readErr == nil && !result.ok() {
		err = nil // the tally holds the failures, and has printed them
	}
	return result, errors.Join(readErr, err)
}
