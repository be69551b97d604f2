package httpapi

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/remediation"
)

// History reads what was tried on an object.
type History interface {
	// Of returns the past of an object. Errors are *datastorage.Error: CodeUnavailable when the store cannot be reached,
	// took too long, or the projection is being built for the first time.
	Of(ctx context.Context, q remediation.Query) (*remediation.Past, error)
}

// Windows of the tiers when nobody says otherwise, and the longest.
const (
	recentWindow = "24h"
	olderWindow  = "90d"
	maxWindow    = 3660 * 24 * time.Hour
)

// pastAnswer is what was tried on one object. Its members have the names that V1.0 gave them, and others like them.
type pastAnswer struct {
	TargetResource     string              `json:"targetResource"`
	ClusterName        string              `json:"clusterName,omitzero"`
	CurrentSpecHash    string              `json:"currentSpecHash"`
	RegressionDetected bool                `json:"regressionDetected"`
	Regressions        []regressionAnswer  `json:"regressions"`
	Flapping           flappingAnswer      `json:"flapping"`
	Tier1              pastTier[pastFull]  `json:"tier1"`
	Tier2              pastTier[pastBrief] `json:"tier2"`
	OtherClusters      []string            `json:"otherClusters,omitzero"`
	LogSize            int64               `json:"logSize"`
}

type regressionAnswer struct {
	RemediationUID string                `json:"remediationUID"`
	HashMatch      remediation.HashMatch `json:"hashMatch"`
	CompletedAt    time.Time             `json:"completedAt"`
	Meaning        string                `json:"meaning"`
	LogIndex       int64                 `json:"logIndex"`
}

type flappingAnswer struct {
	Detected     bool     `json:"detected"`
	Remediations int      `json:"remediations"`
	SpecReturns  int      `json:"specReturns"`
	Reasons      []string `json:"reasons"`
}

// pastTier is one tier, oldest first.
type pastTier[T any] struct {
	Window  string `json:"window"`
	Chain   []T    `json:"chain"`
	LeftOut int    `json:"leftOut"`
	// LeftOutIsLowerBound says that at least so many are left out.
	LeftOutIsLowerBound bool `json:"leftOutIsLowerBound,omitzero"`
}

// pastBrief is a remediation in short.
type pastBrief struct {
	RemediationUID string   `json:"remediationUID"`
	MatchedBy      []string `json:"matchedBy"`
	SignalType     string   `json:"signalType,omitzero"`
	WorkflowType   string   `json:"workflowType,omitzero"`
	WorkflowID     string   `json:"workflowId,omitzero"`
	Outcome        string   `json:"outcome,omitzero"`
	Status         string   `json:"status,omitzero"`
	// Score is nil when the remediation was not assessed.
	Score          *float64              `json:"effectivenessScore,omitzero"`
	SignalResolved *bool                 `json:"signalResolved,omitzero"`
	HashMatch      remediation.HashMatch `json:"hashMatch"`
	CompletedAt    time.Time             `json:"completedAt"`
	LogIndexes     []int64               `json:"logIndexes"`
}

// pastFull is a remediation in full.
type pastFull struct {
	pastBrief
	SignalFingerprint string              `json:"signalFingerprint,omitzero"`
	Severity          string              `json:"severity,omitzero"`
	Environment       string              `json:"environment,omitzero"`
	Target            *remediation.Target `json:"target,omitzero"`
	Repaired          *remediation.Target `json:"remediationTarget,omitzero"`
	RootCause         string              `json:"rootCause,omitzero"`
	WorkflowName      string              `json:"workflowName,omitzero"`
	WorkflowVersion   string              `json:"workflowVersion,omitzero"`
	Confidence        *float64            `json:"confidence,omitzero"`
	Rationale         string              `json:"rationale,omitzero"`
	Approval          string              `json:"approval,omitzero"`
	Phase             string              `json:"phase,omitzero"`
	FailureReason     string              `json:"failureReason,omitzero"`
	HumanReviewReason string              `json:"humanReviewReason,omitzero"`
	PreHash           string              `json:"preRemediationSpecHash,omitzero"`
	PostHash          string              `json:"postRemediationSpecHash,omitzero"`
	Health            *float64            `json:"healthScore,omitzero"`
	Alert             *float64            `json:"alertScore,omitzero"`
	Metrics           *float64            `json:"metricsScore,omitzero"`
	HealthChecks      jsontext.Value      `json:"healthChecks,omitzero"`
	MetricDeltas      jsontext.Value      `json:"metricDeltas,omitzero"`
	AssessmentReason  string              `json:"assessmentReason,omitzero"`
	AssessedAt        *time.Time          `json:"assessedAt,omitzero"`
	StartedAt         *time.Time          `json:"startedAt,omitzero"`
}

func (s *Server) getRemediationHistory(c *call) (res *response, err error) {
	defer s.metrics.query("remediation_history", s.cfg.Now(), &err)
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	q := remediation.Query{
		Target:  remediation.Target{Kind: p.object("target_kind"), Name: p.object("target_name"), Namespace: p.object("target_namespace")},
		Cluster: p.object("cluster_name"), SpecHash: p.object("current_spec_hash"), Now: s.cfg.Now(),
	}
	for name, value := range map[string]string{"target_kind": q.Target.Kind, "target_name": q.Target.Name} {
		if value == "" {
			p.fault(name, "is required")
		}
	}
	var tier1, tier2 string
	tier1, q.Recent = p.window("tier1_window", recentWindow, q.Now)
	tier2, q.Older = p.window("tier2_window", olderWindow, q.Now)
	if err := p.err(); err != nil {
		return nil, err
	}
	past, err := s.cfg.History.Of(c.Context(), q)
	if err != nil {
		return nil, err
	}
	return encode(http.StatusOK, answerPast(&q, past, tier1, tier2))
}

// maxObjectText is how long a part of the name of an object, or a hash, may be, in bytes.
const maxObjectText = 255

// object reads a parameter that V1.0 has in camelCase too: target_kind and targetKind are the same.
func (p *params) object(name string) string {
	value, other := p.text(name), p.text(remediation.Camel(name))
	switch {
	case value == "":
		value = other
	case other != "" && other != value:
		p.fault(name, "must be given once")
	}
	if len(value) > maxObjectText {
		p.fault(name, "must be at most %d bytes long", maxObjectText)
	}
	return value
}

// window reads a window of time back from now, such as 24h or 90d, and gives it back as it was written.
func (p *params) window(name, fallback string, now time.Time) (string, time.Duration) {
	value := p.object(name)
	if value == "" {
		value = fallback
	}
	begin, err := datastorage.ParseTime(value, now)
	window := now.Sub(begin)
	if err != nil || !strings.ContainsAny(value[len(value)-1:], "hdms") || window <= 0 || window > maxWindow {
		p.fault(name, "must be a time back from now such as 24h or 90d, at most 3660d")
	}
	return value, window
}

func answerPast(q *remediation.Query, past *remediation.Past, tier1, tier2 string) *pastAnswer {
	a := &pastAnswer{
		TargetResource: q.Target.Kind + "/" + q.Target.Name, ClusterName: q.Cluster, CurrentSpecHash: q.SpecHash,
		Regressions: []regressionAnswer{}, Flapping: answerFlapping(past.Flapping), OtherClusters: past.OtherClusters, LogSize: past.LogSize,
		Tier1: pastTier[pastFull]{Window: tier1, Chain: []pastFull{}, LeftOut: past.RecentLeftOut, LeftOutIsLowerBound: past.Truncated},
		Tier2: pastTier[pastBrief]{Window: tier2, Chain: []pastBrief{}, LeftOut: past.OlderLeftOut, LeftOutIsLowerBound: past.Truncated},
	}
	if q.Target.Namespace != "" {
		a.TargetResource = q.Target.Namespace + "/" + a.TargetResource
	}
	for _, r := range past.Regressions {
		a.RegressionDetected = a.RegressionDetected || r.HashMatch == remediation.MatchPre
		a.Regressions = append(a.Regressions, regressionAnswer{r.CorrelationID, r.HashMatch, r.At, meanings[r.HashMatch], r.LogIndex})
	}
	for i := range past.Recent {
		a.Tier1.Chain = append(a.Tier1.Chain, inFull(&past.Recent[i]))
	}
	for i := range past.Older {
		a.Tier2.Chain = append(a.Tier2.Chain, inBrief(&past.Older[i]))
	}
	return a
}

// meanings say what it means that an object has the spec of a remediation.
var meanings = map[remediation.HashMatch]string{
	remediation.MatchPre: "The object has again the spec that it had before this remediation: what was changed has been undone, " +
		"and what was signalled then may come again.",
	remediation.MatchPost: "The object still has the spec that this remediation left: a new signal means that it did not help, or not for long.",
}

func answerFlapping(f remediation.Flapping) flappingAnswer {
	a := flappingAnswer{Remediations: f.Remediations, SpecReturns: f.Returns, Reasons: []string{}}
	if f.Repeated() {
		a.Reasons = append(a.Reasons, fmt.Sprintf("workflows were run on the object %d times in the last %d hours", f.Remediations, remediation.FlapWindow/time.Hour))
	}
	if f.Alternating() {
		a.Reasons = append(a.Reasons, fmt.Sprintf("the object's spec went back to an earlier one %d times in the last %d days", f.Returns, remediation.SpecWindow/(24*time.Hour)))
	}
	a.Detected = len(a.Reasons) > 0
	return a
}

// inBrief tells a remediation in short.
func inBrief(r *remediation.Remediation) pastBrief {
	f := r.Facts
	b := pastBrief{
		RemediationUID: r.CorrelationID, MatchedBy: []string{}, SignalType: f.Text("signal_name"), WorkflowType: f.Text("action_type"),
		WorkflowID: f.Text("workflow_id"), Outcome: f.Text("outcome"), Status: f.Status(), HashMatch: r.HashMatch, CompletedAt: r.At,
		LogIndexes: r.LogIndexes(),
	}
	if r.ByTarget {
		b.MatchedBy = append(b.MatchedBy, "target")
	}
	if r.ByOwner {
		b.MatchedBy = append(b.MatchedBy, "remediationTarget")
	}
	if score, ok := f.Effectiveness(); ok {
		b.Score = &score
	}
	if alert := number(f, "alert_score"); alert != nil {
		resolved := *alert == 1
		b.SignalResolved = &resolved
	}
	return b
}

// inFull tells a remediation in full.
func inFull(r *remediation.Remediation) pastFull {
	f := r.Facts
	return pastFull{
		pastBrief: inBrief(r), SignalFingerprint: f.Text("signal_fingerprint"), Severity: f.Text("severity"), Environment: f.Text("environment"),
		Target: object(f, "target"), Repaired: object(f, "remediation_target"), RootCause: f.Text("root_cause"),
		WorkflowName: f.Text("workflow_name"), WorkflowVersion: f.Text("workflow_version"), Confidence: number(f, "confidence"),
		Rationale: f.Text("rationale"), Approval: f.Text("approval"), Phase: f.Text("phase"), FailureReason: f.Text("failure_reason"),
		HumanReviewReason: f.Text("human_review_reason"), PreHash: f.Text("pre_remediation_spec_hash"), PostHash: f.Text("post_remediation_spec_hash"),
		Health: number(f, "health_score"), Alert: number(f, "alert_score"), Metrics: number(f, "metrics_score"),
		HealthChecks: inCamel(f, "health_checks"), MetricDeltas: inCamel(f, "metric_deltas"),
		AssessmentReason: f.Text("assessment_reason"), AssessedAt: moment(f, "assessed_at"), StartedAt: moment(f, "started_at"),
	}
}

func number(f *remediation.Facts, name string) *float64 {
	fact, _ := f.Get(name)
	if n, ok := fact.Number(); ok {
		return &n
	}
	return nil
}

func object(f *remediation.Facts, name string) *remediation.Target {
	if fact, ok := f.Get(name); ok {
		t := fact.Target()
		return &t
	}
	return nil
}

// inCamel is an object whose members have their names in camelCase, nil when there is none.
func inCamel(f *remediation.Facts, name string) jsontext.Value {
	fact, ok := f.Get(name)
	var members map[string]jsontext.Value
	if !ok || json.Unmarshal(fact.Value, &members) != nil {
		return nil
	}
	renamed := make(map[string]jsontext.Value, len(members))
	for _, member := range slices.Sorted(maps.Keys(members)) {
		renamed[remediation.Camel(member)] = members[member]
	}
	b, err := json.Marshal(renamed, json.Deterministic(true))
	if err != nil {
		return nil
	}
	return b
}

func moment(f *remediation.Facts, name string) *time.Time {
	if fact, ok := f.Get(name); ok {
		t := fact.Moment()
		return &t
	}
	return nil
}
