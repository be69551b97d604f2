package outcome

import "math"

// Tally counts executions.
type Tally struct {
	Total int64
	// Successful are those that completed, Failed those that failed. What is rolled back, pending or executing is in Total
	// alone.
	Successful, Failed int64
	// Selected, Chained and Escalated are those whose event has the bit of that name in its Mode.
	Selected, Chained, Escalated int64
}

// tally counts one execution.
func (o *Outcome) tally() Tally {
	t := Tally{Total: 1}
	switch o.Status {
	case Completed:
		t.Successful = 1
	case Failed:
		t.Failed = 1
	}
	if o.Mode&ModeSelected != 0 {
		t.Selected = 1
	}
	if o.Mode&ModeChained != 0 {
		t.Chained = 1
	}
	if o.Mode&ModeEscalated != 0 {
		t.Escalated = 1
	}
	return t
}

// plus returns t and sign times other.
func (t Tally) plus(other Tally, sign int64) Tally {
	t.Total += sign * other.Total
	t.Successful += sign * other.Successful
	t.Failed += sign * other.Failed
	t.Selected += sign * other.Selected
	t.Chained += sign * other.Chained
	t.Escalated += sign * other.Escalated
	return t
}

// SuccessRate is the share of successful executions, 0 to 1; 0 when there are none.
func (t Tally) SuccessRate() float64 {
	if t.Total == 0 {
		return 0
	}
	return float64(t.Successful) / float64(t.Total)
}

// Confidence classes say how much a rate stands on.
const (
	ConfidenceHigh   = "high"              // 100 executions or more
	ConfidenceMedium = "medium"            // 20 or more
	ConfidenceLow    = "low"               // 5 or more
	ConfidenceNone   = "insufficient_data" // fewer
)

// Confidence is the class of the number of executions.
func (t Tally) Confidence() string {
	switch {
	case t.Total >= 100:
		return ConfidenceHigh
	case t.Total >= 20:
		return ConfidenceMedium
	case t.Total >= 5:
		return ConfidenceLow
	}
	return ConfidenceNone
}

// z95 is the quantile of the normal distribution for a confidence of 95 %.
const z95 = 1.959963984540054

// Wilson returns the 95 % score interval of the success rate, 0 to 1 (E. B. Wilson, "Probable Inference, the Law of
// Succession, and Statistical Inference", JASA 22, 1927):
//
//	(p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)
//
// with p the success rate, n the number of executions and z = 1.959963984540054. Without executions it is 0 to 1: nothing
// is known.
func (t Tally) Wilson() (lower, upper float64) {
	if t.Total == 0 {
		return 0, 1
	}
	n, p := float64(t.Total), t.SuccessRate()
	const z2 = z95 * z95
	center := p + z2/(2*n)
	spread := z95 * math.Sqrt(p*(1-p)/n+z2/(4*n*n))
	scale := 1 + z2/n
	lower, upper = max(0, (center-spread)/scale), min(1, (center+spread)/scale)
	// Where all or none succeeded, the interval ends there exactly; rounding must not say otherwise.
	if t.Successful == 0 {
		lower = 0
	}
	if t.Successful == t.Total {
		upper = 1
	}
	return lower, upper
}
