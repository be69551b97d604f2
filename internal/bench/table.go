package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
)

// notMeasured stands where there is no value.
const notMeasured = "–"

// WriteTable writes results side by side, a column each, for people.
func WriteTable(w io.Writer, results []Result) error {
	headers := []string{"scenario"}
	for _, r := range results {
		headers = append(headers, r.Scenario)
	}
	cell := lipgloss.NewStyle().Padding(0, 1)
	number := cell.Align(lipgloss.Right)
	t := table.New().
		Border(lipgloss.RoundedBorder()).
		StyleFunc(func(_, column int) lipgloss.Style {
			if column == 0 {
				return cell
			}
			return number
		}).
		Headers(headers...)
	for _, line := range tableLines {
		row := []string{line.name}
		for i := range results {
			row = append(row, line.value(&results[i]))
		}
		t.Row(row...)
	}
	if _, err := fmt.Fprintln(w, t.String()); err != nil {
		return err
	}
	for _, r := range results {
		if r.Example == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "first error of %s: %s\n", r.Scenario, r.Example); err != nil {
			return err
		}
	}
	return nil
}

// tableLines are the lines of the table.
var tableLines = []struct {
	name  string
	value func(*Result) string
}{
	{"clients", func(r *Result) string { return Count(float64(r.Clients)) }},
	{"events in a request", func(r *Result) string {
		if r.Requests == 0 {
			return notMeasured
		}
		return fmt.Sprintf("%.3g", float64(r.Events)/float64(r.Requests))
	}},
	{"requests", func(r *Result) string { return Count(float64(r.Requests)) }},
	{"requests/s", func(r *Result) string { return Count(r.RequestsPerSecond) }},
	{"events/s", func(r *Result) string { return Count(r.EventsPerSecond) }},
	{"p50", func(r *Result) string { return Micros(r.P50Micros) }},
	{"p95", func(r *Result) string { return Micros(r.P95Micros) }},
	{"p99", func(r *Result) string { return Micros(r.P99Micros) }},
	{"max", func(r *Result) string { return Micros(r.MaxMicros) }},
	{"errors", func(r *Result) string { return describeErrors(r.Errors) }},
	{"server CPU per event", func(r *Result) string { return microsOrNone(r.ServerMicrosPerEvent) }},
	{"PostgreSQL CPU per event", func(r *Result) string { return microsOrNone(r.PostgresMicrosPerEvent) }},
	{"load generator CPU per request", func(r *Result) string { return microsOrNone(r.GeneratorMicrosPerRequest) }},
	{"server memory, largest", func(r *Result) string {
		if r.ServerMemory == nil {
			return notMeasured
		}
		return fmt.Sprintf("%.1f MB", *r.ServerMemory/1e6)
	}},
}

// describeErrors writes "0" or "12 × 503, 3 × closed".
func describeErrors(faults map[string]uint64) string {
	if len(faults) == 0 {
		return "0"
	}
	var parts []string
	for name, n := range faults {
		parts = append(parts, Count(float64(n))+" × "+name)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// Count formats a rate or a number of things, rounded to a whole number, with
// spaces between thousands: "12 345".
func Count(v float64) string {
	digits := fmt.Sprintf("%.0f", math.Abs(v))
	var b strings.Builder
	if v <= -0.5 {
		b.WriteByte('-')
	}
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// Micros formats microseconds with three digits in the unit that fits.
func Micros(us float64) string {
	switch {
	case us <= 0:
		return notMeasured
	case us < 999.5:
		return significant(us) + " µs"
	case us < 999_500:
		return significant(us/1e3) + " ms"
	}
	return significant(us/1e6) + " s"
}

// significant writes three digits, or all before the point.
func significant(v float64) string {
	switch {
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func microsOrNone(us *float64) string {
	if us == nil {
		return notMeasured
	}
	return Micros(*us)
}
