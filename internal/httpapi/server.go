// Package httpapi serves the HTTP contract: it decodes requests, calls ingest and the store, and encodes answers and
// problems.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/api"
	"github.com/datastorage-io/datastorage/internal/auth"
	"github.com/datastorage-io/datastorage/internal/ingest"
)

// Writer takes events to the store. Errors are *datastorage.Error.
type Writer interface {
	// Write stores events, all or nothing; see ingest.Service.
	Write(ctx context.Context, events []datastorage.Event, indexed bool) ([]ingest.Stored, error)
	// WriteNotification stores a notification record and its event, and fills in the record's ID.
	WriteNotification(ctx context.Context, n *datastorage.Notification, e datastorage.Event) (ingest.Stored, error)
}

// Config is what the API needs to serve.
type Config struct {
	Writer Writer
	Reader Reader
	// Tail sends the log to those who follow it.
	Tail Tail
	// Rules are the limits for events.
	Rules datastorage.Rules
	// MaxBatch is the largest number of events in a batch.
	MaxBatch int
	// CursorKey authenticates cursors; replicas on one store share it.
	CursorKey []byte
	// AllowedOrigins are the CORS origins; "*" allows any. Empty: none.
	AllowedOrigins []string
	// MaxInFlight bounds the bytes that requests with a body take; beyond it a write is answered 503 at once.
	MaxInFlight int64
	// Rate and Burst limit the requests per second of one client address; Rate 0 means no limit.
	Rate  float64
	Burst int
	// Diverged says why the store does not continue the acknowledged log, nil when it does.
	Diverged func() error
	// Catalogue is the workflow catalogue.
	Catalogue Catalogue
	// Correlations lists remediations.
	Correlations Correlations
	// Producers says which numbered events never arrived.
	Producers Producers
	// Outcomes are the executions of remediations and what has become of them.
	Outcomes Outcomes
	// History reads what was tried on an object.
	History History
	// Recorder records the searches of the catalogue.
	Recorder Recorder
	// Rankings is what searches with rank=outcomes rank by.
	Rankings Rankings
	// Fallback is the dead-letter queue that takes writes during an outage; nil when there is none.
	Fallback Fallback
	// DeadLetters is the queue as an administrator uses it; nil when there is none.
	DeadLetters DeadLetters
	// Access says who may call the API.
	Access Access
	// Warnings returns what an operator should know of: lasting faults of the set-up, and promises that do not hold now.
	Warnings func() []string
	// PoolStats reads the state of the store's connection pool.
	PoolStats func() PoolStats

	Log      *slog.Logger
	Registry *prometheus.Registry
	Now      func() time.Time
}

// PoolStats is the state of a connection pool.
type PoolStats struct {
	Open, InUse, Idle, Max int
	// Wait is the total time that callers have waited for a connection.
	Wait time.Duration
}

// Server answers the HTTP contract.
type Server struct {
	cfg      Config
	mux      *http.ServeMux
	metrics  *metrics
	limiter  *limiter
	budget   budget
	draining atomic.Bool
	acts     sync.Mutex // held while a dead letter is changed
	past     past
	totals   totalsBreaker
	schemas  *schemaLog

	nowhere http.Handler // answers what no route is for
	// fixed are the routes without variables, which need no search.
	fixed map[fixedRoute]http.Handler
}

// New returns the server of a configuration.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, mux: http.NewServeMux(), fixed: map[fixedRoute]http.Handler{}, metrics: newMetrics(cfg.Registry, cfg.PoolStats)}
	s.schemas = newSchemaLog(cfg.Log, cfg.Now)
	s.budget.limit = cfg.MaxInFlight
	cfg.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "datastorage_http_inflight_bytes", Help: "Memory of the requests with a body that are not answered yet.",
	}, func() float64 { return float64(s.budget.used.Load()) }))
	if cfg.Rate > 0 {
		s.limiter = newLimiter(cfg.Rate, cfg.Burst, cfg.Now)
	}
	for _, r := range s.routes() {
		h := s.adapt(r.Pattern, r.needs, r.handler)
		s.mux.Handle(r.Pattern, h)
		if method, path, _ := strings.Cut(r.Pattern, " "); !strings.Contains(path, "{") {
			s.fixed[fixedRoute{method, path}] = h
		}
	}
	s.nowhere = s.adapt("/", open, s.noRoute)
	s.mux.Handle("/", s.nowhere)
	return s
}

// Route is one operation of the API.
type Route struct {
	// Pattern is the method and the path, as http.ServeMux reads them.
	Pattern string
	// needs is the role that a client must have.
	needs   auth.Role
	handler handler
}

// routes is the whole API.
func (s *Server) routes() []Route {
	prom := promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{
		Registry:      s.cfg.Registry,
		ErrorHandling: promhttp.ContinueOnError, // one metric that cannot be read must not hide the others
	})
	return []Route{
		{"POST /api/v1/audit/events", auth.RoleWrite, s.postEvent},
		{"POST /api/v1/audit/events/batch", auth.RoleWrite, s.postBatch},
		{"GET /api/v1/audit/events", auth.RoleRead, s.listEvents},
		{"GET /api/v1/audit/events/stream", auth.RoleRead, s.streamEvents},
		{"GET /api/v1/audit/events/{event_id}", auth.RoleRead, s.getEvent},
		{"GET /api/v1/audit/events/{event_id}/body", auth.RoleRead, s.getBody},
		{"GET /api/v1/audit/correlations", auth.RoleRead, s.listCorrelations},
		{"GET /api/v1/audit/correlations/{id}", auth.RoleRead, s.getCorrelation},
		{"GET /api/v1/audit/correlations/{id}/timeline", auth.RoleRead, s.getTimeline},
		{"POST /api/v1/audit/remediation-requests/{id}/reconstruct", auth.RoleRead, s.reconstruct},
		{"GET /api/v1/remediation-history/context", auth.RoleRead, s.getRemediationHistory},
		{"GET /api/v1/effectiveness/{correlation_id}", auth.RoleRead, s.getEffectiveness},
		{"GET /api/v1/audit/producers", auth.RoleRead, s.listProducers},
		{"GET /api/v1/audit/producers/{id}/gaps", auth.RoleRead, s.getProducerGaps},
		{"POST /api/v1/audit/notifications", auth.RoleWrite, s.postNotification},
		{"GET /api/v1/audit/notifications", auth.RoleRead, s.listNotifications},
		{"POST /api/v1/workflows", auth.RoleWrite, s.postWorkflow},
		{"GET /api/v1/workflows", auth.RoleRead, s.listWorkflows},
		{"GET /api/v1/workflows/export", auth.RoleRead, s.exportCatalogue},
		{"GET /api/v1/actions", auth.RoleRead, s.listActions},
		{"GET /api/v1/actions/{type}/workflows", auth.RoleRead, s.listActionWorkflows},
		{"GET /api/v1/workflows/{id}", auth.RoleRead, s.getWorkflow},
		{"PATCH /api/v1/workflows/{id}", auth.RoleWrite, s.patchWorkflow},
		{"PATCH /api/v1/workflows/{id}/disable", auth.RoleWrite, s.disableWorkflow},
		{"GET /api/v1/workflows/by-name/{name}/versions", auth.RoleRead, s.listVersions},
		{"POST /api/v1/workflows/search", auth.RoleRead, s.searchWorkflows},
		{"POST /api/v1/workflows/import", auth.RoleWrite, s.importCatalogue},
		{"GET /api/v1/event-types", auth.RoleRead, s.listEventTypes},
		{"GET /api/v1/event-types/{type}", auth.RoleRead, s.getEventType},
		{"PUT /api/v1/event-types/{type}", auth.RoleWrite, s.putEventType},
		{"GET /api/v1/success-rate/incident-type", auth.RoleRead, s.incidentTypeRate},
		{"GET /api/v1/success-rate/workflow", auth.RoleRead, s.workflowRate},
		{"GET /api/v1/success-rate/multi-dimensional", auth.RoleRead, s.multiDimensionalRate},
		{"GET /api/v1/incidents", auth.RoleRead, s.listIncidents},
		{"GET /api/v1/incidents/{id}", auth.RoleRead, s.getIncident},
		{"GET /api/v1/incidents/aggregate/success-rate", auth.RoleRead, s.aggregateSuccessRate},
		{"GET /api/v1/incidents/aggregate/by-namespace", auth.RoleRead, s.aggregateByNamespace},
		{"GET /api/v1/incidents/aggregate/by-severity", auth.RoleRead, s.aggregateBySeverity},
		{"GET /api/v1/incidents/aggregate/trend", auth.RoleRead, s.aggregateTrend},
		{"GET /api/v1/dead-letters", auth.RoleRead, s.listLetters},
		{"GET /api/v1/dead-letters/{id}", auth.RoleRead, s.getLetter},
		{"POST /api/v1/dead-letters/{id}/replay", auth.RoleAdmin, s.replayLetter},
		{"DELETE /api/v1/dead-letters/{id}", auth.RoleAdmin, s.discardLetter},
		{"GET /api/v1/dead-letter-queues", auth.RoleRead, s.listQueues},
		{"GET /health", open, s.health},
		{"GET /health/ready", open, s.ready},
		{"GET /health/live", open, s.live},
		{"GET /metrics", open, passThrough(prom)},
		{"GET /openapi.yaml", open, static("application/yaml", api.Document())},
	}
}

// fixedRoute is a route without variables.
type fixedRoute struct{ method, path string }

// Patterns lists the API's operations, for a comparison with its description.
func (s *Server) Patterns() []string {
	var patterns []string
	for _, r := range s.routes() {
		patterns = append(patterns, r.Pattern)
	}
	return patterns
}

// Posts lists the paths without variables that take a POST. Their handlers read a body and answer it, without a look at what
// their client does meanwhile.
func (s *Server) Posts() []string {
	var paths []string
	for r := range s.fixed {
		if r.method == http.MethodPost {
			paths = append(paths, r.path)
		}
	}
	return paths
}

// Drain makes readiness fail, so that load balancers stop sending; requests are still served.
func (s *Server) Drain() { s.draining.Store(true) }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// An escaped path may mean another one.
	if h := s.fixed[fixedRoute{r.Method, r.URL.Path}]; h != nil && r.URL.RawPath == "" {
		h.ServeHTTP(w, r)
		return
	}
	// The mux answers by itself, with a redirect or without a problem, where a path is not clean.
	if !isClean(r.URL.EscapedPath()) {
		s.nowhere.ServeHTTP(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// isClean reports whether a path is absolute and has no empty segment, "." or "..".
func isClean(p string) bool {
	if p == "" || p[0] != '/' || strings.Contains(p, "//") {
		return false
	}
	if !strings.Contains(p, "/.") {
		return true
	}
	return !strings.Contains(p+"/", "/./") && !strings.Contains(p+"/", "/../")
}
