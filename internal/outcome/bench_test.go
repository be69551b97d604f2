package outcome

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
)

const (
	benchOutcomes  = 1_000_000
	benchDays      = 90
	benchWorkflows = 30
	benchBatch     = 5000
)

// benchEnd is the time of the last outcome; a range that ends there begins within an hour.
var benchEnd = time.Date(2026, 6, 1, 12, 34, 56, 0, time.UTC)

// benchEvents returns a batch of outcomes, spread evenly over the days. All are for one incident type.
func benchEvents(from int, random *rand.Rand) []project.Event {
	events := make([]project.Event, benchBatch)
	span := benchDays * 24 * time.Hour
	for i := range events {
		n := from + i
		o := Outcome{
			LogIndex: int64(n), At: benchEnd.Add(-span + span/benchOutcomes*time.Duration(n+1)).UnixMicro(),
			CorrelationID: fmt.Sprintf("rr-%012x", n), ExecutionID: fmt.Sprintf("we-%012x", n), IncidentType: "KubePodCrashLooping",
			WorkflowID: fmt.Sprintf("1e935d49-8675-5c68-8d90-4de411d360%02d", random.IntN(benchWorkflows)), WorkflowVersion: "1.3.6",
			ActionType: "RollbackDeployment", Status: someStatuses[random.IntN(2)], EventOutcome: "success", Severity: "critical",
			Namespace: fmt.Sprint("shop-", random.IntN(200)), Cluster: "dev", Environment: "production", Duration: 90_000, Mode: ModeSelected,
		}
		events[i] = event(&o)
	}
	return events
}

// BenchmarkReader reads from the outcomes of 90 days, which it applies first.
func BenchmarkReader(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *projecttest.Log{"SQLite": projecttest.SQLite, "PostgreSQL": projecttest.PostgreSQL} {
		b.Run(name, func(b *testing.B) {
			s := newStage(b, open(b).Projections, 1)
			random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same outcomes every time
			var took time.Duration
			for n := 0; n < benchOutcomes; n += benchBatch {
				events := benchEvents(n, random)
				began := time.Now()
				if err := s.apply(events); err != nil {
					b.Fatal(err)
				}
				took += time.Since(began)
			}
			b.Logf("%s: %.0f outcomes/s applied", name, benchOutcomes/took.Seconds())
			if name == "PostgreSQL" {
				s.analyze(b)
			}
			benchReads(b, NewReader(s))
		})
	}
}

// analyze does what PostgreSQL does by itself within a minute or so, when a table has changed.
func (s *stage) analyze(b *testing.B) {
	b.Helper()
	err := s.store.Update(b.Context(), func(tx project.Tx) error {
		for _, table := range (Projection{}).Tables() {
			if _, err := s.in(tx).Exec(b.Context(), "ANALYZE "+table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func benchReads(b *testing.B, r *Reader) {
	b.Helper()
	since := benchEnd.AddDate(0, 0, -benchDays).Add(time.Minute)
	rate := func(q RateQuery) func(b *testing.B) {
		return func(b *testing.B) {
			measure(b, func(i int) error {
				q := q
				q.Since = q.Since.Add(time.Duration(i%600) * time.Second)
				_, err := r.Rate(b.Context(), q)
				return err
			})
		}
	}
	workflow := Dimensions{WorkflowID: "1e935d49-8675-5c68-8d90-4de411d36007"}
	b.Run("IncidentType90d", rate(RateQuery{Dimensions: Dimensions{IncidentType: "KubePodCrashLooping"}, Since: since}))
	b.Run("IncidentType7d", rate(RateQuery{Dimensions: Dimensions{IncidentType: "KubePodCrashLooping"}, Since: benchEnd.AddDate(0, 0, -7)}))
	b.Run("Workflow90d", rate(RateQuery{Dimensions: workflow, Since: since}))
	b.Run("IncidentType90dCitations", rate(RateQuery{Dimensions: Dimensions{IncidentType: "KubePodCrashLooping"}, Since: since, Citations: true}))
	b.Run("Incidents", func(b *testing.B) {
		measure(b, func(i int) error {
			_, err := r.Incidents(b.Context(), IncidentQuery{Namespace: fmt.Sprint("shop-", i%200), Limit: 100})
			return err
		})
	})
	b.Run("Trend90d", func(b *testing.B) {
		measure(b, func(int) error {
			_, err := r.Trend(b.Context(), 90, benchEnd)
			return err
		})
	})
}

// measure runs a read and reports its median and 99th percentile.
func measure(b *testing.B, read func(i int) error) {
	b.Helper()
	var times []time.Duration
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		if err := read(i); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(began))
	}
	slices.SortFunc(times, cmp.Compare)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(times[len(times)/2]), "p50-ms")
	b.ReportMetric(ms(times[len(times)*99/100]), "p99-ms")
}
