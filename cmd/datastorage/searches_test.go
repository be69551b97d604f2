package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/sqlite"
)

// TestWriteSearches_StoredAlready: the events of searches whose answer was lost are written again, and stand in the ledger
// once.
func TestWriteSearches_StoredAlready(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	log := slog.New(slog.DiscardHandler)
	registry := prometheus.NewRegistry()
	committer, err := ingest.NewCommitter(t.Context(), store, ingest.Limits{
		QueueEvents: 100, QueueBytes: 1 << 20, CommitEvents: 100, CommitBytes: 1 << 20, WriteTimeout: 10 * time.Second,
	}, log, ingest.NewMetrics(registry))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(committer.Close)
	write, tries := writeSearches(ingest.NewService(committer)), 0
	recorder := catalog.NewRecorder(func(ctx context.Context, events []datastorage.Event) error {
		tries++
		if err := write(ctx, events); err != nil || tries > 1 {
			return err
		}
		return datastorage.Unavailable(context.DeadlineExceeded, "the answer is lost")
	}, catalog.RecorderOptions{
		FlushInterval: time.Millisecond, BatchSize: 10, MaxBytes: 1 << 20, Retention: 1, Log: log, Metrics: catalog.NewRecorderMetrics(registry),
	})
	snapshot := catalog.New(catalog.DefaultWeights())
	q := &datastorage.WorkflowSearch{
		SignalType: "s", Severity: "high", Component: "c", Environment: "e", Priority: "P1", Statuses: []string{datastorage.StatusActive}, TopK: 1,
	}
	if err := recorder.Record(t.Context(), snapshot.Evidence(q, snapshot.Search(q)), time.Now(), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := recorder.Close(ctx); err != nil || tries != 2 || committer.Size() != 1 {
		t.Errorf("%v; after %d tries the ledger has %d events, want 2 tries and 1 event", err, tries, committer.Size())
	}
}
