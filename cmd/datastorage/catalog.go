package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/sqlite"
	"github.com/datastorage-io/datastorage/internal/telemetry"
)

// catalogCommand is what the commands below catalog share.
type catalogCommand struct{ *app }

func newCatalogCommand(a *app) *cobra.Command {
	c := &catalogCommand{a}
	cmd := &cobra.Command{
		Use:   "catalog",
		Short: "Look after the catalogue of remediation workflows",
		Long: `The catalogue holds what an agent may do about an incident: versions of workflows, found
by labels, and the types of action that they carry out. A version never changes once it is
published; its state does.

These commands work on the store itself, as the server does, and may run while servers run
on it: they see a change within catalog.poll_interval.`,
		Example: `  datastorage catalog import ./workflows
  datastorage catalog list
  datastorage catalog search signal_type=OOMKilled severity=critical component=apps/v1/Deployment \
      environment=production priority=P0 --explain
  datastorage catalog export ./backup`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(c.importCommand(), c.exportCommand(), c.listCommand(), c.searchCommand(), c.replayCommand(), c.backtestCommand())
	return cmd
}

// openCatalog opens the catalogue of a store for reading and changing.
func openCatalog(
	ctx context.Context, cfg *config.Config, store catalog.Store, writer *ingest.Service, registry prometheus.Registerer, log *slog.Logger,
) (*catalog.Keeper, error) {
	return catalog.NewKeeper(ctx, store, writer, catalog.Options{
		PollInterval: cfg.Catalog.PollInterval, Timeout: cfg.Ingest.WriteTimeout, Weights: catalog.Weights(cfg.Catalog.Weights),
		Retention: workflowRetention(cfg), Log: log, Metrics: catalog.NewMetrics(registry),
	})
}

// load reads the catalogue of the configured store.
func (c *catalogCommand) load(cmd *cobra.Command) (s *catalog.Snapshot, err error) {
	err = c.read(cmd, func(_ context.Context, _ *config.Config, _ store, loaded *catalog.Snapshot) error {
		s = loaded
		return nil
	})
	return s, err
}

// read calls f with the configuration, its store and its catalogue.
func (c *catalogCommand) read(cmd *cobra.Command, f func(context.Context, *config.Config, store, *catalog.Snapshot) error) (err error) {
	cfg, err := c.loadConfig(cmd)
	if err != nil {
		return err
	}
	store, err := openToRead(cmd.Context(), &cfg.Config, c.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	s, err := catalog.Load(cmd.Context(), store, catalog.Weights(cfg.Catalog.Weights))
	if err != nil {
		return err
	}
	return f(cmd.Context(), &cfg.Config, store, s)
}

// openToRead opens the configured store for a command that only reads, which makes no database where there is none.
func openToRead(ctx context.Context, cfg *config.Config, log *slog.Logger) (store, error) {
	if !cfg.Database.URL.IsSet() {
		if _, err := os.Stat(filepath.Join(cfg.DataDir, sqlite.FileName)); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no database in %s: name the directory with --data-dir, or a PostgreSQL with --database-url", cfg.DataDir)
		}
	}
	return openStore(ctx, cfg, log)
}

// change calls f with the catalogue of the configured store.
func (c *catalogCommand) change(cmd *cobra.Command, f func(context.Context, *catalog.Keeper) error) (err error) {
	cfg, err := c.loadConfig(cmd)
	if err != nil {
		return err
	}
	ctx, log := cmd.Context(), c.logger(cfg.Log)
	store, err := openStore(ctx, &cfg.Config, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	registry := telemetry.NewRegistry()
	committer, err := ingest.NewCommitter(ctx, store, limits(&cfg.Config), log, ingest.NewMetrics(registry))
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	defer committer.Close()
	keeper, err := openCatalog(ctx, &cfg.Config, store, ingest.NewService(committer), registry, log)
	if err != nil {
		return err
	}
	defer keeper.Close()
	return f(ctx, keeper)
}
