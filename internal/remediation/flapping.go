package remediation

import (
	"slices"
	"time"
)

// What is called flapping.
const (
	// FlapWindow is how far back remediations are counted, FlapCount how many are too many.
	FlapWindow = 24 * time.Hour
	FlapCount  = 3
	// SpecWindow is how far back specs are compared, SpecReturns how often an object may have a spec again that it had
	// before.
	SpecWindow  = 7 * 24 * time.Hour
	SpecReturns = 2
)

// Flapping says whether an object is remediated again and again.
type Flapping struct {
	// Remediations is how many remediations ran a workflow on the object in FlapWindow.
	Remediations int
	// Returns is how often in SpecWindow the object had a spec again that it had before, its spec now included.
	Returns int
}

// Repeated reports whether there were too many remediations.
func (f Flapping) Repeated() bool { return f.Remediations >= FlapCount }

// Alternating reports whether the object's spec goes back and forth.
func (f Flapping) Alternating() bool { return f.Returns >= SpecReturns }

// flapping counts over remediations, latest first.
func (q *Query) flapping(rows []*row) Flapping {
	var f Flapping
	seen := map[string]bool{}
	last := ""
	next := func(hash string) {
		if hash == "" || hash == last {
			return
		}
		if seen[hash] {
			f.Returns++
		}
		seen[hash], last = true, hash
	}
	flaps, specs := q.Now.Add(-FlapWindow).UnixMicro(), q.Now.Add(-SpecWindow).UnixMicro()
	for _, r := range slices.Backward(rows) {
		if r.acted && r.at >= flaps {
			f.Remediations++
		}
		if r.at >= specs {
			next(r.pre)
			next(r.post)
		}
	}
	if len(seen) > 0 {
		next(q.SpecHash)
	}
	return f
}
