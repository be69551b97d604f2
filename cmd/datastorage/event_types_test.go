package main

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/sqlite"
)

// api is the script command "api DIR": it serves the HTTP API on an embedded store in DIR, without tokens, and sets URL.
func api(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: api DIR")
	}
	ctx, cfg, log, registry := context.Background(), config.Default(), slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	store, err := sqlite.Open(ctx, ts.MkAbs(args[0]), sqlite.Options{Readers: 1, QueryTimeout: time.Second})
	ts.Check(err)
	committer, err := ingest.NewCommitter(ctx, store, limits(&cfg), log, ingest.NewMetrics(registry))
	ts.Check(err)
	service := ingest.NewService(committer)
	keeper, err := openCatalog(ctx, &cfg, store, service, registry, log)
	ts.Check(err)
	server := httptest.NewServer(httpapi.New(httpapi.Config{
		Writer: service, Reader: store, Catalogue: keeper, Access: httpapi.Access{Local: true}, Rules: rules(&cfg), MaxBatch: 1000, MaxInFlight: 1 << 26,
		CursorKey: []byte("key"), Diverged: committer.Diverged, Warnings: func() []string { return nil },
		PoolStats: func() httpapi.PoolStats { return httpapi.PoolStats{} }, Log: log, Registry: registry, Now: time.Now,
	}))
	ts.Defer(func() {
		server.Close()
		keeper.Close()
		committer.Close()
		ts.Check(store.Close())
	})
	ts.Setenv("URL", server.URL)
}
