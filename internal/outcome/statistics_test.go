package outcome

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestTally_Wilson compares with the examples of R. G. Newcombe, "Two-sided confidence intervals for the single proportion",
// Statistics in Medicine 17, 1998, table I, method 3.
func TestTally_Wilson(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		successful, total int64
		lower, upper      float64
	}{
		{0, 0, 0, 1},
		{81, 263, 0.2553, 0.3662},
		{15, 148, 0.0624, 0.1605},
		{0, 20, 0, 0.1611},
		{1, 29, 0.0061, 0.1718},
		{29, 29, 0.8830, 1},
	} {
		lower, upper := Tally{Total: c.total, Successful: c.successful}.Wilson()
		if math.Abs(lower-c.lower) > 0.00005 || math.Abs(upper-c.upper) > 0.00005 {
			t.Errorf("%d of %d: %.6f to %.6f, want %.4f to %.4f", c.successful, c.total, lower, upper, c.lower, c.upper)
		}
	}
}

func TestTally_Wilson_HoldsTheRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64Range(1, 1<<40).Draw(t, "total")
		tally := Tally{Total: total, Successful: rapid.Int64Range(0, total).Draw(t, "successful")}
		lower, upper := tally.Wilson()
		if p := tally.SuccessRate(); lower < 0 || lower > p || p > upper || upper > 1 {
			t.Fatalf("%v lies outside %v to %v", p, lower, upper)
		}
	})
}

func TestTally_Confidence(t *testing.T) {
	t.Parallel()
	for total, want := range map[int64]string{
		0: ConfidenceNone, 4: ConfidenceNone, 5: ConfidenceLow, 19: ConfidenceLow, 20: ConfidenceMedium, 99: ConfidenceMedium, 100: ConfidenceHigh,
	} {
		if got := (Tally{Total: total}).Confidence(); got != want {
			t.Errorf("the confidence of %d executions is %s, want %s", total, got, want)
		}
	}
}

// TestSplit checks that the parts of a range hold every moment from its begin on once, and none before.
func TestSplit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		since := rapid.Int64Range(0, 3*64*day).Draw(t, "since")
		if rapid.Bool().Draw(t, "whole hours") {
			since -= since % hour
		}
		at := rapid.Int64Range(0, 6*64*day).Draw(t, "at")
		if rapid.Bool().Draw(t, "near") {
			at = max(0, since+rapid.Int64Range(-hour, hour).Draw(t, "by"))
		}
		partial, spans := split(since)
		held := 0
		if at >= since && at < partial {
			held++
		}
		for level, s := range spans {
			if bucket := at / levels[level]; bucket >= s.lo && bucket < s.hi {
				held++
			}
		}
		if inside := at >= since; inside && held != 1 || !inside && held != 0 {
			t.Fatalf("%d parts of the range from %d hold %d", held, since, at)
		}
	})
}
