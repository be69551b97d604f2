package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of times in /proc/PID/stat; Linux reports 100 a second on every architecture.
const clockTick = time.Second / 100

// CPU returns the processor time that the server has used since it started, without that of sessions under way that
// ended in a way the postmaster has not noticed yet. It is exact to about 10 ms a process, and works on Linux only.
func (s *Server) CPU() (time.Duration, error) {
	pid := s.PID()
	if pid == 0 {
		return 0, errors.New("the server does not run")
	}
	children, err := childrenOf(pid)
	if err != nil {
		return 0, err
	}
	// user, system, and the same of children that were waited for.
	total, err := ticks(pid, 4)
	if err != nil {
		return 0, err
	}
	for _, child := range children {
		n, err := ticks(child, 2)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		total += n
	}
	return time.Duration(total) * clockTick, nil
}

// ticks adds up the first of the fields utime, stime, cutime, cstime of a process.
func ticks(pid, fields int) (sum int64, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// state is the first field behind the name, utime the twelfth.
	values := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for i := range fields {
		n, err := strconv.ParseInt(values[11+i], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
