package report

import (
	"strings"
	"time"
)

// event is an event of the log, with what reports look at in its event_data.
type event struct {
	LogIndex      int64     `json:"log_index"`
	Time          time.Time `json:"event_timestamp"`
	Type          text      `json:"event_type"`
	Outcome       text      `json:"event_outcome"`
	CorrelationID text      `json:"correlation_id"`
	Severity      text      `json:"severity"`
	Namespace     text      `json:"namespace"`
	Actor         text      `json:"actor_id"`
	Data          struct {
		Outcome         loose `json:"outcome"`
		IncidentType    loose `json:"incident_type"`
		WorkflowID      loose `json:"workflow_id"`
		WorkflowName    loose `json:"workflow_name"`
		WorkflowVersion loose `json:"workflow_version"`
		Version         loose `json:"version"`
		Confidence      loose `json:"confidence"`
		SignalName      loose `json:"signal_name"`
		Health          loose `json:"health_score"`
		Alert           loose `json:"alert_score"`
		Metrics         loose `json:"metrics_score"`
	} `json:"event_data"`
}

func (e *event) cite() Cite { return eventAt(e.LogIndex) }

// ending is how a remediation ended: what its last event says, in its own word where it has one.
func (e *event) ending() string {
	if e.Data.Outcome != "" {
		return string(e.Data.Outcome)
	}
	return string(e.Outcome)
}

// tone is how the event's outcome looks.
func (e *event) tone() Tone { return outcomeTone(string(e.Outcome)) }

// outcomeTone is how an event_outcome looks.
func outcomeTone(outcome string) Tone {
	switch outcome {
	case "success":
		return Good
	case "failure":
		return Bad
	case "pending":
		return Attention
	}
	return Plain
}

// scoreTone is how a score or a rate of 0 to 1 looks.
func scoreTone(f float64) Tone {
	switch {
	case f >= 0.75:
		return Good
	case f >= 0.4:
		return Attention
	}
	return Bad
}

// spaced writes a word of a program in words: ManualReviewRequired becomes manual review required.
func spaced(s string) string {
	var b strings.Builder
	before := ' '
	for _, r := range s {
		upper := r >= 'A' && r <= 'Z'
		if upper && before >= 'a' && before <= 'z' {
			b.WriteByte(' ')
		}
		if upper {
			r += 'a' - 'A'
		}
		if r == '_' {
			r = ' '
		}
		b.WriteRune(r)
		before = r
	}
	return b.String()
}
