package postgres

import (
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	load "github.com/datastorage-io/datastorage/internal/bench"
	"github.com/datastorage-io/datastorage/internal/ingest"
)

// chainClients write one event after the other, as many clients of a server do.
const chainClients = 64

// BenchmarkChain takes single events from their JSON to their receipt, through service, committer and store: all of the
// way but HTTP, with room on the processors. Under HTTP there is none, so a change that wins here may lose there. An
// operation is one event: give it a count such as -benchtime 80000x.
func BenchmarkChain(b *testing.B) {
	x := newBench(b)
	// A server that has run for some minutes uses the files of its log again.
	admin := connect(b, x.server.AdminURL("postgres"))
	exec(b, admin, "SELECT count(pg_logical_emit_message(false, 'bench', repeat('x', 1048576))) FROM generate_series(1, 640)")
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU() + 2)) // as serve does
	committer, err := ingest.NewCommitter(b.Context(), x.store, ingest.Limits{
		QueueEvents: 10_000, QueueBytes: 64 << 20, CommitEvents: 1000, CommitBytes: 4 << 20,
		WriteTimeout: 3 * time.Second, RetryFor: time.Second,
	}, slog.New(slog.DiscardHandler), ingest.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		b.Fatal(err)
	}
	defer committer.Close()
	var commits atomic.Int64
	committer.Observe(func(int64, time.Time, []*datastorage.Record) { commits.Add(1) })
	write := chain(b, ingest.NewService(committer))
	// By then PostgreSQL has touched its buffers once.
	write(100_000)
	exec(b, admin, "CHECKPOINT")
	b.Run("single", func(b *testing.B) {
		server, client := x.cpu(b)
		commits.Store(0)
		b.ReportAllocs()
		b.ResetTimer()
		write(b.N)
		b.StopTimer()
		serverEnd, clientEnd := x.cpu(b)
		n := float64(b.N)
		b.ReportMetric(n/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(commits.Load()), "µs/commit")
		b.ReportMetric(n/float64(commits.Load()), "events/commit")
		b.ReportMetric(float64((serverEnd-server).Microseconds())/n, "PG-CPU-µs/event")
		b.ReportMetric(float64((clientEnd-client).Microseconds())/n, "client-CPU-µs/event")
	})
}

// chain returns a function that writes n events from all clients and waits for their receipts.
func chain(b *testing.B, service *ingest.Service) func(n int) {
	b.Helper()
	events, err := load.NewEvents(load.EventOptions{Size: benchSize, PerCorrelation: 20})
	if err != nil {
		b.Fatal(err)
	}
	rules := datastorage.Rules{AnyCategory: true, RetentionDays: 30}
	return func(n int) {
		var clients sync.WaitGroup
		var begun atomic.Int64
		for i := range chainClients {
			clients.Go(func() {
				generator := events.Generator(i)
				var buf []byte
				for begun.Add(1) <= int64(n) {
					now := time.Now()
					buf = generator.Append(buf[:0], now)
					e, err := rules.Decode(buf, now)
					if err == nil {
						_, err = service.Write(b.Context(), []datastorage.Event{e}, false)
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		clients.Wait()
	}
}
