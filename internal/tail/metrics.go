package tail

import "github.com/prometheus/client_golang/prometheus"

// Metrics are what a hub reports.
type Metrics struct {
	readers  prometheus.Gauge
	events   prometheus.Counter
	ended    *prometheus.CounterVec // reason
	refused  prometheus.Counter
	catchUps prometheus.Counter
}

// NewMetrics registers the metrics of a hub.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		readers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "datastorage_tail_readers", Help: "Readers that follow the log.",
		}),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datastorage_tail_events_total", Help: "Events sent to readers that follow the log.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "datastorage_tail_ended_total", Help: "Streams of the log that ended, by reason; slow and cut were dropped.",
		}, []string{"reason"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datastorage_tail_refused_total", Help: "Readers refused because there were too many.",
		}),
		catchUps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "datastorage_tail_catch_up_reads_total", Help: "Pieces of the log read from the store for one reader alone.",
		}),
	}
	reg.MustRegister(m.readers, m.events, m.ended, m.refused, m.catchUps)
	for _, reason := range reasons {
		m.ended.WithLabelValues(string(reason))
	}
	return m
}
