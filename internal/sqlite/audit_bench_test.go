package sqlite

import (
	"crypto/rand"
	"fmt"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// BenchmarkAudit verifies a log of events with bodies of 1 KB, in commits of 100. On one core: -cpu 1.
func BenchmarkAudit(b *testing.B) {
	const events, perCommit = 60_000, 100
	dir := b.TempDir()
	fill(b, dir, events, perCommit)
	source := openSource(b, dir)
	// As the command does: the live heap is tiny, and every row is garbage.
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	began, n := processorTime(b), 0
	for b.Loop() {
		r, err := ledger.Audit(b.Context(), source, ledger.AuditOptions{MaxFaults: ledger.DefaultMaxFaults})
		if err != nil || r.FaultCount != 0 || r.Size != events {
			b.Fatalf("%+v, %v", r, err)
		}
		n++
	}
	spent := processorTime(b) - began
	b.ReportMetric(float64(events*n)/spent.Seconds(), "events/cpu-s")
}

// processorTime is what the process has used, so that what else runs on the machine does not count.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func fill(b testing.TB, dir string, events, perCommit int) {
	b.Helper()
	s, err := Open(b.Context(), dir, Options{Readers: 1})
	if err != nil {
		b.Fatal(err)
	}
	var head ledger.Head
	for i := 0; i < events; i += perCommit {
		records := make([]*datastorage.Record, perCommit)
		for k := range records {
			records[k] = kilobyte(i + k)
		}
		var c *ledger.Commit
		c, head = ledger.NewCommit(&head, records, time.Now())
		if err := s.Commit(b.Context(), c, &datastorage.Write{Records: records}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// kilobyte returns a record with a body of 1 KB.
func kilobyte(i int) *datastorage.Record {
	var salt [datastorage.SaltSize]byte
	_, _ = rand.Read(salt[:])
	e := datastorage.Event{
		ID: uuid.Must(uuid.NewV7()), Version: "1.0", Type: "workflow.execution.started", Time: time.Now().UTC().Truncate(time.Microsecond),
		Category: "workflow", Action: "started", Outcome: "success", CorrelationID: fmt.Sprintf("rr-8bad34fd18b5-%08x", i/20),
		ActorType: "service", ActorID: "workflow-service", ResourceType: "Deployment", ResourceID: "demo-alert-misdirection/worker",
		Severity: "critical", Namespace: "demo-alert-misdirection", ClusterName: "dev-cluster", Retention: 2555,
	}
	data := []byte(`{"attempt":1,"environment":"production","filler":"","priority":"P0","score":0.25,"target":{"kind":"Deployment","name":"worker"}}`)
	e.Data = data
	missing := 1000 - len(datastorage.AppendBody(nil, &e))
	e.Data = []byte(strings.Replace(string(data), `"filler":""`, `"filler":"`+strings.Repeat("x", missing)+`"`, 1))
	return datastorage.NewRecord(e, salt)
}
