package outcome

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/datastorage-io/datastorage/internal/project"
)

const (
	// category and lifecycleType are the events that can be outcomes.
	category      = "execution"
	lifecycleType = "orchestrator.lifecycle.completed"

	// maxText is the longest value of a dimension, in characters. A longer one is not a dimension.
	maxText = 255
	// micro is the number of microseconds in a millisecond.
	micro = 1000
)

// incidentMember stands in the body of every outcome: bodies are canonical, without white space.
var incidentMember = []byte(`"incident_type":"`)

// reader reads outcomes from events. It is not safe for concurrent use.
type reader struct {
	dec *jsontext.Decoder
	buf bytes.Buffer
	out Outcome
}

func newReader() *reader {
	r := &reader{}
	// A stored body has no duplicate names and is valid UTF-8; it was checked when it came.
	r.dec = jsontext.NewDecoder(&r.buf, jsontext.AllowDuplicateNames(true))
	return r
}

// read returns the outcome that an event is, and whether it is one. A member of the wrong type is taken for absent, and so
// is a text of more than maxText characters.
func (r *reader) read(e *project.Event) (Outcome, bool) {
	if e.Category != category && e.Type != lifecycleType || !bytes.Contains(e.Body, incidentMember) {
		return Outcome{}, false
	}
	r.out = Outcome{
		LogIndex: e.LogIndex, At: e.Time.UnixMicro(), CorrelationID: e.CorrelationID, EventOutcome: e.Outcome,
		Severity: e.Severity, Namespace: e.Namespace, Cluster: e.ClusterName, Duration: noDuration,
	}
	r.buf = *bytes.NewBuffer(e.Body)
	r.dec.Reset(&r.buf)
	if err := r.object(r.bodyMember); err != nil || r.out.IncidentType == "" {
		return Outcome{}, false
	}
	o := r.out
	if o.Status == "" {
		o.Status = statusOf(e.Outcome)
	}
	if o.WorkflowID == "" {
		o.WorkflowVersion = ""
	}
	o.Started = o.At
	if o.Duration != noDuration && o.Duration <= o.At/micro {
		o.Started = o.At - o.Duration*micro
	}
	return o, true
}

// object reads an object and calls member with the quoted name of each of its members; member reads the value.
func (r *reader) object(member func(name string) error) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for r.dec.PeekKind() == '"' {
		name, err := r.dec.ReadValue()
		if err != nil {
			return err
		}
		if err := member(string(name)); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

func (r *reader) bodyMember(name string) error {
	switch name {
	case `"duration_ms"`:
		raw, err := r.dec.ReadValue()
		if n, fault := strconv.ParseInt(string(raw), 10, 64); fault == nil {
			r.out.Duration = n
		}
		return err
	case `"event_data"`:
		return r.object(r.dataMember)
	}
	return r.dec.SkipValue()
}

func (r *reader) dataMember(name string) error {
	switch name {
	case `"action_type"`:
		return r.text(&r.out.ActionType)
	case `"ai_chained_workflows"`:
		return r.flag(ModeChained)
	case `"ai_manual_escalation"`:
		return r.flag(ModeEscalated)
	case `"ai_selected_workflow"`:
		return r.flag(ModeSelected)
	case `"environment"`:
		return r.text(&r.out.Environment)
	case `"execution_status"`:
		var s string
		err := r.text(&s)
		if status := Status(s); status.isKnown() {
			r.out.Status = status
		}
		return err
	case `"incident_type"`:
		return r.text(&r.out.IncidentType)
	case `"workflow_execution_id"`:
		return r.text(&r.out.ExecutionID)
	case `"workflow_id"`:
		return r.text(&r.out.WorkflowID)
	case `"workflow_version"`:
		return r.text(&r.out.WorkflowVersion)
	}
	return r.dec.SkipValue()
}

// text reads a value into s when it is a string that can be a dimension.
func (r *reader) text(s *string) error {
	raw, err := r.dec.ReadValue()
	if err != nil || raw.Kind() != '"' {
		return err
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	if err == nil && (len(text) <= maxText || utf8.RuneCount(text) <= maxText) {
		*s = string(text)
	}
	return err
}

// flag reads a value and sets a bit when it is true.
func (r *reader) flag(bit Mode) error {
	raw, err := r.dec.ReadValue()
	if err == nil && raw.Kind() == 't' {
		r.out.Mode |= bit
	}
	return err
}
