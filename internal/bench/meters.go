package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"
)

// The metrics of a server that are read.
const (
	metricCPU    = "process_cpu_seconds_total"
	metricMemory = "process_resident_memory_bytes"
)

// meters read the CPU time and memory that a run costs: the server's from its
// metrics, PostgreSQL's and our own from /proc. What cannot be read is left out.
type meters struct {
	browser  *browser
	postgres int // pid of the postmaster, 0 for none

	server, database, own span
	memory                float64 // largest seen, bytes
}

// span is a counter of seconds at the start and the end of what is measured.
type span struct {
	start, end float64
	broken     bool // one of the readings failed
}

// seconds returns the difference, and whether there is one.
func (s span) seconds() (float64, bool) {
	return s.end - s.start, !s.broken && s.end >= s.start
}

// costs is what a run took. Seconds are nil when they could not be read.
type costs struct {
	server, database, own *float64 // CPU seconds
	memory                *float64 // bytes
}

// newMeters finds PostgreSQL when it is to be measured.
func newMeters(ctx context.Context, o Options) (*meters, error) {
	m := &meters{browser: &browser{base: o.URL, timeout: o.Timeout}}
	if o.DatabaseURL != "" {
		pid, err := findPostmaster(ctx, o.DatabaseURL)
		if err != nil {
			return nil, err
		}
		m.postgres = pid
	}
	return m, nil
}

func (m *meters) close() { m.browser.close() }

// watch reads the counters when the measurement starts and when it is over,
// and the memory in between. It ends when the load is done.
func (m *meters) watch(ctx context.Context, win window, began time.Time, done <-chan struct{}) {
	start := time.NewTimer(time.Until(began.Add(win.start)))
	defer start.Stop()
	select {
	case <-start.C:
	case <-done:
	case <-ctx.Done():
		return
	}
	m.read(ctx, func(s *span, v float64) { s.start = v })
	ticker := time.NewTicker(sampleInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			m.scrape(ctx)
		case <-done:
			m.read(ctx, func(s *span, v float64) { s.end = v })
			return
		case <-ctx.Done():
			return
		}
	}
}

// read takes one reading of every counter.
func (m *meters) read(ctx context.Context, set func(*span, float64)) {
	cpu, found := m.scrape(ctx)
	m.server.broken = m.server.broken || !found
	set(&m.server, cpu)
	cpu, err := processTreeCPU(procRoot, m.postgres)
	m.database.broken = m.database.broken || m.postgres == 0 || err != nil
	set(&m.database, cpu)
	cpu, err = ownCPU(procRoot)
	m.own.broken = m.own.broken || err != nil
	set(&m.own, cpu)
}

// scrape reads the server's metrics: it notes the memory and returns the CPU seconds.
func (m *meters) scrape(ctx context.Context) (cpu float64, found bool) {
	text, err := m.browser.get(ctx, "/metrics")
	if err != nil {
		// A server without metrics is measured without its costs.
		return 0, false
	}
	values := parseMetrics(text, metricCPU, metricMemory)
	m.memory = max(m.memory, values[metricMemory])
	cpu, found = values[metricCPU]
	return cpu, found
}

func (m *meters) costs() costs {
	seconds := func(s span) *float64 {
		if v, ok := s.seconds(); ok {
			return &v
		}
		return nil
	}
	c := costs{server: seconds(m.server), database: seconds(m.database), own: seconds(m.own)}
	if m.memory > 0 {
		c.memory = &m.memory
	}
	return c
}

// parseMetrics returns the values of the named metrics without labels from
// the Prometheus text format.
func parseMetrics(text []byte, names ...string) map[string]float64 {
	values := map[string]float64{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		for _, name := range names {
			rest, ok := bytes.CutPrefix(lines.Bytes(), []byte(name+" "))
			if !ok {
				continue
			}
			number, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte{' '})
			if v, err := strconv.ParseFloat(string(number), 64); err == nil {
				values[name] = v
			}
		}
	}
	return values
}

// errNotLocal says that the PostgreSQL behind a URL has no process here.
var errNotLocal = errors.New("PostgreSQL does not run on this machine, so that its CPU time cannot be measured: leave --database-url out")
