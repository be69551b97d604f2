package outcome

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// moment is the event_timestamp of the events in these tests.
var moment = time.Date(2026, 5, 11, 14, 45, 43, 0, time.UTC)

// eventOf is an event of category execution with some event_data and members before it in its body.
func eventOf(data string, members ...string) *project.Event {
	return &project.Event{
		EventHeader: datastorage.EventHeader{
			LogIndex: 7, Time: moment, Type: "workflow.execution.completed", Category: "execution", Outcome: "success",
			Severity: "critical", Namespace: "demo", ClusterName: "dev", CorrelationID: "rr-1",
		},
		Body: []byte(`{"actor_id":"a",` + strings.Join(append(members, ""), ",") + `"event_data":` + data + `,"version":"1.0"}`),
	}
}

func plain() Outcome {
	return Outcome{
		LogIndex: 7, At: moment.UnixMicro(), Started: moment.UnixMicro(), CorrelationID: "rr-1", IncidentType: "CrashLoop",
		Status: Completed, EventOutcome: "success", Severity: "critical", Namespace: "demo", Cluster: "dev", Duration: noDuration,
	}
}

func TestReader_Read(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("ü", maxText)
	for name, c := range map[string]struct {
		event *project.Event
		want  func(*Outcome)
	}{
		"the least": {eventOf(`{"incident_type":"CrashLoop"}`), func(*Outcome) {}},
		"everything": {
			eventOf(`{"action_type":"Restart","ai_chained_workflows":true,"ai_manual_escalation":true,"ai_selected_workflow":true,"deep":{"incident_type":"x"},`+
				`"environment":"production","execution_status":"rolled-back","incident_type":"Crash\"Loop","workflow_execution_id":"we-1","workflow_id":"w-1","workflow_version":"1.2"}`,
				`"duration_ms":2500`),
			func(o *Outcome) {
				o.ActionType, o.Environment, o.IncidentType, o.ExecutionID, o.WorkflowID, o.WorkflowVersion = "Restart", "production", `Crash"Loop`, "we-1", "w-1", "1.2"
				o.Status, o.Mode, o.Duration, o.Started = RolledBack, ModeSelected|ModeChained|ModeEscalated, 2500, o.At-2_500_000
			},
		},
		"wrong types": {
			eventOf(`{"action_type":1,"ai_chained_workflows":"true","ai_manual_escalation":null,"ai_selected_workflow":[true],"environment":{},"execution_status":false,`+
				`"incident_type":"CrashLoop","workflow_execution_id":{"a":[1]},"workflow_id":17,"workflow_version":"1"}`, `"duration_ms":1.5`),
			func(*Outcome) {},
		},
		"an unknown status":      {eventOf(`{"execution_status":"Succeeded","incident_type":"CrashLoop"}`), func(*Outcome) {}},
		"an empty status":        {eventOf(`{"execution_status":"","incident_type":"CrashLoop"}`), func(*Outcome) {}},
		"the longest text":       {eventOf(`{"incident_type":"CrashLoop","workflow_id":"` + longest + `"}`), func(o *Outcome) { o.WorkflowID = longest }},
		"too long a text":        {eventOf(`{"incident_type":"CrashLoop","workflow_id":"` + longest + `x"}`), func(*Outcome) {}},
		"a duration before 1970": {eventOf(`{"incident_type":"CrashLoop"}`, `"duration_ms":9007199254740991`), func(o *Outcome) { o.Duration = 1<<53 - 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := plain()
			c.want(&want)
			got, ok := newReader().read(c.event)
			if diff := cmp.Diff(want, got); !ok || diff != "" {
				t.Errorf("it is an outcome: %v; -want +got:\n%s", ok, diff)
			}
		})
	}
}

func TestReader_Read_Status(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[string]Status{"success": Completed, "failure": Failed, "pending": Pending} {
		e := eventOf(`{"incident_type":"CrashLoop"}`)
		e.Outcome = outcome
		if got, _ := newReader().read(e); got.Status != want {
			t.Errorf("%s stands for %s, want %s", outcome, got.Status, want)
		}
		for _, status := range []Status{Completed, Failed, Pending, Executing, RolledBack} {
			e.Body = eventOf(`{"execution_status":"` + string(status) + `","incident_type":"CrashLoop"}`).Body
			if got, _ := newReader().read(e); got.Status != status {
				t.Errorf("with %s, %s is %s", outcome, status, got.Status)
			}
		}
	}
}

func TestReader_Read_NoOutcome(t *testing.T) {
	t.Parallel()
	lifecycle := eventOf(`{"incident_type":"CrashLoop"}`)
	lifecycle.Category, lifecycle.Type = "orchestration", lifecycleType
	if _, ok := newReader().read(lifecycle); !ok {
		t.Error("the end of a remediation's lifecycle is no outcome")
	}
	lifecycle.Type = "orchestrator.request.created"
	header := eventOf(`{"incident_type":"CrashLoop"}`)
	header.Body = nil
	damaged := eventOf(`{"incident_type":"CrashLoop"}`)
	damaged.Body = damaged.Body[:len(damaged.Body)-20]
	for name, e := range map[string]*project.Event{
		"another type":         lifecycle,
		"no body":              header,
		"a damaged body":       damaged,
		"no incident_type":     eventOf(`{"workflow_id":"w-1"}`),
		"an empty one":         eventOf(`{"incident_type":""}`),
		"one deeper":           eventOf(`{"deep":{"incident_type":"CrashLoop"}}`),
		"a number":             eventOf(`{"incident_type":5}`),
		"a long incident_type": eventOf(`{"incident_type":"` + strings.Repeat("x", maxText+1) + `"}`),
	} {
		if got, ok := newReader().read(e); ok {
			t.Errorf("%s: it is the outcome %+v", name, got)
		}
	}
}

func BenchmarkReader_Read(b *testing.B) {
	e := eventOf(`{"action_type":"Restart","ai_selected_workflow":true,"incident_type":"CrashLoop","parameters":{"name":"worker","replicas":3},"workflow_execution_id":"we-1","workflow_id":"w-1"}`)
	r := newReader()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := r.read(e); !ok {
			b.Fatal("no outcome")
		}
	}
}
