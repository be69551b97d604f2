package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry that already reports the Go runtime, the process and the build. Every metric of the
// server is registered with a registry that is passed in, so that a process can hold more than one server.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	return registry
}

// LatencyBuckets are the upper bounds, in seconds, of durations from a search in memory to a write that times out.
var LatencyBuckets = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// SizeBuckets are the upper bounds of counts, such as the events of one commit.
var SizeBuckets = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000}

// HistogramOpts returns the options of a histogram that is native for a scraper that can read it and has the given
// classic buckets for one that cannot: with native buckets alone the classic ones vanish. Buckets must not be empty.
func HistogramOpts(name, help string, buckets []float64) prometheus.HistogramOpts {
	if len(buckets) == 0 {
		panic("telemetry: " + name + " has no classic buckets")
	}
	return prometheus.HistogramOpts{
		Name:                            name,
		Help:                            help,
		Buckets:                         buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}
}
