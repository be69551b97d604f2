package telemetry

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestNewRegistry(t *testing.T) {
	registry := NewRegistry()
	histogram := prometheus.NewHistogram(HistogramOpts("datastorage_test_seconds", "A test.", LatencyBuckets))
	registry.MustRegister(histogram)
	histogram.Observe(.003)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
		if f.GetName() != "datastorage_test_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		if len(h.GetBucket()) != len(LatencyBuckets) {
			t.Errorf("%d classic buckets, want %d", len(h.GetBucket()), len(LatencyBuckets))
		}
		if len(h.GetPositiveSpan()) == 0 {
			t.Error("no native buckets")
		}
	}
	for _, want := range []string{"go_goroutines", "go_build_info", "process_open_fds", "datastorage_test_seconds"} {
		if all := " " + strings.Join(names, " ") + " "; !strings.Contains(all, " "+want+" ") {
			t.Errorf("%s is not among %s", want, all)
		}
	}
}

func TestHistogramOpts_NoBuckets(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a histogram without classic buckets is taken")
		}
	}()
	HistogramOpts("x", "x", nil)
}
