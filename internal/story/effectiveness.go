package story

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/remediation"
)

// Effectiveness says how much a remediation helped.
type Effectiveness struct {
	CorrelationID string `json:"correlation_id"`
	// Score is the weighted mean of the parts that are known, from 0 to 1; nil when none is known.
	Score      *float64       `json:"score"`
	Components components     `json:"components"`
	Hashes     hashComparison `json:"hash_comparison"`
	// Status is the reason that the latest completed assessment gives; completed when it gives none, in_progress when
	// none is completed, no_data when there is no assessment.
	Status string `json:"assessment_status"`
	// ComputedAt is the time of the latest assessment, nil when there is none: what the answer is as of.
	ComputedAt *time.Time   `json:"computed_at"`
	Parts      []ScoredPart `json:"parts"`
	Missing    []string     `json:"missing"`
	Ignored    []Ignored    `json:"ignored"`
	// Assessments is how many events were read.
	Assessments int  `json:"assessments"`
	Truncated   bool `json:"assessments_truncated,omitzero"`
}

type components struct {
	HealthAssessed  bool     `json:"health_assessed"`
	HealthScore     *float64 `json:"health_score"`
	AlertAssessed   bool     `json:"alert_assessed"`
	AlertScore      *float64 `json:"alert_score"`
	MetricsAssessed bool     `json:"metrics_assessed"`
	MetricsScore    *float64 `json:"metrics_score"`
}

type hashComparison struct {
	Pre   string `json:"pre_remediation_spec_hash,omitzero"`
	Post  string `json:"post_remediation_spec_hash,omitzero"`
	Match *bool  `json:"hash_match,omitzero"`
}

// ScoredPart is one part of the score, and the event that it comes from.
type ScoredPart struct {
	Name  string  `json:"name"`
	Score float64 `json:"score"`
	// Weight is the share when all parts are known, Share the one in this score.
	Weight float64 `json:"weight"`
	Share  float64 `json:"share"`
	Origin Origin  `json:"source"`
}

// Origin is the event that says something.
type Origin struct {
	EventID  uuid.UUID `json:"event_id"`
	LogIndex int64     `json:"log_index"`
	Type     string    `json:"event_type"`
	Time     time.Time `json:"event_timestamp"`
}

func originOf(f remediation.Fact) Origin {
	return Origin{EventID: f.EventID, LogIndex: f.LogIndex, Type: f.Type, Time: f.Time}
}

// Ignored is a score that does not count.
type Ignored struct {
	Field    string    `json:"field"`
	EventID  uuid.UUID `json:"event_id"`
	LogIndex int64     `json:"log_index"`
	Reason   string    `json:"reason"`
}

// maxIgnored is how many ignored scores an answer names.
const maxIgnored = 100

// assessments is the prefix of the types of events that assess a remediation.
const assessments = "effectiveness."

// Assess returns the effectiveness of a remediation. A correlation_id that no event has is CodeNotFound.
func Assess(ctx context.Context, src Source, correlationID string) (*Effectiveness, error) {
	out := &Effectiveness{CorrelationID: correlationID, Status: "no_data", Parts: []ScoredPart{}, Missing: []string{}, Ignored: []Ignored{}}
	facts := remediation.Facts{OnIgnored: func(i remediation.Ignored) {
		if len(out.Ignored) < maxIgnored {
			out.Ignored = append(out.Ignored, Ignored{i.Fact, i.EventID, i.LogIndex, i.Fact + " " + i.Reason})
		}
	}}
	r, err := readAll(ctx, src, correlationID, assessments, 0, func(_ *datastorage.Event, e *project.Event) error {
		facts.Add(e)
		out.ComputedAt = &e.Time
		return nil
	})
	if err != nil {
		return nil, err
	}
	if r.count == 0 {
		known, err := src.Events(ctx, datastorage.EventQuery{CorrelationID: correlationID, Limit: 1, Count: datastorage.CountNone})
		if err != nil {
			return nil, err
		}
		if len(known.Events) == 0 {
			return nil, NotFound()
		}
	}
	out.Assessments, out.Truncated = r.count, r.truncated
	out.score(&facts)
	return out, nil
}

func (out *Effectiveness) score(facts *remediation.Facts) {
	slices.SortFunc(out.Ignored, func(a, b Ignored) int { return cmp.Compare(a.LogIndex, b.LogIndex) })
	if out.Assessments > 0 {
		out.Status = "in_progress"
	}
	if _, ok := facts.Get("assessed_at"); ok {
		out.Status = "completed"
	}
	if reason := facts.Text("assessment_reason"); reason != "" {
		out.Status = reason
	}
	if score, ok := facts.Effectiveness(); ok {
		out.Score = &score
	}
	out.parts(facts)
	c := &out.Components
	c.HealthScore, c.AlertScore, c.MetricsScore = out.part("health"), out.part("alert"), out.part("metrics")
	c.HealthAssessed, c.AlertAssessed, c.MetricsAssessed = c.HealthScore != nil, c.AlertScore != nil, c.MetricsScore != nil
	h := &out.Hashes
	h.Pre, h.Post = facts.Text("pre_remediation_spec_hash"), facts.Text("post_remediation_spec_hash")
	if h.Pre != "" && h.Post != "" {
		match := h.Pre == h.Post
		h.Match = &match
	}
}

func (out *Effectiveness) parts(facts *remediation.Facts) {
	known := 0.0
	for _, p := range remediation.Parts {
		if _, ok := facts.Get(p.Fact); ok {
			known += p.Weight
		}
	}
	for _, p := range remediation.Parts {
		fact, ok := facts.Get(p.Fact)
		if !ok {
			out.Missing = append(out.Missing, p.Name)
			continue
		}
		n, _ := fact.Number()
		out.Parts = append(out.Parts, ScoredPart{Name: p.Name, Score: n, Weight: p.Weight, Share: p.Weight / known, Origin: originOf(fact)})
	}
}

// part returns the score of a part, nil when it is not known.
func (out *Effectiveness) part(name string) *float64 {
	for i := range out.Parts {
		if out.Parts[i].Name == name {
			return &out.Parts[i].Score
		}
	}
	return nil
}
