package catalog

import "github.com/prometheus/client_golang/prometheus"

// RecorderMetrics are what a Recorder reports.
type RecorderMetrics struct {
	stored, lost, retries, full prometheus.Counter
	waiting                     prometheus.Gauge
}

// NewRecorderMetrics registers the metrics of a Recorder.
func NewRecorderMetrics(reg prometheus.Registerer) *RecorderMetrics {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "datastorage_catalog_evidence_total",
		Help: "Searches by what became of their evidence: stored, or lost because its content was refused or the server ended.",
	}, []string{"status"})
	m := &RecorderMetrics{
		stored: events.WithLabelValues("stored"), lost: events.WithLabelValues("lost"),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datastorage_catalog_evidence_retries_total", Help: "Writes of evidence that failed and were tried again.",
		}),
		full: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datastorage_catalog_evidence_full_total", Help: "Searches that waited because too much evidence was not stored yet.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "datastorage_catalog_evidence_waiting", Help: "Searches whose evidence is not stored yet.",
		}),
	}
	reg.MustRegister(events, m.retries, m.full, m.waiting)
	return m
}
