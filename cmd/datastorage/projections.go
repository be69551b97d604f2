package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	outcomes "github.com/datastorage-io/datastorage/internal/outcome"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/correlations"
	"github.com/datastorage-io/datastorage/internal/project/producers"
	"github.com/datastorage-io/datastorage/internal/remediation"
)

// projections are what is derived from the log.
func projections() []project.Projection {
	return []project.Projection{
		correlations.Projection{},
		producers.Projection{},
		outcomes.Projection{},
		remediation.Projection{},
	}
}

// serveProjections has the API read what is derived from the log.
func serveProjections(api *httpapi.Config, view project.View) {
	api.Correlations = correlations.NewList(view)
	api.Producers = producers.NewReader(view)
	api.Outcomes = outcomes.NewReader(view)
	api.History = remediation.NewHistory(view)
}

// followers keeps projections up with the log while the server runs.
type followers struct {
	store   project.Store
	view    project.View
	runner  *project.Runner
	monitor *project.Monitor
	stop    context.CancelFunc
	running sync.WaitGroup
}

// keepRetired is how much longer than a query may take the tables of a projection stay that others have replaced.
const keepRetired = 30 * time.Second

// followLog starts to keep projections up with the log of a store. The runner reads recent, which knows the last commits.
func followLog(ctx context.Context, cfg *config.Config, store store, recent project.Log, registry prometheus.Registerer, log *slog.Logger) (*followers, error) {
	opened, err := store.Projections(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the projections: %w", err)
	}
	metrics := project.NewMetrics(registry)
	f := &followers{
		store: opened, view: project.NewReader(opened, projections()),
		runner: project.NewRunner(project.RunnerOptions{
			Log: recent, Store: opened, Projections: projections(), Keep: cfg.Database.QueryTimeout + keepRetired, Logger: log, Metrics: metrics,
		}),
		monitor: project.NewMonitor(store, opened, projections(), metrics),
	}
	ctx, f.stop = context.WithCancel(context.WithoutCancel(ctx))
	if cfg.Projections.Enabled {
		f.running.Go(func() { f.runner.Run(ctx) })
	}
	f.running.Go(func() { f.monitor.Run(ctx) })
	return f, nil
}

// serve has the API read the projections, and tell how far they are.
func (f *followers) serve(api *httpapi.Config) {
	serveProjections(api, f.view)
	others := api.Warnings
	api.Warnings = func() []string { return slices.Concat(others(), f.monitor.Warnings()) }
}

// Close stops following. What is not applied yet is applied by the next server.
func (f *followers) Close() error {
	f.stop()
	f.running.Wait()
	return f.store.Close()
}
