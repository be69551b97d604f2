package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/ingest"
)

const (
	// evidenceDelay is how long the evidence of a search waits for others: what a kill costs at most while the store takes
	// writes, the time of a commit aside.
	evidenceDelay = 50 * time.Millisecond
	// evidenceBatch is how many searches are recorded in one write, and evidenceBytes bounds what waits.
	evidenceBatch = 500
	evidenceBytes = 16 << 20
)

// newRecorder returns the recorder of searches, which writes as clients do: through the dead-letter queue, too.
func newRecorder(cfg *config.Config, service *ingest.Service, registry prometheus.Registerer, log *slog.Logger) *catalog.Recorder {
	return catalog.NewRecorder(writeSearches(service), catalog.RecorderOptions{
		FlushInterval: evidenceDelay, BatchSize: evidenceBatch, MaxBytes: evidenceBytes, Retention: workflowRetention(cfg), Log: log,
		Metrics: catalog.NewRecorderMetrics(registry),
	})
}

// writeSearches returns what stores the events of searches: one that is stored already is answered as it was.
func writeSearches(service *ingest.Service) catalog.EventWriter {
	return func(ctx context.Context, events []datastorage.Event) error {
		_, err := service.Write(ctx, events, true)
		return err
	}
}

// closeRecorder writes what waits. It must come before the service's committer closes.
func closeRecorder(ctx context.Context, cfg *config.Config, r *catalog.Recorder) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Shutdown.Timeout)
	defer cancel()
	return r.Close(ctx)
}

// workflowRetention is how long events of the category workflow are kept, in days.
func workflowRetention(cfg *config.Config) int {
	if days, ok := cfg.Retention.ByCategory["workflow"]; ok {
		return days
	}
	return cfg.Retention.DefaultDays
}
