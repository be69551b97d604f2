package remediation

// Part is one part of the effectiveness of a remediation.
type Part struct {
	Name string
	// Fact is the fact of the table that holds its score.
	Fact string
	// Weight is its share of the whole when all parts are known; the weights add up to 1.
	Weight float64
}

// Parts are the parts of the effectiveness.
var Parts = [...]Part{
	{"health", "health_score", 0.40},
	{"alert", "alert_score", 0.35},
	{"metrics", "metrics_score", 0.25},
}

// reasonsSpecDrift are the reasons of an assessment that found the object changed by somebody else meanwhile: its scores
// measure something else, and the effectiveness is 0.
var reasonsSpecDrift = [...]string{"spec_drift", "SpecDrift"}

// Effectiveness returns the mean of the scores that are known, weighted by Parts, from 0 to 1; false when none is known.
// An assessment that was given up because the object's spec had been changed counts 0.
func (f *Facts) Effectiveness() (float64, bool) {
	if f.SpecDrift() {
		return 0, true
	}
	var sum, weights float64
	for _, p := range Parts {
		fact, ok := f.Get(p.Fact)
		if !ok {
			continue
		}
		n, _ := fact.Number()
		sum += n * p.Weight
		weights += p.Weight
	}
	if weights == 0 {
		return 0, false
	}
	return sum / weights, true
}

// SpecDrift reports whether the assessment found the object changed by somebody else.
func (f *Facts) SpecDrift() bool {
	reason := f.Text("assessment_reason")
	for _, r := range reasonsSpecDrift {
		if r == reason {
			return true
		}
	}
	return false
}
