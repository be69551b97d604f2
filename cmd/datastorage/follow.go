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
const recentBytes = 8 << 20

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

// openTail returns what sends the log to clients that follow it, told of each commit.
func openTail(cfg *config.Config, store store, committer *ingest.Committer, registry prometheus.Registerer, log *slog.Logger) *tail.Hub {
	recent := project.NewRecent(store, recentBytes)
	hub := tail.NewHub(&followedLog{recent, store}, tail.DefaultLimits(cfg.HTTP.MaxTailReaders), log, tail.NewMetrics(registry))
	committer.Observe(func(first int64, at time.Time, records []*datastorage.Record) {
		recent.Committed(first, at, records)
		hub.Wake()
	})
	return hub
}
