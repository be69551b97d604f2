package ingest

import "github.com/prometheus/client_golang/prometheus"

// Metrics are what the committer reports.
type Metrics struct {
	commitEvents  prometheus.Histogram
	commitSeconds prometheus.Histogram
	queueWait     prometheus.Histogram
	queueDepth    prometheus.Gauge
	pushback      prometheus.Counter
	headMoved     prometheus.Counter
	ledgerSize    prometheus.Gauge
	diverged      prometheus.Gauge
}

// NewMetrics registers the committer's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		commitEvents: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "datastorage_commit_events", Help: "Events in one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 12),
		}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "datastorage_commit_duration_seconds", Help: "Time from taking a batch from the queue to its answer, retries included.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2, 14),
		}),
		queueWait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "datastorage_commit_queue_wait_seconds", Help: "Time a request waits before its commit begins.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 16),
		}),
		queueDepth: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "datastorage_commit_queue_events", Help: "Events that were left waiting when the last commit was taken.",
		}),
		pushback: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datastorage_commit_pushback_total", Help: "Writes refused because the queue was full.",
		}),
		headMoved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datastorage_commit_head_moved_total", Help: "Commits tried again because another writer was first.",
		}),
		ledgerSize: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "datastorage_ledger_size", Help: "Events in the log as of the last commit that this server knows.",
		}),
		diverged: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "datastorage_ledger_diverged", Help: "1 when the store does not hold what this server has acknowledged.",
		}),
	}
	reg.MustRegister(m.commitEvents, m.commitSeconds, m.queueWait, m.queueDepth, m.pushback, m.headMoved, m.ledgerSize, m.diverged)
	return m
}
