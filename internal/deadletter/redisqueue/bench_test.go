package redisqueue

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/redistest"
)

// benchCallers is how many callers put or ask at a time.
const benchCallers = 64

// fromCallers calls f b.N times from many goroutines.
func fromCallers(b *testing.B, f func(i int64) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range benchCallers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := f(i - 1); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkPut puts single events into a server that syncs before it answers.
func BenchmarkPut(b *testing.B) {
	q := openURL(b, redistest.New(b), 8<<30)
	defer q.Close()
	messages := make([]*deadletter.Message, b.N)
	for i := range messages {
		messages[i] = testMessage("c")
	}
	fromCallers(b, func(i int64) error { return q.Put(context.Background(), messages[i:i+1]) })
}

// BenchmarkHoldsCorrelations asks what each write asks of a shared queue.
func BenchmarkHoldsCorrelations(b *testing.B) {
	q := openURL(b, redistest.New(b), 1<<20)
	defer q.Close()
	fromCallers(b, func(int64) error {
		_, err := q.HoldsCorrelations(context.Background(), []string{"c"})
		return err
	})
}
