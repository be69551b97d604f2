package story

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/remediation"
)

// Summary is the remediation in a few words, and what they rest on. What no event says is left out.
type Summary struct {
	// Text is a few plain sentences.
	Text          string              `json:"text"`
	Signal        *Statement          `json:"signal,omitzero"`
	Severity      *Statement          `json:"severity,omitzero"`
	Target        *TargetStatement    `json:"target,omitzero"`
	Cause         *Statement          `json:"root_cause,omitzero"`
	Repaired      *TargetStatement    `json:"remediation_target,omitzero"`
	Chosen        *Choice             `json:"chosen,omitzero"`
	Approval      *Statement          `json:"approval,omitzero"`
	Outcome       *Statement          `json:"outcome,omitzero"`
	Phase         *Statement          `json:"phase,omitzero"`
	Review        *Statement          `json:"human_review_reason,omitzero"`
	Effectiveness *EffectivenessBrief `json:"effectiveness,omitzero"`
}

// Statement is a text that an event says.
type Statement struct {
	Value    string    `json:"value"`
	EventID  uuid.UUID `json:"event_id"`
	LogIndex int64     `json:"log_index"`
}

// TargetStatement is an object that an event names.
type TargetStatement struct {
	remediation.Target
	ClusterName string    `json:"cluster_name,omitzero"`
	EventID     uuid.UUID `json:"event_id"`
	LogIndex    int64     `json:"log_index"`
}

// Choice is the workflow that was chosen, and why.
type Choice struct {
	WorkflowID      string    `json:"workflow_id"`
	WorkflowName    string    `json:"workflow_name,omitzero"`
	WorkflowVersion string    `json:"workflow_version,omitzero"`
	ActionType      string    `json:"action_type,omitzero"`
	Confidence      *float64  `json:"confidence,omitzero"`
	Rationale       string    `json:"rationale,omitzero"`
	EventID         uuid.UUID `json:"event_id"`
	LogIndex        int64     `json:"log_index"`
}

// EffectivenessBrief is how much the remediation helped, from 0 to 1; see Assess.
type EffectivenessBrief struct {
	Score      float64 `json:"score"`
	LogIndexes []int64 `json:"log_indexes"`
}

// maxStatement is how long a text of the summary is, in characters.
const maxStatement = 2000

func summarize(facts *remediation.Facts, t *Timeline) Summary {
	s := Summary{
		Signal: statement(facts, "signal_name"), Severity: statement(facts, "severity"), Cause: statement(facts, "root_cause"),
		Approval: statement(facts, "approval"), Outcome: statement(facts, "outcome"), Phase: statement(facts, "phase"),
		Review: statement(facts, "human_review_reason"),
		Target: target(facts, "target"), Repaired: target(facts, "remediation_target"), Chosen: choice(facts),
	}
	if score, ok := facts.Effectiveness(); ok {
		s.Effectiveness = &EffectivenessBrief{Score: score, LogIndexes: []int64{}}
		for _, p := range remediation.Parts {
			if f, ok := facts.Get(p.Fact); ok {
				s.Effectiveness.LogIndexes = append(s.Effectiveness.LogIndexes, f.LogIndex)
			}
		}
	}
	s.Text = s.words(t)
	return s
}

func statement(facts *remediation.Facts, name string) *Statement {
	f, ok := facts.Get(name)
	if !ok {
		return nil
	}
	return &Statement{Value: oneLine(f.Text(), maxStatement), EventID: f.EventID, LogIndex: f.LogIndex}
}

func target(facts *remediation.Facts, name string) *TargetStatement {
	f, ok := facts.Get(name)
	if !ok {
		return nil
	}
	return &TargetStatement{Target: f.Target(), ClusterName: facts.Text("cluster"), EventID: f.EventID, LogIndex: f.LogIndex}
}

func choice(facts *remediation.Facts) *Choice {
	f, ok := facts.Get("workflow_id")
	if !ok {
		return nil
	}
	c := &Choice{
		WorkflowID: f.Text(), WorkflowName: facts.Text("workflow_name"), WorkflowVersion: facts.Text("workflow_version"),
		ActionType: facts.Text("action_type"), Rationale: oneLine(facts.Text("rationale"), maxStatement),
		EventID: f.EventID, LogIndex: f.LogIndex,
	}
	if confidence, ok := facts.Get("confidence"); ok {
		n, _ := confidence.Number()
		c.Confidence = &n
	}
	return c
}

// words says the summary in a few sentences.
func (s *Summary) words(t *Timeline) string {
	var said []string
	if opening := s.opening(); opening != "" {
		said = append(said, opening)
	}
	if s.Cause != nil {
		said = append(said, finished("The cause: "+oneLine(s.Cause.Value, maxLong)))
	}
	if s.Chosen != nil {
		said = append(said, s.Chosen.words())
	} else if s.Review != nil {
		said = append(said, "No workflow was chosen: "+oneLine(s.Review.Value, maxValue)+".")
	}
	said = append(said, s.ending(t))
	if s.Effectiveness != nil {
		said = append(said, "Its effectiveness was assessed as "+strconv.FormatFloat(s.Effectiveness.Score, 'f', 2, 64)+" of 1.")
	}
	return strings.Join(said, " ")
}

func (s *Summary) opening() string {
	if s.Signal == nil && s.Target == nil {
		return ""
	}
	words := "A signal"
	if s.Signal != nil {
		words = oneLine(s.Signal.Value, maxValue)
	}
	if s.Severity != nil {
		words += " (" + oneLine(s.Severity.Value, maxValue) + ")"
	}
	if s.Target != nil {
		words += " on " + oneLine(s.Target.String(), 2*maxValue)
	}
	return words + "."
}

func (c *Choice) words() string {
	name := c.WorkflowID
	if c.WorkflowName != "" {
		name = c.WorkflowName
	}
	words := "Workflow " + oneLine(name, maxValue)
	if c.WorkflowVersion != "" {
		words += " " + oneLine(c.WorkflowVersion, maxValue)
	}
	words += " was chosen"
	if c.Confidence != nil {
		words += fmt.Sprintf(" with %.0f %% confidence", *c.Confidence*100)
	}
	if c.Rationale != "" {
		words += ": " + oneLine(c.Rationale, maxLong)
	}
	return finished(words)
}

func (s *Summary) ending(t *Timeline) string {
	took := span(time.Duration(t.DurationMS) * time.Millisecond)
	switch {
	case s.Outcome != nil:
		return "It ended as " + oneLine(s.Outcome.Value, maxValue) + ", " + took + " from the first event to the last."
	case s.Phase != nil:
		return "It stands in phase " + oneLine(s.Phase.Value, maxValue) + ", " + took + " from the first event to the last."
	}
	return strconv.Itoa(t.EventCount) + " events over " + took + "; no event says how it ended."
}
