package remediation

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
)

const (
	// benchEvents are in the log of a benchmark, in runs of benchRun events, of which benchSaid say something of the
	// remediation; the others are what its agent does.
	benchEvents = 1_000_000
	benchRun    = 60
	benchSaid   = 8
	// benchObjects are remediated in turns, but every tenth run is of the first of them.
	benchObjects = 2000
)

// benchBatch makes the events of the runs from first to last. What the agent does comes without a body, as it does from
// the log.
func benchBatch(first, last int) []project.Event {
	var events []project.Event
	for n := first; n < last; n++ {
		object := 0
		if n%10 != 0 {
			object = n % benchObjects
		}
		at := now.Add(-time.Duration(benchEvents/benchRun-n) * 7 * time.Minute)
		add := func(step int, eventType, data string) {
			e := project.Event{EventHeader: datastorage.EventHeader{
				LogIndex: int64(n*benchRun + step), Type: eventType, Category: "orchestration", Outcome: "success", ClusterName: "prod",
				Time: at.Add(time.Duration(step) * time.Second), CorrelationID: fmt.Sprintf("rr-%09d", n),
			}}
			if data != "" {
				e.Body = []byte(`{"event_data":` + data + `}`)
			}
			events = append(events, e)
		}
		target := fmt.Sprintf(`{"kind":"Deployment","name":"web-%d","namespace":"shop"}`, object)
		add(0, "gateway.signal.received", `{"signal_name":"KubePodCrashLooping","severity":"critical","environment":"Production","priority":"P0","target_resource":`+target+`}`)
		add(1, "orchestrator.request.created", fmt.Sprintf(`{"remediation_request":"rr-%09d","target_resource":%s}`, n, target))
		add(2, "signalprocessing.enrichment.completed", `{"detected_labels":{"gitOpsManaged":false}}`)
		for step := 3; step < 3+benchRun-benchSaid; step++ {
			add(step, "aiagent.llm.tool_call", "")
		}
		add(benchRun-5, "analysis.investigation.completed", `{"root_cause":"The Deployment was patched with a command that fails at once, so that every Pod of it ends.","remediation_target":`+target+`}`)
		add(benchRun-4, "analysis.workflow.selected", `{"workflow_id":"1e935d49-8675-5c68-8d90-4de411d360f7","workflow_version":"1.3.6","confidence":0.97,"rationale":"crashloop-rollback is made for a crash loop that a change of the Pod's spec caused."}`)
		add(benchRun-3, "orchestrator.approval.automatic", `{"reason":"Auto-approved","confidence":0.97}`)
		add(benchRun-2, "orchestrator.lifecycle.completed", `{"outcome":"Remediated","phase":"Completed","incident_type":"KubePodCrashLooping","workflow_id":"1e935d49-8675-5c68-8d90-4de411d360f7"}`)
		add(benchRun-1, "effectiveness.assessment.completed", fmt.Sprintf(`{"health_score":1,"alert_score":1,"metrics_score":0,"pre_remediation_spec_hash":"sha256:%064d","post_remediation_spec_hash":"sha256:%064d"}`, n%3, n%3+1))
	}
	return events
}

// BenchmarkHistory applies a million events, and then asks for the past of the object that was remediated most, and of
// others.
func BenchmarkHistory(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *projecttest.Log{"SQLite": projecttest.SQLite, "PostgreSQL": projecttest.PostgreSQL} {
		b.Run(name, func(b *testing.B) {
			l := open(b)
			view := l.View(Projection{})
			const batch = 83 // runs, about 5000 events
			began := time.Now()
			for first := 0; first < benchEvents/benchRun; first += batch {
				events := benchBatch(first, min(first+batch, benchEvents/benchRun))
				err := l.Projections.Update(context.Background(), func(tx project.Tx) error {
					return Projection{}.Apply(context.Background(), firstTables{tx}, events)
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			applied := benchEvents / time.Since(began).Seconds()
			history := NewHistory(view)
			for _, object := range []int{0, 7} {
				b.Run(fmt.Sprintf("object %d", object), func(b *testing.B) {
					var took []time.Duration
					told := 0
					for b.Loop() {
						began := time.Now()
						past, err := history.Of(b.Context(), Query{
							Target: Target{Kind: "Deployment", Name: fmt.Sprintf("web-%d", object), Namespace: "shop"}, Cluster: "prod",
							SpecHash: fmt.Sprintf("sha256:%064d", 1), Now: now, Recent: 24 * time.Hour, Older: 90 * 24 * time.Hour,
						})
						if err != nil {
							b.Fatal(err)
						}
						took = append(took, time.Since(began))
						told = len(past.Recent) + len(past.Older)
					}
					slices.Sort(took)
					b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
					b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
					b.ReportMetric(float64(told), "told")
					b.ReportMetric(applied, "applied-events/s")
				})
			}
		})
	}
}
