package project_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/bench"
	"github.com/datastorage-io/datastorage/internal/outcome"
	"github.com/datastorage-io/datastorage/internal/postgres"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/correlations"
	"github.com/datastorage-io/datastorage/internal/project/producers"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
	"github.com/datastorage-io/datastorage/internal/remediation"
)

const (
	// followClients send events at once, each a correlation after the other.
	followClients = 64
	// followSteps is how many events each of them has sent when a round begins: some 15 000 a second of all, four rounds a
	// second.
	followSteps = 60
	// perCorrelation is how many events of a correlation `datastorage bench` sends.
	perCorrelation = 20
)

// BenchmarkFollow has a runner follow a log that grows by followClients*followSteps events a round: those of `datastorage
// bench`, and those of the recorded runs. cpu-ns/event is how long this process computes, server-ns/event how long PostgreSQL does.
func BenchmarkFollow(b *testing.B) {
	stores := map[string]func(testing.TB) *projecttest.Log{"SQLite": projecttest.SQLite, "PostgreSQL": projecttest.PostgreSQL}
	sources := map[string]func(*testing.B) func(client int) []byte{"bench": benchSource, "runs": runsSource}
	for store, open := range stores {
		for source, events := range sources {
			b.Run(store+"/"+source, func(b *testing.B) { benchmarkFollow(b, open(b), events(b)) })
		}
	}
}

func benchmarkFollow(b *testing.B, l *projecttest.Log, next func(client int) []byte) {
	all := []project.Projection{correlations.Projection{}, outcome.Projection{}, producers.Projection{}, remediation.Projection{}}
	store := &countingStore{Store: l.Projections}
	for _, err := range project.Build(b.Context(), l.Events, store, all, project.BuildOptions{}) {
		b.Fatal(err)
	}
	recent := project.NewRecent(l.Events, 64<<20)
	runner := project.NewRunner(project.RunnerOptions{
		Log: recent, Store: store, Projections: all, Keep: time.Minute, Logger: slog.New(slog.DiscardHandler),
		Metrics: project.NewMetrics(prometheus.NewRegistry()),
	})
	if _, err := runner.Step(b.Context()); err != nil {
		b.Fatal(err)
	}
	store.statements = 0
	rules := datastorage.Rules{AnyCategory: true, RetentionDays: datastorage.DefaultRetentionDays}
	var (
		first        int64
		cpu, server  time.Duration
		allocs       uint64
		before, then runtime.MemStats
	)
	serverTime := serverTime(b, l)
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		for range followSteps {
			records := make([]*datastorage.Record, followClients)
			for client := range records {
				e, err := rules.Decode(next(client), time.Now())
				if err != nil {
					b.Fatal(err)
				}
				e.ID = uuid.New()
				records[client] = datastorage.NewRecord(e, [16]byte{})
			}
			recent.Committed(first, time.Now(), records)
			first += followClients
		}
		runtime.GC() // what made the events is not part of it
		runtime.ReadMemStats(&before)
		used, served := cpuTime(b), serverTime()
		b.StartTimer()
		applied, err := runner.Step(b.Context())
		if err != nil || applied != followClients*followSteps {
			b.Fatal(applied, err)
		}
		b.StopTimer()
		cpu += cpuTime(b) - used
		server += serverTime() - served
		runtime.ReadMemStats(&then)
		allocs += then.Mallocs - before.Mallocs
	}
	events := float64(first)
	b.ReportMetric(float64(b.Elapsed())/events, "ns/event")
	b.ReportMetric(float64(cpu)/events, "cpu-ns/event")
	b.ReportMetric(float64(server)/events, "server-ns/event")
	b.ReportMetric(float64(allocs)/events, "allocs/event")
	b.ReportMetric(float64(store.statements)/float64(b.N), "statements/round")
	b.ReportMetric(0, "ns/op")
}

// cpuTime is how long this process has computed.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// serverTime returns what tells how long the process of PostgreSQL has computed that updates projections.
func serverTime(b *testing.B, l *projecttest.Log) func() time.Duration {
	if _, ok := l.Projections.(*postgres.Projections); !ok {
		return func() time.Duration { return 0 }
	}
	var path string
	err := l.Projections.Update(b.Context(), func(tx project.Tx) error {
		return tx.Query(b.Context(), "SELECT pg_backend_pid()", nil, func(r project.Row) error {
			path = fmt.Sprintf("/proc/%d/schedstat", r.Int(0))
			return nil
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	return func() time.Duration {
		var ns int64
		if text, err := os.ReadFile(path); err != nil {
			b.Fatal(err)
		} else if _, err := fmt.Sscan(string(text), &ns); err != nil {
			b.Fatal(err)
		}
		return time.Duration(ns)
	}
}

// benchSource returns what makes the next event of a client as `datastorage bench` does.
func benchSource(b *testing.B) func(client int) []byte {
	events, err := bench.NewEvents(bench.EventOptions{Size: 1000, PerCorrelation: perCorrelation, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	generators := make([]*bench.Generator, followClients)
	for client := range generators {
		generators[client] = events.Generator(client)
		for range client % perCorrelation { // not all begin a correlation at once
			generators[client].Append(nil, time.Now())
		}
	}
	return func(client int) []byte { return generators[client].Append(nil, time.Now()) }
}

// runsSource returns what makes the next event of a client that sends the recorded runs again and again, each time with
// another correlation_id.
func runsSource(b *testing.B) func(client int) []byte {
	var lines [][]byte
	for _, e := range projecttest.Runs(b) {
		e.ID = uuid.New()
		lines = append(lines, datastorage.AppendBody(nil, &e))
	}
	var sent [followClients]int
	return func(client int) []byte {
		n := client*len(lines)/followClients + sent[client]
		sent[client]++
		of := fmt.Sprintf(`"correlation_id":"rr-%d-%d-`, client, n/len(lines))
		return bytes.Replace(lines[n%len(lines)], []byte(`"correlation_id":"rr-`), []byte(of), 1)
	}
}

// countingStore counts the statements of updates.
type countingStore struct {
	project.Store
	statements int
}

// Update implements project.Store.
func (s *countingStore) Update(ctx context.Context, f func(project.Tx) error) error {
	return s.Store.Update(ctx, func(tx project.Tx) error { return f(&countingTx{tx, s}) })
}

type countingTx struct {
	project.Tx
	store *countingStore
}

// Exec implements project.Tx.
func (t *countingTx) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	t.store.statements++
	return t.Tx.Exec(ctx, statement, args...)
}

// Query implements project.Tx.
func (t *countingTx) Query(ctx context.Context, statement string, args []any, each func(project.Row) error) error {
	t.store.statements++
	return t.Tx.Query(ctx, statement, args, each)
}
