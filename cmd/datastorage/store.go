package main

import (
	"context"
	"slices"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/project"
)

// store is what the commands need of either store.
type store interface {
	ingest.Store
	httpapi.Reader
	project.Log
	catalog.Store
	deadletter.Reports
	// Projections opens the store of what is derived from the log; it is closed before the store.
	Projections(ctx context.Context) (project.Store, error)
	// PutSetting stores a value under a name that has none, and returns what is stored under it.
	PutSetting(ctx context.Context, name string, value []byte) ([]byte, error)
	// Name says what kind of store it is and where, without any secret.
	Name() string
	// Warnings are lasting faults of the store's set-up that an operator should know of.
	Warnings() []string
	// PoolStats is the state of the connections.
	PoolStats() httpapi.PoolStats
	Close() error
}

// rules are the limits that a configuration sets for events.
func rules(cfg *config.Config) datastorage.Rules {
	return datastorage.Rules{
		Window: true, Past: cfg.Ingest.WindowPast, Future: cfg.Ingest.WindowFuture,
		Categories:          append(slices.Clone(datastorage.Categories), cfg.Ingest.ExtraCategories...),
		RetentionDays:       cfg.Retention.DefaultDays,
		RetentionByCategory: cfg.Retention.ByCategory,
	}
}
