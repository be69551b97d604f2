package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/datastorage-io/datastorage/internal/bench"
)

// notMeasured stands where there is no value.
const notMeasured = "not measured"

// result is the line of one scenario. Times are in seconds.
type result struct {
	Scenario     string `json:"scenario"`
	Round        int    `json:"round"`
	Acknowledged int    `json:"acknowledged"`
	Created      int    `json:"acknowledged_with_201"`
	Queued       int    `json:"acknowledged_with_202"`
	Stored       int    `json:"stored"`
	Lost         int    `json:"lost"`
	Twice        int    `json:"twice"`
	OutOfOrder   int    `json:"out_of_order"`
	// Silence is the longest time without an acknowledgement, Slowest the time of the slowest answer of any kind.
	Silence float64 `json:"longest_without_acknowledgement_seconds"`
	Slowest float64 `json:"slowest_answer_seconds"`
	// Recovery is the time from healing to an empty queue; nil when that was not reached while clients wrote.
	Recovery *float64 `json:"recovery_seconds"`
	Verify   string   `json:"verify"`
	// NotRun says that this machine lacks what the scenario needs; the remarks say what.
	NotRun   bool     `json:"not_run,omitempty"`
	Remarks  []string `json:"remarks,omitempty"`
	Failures []string `json:"failures,omitempty"`
}

func (r *result) fail(format string, args ...any) {
	r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
}

// printer writes results as a table that grows line by line, or as lines of JSON.
type printer struct {
	w      io.Writer
	json   bool
	headed bool
}

const lineFormat = "%-26s %12s %9s %12s %5s %6s %13s %15s %9s %9s  %-18s %s\n"

func (p *printer) result(r result) error {
	if p.json {
		return json.NewEncoder(p.w).Encode(r)
	}
	if !p.headed {
		p.headed = true
		fmt.Fprintf(p.w, lineFormat, "scenario", "acknowledged", "with 202", "stored", "lost", "twice", "out of order",
			"longest silence", "slowest", "recovery", "verify", "remarks")
	}
	recovery := notMeasured
	if r.Recovery != nil {
		recovery = seconds(*r.Recovery)
	}
	name := r.Scenario
	if r.Round > 1 {
		name += fmt.Sprintf(" #%d", r.Round)
	}
	count := func(n int) string { return bench.Count(float64(n)) }
	fmt.Fprintf(p.w, lineFormat, name, count(r.Acknowledged), count(r.Queued), count(r.Stored), count(r.Lost), count(r.Twice),
		count(r.OutOfOrder), seconds(r.Silence), seconds(r.Slowest), recovery, r.Verify, strings.Join(r.Remarks, "; "))
	for _, f := range r.Failures {
		fmt.Fprintf(p.w, "    FAILED: %s\n", strings.ReplaceAll(f, "\n", "\n      "))
	}
	return nil
}

// measurement is one value of a figure, beside what it must be.
type measurement struct {
	Figure string `json:"figure"`
	What   string `json:"what"`
	Value  string `json:"value"`
	Target string `json:"target,omitempty"`
	// Met says whether the value reaches the target; nil when there is none.
	Met *bool `json:"met,omitempty"`
}

func (p *printer) measurement(m measurement) error {
	if p.json {
		return json.NewEncoder(p.w).Encode(m)
	}
	verdict := ""
	if m.Met != nil {
		verdict = map[bool]string{true: "met", false: "NOT MET"}[*m.Met]
	}
	_, err := fmt.Fprintf(p.w, "%-12s %-62s %-24s %-24s %s\n", m.Figure, m.What, m.Value, m.Target, verdict)
	return err
}

func seconds(s float64) string { return fmt.Sprintf("%.2f s", s) }
