package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/datastorage-io/datastorage/internal/bench"
)

// bound is what a figure must reach and what it aims for.
type bound struct {
	must, aim float64
	most      bool // the figure must not be above, rather than not below
}

func atLeast(must, aim float64) bound { return bound{must: must, aim: aim} }
func atMost(must, aim float64) bound  { return bound{must: must, aim: aim, most: true} }

// met says in words how a figure stands.
func (b bound) met(value float64) string {
	switch {
	case b.reaches(value, b.aim):
		return "yes, aim reached"
	case b.reaches(value, b.must):
		return "yes"
	}
	return "**no**"
}

func (b bound) reaches(value, limit float64) bool {
	if b.most {
		return value <= limit
	}
	return value >= limit
}

// sign stands before a limit.
func (b bound) sign() string {
	if b.most {
		return "≤ "
	}
	return "≥ "
}

// line is one line of the table. A line without show could not be measured.
type line struct {
	what                string
	measured, reference string
	value               float64 // what the bound is about
	show                func(float64) string
	bound               bound
}

// ratio is the line of a figure that is judged by its ratio to a reference.
func ratio(what string, measured, reference float64, show func(float64) string, b bound) line {
	return line{what: what, measured: show(measured), reference: show(reference), value: measured / reference, show: times, bound: b}
}

// writeTables writes the table of lines, and below it every load that was measured.
func writeTables(w io.Writer, lines []line, loads []load) error {
	var b strings.Builder
	writeRow(&b, "what", "measured", "reference", "result", "must", "aim", "met?")
	writeRow(&b, "---", "---:", "---:", "---:", "---:", "---:", "---")
	for _, l := range lines {
		if l.show == nil {
			writeRow(&b, l.what, l.measured, "", "", "", "", "**no**")
			continue
		}
		sign := l.bound.sign()
		writeRow(&b, l.what, l.measured, l.reference, l.show(l.value), sign+l.show(l.bound.must), sign+l.show(l.bound.aim), l.bound.met(l.value))
	}
	if len(loads) > 0 {
		b.WriteString("\nEvery measurement; CPU is a request's or an event's share in what the process used:\n\n")
		writeRow(&b, "row", "of", "scenario", "clients", "requests/s", "events/s", "p50", "p95", "p99", "max", "errors", "server CPU/event", "PostgreSQL CPU/event", "generator CPU/request", "server memory")
		writeRow(&b, "---", "---", "---", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:")
	}
	for _, l := range loads {
		r := l.result
		writeRow(&b, l.row, l.what, r.Scenario, bench.Count(float64(r.Clients)), bench.Count(r.RequestsPerSecond), bench.Count(r.EventsPerSecond),
			bench.Micros(r.P50Micros), bench.Micros(r.P95Micros), bench.Micros(r.P99Micros), bench.Micros(r.MaxMicros), fmt.Sprintf("%.3g %%", r.ErrorShare*100),
			optional(r.ServerMicrosPerEvent, bench.Micros), optional(r.PostgresMicrosPerEvent, bench.Micros), optional(r.GeneratorMicrosPerRequest, bench.Micros),
			optional(r.ServerMemory, func(v float64) string { return megabytes(v / 1e6) }))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeRow(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func optional(v *float64, show func(float64) string) string {
	if v == nil {
		return ""
	}
	return show(*v)
}

func perSecond(v float64) string { return bench.Count(v) + "/s" }
func times(v float64) string     { return fmt.Sprintf("%.2f ×", v) }
func megabytes(v float64) string { return fmt.Sprintf("%.0f MB", v) }
