package outcome

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// naive is the whole history of outcomes, from which every answer is worked out anew, straight from the meaning.
type naive []Outcome

// event is the event of which an outcome is what counts.
func event(o *Outcome) project.Event {
	var data []string
	member := func(name, value string) {
		if value != "" {
			data = append(data, fmt.Sprintf("%q:%q", name, value))
		}
	}
	member("action_type", o.ActionType)
	for bit, name := range map[Mode]string{ModeChained: "ai_chained_workflows", ModeEscalated: "ai_manual_escalation", ModeSelected: "ai_selected_workflow"} {
		data = append(data, fmt.Sprintf("%q:%v", name, o.Mode&bit != 0))
	}
	member("environment", o.Environment)
	if statusOf(o.EventOutcome) != o.Status {
		member("execution_status", string(o.Status))
	}
	member("incident_type", o.IncidentType)
	member("workflow_execution_id", o.ExecutionID)
	member("workflow_id", o.WorkflowID)
	member("workflow_version", o.WorkflowVersion)
	duration := ""
	if o.Duration != noDuration {
		duration = fmt.Sprintf(`"duration_ms":%d,`, o.Duration)
	}
	return project.Event{
		EventHeader: datastorage.EventHeader{
			LogIndex: o.LogIndex, Time: time.UnixMicro(o.At).UTC(), Type: lifecycleType, Category: "orchestration", Outcome: o.EventOutcome,
			Severity: o.Severity, Namespace: o.Namespace, ClusterName: o.Cluster, CorrelationID: o.CorrelationID,
		},
		Body: []byte(`{` + duration + `"event_data":{` + strings.Join(data, ",") + `}}`),
	}
}

// executions returns what counts, the latest first.
func (n naive) executions() []Outcome {
	named := map[string]map[string]bool{}
	for i := range n {
		if o := &n[i]; o.ExecutionID != "" {
			if named[o.CorrelationID] == nil {
				named[o.CorrelationID] = map[string]bool{}
			}
			named[o.CorrelationID][o.ExecutionID] = true
		}
	}
	type key struct{ execution, correlation string }
	found := map[key]Outcome{}
	for _, o := range n {
		k := key{execution: o.ExecutionID}
		if ids := slices.Collect(maps.Keys(named[o.CorrelationID])); k.execution == "" && len(ids) == 1 {
			k.execution = ids[0]
		} else if k.execution == "" {
			k.correlation = o.CorrelationID
		}
		counts, ok := found[k]
		started := o.Started
		if ok {
			started = min(started, counts.Started)
		}
		if !ok || counts.At < o.At || counts.At == o.At && counts.LogIndex < o.LogIndex {
			counts = o
		}
		counts.Started = started
		found[k] = counts
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Outcome) int {
		return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(b.LogIndex, a.LogIndex))
	})
}

// those returns the executions for which keep holds, in their order.
func those(executions []Outcome, keep func(*Outcome) bool) (kept []Outcome) {
	for i := range executions {
		if keep(&executions[i]) {
			kept = append(kept, executions[i])
		}
	}
	return kept
}

// is reports whether a filter lets a value through.
func is(filter, value string) bool { return filter == "" || filter == value }

// rate answers a question for a rate.
func naiveRate(executions []Outcome, q RateQuery, logSize int64) *Rate {
	rate := &Rate{LogSize: logSize}
	workflows, incidents := map[WorkflowTally]Tally{}, map[string]Tally{}
	matching := those(executions, func(o *Outcome) bool {
		return o.At >= q.Since.UnixMicro() && is(q.IncidentType, o.IncidentType) && is(q.WorkflowID, o.WorkflowID) &&
			is(q.WorkflowVersion, o.WorkflowVersion) && is(q.ActionType, o.ActionType)
	})
	for i := range matching {
		o := &matching[i]
		count(&rate.Tally, o)
		w, t := workflows[WorkflowTally{WorkflowID: o.WorkflowID, WorkflowVersion: o.WorkflowVersion}], incidents[o.IncidentType]
		count(&w, o)
		count(&t, o)
		incidents[o.IncidentType] = t
		if o.WorkflowID != "" {
			workflows[WorkflowTally{WorkflowID: o.WorkflowID, WorkflowVersion: o.WorkflowVersion}] = w
		}
		if q.Citations {
			rate.Citations = append(rate.Citations, o.LogIndex)
		}
	}
	for w, t := range workflows {
		w.Tally = t
		rate.ByWorkflow = append(rate.ByWorkflow, w)
	}
	for incidentType, t := range incidents {
		rate.ByIncidentType = append(rate.ByIncidentType, IncidentTally{incidentType, t})
	}
	slices.SortFunc(rate.ByWorkflow, func(a, b WorkflowTally) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.WorkflowID+a.WorkflowVersion, b.WorkflowID+b.WorkflowVersion))
	})
	slices.SortFunc(rate.ByIncidentType, func(a, b IncidentTally) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.IncidentType, b.IncidentType))
	})
	return rate
}

func count(t *Tally, o *Outcome) {
	t.Total++
	for _, c := range []struct {
		counter *int64
		counts  bool
	}{
		{&t.Successful, o.Status == "completed"}, {&t.Failed, o.Status == "failed"}, {&t.Selected, o.Mode&ModeSelected != 0},
		{&t.Chained, o.Mode&ModeChained != 0}, {&t.Escalated, o.Mode&ModeEscalated != 0},
	} {
		if c.counts {
			*c.counter++
		}
	}
}
