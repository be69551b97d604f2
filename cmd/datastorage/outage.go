package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/deadletter/disk"
	"github.com/datastorage-io/datastorage/internal/deadletter/redisqueue"
	"github.com/datastorage-io/datastorage/internal/ingest"
)

// outage is what a server writes through, and what it does while the store cannot take writes. Without a dead-letter
// queue only service is set.
type outage struct {
	service  *ingest.Service
	queue    deadletter.Queue
	fallback *ingest.Fallback
	redriver *ingest.Redriver
	// reporter is nil for a queue that servers share.
	reporter *deadletter.Reporter
	// warnings are lasting faults of the queue's set-up.
	warnings []string
}

// statsTimeout bounds the look at the queue for a scrape of the metrics.
const statsTimeout = time.Second

// openOutage opens the configured dead-letter queue and starts to store what waits in it.
func openOutage(ctx context.Context, cfg *config.Config, reports deadletter.Reports, committer *ingest.Committer, registry *prometheus.Registry, log *slog.Logger) (*outage, error) {
	if cfg.DeadLetters.Backend == "none" {
		return &outage{service: ingest.NewService(committer)}, nil
	}
	opened, err := openQueue(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	queue := opened.queue
	metrics := ingest.NewFallbackMetrics(registry, func() (deadletter.Stats, error) {
		ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
		defer cancel()
		return queue.Stats(ctx)
	})
	fallback, err := ingest.NewFallback(ctx, queue, log, metrics)
	if err != nil {
		return nil, errors.Join(err, queue.Close())
	}
	o := &outage{
		service:  ingest.NewServiceWithFallback(committer, fallback),
		queue:    queue,
		fallback: fallback,
		redriver: ingest.NewRedriver(fallback, committer, log),
		warnings: opened.warnings,
	}
	if opened.place != nil {
		o.reporter = deadletter.NewReporter(queue, reports, *opened.place, func() bool { return !fallback.StoreTakesWrites() }, log)
	}
	return o, nil
}

// openedQueue is a queue with what is known of it from the start.
type openedQueue struct {
	queue deadletter.Queue
	// warnings are lasting faults of its set-up.
	warnings []string
	// place says where the queue of this server alone is; nil for one that servers share.
	place *deadletter.Report
}

// openQueue opens the queue of the configured backend.
func openQueue(ctx context.Context, cfg *config.Config, log *slog.Logger) (*openedQueue, error) {
	settings := &cfg.DeadLetters
	if settings.Backend == "redis" {
		queue, err := redisqueue.Open(ctx, redisqueue.Options{
			URL: settings.Redis.URL.Reveal(), MaxBytes: int64(settings.MaxBytes), Timeout: settings.Redis.Timeout,
			AllowUnsafe: settings.Redis.AllowUnsafe, Rules: rules(cfg), Log: log,
		})
		if err != nil {
			return nil, err
		}
		return &openedQueue{queue: queue, warnings: queue.Warnings()}, nil
	}
	queue, err := disk.Open(ctx, cfg.DataDir, disk.Options{
		MaxBytes: int64(settings.MaxBytes), MinFreeBytes: int64(settings.MinFreeBytes),
	})
	if err != nil {
		return nil, err
	}
	place, err := placeOf(queue, cfg.DataDir)
	if err != nil {
		return nil, errors.Join(err, queue.Close())
	}
	return &openedQueue{queue: queue, place: &place}, nil
}

// Warnings says, for an operator, what is wrong with the queue.
func (o *outage) Warnings() []string {
	if o.fallback == nil {
		return nil
	}
	return slices.Concat(o.warnings, o.fallback.Warnings())
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
	if o.reporter != nil {
		o.reporter.Close()
	}
	return o.queue.Close()
}
