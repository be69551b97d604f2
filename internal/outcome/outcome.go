package outcome

import (
	"cmp"
	"time"
)

// Status is how far an execution is.
type Status string

// The values of execution_status.
const (
	Completed  Status = "completed"
	Failed     Status = "failed"
	Pending    Status = "pending"
	Executing  Status = "executing"
	RolledBack Status = "rolled-back"
)

// isKnown reports whether s is one of the values of execution_status.
func (s Status) isKnown() bool {
	switch s {
	case Completed, Failed, Pending, Executing, RolledBack:
		return true
	}
	return false
}

// isFinal reports whether nothing more is expected of an execution.
func (s Status) isFinal() bool { return s == Completed || s == Failed || s == RolledBack }

// statusOf is what an event_outcome stands for where an event has no execution_status.
func statusOf(eventOutcome string) Status {
	switch eventOutcome {
	case "success":
		return Completed
	case "failure":
		return Failed
	}
	return Pending
}

// Mode says how an agent came to what it did; it is a set of bits.
type Mode int64

// The bits of a Mode, and the members of event_data that set them.
const (
	ModeSelected  Mode = 1 << iota // ai_selected_workflow
	ModeChained                    // ai_chained_workflows
	ModeEscalated                  // ai_manual_escalation
)

// noDuration says that an outcome has no duration_ms.
const noDuration = -1

// Outcome is what counts of a set of outcome events: their latest one, and when the first of them began. Times are
// microseconds since 1970 UTC. A text that is not known is "".
type Outcome struct {
	LogIndex int64 // of the latest event
	At       int64 // its event_timestamp
	// Started is the earliest moment that the events tell of: the event_timestamp of one, less its duration_ms.
	Started       int64
	CorrelationID string
	ExecutionID   string // workflow_execution_id
	IncidentType  string // never ""
	WorkflowID    string
	// WorkflowVersion is only known together with WorkflowID.
	WorkflowVersion string
	ActionType      string
	Status          Status
	EventOutcome    string
	Severity        string
	Namespace       string
	Cluster         string
	Environment     string
	Duration        int64 // duration_ms of the latest event; noDuration when it has none
	Mode            Mode
}

// CompletedAt is when the execution ended; false while it has not.
func (o *Outcome) CompletedAt() (time.Time, bool) {
	if !o.Status.isFinal() {
		return time.Time{}, false
	}
	return time.UnixMicro(o.At).UTC(), true
}

// StartedAt is the earliest moment that is known of the execution.
func (o *Outcome) StartedAt() time.Time { return time.UnixMicro(o.Started).UTC() }

// DurationMS is how long the execution took in milliseconds: what its latest event says, else the time between start and
// end. It is false when neither is known.
func (o *Outcome) DurationMS() (int64, bool) {
	if o.Duration != noDuration {
		return o.Duration, true
	}
	if !o.Status.isFinal() || o.Started == o.At {
		return 0, false
	}
	return (o.At - o.Started) / 1000, true
}

// compare orders outcomes by the event that counts.
func (o *Outcome) compare(other *Outcome) int {
	return cmp.Or(cmp.Compare(o.At, other.At), cmp.Compare(o.LogIndex, other.LogIndex))
}

// merge returns what counts of the events of a and of b, each of which may be nil for none. It changes neither.
func merge(a, b *Outcome) *Outcome {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.compare(b) < 0:
		a, b = b, a
	}
	if a.Started <= b.Started {
		return a
	}
	merged := *a
	merged.Started = b.Started
	return &merged
}
