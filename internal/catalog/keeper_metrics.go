package catalog

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
)

// Metrics are what a Keeper reports.
type Metrics struct {
	version   prometheus.Gauge
	workflows *prometheus.GaugeVec // status
	changes   prometheus.Counter
	moved     prometheus.Counter
	lastSeen  atomic.Int64 // Unix time in nanoseconds
}

// NewMetrics registers the metrics of a Keeper.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		version: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "datastorage_catalog_version", Help: "Version of the workflow catalogue that this server serves.",
		}),
		workflows: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "datastorage_catalog_workflows", Help: "Workflow versions in the catalogue by status.",
		}, []string{"status"}),
		changes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datastorage_catalog_changes_applied_total", Help: "Changes of the catalogue that this server has applied, its own and others'.",
		}),
		moved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datastorage_catalog_moved_total", Help: "Changes of the catalogue decided again because another server was first.",
		}),
	}
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "datastorage_catalog_age_seconds", Help: "Time since this server last knew that its catalogue is that of the store.",
	}, func() float64 { return max(0, time.Since(time.Unix(0, m.lastSeen.Load())).Seconds()) })
	reg.MustRegister(m.version, m.workflows, m.changes, m.moved, age)
	return m
}

func (m *Metrics) seen(at time.Time) { m.lastSeen.Store(at.UnixNano()) }

// applied reports a new snapshot, made by that many changes.
func (m *Metrics) applied(s *Snapshot, changes int) {
	m.version.Set(float64(s.Version()))
	m.changes.Add(float64(changes))
	counts := map[uint8]int{}
	for _, e := range s.entries {
		counts[e.status]++
	}
	for i, status := range datastorage.WorkflowStatuses {
		m.workflows.WithLabelValues(status).Set(float64(counts[uint8(i)]))
	}
}
