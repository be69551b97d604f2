package sqlite

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// BenchmarkCommit stores events of 1 KB in commits of several sizes, each durable. 20 events in a row share a
// correlation_id.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 64, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s, err := Open(b.Context(), b.TempDir(), Options{Readers: 1})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			var head ledger.Head
			start := time.Now()
			n := 0
			var cpu time.Duration
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				records := benchRecords(n, size)
				commit, next := ledger.NewCommit(&head, records, start)
				b.StartTimer()
				before := cpuTime(b)
				if err := s.Commit(b.Context(), commit, &datastorage.Write{Records: records}); err != nil {
					b.Fatal(err)
				}
				cpu += cpuTime(b) - before
				head = next
				n += size
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(cpu.Nanoseconds())/1000/float64(n), "cpu-µs/event")
		})
	}
}

// cpuTime is the processor time of the process so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchRecords(first, n int) []*datastorage.Record {
	types := []string{"gateway.signal.received", "aiagent.llm.request", "aiagent.llm.response", "execution.action.completed"}
	records := make([]*datastorage.Record, n)
	for i := range records {
		k := first + i
		correlation := uuid.NewSHA1(datastorage.Namespace, []byte(fmt.Sprint(k/20)))
		noise := make([]byte, 150)
		_, _ = rand.Read(noise)
		e := datastorage.Event{
			ID: uuid.Must(uuid.NewV7()), Version: "1.0", Type: types[k%len(types)], Category: "analysis", Action: "request",
			Time: time.Now().UTC().Truncate(time.Microsecond), Outcome: "success", CorrelationID: correlation.String(),
			Data:      []byte(`{"noise":"` + hex.EncodeToString(noise) + `","text":"` + strings.Repeat("the pod ", 25) + `"}`),
			ActorType: "service", ActorID: "analysis-service", ResourceType: "Investigation", ResourceID: "inv-" + correlation.String(),
			Namespace: "checkout", ClusterName: "prod-eu-1", Severity: "info", Retention: 2555,
		}
		records[i] = datastorage.NewRecord(e, [16]byte{1, 2, byte(i)})
	}
	return records
}
