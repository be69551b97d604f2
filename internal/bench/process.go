package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// procRoot is where Linux shows its processes.
const procRoot = "/proc"

// ticksPerSecond is the unit of CPU times in /proc: the kernel reports all of
// them in USER_HZ, which is 100 on every architecture that Go runs on.
const ticksPerSecond = 100

// process is what /proc tells about one process.
type process struct {
	name     string
	parent   int
	own      uint64 // ticks of its own
	children uint64 // ticks of its children that exited and were waited for
}

// readProcess reads /proc/PID/stat.
func readProcess(root string, pid int) (process, error) {
	stat, err := os.ReadFile(filepath.Join(root, strconv.Itoa(pid), "stat"))
	if err != nil {
		return process{}, err
	}
	return parseStat(stat)
}

// parseStat parses proc(5)'s stat: pid (name) state ppid … utime stime cutime
// cstime as fields 14 to 17. The name may hold spaces and parentheses.
func parseStat(stat []byte) (process, error) {
	first, last := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if first < 0 || last < first {
		return process{}, fmt.Errorf("unknown form of stat: %.60q", stat)
	}
	fields := bytes.Fields(stat[last+1:])
	if len(fields) < 15 {
		return process{}, fmt.Errorf("unknown form of stat: %.60q", stat)
	}
	p := process{name: string(stat[first+1 : last])}
	var faults []error
	number := func(field int) uint64 {
		v, err := strconv.ParseUint(string(fields[field-3]), 10, 64)
		faults = append(faults, err)
		return v
	}
	p.parent = int(number(4))
	p.own = number(14) + number(15)
	p.children = number(16) + number(17)
	return p, errors.Join(faults...)
}

// processTreeCPU returns the CPU seconds that a process and its descendants
// have used, with those that exited.
func processTreeCPU(root string, pid int) (float64, error) {
	if pid == 0 {
		return 0, nil
	}
	top, err := readProcess(root, pid)
	if err != nil {
		return 0, err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return 0, err
	}
	processes := map[int]process{pid: top}
	for _, entry := range entries {
		id, err := strconv.Atoi(entry.Name())
		if err != nil || id == pid {
			continue
		}
		// One that ends meanwhile is counted by its parent.
		if p, err := readProcess(root, id); err == nil {
			processes[id] = p
		}
	}
	ticks := uint64(0)
	for id, p := range processes {
		if descends(processes, id, pid) {
			ticks += p.own + p.children
		}
	}
	return float64(ticks) / ticksPerSecond, nil
}

// descends reports whether id is ancestor or one of its descendants.
func descends(processes map[int]process, id, ancestor int) bool {
	for range len(processes) + 1 {
		if id == ancestor {
			return true
		}
		p, ok := processes[id]
		if !ok {
			return false
		}
		id = p.parent
	}
	return false
}

// ownCPU returns the CPU seconds of this process.
func ownCPU(root string) (float64, error) {
	p, err := readProcess(root, os.Getpid())
	return float64(p.own) / ticksPerSecond, err
}

// findPostmaster asks a database for the process that serves it and returns
// the pid of that process's parent, the postmaster.
func findPostmaster(ctx context.Context, databaseURL string) (int, error) {
	db, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return 0, fmt.Errorf("database-url: %w", err)
	}
	// The connection is only used to find the process.
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	var backend int
	if err := db.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return 0, fmt.Errorf("database-url: %w", err)
	}
	return postmasterOf(procRoot, backend)
}

// postmasterOf returns the parent of a PostgreSQL backend. It refuses a pid
// that is not PostgreSQL's here, as that of another machine.
func postmasterOf(root string, backend int) (int, error) {
	p, err := readProcess(root, backend)
	if err != nil || (p.name != "postgres" && p.name != "postmaster") {
		return 0, errNotLocal
	}
	parent, err := readProcess(root, p.parent)
	if err != nil || parent.name != p.name {
		return 0, errNotLocal
	}
	return p.parent, nil
}
