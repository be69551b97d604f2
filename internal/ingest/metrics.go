package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

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

// Streams of the dead-letter queue, as V1.0's dashboards name them.
const (
	streamEvents        = "events"
	streamNotifications = "notifications"
)

// FallbackMetrics are what the fallback and its redriver report.
type FallbackMetrics struct {
	enqueued *prometheus.CounterVec // stream, type
	redriven prometheus.Counter
	breaker  prometheus.Gauge
}

// NewFallbackMetrics registers the metrics of a fallback. stats reads the state of the queue at each scrape.
func NewFallbackMetrics(reg prometheus.Registerer, stats func() (deadletter.Stats, error)) *FallbackMetrics {
	m := &FallbackMetrics{
		enqueued: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "datastorage_dlq_enqueue_total", Help: "Events that went to the dead-letter queue.",
		}, []string{"stream", "type"}),
		redriven: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datastorage_dlq_redriven_total", Help: "Messages of the dead-letter queue that are stored now.",
		}),
		breaker: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "datastorage_breaker_state", Help: "Where writes go: 0 the store, 1 the dead-letter queue, 2 the queue while the store is tried.",
		}),
	}
	reg.MustRegister(m.enqueued, m.redriven, m.breaker, &queueCollector{stats})
	return m
}

// queueCollector reports the state of the queue; nothing when it cannot be read.
type queueCollector struct {
	stats func() (deadletter.Stats, error)
}

var (
	dlqDepth       = prometheus.NewDesc("datastorage_dlq_depth", "Messages that wait in the dead-letter queue; the one on disk counts all as events.", []string{"stream"}, nil)
	dlqCapacity    = prometheus.NewDesc("datastorage_dlq_capacity_ratio", "Used part of the dead-letter queue's bytes.", []string{"stream"}, nil)
	dlqBytes       = prometheus.NewDesc("datastorage_dlq_bytes", "Bytes that the dead-letter queue takes.", nil, nil)
	dlqOldest      = prometheus.NewDesc("datastorage_dlq_oldest_age_seconds", "Age of the oldest message that waits.", nil, nil)
	dlqQuarantined = prometheus.NewDesc("datastorage_dlq_quarantined", "Messages in the quarantine.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *queueCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{dlqDepth, dlqCapacity, dlqBytes, dlqOldest, dlqQuarantined} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *queueCollector) Collect(out chan<- prometheus.Metric) {
	s, err := c.stats()
	if err != nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(dlqDepth, float64(s.Depth-s.Notifications), streamEvents)
	gauge(dlqDepth, float64(s.Notifications), streamNotifications)
	for _, stream := range []string{streamEvents, streamNotifications} {
		// Both take from the same bytes.
		gauge(dlqCapacity, float64(s.Bytes)/float64(max(s.Capacity, 1)), stream)
	}
	gauge(dlqBytes, float64(s.Bytes))
	age := 0.0
	if !s.Oldest.IsZero() {
		age = max(0, time.Since(s.Oldest).Seconds())
	}
	gauge(dlqOldest, age)
	gauge(dlqQuarantined, float64(s.Quarantined))
}
