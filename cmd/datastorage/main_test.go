package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage/internal/config"
)

// TestMain makes this test binary the program that the scripts call datastorage.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"datastorage": main})
}

// TestScripts runs the files below testdata/script: what the command line does, as a person would try it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exec-code": execCode, "quarantine": quarantine, "forget": forget, "api": api},
	})
}

// execCode is the script command "exec-code N program args...": it fails unless the program exits with N.
func execCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exec-code N program args...")
	}
	code := 0
	if exit := new(exec.ExitError); errors.As(ts.Exec(args[1], args[2:]...), &exit) {
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func TestReport(t *testing.T) {
	flag := config.Fault{Key: "listen", Origin: config.Origin{Kind: config.FromFlag, Name: "--listen"}, Rule: "is wrong"}
	variable := config.Fault{Origin: config.Origin{Kind: config.FromEnvironment, Name: "DATASTORAGE_X"}, Rule: "is unknown"}
	for _, c := range []struct {
		err  error
		want string
		code int
	}{
		{nil, "", 0},
		{errors.Join(errors.New("the disk is full"), nil), "datastorage: the disk is full\n", 1},
		{usagef("no file named %s", "x"), "datastorage: no file named x\n", 2},
		{fmt.Errorf("serve: %w", usagef("x")), "datastorage: serve: x\n", 2},
		{config.Faults{flag}, "datastorage: listen (--listen): is wrong\n", 2},
		{config.Faults{flag, variable}, "datastorage: the configuration has 2 faults:\n  listen (--listen): is wrong\n  DATASTORAGE_X: is unknown\n", 1},
		{fmt.Errorf("verify: %w", errSilent), "", 1},
		{errInterrupted, "datastorage: interrupted\n", 1},
	} {
		var out bytes.Buffer
		if code := reportError(&out, c.err); code != c.code || out.String() != c.want {
			t.Errorf("%v: %d and %q, want %d and %q", c.err, code, &out, c.code, c.want)
		}
	}
}

// TestRun_Usage: an error before a command's own code has begun is one of usage, whoever found it.
func TestRun_Usage(t *testing.T) {
	for line, want := range map[string]string{
		"serv3 x":                        `unknown command "serv3"`,
		"config --confg=x":               "unknown flag --confg; did you mean --config?",
		"config -z":                      "unknown flag -z",
		"config --config":                "flag needs an argument: --config",
		"config --check a --config b":    "[check config]",
		"config --demo=maybe":            `invalid argument "maybe"`,
		"version 1":                      `"datastorage version" takes no argument`,
		"config --database-urll=hunter2": "did you mean --database-url?",
	} {
		var stdout, stderr bytes.Buffer
		err := run(t.Context(), strings.Fields(line), nil, strings.NewReader(""), &stdout, &stderr)
		if !errors.As(err, new(usageError)) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
		if stdout.Len()+stderr.Len() > 0 {
			t.Errorf("%s prints %s%s", line, &stdout, &stderr)
		}
	}
}

func TestRun_Interrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		want error
	}{{ctx, errInterrupted}, {t.Context(), context.Canceled}} {
		if err := outcome(c.ctx, true, fmt.Errorf("commit: %w", context.Canceled)); !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
}

// TestCommands_Help holds every command to a help text with an example, and its flags to a sentence each.
func TestCommands_Help(t *testing.T) {
	root := newRootCommand(&app{})
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || cmd.Long == "" || cmd.GroupID == "" {
			t.Errorf("%s: Short is one clause without a full stop, Long is set, and the command stands in a group", cmd.Name())
		}
		if !strings.Contains(cmd.Example, "datastorage "+cmd.Name()) {
			t.Errorf("%s: no example", cmd.Name())
		}
		if cmd.Run != nil || cmd.RunE == nil || cmd.Args == nil {
			t.Errorf("%s: RunE and Args are set, and Run is not", cmd.Name())
		}
	}
}

// TestInterruptible sends this process two signals: the first cancels, the second exits.
func TestInterruptible(t *testing.T) {
	code := make(chan int, 1)
	var stderr bytes.Buffer
	ctx, stop := interruptible(t.Context(), &stderr, func(c int) { code <- c })
	defer stop()
	kill := func() {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	kill()
	<-ctx.Done()
	kill()
	if got := <-code; got != 128+15 || !strings.Contains(stderr.String(), "second signal (terminated)") {
		t.Errorf("exit %d and %q", got, &stderr)
	}
}

// TestAddStoreFlags: what the shell completes exists, and a command's own flags do not collide.
func TestAddStoreFlags(t *testing.T) {
	cmd := &cobra.Command{Use: "x"}
	addStoreFlags(cmd)
	addServerFlags(cmd)
	for _, name := range []string{"config", "data-dir", "database-url", "log-level", "log-format", "listen", "demo"} {
		if cmd.Flags().Lookup(name) == nil {
			t.Errorf("no flag --%s", name)
		}
	}
}
