package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		stream string
		ok     bool
		counts string
		shows  []string
		hides  []string
	}{
		{
			name: "passed",
			stream: `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestOne"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"=== RUN   TestOne\n"}
{"Action":"run","Package":"m/a","Test":"TestOne/case"}
{"Action":"output","Package":"m/a","Test":"TestOne/case","Output":"    chatter\n"}
{"Action":"pass","Package":"m/a","Test":"TestOne/case"}
{"Action":"pass","Package":"m/a","Test":"TestOne"}
{"Action":"run","Package":"m/a","Test":"TestTwo"}
{"Action":"pass","Package":"m/a","Test":"TestTwo"}
{"Action":"output","Package":"m/a","Output":"PASS\n"}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t0.1s\n"}
{"Action":"pass","Package":"m/a"}
`,
			ok: true, counts: "2 tests in 1 packages, all passed",
			shows: []string{"ok  \tm/a\t0.1s\n"}, hides: []string{"PASS", "chatter", "RUN"},
		},
		{
			name: "failed",
			stream: `{"Action":"run","Package":"m/a","Test":"TestOne"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"=== RUN   TestOne\n"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"    one_test.go:5: got 1, want 2\n"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"--- FAIL: TestOne (0.00s)\n"}
{"Action":"fail","Package":"m/a","Test":"TestOne"}
{"Action":"output","Package":"m/a","Output":"FAIL\tm/a\t0.1s\n"}
{"Action":"fail","Package":"m/a"}
`,
			counts: "1 tests in 1 packages, 1 failed, 0 skipped",
			shows:  []string{"one_test.go:5: got 1, want 2\n", "--- FAIL: TestOne", "FAIL\tm/a\t0.1s\n"}, hides: []string{"RUN"},
		},
		{
			name: "skipped",
			stream: `{"Action":"run","Package":"m/a","Test":"TestOne"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"    one_test.go:5: no server\n"}
{"Action":"skip","Package":"m/a","Test":"TestOne"}
{"Action":"pass","Package":"m/a"}
`,
			counts: "1 tests in 1 packages, 0 failed, 1 skipped", shows: []string{"no server"},
		},
		{
			name: "crashed",
			stream: `{"Action":"run","Package":"m/a","Test":"TestOne"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"panic: test timed out\n"}
{"Action":"output","Package":"m/a","Output":"FAIL\tm/a\t0.1s\n"}
{"Action":"fail","Package":"m/a"}
`,
			counts: "1 tests in 1 packages, 1 failed, 0 skipped", shows: []string{"panic: test timed out\n--- FAIL: TestOne (did not end)\n"},
		},
		{
			name: "not built",
			stream: `{"ImportPath":"m/a [m/a.test]","Action":"build-output","Output":"a/x.go:1:1: syntax error\n"}
{"ImportPath":"m/a [m/a.test]","Action":"build-fail"}
{"Action":"start","Package":"m/a"}
{"Action":"output","Package":"m/a","Output":"FAIL\tm/a [build failed]\n"}
{"Action":"fail","Package":"m/a","FailedBuild":"m/a [m/a.test]"}
`,
			counts: "0 tests in 1 packages, 0 failed, 0 skipped, m/a did not build or failed outside a test",
			shows:  []string{"syntax error", "[build failed]"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			result := newTally(&out)
			if err := result.read(strings.NewReader(tt.stream)); err != nil {
				t.Fatal(err)
			}
			if got := result.String(); result.ok() != tt.ok || got != tt.counts {
				t.Errorf("ok = %t, counts %q; want %t, %q", result.ok(), got, tt.ok, tt.counts)
			}
			for _, want := range tt.shows {
				if !strings.Contains(out.String(), want) {
					t.Errorf("output lacks %q:\n%s", want, out.String())
				}
			}
			for _, unwanted := range tt.hides {
				if strings.Contains(out.String(), unwanted) {
					t.Errorf("output holds %q:\n%s", unwanted, out.String())
				}
			}
		})
	}
}

func TestTestBinary_Tier(t *testing.T) {
	t.Parallel()
	tests := []struct {
		binary testBinary
		want   string
	}{
		{testBinary{ImportPath: "m.test", Deps: []string{"fmt", "m"}}, "unit"},
		{testBinary{ImportPath: "m/internal/sqlite.test", Deps: []string{"m/internal/storetest"}}, "unit"},
		{testBinary{ImportPath: "m/internal/postgres.test", Deps: []string{"m/internal/pgtest"}}, "integration"},
		{testBinary{ImportPath: "m/internal/pgtest.test", Deps: []string{"m/internal/pgtest [m/internal/pgtest.test]"}}, "integration"},
		{testBinary{ImportPath: "m/internal/deadletter/redisqueue.test", Deps: []string{"m/internal/redistest", "m/internal/pgtest"}}, "redis"},
		{testBinary{ImportPath: "m/test/e2e.test", Deps: []string{"m/internal/pgtest"}}, "e2e"},
	}
	for _, tt := range tests {
		if got := tt.binary.tier(); got != tt.want {
			t.Errorf("%s is in tier %s, want %s", tt.binary.ImportPath, got, tt.want)
		}
	}
}

func TestSandbox_Close(t *testing.T) {
	t.Parallel()
	newBox := func(t *testing.T) *sandbox {
		t.Helper()
		box, err := newSandbox()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(box.dir) })
		return box
	}
	// startChild runs a process that lives until its input is closed, which the returned function does.
	startChild := func(t *testing.T, prepare func(*exec.Cmd)) (stop func()) {
		t.Helper()
		cmd := exec.Command("cat")
		prepare(cmd)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stop = func() {
			stdin.Close()
			cmd.Wait()
		}
		t.Cleanup(stop)
		return stop
	}

	t.Run("clean", func(t *testing.T) {
		t.Parallel()
		box := newBox(t)
		startChild(t, func(cmd *exec.Cmd) { cmd.Env = box.env() })()
		if err := box.close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(box.dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", box.dir, err)
		}
	})
	t.Run("file left", func(t *testing.T) {
		t.Parallel()
		box := newBox(t)
		if err := os.WriteFile(filepath.Join(box.dir, "leftover"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := box.close(); err == nil || !strings.Contains(err.Error(), "leftover") {
			t.Errorf("close = %v, want an error that names the file", err)
		}
	})
	if _, err := os.Stat("/proc/self"); err != nil {
		return // without /proc no process is found, see sandbox.processes
	}
	t.Run("process left", func(t *testing.T) {
		t.Parallel()
		for name, prepare := range map[string]func(*exec.Cmd, *sandbox){
			"by environment":       func(cmd *exec.Cmd, box *sandbox) { cmd.Env = box.env() },
			"by working directory": func(cmd *exec.Cmd, box *sandbox) { cmd.Dir = box.dir },
		} {
			box := newBox(t)
			box.patience = 0
			stop := startChild(t, func(cmd *exec.Cmd) { prepare(cmd, box) })
			if err := box.close(); err == nil || !strings.Contains(err.Error(), "process running: pid") {
				t.Errorf("%s: close = %v, want an error that names the process", name, err)
			}
			stop()
		}
	})
}

func TestRedisMissing(t *testing.T) {
	t.Parallel()
	only := func(have string) func(string) (string, error) {
		return func(program string) (string, error) {
			if program == have {
				return "/usr/bin/" + program, nil
			}
			return "", exec.ErrNotFound
		}
	}
	for _, program := range []string{"redis-server", "valkey-server"} {
		if got := redisMissing(only(program)); got != "" {
			t.Errorf("with %s: %q", program, got)
		}
	}
	if got := redisMissing(only("postgres")); !strings.Contains(got, "apt-get install redis-server") {
		t.Errorf("without a server: %q", got)
	}
}
