package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/catalogdoc"
	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/demo"
	"github.com/datastorage-io/datastorage/internal/express"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/importer"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/tail"
	"github.com/datastorage-io/datastorage/internal/telemetry"
)

func newServeCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the HTTP API",
		Long: `Serves the HTTP API on an embedded SQLite database in --data-dir, or on PostgreSQL
(15 or newer) when --database-url names one. The schema is created or brought up to
date at start.

SIGTERM or SIGINT stops it in good order: readiness fails at once, requests are served
for shutdown.drain_delay more, what is queued is committed. A second signal exits at
once; nothing that was acknowledged is lost either way.`,
		Example: `  # a complete server on this machine, with sample data to look at
  datastorage serve --demo

  # then, elsewhere
  curl 'http://127.0.0.1:8080/api/v1/audit/events?limit=3'

  # on PostgreSQL; the password comes from a file
  DATASTORAGE_DATABASE_URL_FILE=/run/secrets/audit-url datastorage serve --listen :8080`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig(cmd)
			if err != nil {
				return err
			}
			addSpareProcs(a.environ)
			go tuneCollector(cmd.Context(), a.environ)
			log, flush := telemetry.NewBufferedLogger(a.stderr, cfg.Log)
			defer flush()
			return serve(cmd.Context(), &cfg.Config, log)
		},
	}
	addStoreFlags(cmd)
	addServerFlags(cmd)
	return cmd
}

// serve runs the server until ctx is cancelled, then stops it in good order.
func serve(ctx context.Context, cfg *config.Config, log *slog.Logger) (err error) {
	// The address comes first: a port that is taken should not cost a migration.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return listenError(cfg.Listen, err)
	}
	defer func() { err = errors.Join(err, ignoreClosed(listener.Close())) }()
	access, stopAccess, err := openAccess(ctx, cfg.Auth, listener.Addr(), log)
	if err != nil {
		return err
	}
	defer stopAccess()
	store, err := openToServe(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() {
		// What was acknowledged is safe: a database that does not answer any more is no failure of this server.
		if closeErr := store.Close(); closeErr != nil {
			log.Warn("the store did not close in good order", "error", closeErr)
		}
	}()

	registry := telemetry.NewRegistry()
	committer, err := ingest.NewCommitter(ctx, store, limits(cfg), log, ingest.NewMetrics(registry))
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	defer committer.Close()
	out, err := openOutage(ctx, cfg, store, committer, registry, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	keeper, err := openCatalog(ctx, cfg, store, out.service, registry, log)
	if err != nil {
		return err
	}
	defer keeper.Close()
	searches := newRecorder(cfg, out.service, registry, log)
	defer func() { err = errors.Join(err, closeRecorder(ctx, cfg, searches)) }()
	api, err := newAPI(ctx, cfg, access, store, out, keeper, committer, registry, log)
	if err != nil {
		return err
	}
	api.Recorder = searches
	recent := project.NewRecent(store, recentBytes)
	hub := openTail(cfg, store, recent, registry, log)
	defer hub.Close()
	api.Tail = hub
	derived, err := followLog(ctx, cfg, store, recent, registry, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, derived.Close()) }()
	derived.serve(&api)
	api.Rankings = newRankings(cfg, derived.view)
	tellOfCommits(committer, recent, hub.Wake, derived.runner.Wake)
	handler := httpapi.New(api)
	server := newServer(cfg, handler, log)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	log.Info("serving", "address", "http://"+listener.Addr().String(), "store", store.Name(), "events", committer.Size())
	if cfg.Demo {
		if err := loadDemo(ctx, cfg, store, out.service, keeper, log); err != nil && ctx.Err() == nil {
			return errors.Join(err, server.Close())
		}
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	return stop(ctx, cfg, handler, hub, server, log)
}

// stop drains and stops the server. What is queued is committed afterwards, when the committer closes.
func stop(ctx context.Context, cfg *config.Config, api *httpapi.Server, hub *tail.Hub, server *express.Server, log *slog.Logger) error {
	api.Drain()
	log.Info("stopping: not ready any more, still serving", "drain_delay", cfg.Shutdown.DrainDelay)
	time.Sleep(cfg.Shutdown.DrainDelay)
	hub.Close() // streams have no end of their own
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Shutdown.Timeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Warn("some requests did not end in time; their connections are closed", "error", err)
		return ignoreClosed(server.Close())
	}
	log.Info("stopped: every request was answered")
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// listenError says what to do about an address that cannot be listened on.
func listenError(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("cannot listen on %s: the port is in use; stop the other program or choose another address with --listen", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("cannot listen on %s: ports below 1024 need a privilege; choose another one with --listen", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("cannot listen on %s: this machine does not have that address; choose another one with --listen", address)
	}
	return fmt.Errorf("cannot listen on %s: %w", address, err)
}

func limits(cfg *config.Config) ingest.Limits {
	return ingest.Limits{
		QueueEvents:  cfg.Ingest.MaxQueueEvents,
		QueueBytes:   int64(cfg.Ingest.MaxQueueBytes),
		CommitEvents: cfg.Ingest.MaxCommitEvents,
		CommitBytes:  int64(cfg.Ingest.MaxCommitBytes),
		WriteTimeout: cfg.Ingest.WriteTimeout,
		RetryFor:     min(retryFor, cfg.Ingest.WriteTimeout/2),
	}
}

// retryFor is how long a write is tried again while the store cannot be reached, before it goes to the dead-letter queue
// or is answered 503: a restart of the store is rarely shorter.
const retryFor = 500 * time.Millisecond

func newAPI(ctx context.Context, cfg *config.Config, access httpapi.Access, store store, out *outage, keeper *catalog.Keeper, committer *ingest.Committer, registry *prometheus.Registry, log *slog.Logger) (httpapi.Config, error) {
	key, err := cursorKey(ctx, store)
	if err != nil {
		return httpapi.Config{}, err
	}
	api := httpapi.Config{
		Access: access, Writer: out.service, Reader: store, Catalogue: keeper, Rules: rules(cfg), MaxBatch: cfg.Ingest.MaxBatchEvents,
		MaxInFlight: int64(cfg.Ingest.MaxInFlightBytes),
		CursorKey:   key, AllowedOrigins: cfg.HTTP.AllowedOrigins, Rate: cfg.HTTP.RateLimit, Burst: cfg.HTTP.RateBurst,
		Diverged: committer.Diverged, Warnings: func() []string { return slices.Concat(store.Warnings(), out.Warnings()) }, PoolStats: store.PoolStats,
		Log: log, Registry: registry, Now: time.Now,
	}
	if out.fallback != nil {
		api.Fallback, api.DeadLetters = out.fallback, out.fallback.DeadLetters()
	}
	return api, nil
}

// cursorKey returns the key that authenticates cursors, which the first server of a store makes.
func cursorKey(ctx context.Context, store store) ([]byte, error) {
	fresh := make([]byte, 32)
	rand.Read(fresh)
	key, err := store.PutSetting(ctx, "cursor-key", fresh)
	if err != nil {
		return nil, fmt.Errorf("read the key of cursors: %w", err)
	}
	return key, nil
}

func newServer(cfg *config.Config, handler *httpapi.Server, log *slog.Logger) *express.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return express.New(&http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: cfg.HTTP.ReadHeaderTimeout,
		ReadTimeout:       cfg.HTTP.ReadTimeout,
		WriteTimeout:      writeTimeout(cfg),
		IdleTimeout:       cfg.HTTP.IdleTimeout,
		// An answer that waits for the client's permission has writeTimeout; one that waits for the network has this.
		HTTP2:          &http.HTTP2Config{WriteByteTimeout: cfg.HTTP.WriteTimeout, MaxConcurrentStreams: maxStreams},
		MaxHeaderBytes: int(cfg.HTTP.MaxHeaderBytes),
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}, handler.Posts())
}

// maxStreams is how many requests one HTTP/2 connection may have under way; the client keeps the others. A stream takes
// memory before the bytes of its request are counted.
const maxStreams = 20

// writeTimeout is how long a whole answer may take, from the end of the request's header: reading its body, the slowest
// query or write, and a slow reader of the answer.
func writeTimeout(cfg *config.Config) time.Duration {
	return cfg.HTTP.ReadTimeout + max(cfg.Database.QueryTimeout, cfg.Ingest.WriteTimeout) + cfg.HTTP.WriteTimeout
}

// loadDemo imports the sample workflows, and the sample runs, moved so that they end now. A second start finds them stored.
func loadDemo(ctx context.Context, cfg *config.Config, store store, service *ingest.Service, keeper *catalog.Keeper, log *slog.Logger) error {
	documents, err := catalogdoc.Parse("catalogue.yaml", demo.Catalogue(), time.Now())
	if err != nil {
		return fmt.Errorf("read the sample workflows: %w", err)
	}
	imported, err := keeper.Import(ctx, importItems(documents), catalog.ImportOptions{})
	if err != nil {
		return fmt.Errorf("load the sample workflows: %w", err)
	}
	result, err := importer.Import(ctx, demo.Runs(), store, service, importer.Options{Rules: rules(cfg), Rebase: true, Now: time.Now()})
	if err != nil {
		return fmt.Errorf("load the sample runs: %w", err)
	}
	log.Info("sample runs and workflows are there", "events", result.Events, "new", result.Stored, "documents", len(imported),
		"new_documents", count(imported)[catalog.Created], "try", "GET /api/v1/audit/events?limit=5")
	return nil
}
