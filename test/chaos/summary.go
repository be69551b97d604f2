package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/datastorage-io/datastorage/internal/bench"
)

// tally is what one scenario came to over all rounds. Times are in seconds.
type tally struct {
	Scenario     string  `json:"scenario"`
	Runs         int     `json:"runs"`
	Failed       int     `json:"failed"`
	NotRun       int     `json:"not_run"`
	FailedRounds []int   `json:"failed_rounds,omitempty"`
	Acknowledged int     `json:"acknowledged"`
	Lost         int     `json:"lost"`
	Twice        int     `json:"twice"`
	OutOfOrder   int     `json:"out_of_order"`
	Silence      float64 `json:"longest_without_acknowledgement_seconds"`
	Slowest      float64 `json:"slowest_answer_seconds"`
	Recovery     float64 `json:"slowest_recovery_seconds"`
}

func (t *tally) add(r *result) {
	if r.NotRun {
		t.NotRun++
		return
	}
	t.Runs++
	if len(r.Failures) > 0 {
		t.Failed++
		t.FailedRounds = append(t.FailedRounds, r.Round)
	}
	t.Acknowledged += r.Acknowledged
	t.Lost, t.Twice, t.OutOfOrder = t.Lost+r.Lost, t.Twice+r.Twice, t.OutOfOrder+r.OutOfOrder
	t.Silence, t.Slowest = max(t.Silence, r.Silence), max(t.Slowest, r.Slowest)
	if r.Recovery != nil {
		t.Recovery = max(t.Recovery, *r.Recovery)
	}
}

// summary is what all scenarios came to.
type summary struct {
	all       tally
	scenarios []*tally
}

func newSummary() *summary { return &summary{all: tally{Scenario: "all"}} }

func (s *summary) add(r *result) {
	s.all.add(r)
	for _, t := range s.scenarios {
		if t.Scenario == r.Scenario {
			t.add(r)
			return
		}
	}
	t := &tally{Scenario: r.Scenario}
	t.add(r)
	s.scenarios = append(s.scenarios, t)
}

// err says how many runs failed, nil when none did.
func (s *summary) err() error {
	if s.all.Failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d failed", s.all.Failed, s.all.Runs)
}

const summaryFormat = "%-26s %6s %6s %7s %12s %5s %6s %13s %15s %9s %9s\n"

// summary prints a line for each scenario and one for all of them, and how to repeat what failed. One round needs but the last.
func (p *printer) summary(s *summary, seed uint64) error {
	switch {
	case s.all.Runs+s.all.NotRun == 0:
		return nil
	case p.json:
		return p.summaryJSON(s, seed)
	}
	fmt.Fprintln(p.w)
	if s.all.Runs+s.all.NotRun > len(s.scenarios) {
		fmt.Fprintf(p.w, summaryFormat, "all rounds", "runs", "failed", "not run", "acknowledged", "lost", "twice", "out of order",
			"longest silence", "slowest", "recovery")
		for _, t := range append(s.scenarios, &s.all) {
			count := func(n int) string { return bench.Count(float64(n)) }
			fmt.Fprintf(p.w, summaryFormat, t.Scenario, count(t.Runs), count(t.Failed), count(t.NotRun), count(t.Acknowledged), count(t.Lost),
				count(t.Twice), count(t.OutOfOrder), seconds(t.Silence), seconds(t.Slowest), seconds(t.Recovery))
		}
	}
	verdict := fmt.Sprintf("%d of %d runs failed", s.all.Failed, s.all.Runs)
	if s.all.NotRun > 0 {
		verdict += fmt.Sprintf(", %d were not run", s.all.NotRun)
	}
	fmt.Fprintf(p.w, "%s: %s events acknowledged, %d lost, %d twice, %d out of order; seed %d\n", verdict,
		bench.Count(float64(s.all.Acknowledged)), s.all.Lost, s.all.Twice, s.all.OutOfOrder, seed)
	for _, t := range s.scenarios {
		if t.Failed > 0 {
			rounds := strings.Trim(fmt.Sprint(t.FailedRounds), "[]")
			fmt.Fprintf(p.w, "%s failed in round %s; again: --seed %d --scenario %s --rounds %d\n", t.Scenario, rounds, seed, t.Scenario,
				max(2, t.FailedRounds[len(t.FailedRounds)-1])) // one round alone has other timing
		}
	}
	return nil
}

// summaryJSON prints the line of all scenarios when there were several runs.
func (p *printer) summaryJSON(s *summary, seed uint64) error {
	if s.all.Runs+s.all.NotRun < 2 {
		return nil
	}
	return json.NewEncoder(p.w).Encode(struct {
		tally
		Seed uint64 `json:"seed"`
	}{s.all, seed})
}
