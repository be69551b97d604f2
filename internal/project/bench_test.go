package project_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/correlations"
	"github.com/datastorage-io/datastorage/internal/project/producers"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
)

// benchEvents is the size of the log that BenchmarkBuild reads.
const benchEvents = 100_000

// benchmarkEvents makes events of 1 kB, 20 of a correlation_id, of which some hundred are active at once.
func benchmarkEvents(n int) []datastorage.Event {
	rng := rand.New(rand.NewPCG(1, 2))
	data := fmt.Appendf(nil, `{"text":"%0700d"}`, 0)
	events := make([]datastorage.Event, n)
	for i := range events {
		seq := int64(i)
		events[i] = datastorage.Event{
			CorrelationID: fmt.Sprint("rr-", i/4000*200+rng.IntN(200)), Type: fmt.Sprint("execution.step.", rng.IntN(12)),
			Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Minute), Namespace: "shop",
			Data: data, ProducerID: "gateway", ProducerSeq: &seq,
		}
	}
	return events
}

// BenchmarkBuild builds projections from a log of two months, on each store.
func BenchmarkBuild(b *testing.B) {
	for _, store := range []struct {
		name string
		open func(testing.TB) *projecttest.Log
	}{{"SQLite", projecttest.SQLite}, {"PostgreSQL", projecttest.PostgreSQL}} {
		b.Run(store.name, func(b *testing.B) {
			l := store.open(b)
			l.CommitEvents = 1000
			l.Append(benchmarkEvents(benchEvents)...)
			for _, p := range []project.Projection{correlations.Projection{}, producers.Projection{}} {
				b.Run(p.Name(), func(b *testing.B) {
					for b.Loop() {
						for _, err := range project.Build(b.Context(), l.Events, l.Projections, []project.Projection{p}, project.BuildOptions{}) {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(benchEvents)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
				})
			}
		})
	}
}
