package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// fakeProc writes a /proc with the given processes.
func fakeProc(t *testing.T, processes map[int]string) string {
	t.Helper()
	root := t.TempDir()
	for pid, stat := range processes {
		dir := filepath.Join(root, strconv.Itoa(pid))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// stat is a line of /proc/PID/stat.
func stat(pid int, name string, parent, user, system, childUser, childSystem int) string {
	return fmt.Sprintf("%d (%s) S %d 10 10 0 -1 4194560 100 200 0 0 %d %d %d %d 20 0 1 0 300 1000 10\n", pid, name, parent, user, system, childUser, childSystem)
}

func TestProcessTreeCPU_AddsUpTheTree(t *testing.T) {
	root := fakeProc(t, map[int]string{
		1:  stat(1, "init", 0, 1000, 1000, 1000, 1000),
		10: stat(10, "postgres", 1, 100, 50, 30, 20),
		11: stat(11, "postgres", 10, 200, 0, 0, 0),
		12: stat(12, "a (b) c", 11, 0, 100, 0, 0),
		20: stat(20, "other", 1, 5000, 5000, 0, 0),
	})
	got, err := processTreeCPU(root, 10)
	if err != nil || got != 5 {
		t.Errorf("processTreeCPU = %v, %v, want 5 s", got, err)
	}
	if _, err := processTreeCPU(root, 99); err == nil {
		t.Error("a process that does not exist has CPU time")
	}
}

func TestPostmasterOf(t *testing.T) {
	root := fakeProc(t, map[int]string{
		10: stat(10, "postgres", 1, 0, 0, 0, 0),
		11: stat(11, "postgres", 10, 0, 0, 0, 0),
		20: stat(20, "bash", 1, 0, 0, 0, 0),
		21: stat(21, "postgres", 20, 0, 0, 0, 0),
	})
	if pid, err := postmasterOf(root, 11); pid != 10 || err != nil {
		t.Errorf("postmasterOf(11) = %d, %v, want 10", pid, err)
	}
	for _, pid := range []int{20, 21, 99} {
		if _, err := postmasterOf(root, pid); !errors.Is(err, errNotLocal) {
			t.Errorf("postmasterOf(%d): %v, want not local", pid, err)
		}
	}
}

func TestParseStat_RefusesOtherForms(t *testing.T) {
	for _, line := range []string{"", "1 init S 0", "1 (init) S 0 1 1", "1 (init) S x 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"} {
		if p, err := parseStat([]byte(line)); err == nil {
			t.Errorf("parseStat(%q) = %+v", line, p)
		}
	}
}

func TestParseMetrics(t *testing.T) {
	text := "# HELP a b\na 1.5\na_total 7\nb{x=\"y\"} 3\nb 2e+06 1700000000\nc x\n"
	values := parseMetrics([]byte(text), "a", "b", "c", "d")
	if len(values) != 2 || values["a"] != 1.5 || values["b"] != 2e6 {
		t.Errorf("parseMetrics = %v", values)
	}
}
