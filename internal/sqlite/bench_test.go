package sqlite

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
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

// BenchmarkCommit_Interleaved stores events of 1 KB as remediations under way write them: 64 correlations are active at a
// time, each with 20 events, in commits of 40, behind a log of 100 000 events.
func BenchmarkCommit_Interleaved(b *testing.B) {
	const behind, size = 100_000, 40
	dir := b.TempDir()
	s, err := Open(b.Context(), dir, Options{Readers: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var head ledger.Head
	var cpu time.Duration
	commit := func(n int) {
		records := interleavedRecords(int(head.Size()), n)
		c, next := ledger.NewCommit(&head, records, time.Now())
		before := cpuTime(b)
		if err := s.Commit(b.Context(), c, &datastorage.Write{Records: records}); err != nil {
			b.Fatal(err)
		}
		cpu += cpuTime(b) - before
		head = next
	}
	for head.Size() < behind {
		commit(1000)
	}
	cpu = 0
	written, n := int64(0), 0
	for b.Loop() {
		before := logFrames(b, dir)
		commit(size)
		after := logFrames(b, dir)
		if after < before {
			before = 0 // the log began anew
		}
		written += (after - before) * (sqlitedb.PageSize + frameHeader)
		n += size
	}
	b.ReportMetric(float64(cpu.Nanoseconds())/1000/float64(n), "cpu-µs/event")
	b.ReportMetric(float64(written)/float64(n), "log-bytes/event")
}

// frameHeader is what stands before each page in the write-ahead log, in bytes.
const frameHeader = 24

// logFrames is the number of pages in the write-ahead log, which stands in its index.
func logFrames(b *testing.B, dir string) int64 {
	f, err := os.Open(filepath.Join(dir, FileName+"-shm"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var header [20]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		b.Fatal(err)
	}
	return int64(binary.NativeEndian.Uint32(header[16:]))
}

// cpuTime is the processor time of the process so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchRecords makes the records first and following. 20 in a row share a correlation_id.
func benchRecords(first, n int) []*datastorage.Record {
	records := make([]*datastorage.Record, n)
	for i := range records {
		records[i] = benchRecord(first+i, fmt.Sprint((first+i)/20))
	}
	return records
}

// interleavedRecords makes the records first and following of 64 correlations that are active at a time. Each has 20
// events, and one after the other they end and others begin.
func interleavedRecords(first, n int) []*datastorage.Record {
	records := make([]*datastorage.Record, n)
	for i := range records {
		k := first + i
		slot, round := k%64, k/64
		records[i] = benchRecord(k, fmt.Sprint(slot, " ", (round+slot*20/64)/20))
	}
	return records
}

func benchRecord(k int, correlationOf string) *datastorage.Record {
	types := []string{"gateway.signal.received", "aiagent.llm.request", "aiagent.llm.response", "execution.action.completed"}
	correlation := uuid.NewSHA1(datastorage.Namespace, []byte(correlationOf)).String()
	noise := make([]byte, 150)
	_, _ = rand.Read(noise)
	return datastorage.NewRecord(datastorage.Event{
		ID: uuid.Must(uuid.NewV7()), Version: "1.0", Type: types[k%len(types)], Category: "analysis", Action: "request",
		Time: time.Now().UTC().Truncate(time.Microsecond), Outcome: "success", CorrelationID: correlation,
		Data:      []byte(`{"noise":"` + hex.EncodeToString(noise) + `","text":"` + strings.Repeat("the pod ", 25) + `"}`),
		ActorType: "service", ActorID: "analysis-service", ResourceType: "Investigation", ResourceID: "inv-" + correlation,
		Namespace: "checkout", ClusterName: "prod-eu-1", Severity: "info", Retention: 2555,
	}, [datastorage.SaltSize]byte{1, 2, byte(k), byte(k >> 8)})
}
