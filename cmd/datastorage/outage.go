package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/deadletter/disk"
	"github.com/datastorage-io/datastorage/internal/ingest"
)

// outage is what a server writes through, and what it does while the store cannot take writes. Without a dead-letter
// queue only service is set.
type outage struct {
	service  *ingest.Service
	queue    deadletter.Queue
	fallback *ingest.Fallback
	redriver *ingest.Redriver
	reporter *deadletter.Reporter
}

// statsTimeout bounds the look at the queue for a scrape of the metrics.
const statsTimeout = time.Second

// openOutage opens the configured dead-letter queue and starts to store what waits in it.
func openOutage(ctx context.Context, cfg *config.Config, reports deadletter.Reports, committer *ingest.Committer, registry *prometheus.Registry, log *slog.Logger) (*outage, error) {
	if cfg.DeadLetters.Backend == "none" {
		return &outage{service: ingest.NewService(committer)}, nil
	}
	queue, err := disk.Open(ctx, cfg.DataDir, disk.Options{
		MaxBytes: int64(cfg.DeadLetters.MaxBytes), MinFreeBytes: int64(cfg.DeadLetters.MinFreeBytes),
	})
	if err != nil {
		return nil, err
	}
	metrics := ingest.NewFallbackMetrics(registry, func() (deadletter.Stats, error) {
		ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
		defer cancel()
		return queue.Stats(ctx)
	})
	fallback, err := ingest.NewFallback(ctx, queue, log, metrics)
	if err != nil {
		return nil, errors.Join(err, queue.Close())
	}
	place, err := placeOf(queue, cfg.DataDir)
	if err != nil {
		return nil, errors.Join(err, queue.Close())
	}
	return &outage{
		service:  ingest.NewServiceWithFallback(committer, fallback),
		queue:    queue,
		fallback: fallback,
		redriver: ingest.NewRedriver(fallback, committer, log),
		reporter: deadletter.NewReporter(queue, reports, place, func() bool { return !fallback.StoreTakesWrites() }, log),
	}, nil
}

// placeOf says where a queue is, for those who look after several servers.
func placeOf(queue *disk.Queue, dir string) (place deadletter.Report, err error) {
	if place.Replica, err = queue.Replica(); err != nil {
		return place, err
	}
	if place.DataDir, err = filepath.Abs(dir); err != nil {
		return place, err
	}
	if place.Host, err = os.Hostname(); err != nil {
		place.Host = "unknown"
	}
	return place, nil
}

// Close stops redriving and closes the queue; what waits in it stays.
func (o *outage) Close() error {
	if o.queue == nil {
		return nil
	}
	o.redriver.Close()
	o.reporter.Close()
	return o.queue.Close()
}
