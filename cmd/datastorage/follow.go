package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/tail"
	"github.com/datastorage-io/datastorage/ledger"
)

// recentBytes is what the last commits of this server may take in memory for those that follow the log.
const recentBytes = 12 << 20

// followedLog is the log of a store, of which this server's last commits are in memory.
type followedLog struct {
	recent *project.Recent
	store  store
}

// Follow implements tail.Log.
func (l *followedLog) Follow(ctx context.Context, from int64, limit int, bodies project.Bodies) (project.Batch, error) {
	return l.recent.Follow(ctx, from, limit, bodies)
}

// Head implements tail.Log.
func (l *followedLog) Head(ctx context.Context) (ledger.Head, error) { return l.store.Head(ctx) }

// CommitOf implements tail.Log.
func (l *followedLog) CommitOf(ctx context.Context, logIndex int64) (*ledger.Commit, error) {
	return l.store.CommitOf(ctx, logIndex)
}

// openTail returns what sends the log to clients that follow it.
func openTail(cfg *config.Config, store store, recent *project.Recent, registry prometheus.Registerer, log *slog.Logger) *tail.Hub {
	return tail.NewHub(&followedLog{recent, store}, tail.DefaultLimits(cfg.HTTP.MaxTailReaders), log, tail.NewMetrics(registry))
}

// tellOfCommits has those that follow the log told of each commit of this server.
func tellOfCommits(committer *ingest.Committer, recent *project.Recent, wake ...func()) {
	committer.Observe(func(first int64, at time.Time, records []*datastorage.Record) {
		recent.Committed(first, at, records)
		for _, w := range wake {
			w()
		}
	})
}
