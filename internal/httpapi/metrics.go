package httpapi

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/ingest"
)

// metrics are what the API reports. The names that begin as V1.0's dashboards know them are part of the contract.
type metrics struct {
	traces      *prometheus.CounterVec   // service, status
	lag         *prometheus.HistogramVec // service
	write       *prometheus.HistogramVec // table
	writes      *prometheus.CounterVec   // table, status
	invalid     *prometheus.CounterVec   // field, reason
	queries     *prometheus.CounterVec   // operation, status
	querySecs   *prometheus.HistogramVec // operation
	requests    *prometheus.CounterVec   // route, status
	requestSecs *prometheus.HistogramVec // route
	pushback    prometheus.Counter
	violations  *prometheus.CounterVec // mode

	categories            sync.Map // name → *category; the names are those of the configuration
	events, notifications table
}

// Statuses of audit_traces_total.
const (
	statusSuccess  = "success"
	statusFailure  = "failure"
	statusFallback = "dlq_fallback"
)

const (
	tableEvents        = "audit_events"
	tableNotifications = "notification_audit"
)

func newMetrics(reg prometheus.Registerer, pool func() PoolStats) *metrics {
	latency := prometheus.ExponentialBuckets(0.00025, 2, 16)
	m := &metrics{
		traces:    counter("datastorage_audit_traces_total", "Audit events by producer category and result.", "service", "status"),
		lag:       histogram("datastorage_audit_lag_seconds", "Time from event_timestamp to storage.", prometheus.ExponentialBuckets(0.001, 4, 12), "service"),
		write:     histogram("datastorage_write_duration_seconds", "Time to store one request's records.", latency, "table"),
		writes:    counter("datastorage_write_total", "Requests to store, by table and result.", "table", "status"),
		invalid:   counter("datastorage_validation_failures_total", "Fields that broke a rule.", "field", "reason"),
		queries:   counter("datastorage_query_total", "Reads by operation and result.", "operation", "status"),
		querySecs: histogram("datastorage_query_duration_seconds", "Time of a read.", latency, "operation"),
		requests:  counter("datastorage_http_requests_total", "HTTP requests by route and status.", "route", "status"),
		pushback: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datastorage_http_pushback_total", Help: "Requests refused because too many bytes were in flight.",
		}),
		violations:  counter("datastorage_event_type_violations_total", "Events whose event_data breaks the schema of their type, by its mode.", "mode"),
		requestSecs: histogram("datastorage_http_request_duration_seconds", "Time to answer a request.", latency, "route"),
	}
	reg.MustRegister(m.traces, m.lag, m.write, m.writes, m.invalid, m.queries, m.querySecs, m.requests, m.requestSecs, m.pushback, m.violations)
	m.events, m.notifications = m.table(tableEvents), m.table(tableNotifications)
	registerPool(reg, pool)
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// registerPool reports the store's connections at each scrape.
func registerPool(reg prometheus.Registerer, pool func() PoolStats) {
	gauges := []struct {
		name, help string
		value      func(PoolStats) float64
	}{
		{"datastorage_db_connections_open", "Open connections to the store.", func(p PoolStats) float64 { return float64(p.Open) }},
		{"datastorage_db_connections_in_use", "Connections in use.", func(p PoolStats) float64 { return float64(p.InUse) }},
		{"datastorage_db_connections_idle", "Idle connections.", func(p PoolStats) float64 { return float64(p.Idle) }},
		{"datastorage_db_max_open_connections", "Largest number of connections.", func(p PoolStats) float64 { return float64(p.Max) }},
	}
	for _, g := range gauges {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, func() float64 { return g.value(pool()) }))
	}
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "datastorage_db_connection_wait_duration_seconds", Help: "Total time spent waiting for a connection.",
	}, func() float64 { return pool().Wait.Seconds() }))
}

// route is the metrics of one route.
type route struct {
	requests *prometheus.CounterVec
	pattern  string
	seconds  prometheus.Observer
	byStatus sync.Map // int → prometheus.Counter
}

func (m *metrics) route(pattern string) *route {
	return &route{requests: m.requests, pattern: pattern, seconds: m.requestSecs.WithLabelValues(pattern)}
}

// count counts an answer.
func (r *route) count(status int) {
	c, ok := r.byStatus.Load(status)
	if !ok {
		c, _ = r.byStatus.LoadOrStore(status, r.requests.WithLabelValues(r.pattern, strconv.Itoa(status)))
	}
	c.(prometheus.Counter).Inc()
}

// category is the metrics of the events of one category, found once.
type category struct {
	success, failure, fallback prometheus.Counter
	lag                        prometheus.Observer
}

func (m *metrics) category(name string) *category {
	if c, ok := m.categories.Load(name); ok {
		return c.(*category)
	}
	c, _ := m.categories.LoadOrStore(name, &category{
		success:  m.traces.WithLabelValues(name, statusSuccess),
		failure:  m.traces.WithLabelValues(name, statusFailure),
		fallback: m.traces.WithLabelValues(name, statusFallback),
		lag:      m.lag.WithLabelValues(name),
	})
	return c.(*category)
}

// written records the outcome of a write of events that was received and answered at these times.
func (m *metrics) written(stored []ingest.Stored, events []datastorage.Event, err error, received, answered time.Time) {
	m.events.wrote(err, answered.Sub(received))
	for i := range events {
		e := &events[i]
		c := m.category(e.Category)
		switch {
		case err != nil:
			c.failure.Inc()
		case stored[i].Queued:
			c.fallback.Inc()
		default:
			c.success.Inc()
			c.lag.Observe(max(0, answered.Sub(e.Time).Seconds()))
		}
	}
}

// table is the metrics of the writes to one table.
type table struct {
	success, failure prometheus.Counter
	seconds          prometheus.Observer
}

func (m *metrics) table(name string) table {
	return table{
		success: m.writes.WithLabelValues(name, statusSuccess),
		failure: m.writes.WithLabelValues(name, statusFailure),
		seconds: m.write.WithLabelValues(name),
	}
}

func (t *table) wrote(err error, took time.Duration) {
	if err != nil {
		t.failure.Inc()
	} else {
		t.success.Inc()
	}
	t.seconds.Observe(took.Seconds())
}

// query records a read that began at start; it is to be deferred.
func (m *metrics) query(operation string, start time.Time, err *error) {
	status := resultOf(*err)
	if datastorage.CodeOf(*err) == datastorage.CodeNotFound {
		status = statusSuccess // the store answered
	}
	m.queries.WithLabelValues(operation, status).Inc()
	m.querySecs.WithLabelValues(operation).Observe(time.Since(start).Seconds())
}

func resultOf(err error) string {
	if err != nil {
		return statusFailure
	}
	return statusSuccess
}

// validation counts the fields of a validation error. The names are those of the contract, so their number is bounded.
func (m *metrics) validation(e *datastorage.Error) {
	if e.Code != datastorage.CodeValidation {
		return
	}
	if len(e.Fields) == 0 {
		m.invalid.WithLabelValues("body", "malformed").Inc()
		return
	}
	for name, sentence := range e.Fields {
		if index, field, _ := strings.Cut(name, "."); isDigits(index) {
			name = field
		}
		// Below these, names are the producers'.
		if top, _, nested := strings.Cut(name, "."); nested && (top == "event_data" || top == "schema") {
			name = top
		}
		if name == "" { // an element of a batch as a whole
			name = "body"
		}
		m.invalid.WithLabelValues(name, reason(sentence)).Inc()
	}
}

// reasons are the labels of validation failures, by a phrase of their sentences.
var reasons = []struct{ phrase, label string }{
	{schemaRule, "schema"},
	{"is required", "required"},
	{"characters", "length"},
	{"must be one of", "enum"},
	{"must be at least", "range"},
	{"must be at most", "range"},
	{"in the past", "range"},
	{"in the future", "range"},
	{"does not exist", "reference"},
}

func reason(sentence string) string {
	for _, r := range reasons {
		if strings.Contains(sentence, r.phrase) {
			return r.label
		}
	}
	return "format"
}
