package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of "go test -json".
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Output     string
}

// test identifies a test in a tally.
type test struct{ pkg, name string }

// tally counts the tests of one tier. A test that has subtests is not counted itself: its subtests are.
type tally struct {
	out io.Writer

	passed, failed, skipped map[test]bool
	parents                 map[test]bool
	packages                map[string]bool
	broken                  map[string]bool           // packages that did not build, or failed outside a test
	running                 map[test]*strings.Builder // output of tests that have not ended
}

func newTally(out io.Writer) *tally {
	return &tally{
		out:    out,
		passed: map[test]bool{}, failed: map[test]bool{}, skipped: map[test]bool{}, parents: map[test]bool{},
		packages: map[string]bool{}, broken: map[string]bool{}, running: map[test]*strings.Builder{},
	}
}

// read consumes the output of "go test -json" until it ends. It prints the closing line of every package, and of tests only
// what failed or was skipped, with its output, as soon as that is known.
func (t *tally) read(r io.Reader) error {
	for decoder := json.NewDecoder(r); ; {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the output of go test: %w", err)
		}
		t.add(e)
	}
}

func (t *tally) add(e event) {
	switch {
	case e.Action == "build-output":
		fmt.Fprint(t.out, e.Output)
	case e.Package == "":
	case e.Test == "":
		t.addPackage(e)
	default:
		t.addTest(e)
	}
}

func (t *tally) addPackage(e event) {
	switch e.Action {
	case "output":
		if e.Output != "PASS\n" {
			fmt.Fprint(t.out, e.Output)
		}
	case "pass":
		t.packages[e.Package] = true
	case "fail":
		t.packages[e.Package] = true
		t.endPackage(e.Package)
	}
}

// endPackage looks at a package that failed: a test that never ended was cut short by a crash or a time-out, and a package
// without a failed test did not build, or failed outside its tests.
func (t *tally) endPackage(pkg string) {
	hasFailed := false
	for at, output := range t.running {
		if at.pkg == pkg {
			t.failed[at] = true
			fmt.Fprintf(t.out, "%s--- FAIL: %s (did not end)\n", output, at.name)
			delete(t.running, at)
		}
	}
	for at := range t.failed {
		hasFailed = hasFailed || at.pkg == pkg
	}
	if !hasFailed {
		t.broken[pkg] = true
	}
}

func (t *tally) addTest(e event) {
	at := test{e.Package, e.Test}
	switch e.Action {
	case "run":
		t.running[at] = &strings.Builder{}
		if slash := strings.LastIndexByte(e.Test, '/'); slash >= 0 {
			t.parents[test{e.Package, e.Test[:slash]}] = true
		}
	case "output":
		if output := t.running[at]; output != nil {
			output.WriteString(e.Output)
		}
	case "pass":
		t.passed[at] = true
		delete(t.running, at)
	case "fail":
		t.end(t.failed, at)
	case "skip":
		t.end(t.skipped, at)
	}
}

// end notes the result of a test that did not pass and prints its output, without the lines that only mark its progress.
func (t *tally) end(result map[test]bool, at test) {
	result[at] = true
	if output := t.running[at]; output != nil {
		for line := range strings.Lines(output.String()) {
			if !strings.HasPrefix(line, "=== ") {
				fmt.Fprint(t.out, line)
			}
		}
	}
	delete(t.running, at)
}

// ok reports whether every test passed: none failed, none was skipped, every package built.
func (t *tally) ok() bool { return len(t.failed)+len(t.skipped)+len(t.broken) == 0 }

func (t *tally) count(tests map[test]bool) int {
	n := 0
	for at := range tests {
		if !t.parents[at] {
			n++
		}
	}
	return n
}

// String gives the counts in one line and names what did not pass.
func (t *tally) String() string {
	total := t.count(t.passed) + t.count(t.failed) + t.count(t.skipped)
	line := fmt.Sprintf("%d tests in %d packages", total, len(t.packages))
	if t.ok() {
		return line + ", all passed"
	}
	line += fmt.Sprintf(", %d failed, %d skipped", t.count(t.failed), t.count(t.skipped))
	for _, pkg := range slices.Sorted(maps.Keys(t.broken)) {
		line += fmt.Sprintf(", %s did not build or failed outside a test", pkg)
	}
	return line
}
