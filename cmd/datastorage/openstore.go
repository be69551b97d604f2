package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/postgres"
	"github.com/datastorage-io/datastorage/internal/sqlite"
)

// openToServe opens the configured store for a server, which claims the embedded store's directory.
func openToServe(ctx context.Context, cfg *config.Config, log *slog.Logger) (store, error) {
	if cfg.Database.URL.IsSet() {
		return openStore(ctx, cfg, log)
	}
	unlock, err := sqlite.LockDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	s, err := openStore(ctx, cfg, log)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	return &claimed{s, unlock}, nil
}

// claimed is a store whose directory this process has claimed.
type claimed struct {
	store
	unlock func() error
}

// Close closes the store, then gives the directory up.
func (c *claimed) Close() error { return errors.Join(c.store.Close(), c.unlock()) }

// openStore opens the configured store and brings its schema up to date.
func openStore(ctx context.Context, cfg *config.Config, log *slog.Logger) (store, error) {
	if cfg.Database.URL.IsSet() {
		s, err := postgres.Open(ctx, postgres.Config{
			URL: cfg.Database.URL.Reveal(), MaxQueryConns: cfg.Database.MaxQueryConnections,
			QueryTimeout: cfg.Database.QueryTimeout, Migrate: true, Logger: log,
		})
		if err != nil {
			return nil, err
		}
		return &postgresStore{s}, nil
	}
	s, err := sqlite.Open(ctx, cfg.DataDir, sqlite.Options{
		Readers: cfg.Database.MaxQueryConnections, QueryTimeout: cfg.Database.QueryTimeout,
	})
	if err != nil {
		return nil, err
	}
	return &sqliteStore{s, cfg.DataDir}, nil
}

type sqliteStore struct {
	*sqlite.Store
	dir string
}

// Name implements store.
func (s *sqliteStore) Name() string { return fmt.Sprintf("SQLite in %s", s.dir) }

// Warnings implements store: an embedded store has no set-up that could be wrong.
func (s *sqliteStore) Warnings() []string { return nil }

// PoolStats implements store.
func (s *sqliteStore) PoolStats() httpapi.PoolStats { return httpapi.PoolStats(s.Stats()) }

type postgresStore struct{ *postgres.Store }

// Warnings implements store.
func (s *postgresStore) Warnings() []string {
	if w := s.Durability().Warning(); w != "" {
		return []string{w}
	}
	return nil
}

// PoolStats implements store: both pools together.
func (s *postgresStore) PoolStats() httpapi.PoolStats {
	stats := s.Stats()
	i, q := stats.Ingest, stats.Queries
	return httpapi.PoolStats{
		Open: i.Open + q.Open, InUse: i.InUse + q.InUse, Idle: i.Idle + q.Idle, Max: i.Max + q.Max,
		Wait: i.WaitDuration + q.WaitDuration,
	}
}
