package disk

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/sqlite"
	"github.com/datastorage-io/datastorage/ledger"
)

// benchCallers is how many callers put one event at a time.
const benchCallers = 64

// BenchmarkPut puts single events of 1 KB from 64 goroutines, and beside it commits the same to the embedded store, where
// whatever waits while one commit runs is the next one too.
func BenchmarkPut(b *testing.B) {
	b.Run("queue", func(b *testing.B) {
		q := openTest(b, b.TempDir(), Options{MaxBytes: 4 << 30})
		fromCallers(b, func(r *datastorage.Record) error {
			m := &deadletter.Message{
				EventID: r.ID, CorrelationID: r.CorrelationID, Body: r.Body, Salt: r.Salt, Sent: r.Sent, QueuedAt: time.Now(),
				Cause: "the store cannot be reached",
			}
			return q.Put(context.Background(), []*deadletter.Message{m})
		})
	})
	b.Run("store", func(b *testing.B) {
		s, err := sqlite.Open(b.Context(), b.TempDir(), sqlite.Options{Readers: 1})
		if err != nil {
			b.Fatal(err)
		}
		g := newGroup(s)
		defer func() { close(g.records); g.loop.Wait(); _ = s.Close() }()
		fromCallers(b, g.commit)
	})
}

// fromCallers calls put for b.N records from many goroutines.
func fromCallers(b *testing.B, put func(*datastorage.Record) error) {
	b.Helper()
	records := make([]*datastorage.Record, b.N)
	for i := range records {
		records[i] = benchRecord(i)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range benchCallers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				if err := put(records[i]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func benchRecord(i int) *datastorage.Record {
	correlation := uuid.NewSHA1(datastorage.Namespace, []byte(fmt.Sprint(i/20))).String()
	e := datastorage.Event{
		ID: uuid.Must(uuid.NewV7()), Version: "1.0", Type: "aiagent.llm.request", Category: "analysis", Action: "request",
		Time: time.Now().UTC().Truncate(time.Microsecond), Outcome: "success", CorrelationID: correlation,
		Data:      []byte(`{"text":"` + strings.Repeat("the pod ", 62) + `"}`),
		ActorType: "service", ActorID: "analysis-service", ResourceType: "Investigation", ResourceID: "inv-" + correlation,
		Namespace: "checkout", ClusterName: "prod-eu-1", Severity: "info", Retention: 2555,
	}
	return datastorage.NewRecord(e, [datastorage.SaltSize]byte{1, byte(i)})
}

// group is a group commit of the store, as bare as can be.
type group struct {
	records chan groupRecord
	loop    sync.WaitGroup
}

type groupRecord struct {
	record *datastorage.Record
	answer chan error
}

func newGroup(s *sqlite.Store) *group {
	g := &group{records: make(chan groupRecord, benchCallers)}
	g.loop.Go(func() {
		var head ledger.Head
		for first := range g.records {
			batch := []groupRecord{first}
			for len(g.records) > 0 {
				batch = append(batch, <-g.records)
			}
			w := &datastorage.Write{}
			for _, r := range batch {
				w.Records = append(w.Records, r.record)
			}
			commit, next := ledger.NewCommit(&head, w.Records, time.Now())
			err := s.Commit(context.Background(), commit, w)
			if err == nil {
				head = next
			}
			for _, r := range batch {
				r.answer <- err
			}
		}
	})
	return g
}

func (g *group) commit(r *datastorage.Record) error {
	answer := make(chan error, 1)
	g.records <- groupRecord{r, answer}
	return <-answer
}

// BenchmarkRemove takes out messages of 1 KB in batches of 500, as the redriver does.
func BenchmarkRemove(b *testing.B) {
	const batch = 500
	q := openTest(b, b.TempDir(), Options{MaxBytes: 4 << 30})
	for b.Loop() {
		b.StopTimer()
		list := make([]*deadletter.Message, batch)
		for i := range list {
			r := benchRecord(i)
			list[i] = &deadletter.Message{EventID: r.ID, CorrelationID: r.CorrelationID, Body: r.Body, Salt: r.Salt}
		}
		if err := q.Put(b.Context(), list); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		got, err := q.Oldest(b.Context(), batch)
		if err != nil || len(got) != batch {
			b.Fatal(len(got), err)
		}
		ids := make([]string, len(got))
		for i, m := range got {
			ids[i] = m.ID
		}
		if err := q.Remove(b.Context(), ids); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkOpen opens a queue of 256 MiB, which is checked for damage first.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	q := openTest(b, dir, Options{MaxBytes: 4 << 30})
	for bytes := int64(0); bytes < 256<<20; bytes = size(filepath.Join(dir, FileName)) {
		list := make([]*deadletter.Message, 5000)
		for i := range list {
			r := benchRecord(i)
			list[i] = &deadletter.Message{EventID: r.ID, CorrelationID: r.CorrelationID, Body: r.Body, Salt: r.Salt}
		}
		if err := q.Put(b.Context(), list); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if err := q.Close(); err != nil {
			b.Fatal(err)
		}
		q = openTest(b, dir, Options{MaxBytes: 4 << 30})
	}
}
