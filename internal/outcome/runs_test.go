package outcome

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
)

// recorded is an event as the file of recorded runs has it.
type recorded struct {
	Type          string `json:"event_type"`
	Outcome       string `json:"event_outcome"`
	CorrelationID string `json:"correlation_id"`
	Data          struct {
		IncidentType string `json:"incident_type"`
		WorkflowID   string `json:"workflow_id"`
	} `json:"event_data"`
}

func (r *recorded) isEnd() bool { return r.Type == "orchestrator.lifecycle.completed" }

// logged reads the whole log, with bodies.
func logged(t *testing.T, l *projecttest.Log) map[int64]recorded {
	t.Helper()
	batch, err := l.Events.Follow(context.Background(), 0, 1000, project.Bodies{Types: []string{"*"}})
	if err != nil || batch.Next != batch.Size {
		t.Fatalf("read the log up to %d of %d: %v", batch.Next, batch.Size, err)
	}
	events := map[int64]recorded{}
	for _, e := range batch.Events {
		var r recorded
		if err := json.Unmarshal(e.Body, &r); err != nil {
			t.Fatal(err)
		}
		events[e.LogIndex] = r
	}
	return events
}

// TestProjection_Runs compares the rates of the recorded runs with a count of what their events say, and reads every event
// that an answer cites.
func TestProjection_Runs(t *testing.T) {
	t.Parallel()
	lines, err := os.ReadFile("testdata/runs.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
		l.Append(projecttest.Parse(t, lines)...)
		r := NewReader(l.View(Projection{}))
		events := logged(t, l)
		total, successful := map[string]int64{}, map[string]int64{}
		var ends, successes int64
		for _, e := range events {
			if !e.isEnd() {
				continue
			}
			ends++
			total[e.Data.IncidentType]++
			if e.Outcome == "success" {
				successes++
				successful[e.Data.IncidentType]++
			}
		}
		if ends != 45 || successes != 33 || total["KubePodCrashLooping"] != 14 || successful["KubePodCrashLooping"] != 10 {
			t.Fatalf("the file holds %d ends of runs, %d of them successes: %v, %v", ends, successes, total, successful)
		}
		all, err := r.Rate(t.Context(), RateQuery{Since: time.Unix(0, 0)})
		if err != nil || all.Total != 45 || all.Successful != 33 || all.Failed != 0 || all.LogSize != int64(len(events)) || len(all.ByIncidentType) != len(total) {
			t.Fatalf("of all runs the answer is %+v, %v", all, err)
		}
		for incidentType := range total {
			rate, err := r.Rate(t.Context(), RateQuery{Dimensions: Dimensions{IncidentType: incidentType}, Since: time.Unix(0, 0), Citations: true})
			if err != nil || rate.Total != total[incidentType] || rate.Successful != successful[incidentType] {
				t.Errorf("%s: %+v, %v; want %d of %d", incidentType, rate, err, successful[incidentType], total[incidentType])
				continue
			}
			checkCitations(t, events, incidentType, rate)
		}
	})
}

// checkCitations reads the events that a rate cites: they must give its figures.
func checkCitations(t *testing.T, events map[int64]recorded, incidentType string, rate *Rate) {
	t.Helper()
	var successful int64
	seen := map[int64]bool{}
	for _, index := range rate.Citations {
		e, ok := events[index]
		if !ok || seen[index] || !e.isEnd() || e.Data.IncidentType != incidentType {
			t.Errorf("%s cites event %d, which is %+v", incidentType, index, e)
		}
		seen[index] = true
		if e.Outcome == "success" {
			successful++
		}
	}
	if int64(len(seen)) != rate.Total || successful != rate.Successful {
		t.Errorf("%s: the cited events are %d, %d of them successes; the rate says %d and %d", incidentType, len(seen), successful, rate.Total, rate.Successful)
	}
}

// TestProjection_Correlation_Large: what a batch reads and writes does not grow with what its correlation holds already.
func TestProjection_Correlation_Large(t *testing.T) {
	t.Parallel()
	s := newStage(t, projecttest.SQLite(t).Projections, 1)
	var statements [2]int
	const batches, size = 40, 100
	for b := range batches {
		var events []project.Event
		for i := range size {
			n := int64(b*size + i)
			o := Outcome{
				LogIndex: n, At: begin.UnixMicro() + n, CorrelationID: "rr-all", IncidentType: "CrashLoop", Status: Completed, EventOutcome: "success",
				Duration: noDuration, ExecutionID: []string{"", "we-1", "we-" + datastorage.Severities[n%2]}[n%3],
			}
			events = append(events, event(&o))
		}
		counted := &counting{}
		err := s.store.Update(t.Context(), func(tx project.Tx) error {
			counted.Tx = s.in(tx)
			return Projection{}.Apply(t.Context(), counted, events)
		})
		if err != nil {
			t.Fatal(err)
		}
		statements[min(b, 1)] = counted.rows
	}
	if statements[1] > statements[0]+20 {
		t.Errorf("the first batch reads and writes %d rows, the last one %d", statements[0], statements[1])
	}
}

// counting counts the rows that a transaction reads and writes.
type counting struct {
	project.Tx
	rows int
}

// Exec implements project.Tx.
func (c *counting) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	n, err := c.Tx.Exec(ctx, statement, args...)
	c.rows += int(n)
	return n, err
}

// Query implements project.Tx.
func (c *counting) Query(ctx context.Context, statement string, args []any, each func(project.Row) error) error {
	return c.Tx.Query(ctx, statement, args, func(r project.Row) error {
		c.rows++
		return each(r)
	})
}
