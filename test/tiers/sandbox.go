package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sandbox is the temporary directory of one run. Everything that tests put into a temporary directory lies in it, and every
// process that they start carries its unique name in its environment, so that what a run leaves behind can be told from what
// others do on the same machine.
type sandbox struct {
	dir string

	// patience is how long a process may take to disappear after the test that stopped it has ended.
	patience time.Duration
}

func newSandbox() (*sandbox, error) {
	dir, err := os.MkdirTemp("", "datastorage-test-run-")
	if err != nil {
		return nil, err
	}
	// PostgreSQL runs as another user when the tests run as root, and must be able to pass through.
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // nothing in it can be listed by others
		return nil, errors.Join(err, os.Remove(dir))
	}
	return &sandbox{dir: dir, patience: 5 * time.Second}, nil
}

// env returns the variables that place a child process in the sandbox.
func (s *sandbox) env() []string { return []string{"TMPDIR=" + s.dir, "GOTMPDIR="} }

// close removes the sandbox. The error names every process that still runs and every file that is left; processes are left
// alone, so that they can be looked at.
func (s *sandbox) close() error {
	processes := s.processes()
	for deadline := time.Now().Add(s.patience); len(processes) > 0 && time.Now().Before(deadline); processes = s.processes() {
		time.Sleep(100 * time.Millisecond)
	}
	var errs []error
	for _, process := range processes {
		errs = append(errs, fmt.Errorf("a test left a process running: %s", process))
	}
	left, err := os.ReadDir(s.dir)
	errs = append(errs, err)
	for _, entry := range left {
		errs = append(errs, fmt.Errorf("a test left %s behind", filepath.Join(s.dir, entry.Name())))
	}
	if len(processes) == 0 {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// processes lists the processes that name the sandbox in their command line, environment or working directory, as far as
// /proc shows them; where there is no /proc, none. PostgreSQL overwrites its command line and environment but works in its data
// directory.
func (s *sandbox) processes() []string {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	own := fmt.Sprintf("/proc/%d", os.Getpid())
	dirs = slices.DeleteFunc(dirs, func(dir string) bool { return dir == own || !s.owns(dir) })
	for i, dir := range dirs {
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		dirs[i] = fmt.Sprintf("pid %s: %s", filepath.Base(dir), strings.TrimSpace(strings.ReplaceAll(string(command), "\x00", " ")))
	}
	return dirs
}

func (s *sandbox) owns(proc string) bool {
	command, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
	environment, _ := os.ReadFile(filepath.Join(proc, "environ"))
	workDir, _ := os.Readlink(filepath.Join(proc, "cwd"))
	return strings.Contains(string(command), s.dir) || strings.Contains(string(environment), s.dir) || strings.HasPrefix(workDir, s.dir)
}
