package bench

import (
	"time"
)

// Result is what one kind of request did under a load.
type Result struct {
	Scenario       string  `json:"scenario"`
	Clients        int     `json:"clients"`
	Batch          int     `json:"batch,omitempty"`
	EventSize      int     `json:"event_size_bytes,omitempty"`
	HotCorrelation bool    `json:"hot_correlation,omitempty"`
	WithIDs        bool    `json:"with_ids,omitempty"`
	Seconds        float64 `json:"seconds"` // measured, without the warm-up

	// Requests and Events count good answers and the events written or read with them; of a search, the workflows found.
	Requests          uint64  `json:"requests"`
	Events            uint64  `json:"events"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	EventsPerSecond   float64 `json:"events_per_second"`

	// Latencies of good answers, in microseconds.
	MeanMicros float64 `json:"mean_us"`
	P50Micros  float64 `json:"p50_us"`
	P95Micros  float64 `json:"p95_us"`
	P99Micros  float64 `json:"p99_us"`
	MaxMicros  float64 `json:"max_us"`

	// Errors counts the others by HTTP status or kind of fault, ErrorShare is
	// their share of all requests, Example the first of them.
	Errors     map[string]uint64 `json:"errors"`
	ErrorShare float64           `json:"error_share"`
	Example    string            `json:"error_example,omitempty"`

	// CPU time used while measuring, over all events, in microseconds, and the
	// server's largest resident memory seen, in bytes. They are of the whole run
	// when it has several results, and nil where they could not be read.
	ServerMicrosPerEvent      *float64 `json:"server_cpu_us_per_event"`
	ServerMicrosPerRequest    *float64 `json:"server_cpu_us_per_request"`
	PostgresMicrosPerEvent    *float64 `json:"postgres_cpu_us_per_event"`
	GeneratorMicrosPerRequest *float64 `json:"generator_cpu_us_per_request"`
	ServerMemory              *float64 `json:"server_memory_max_bytes"`
}

// newResult fills in what the options say.
func (w *Workload) newResult(name string, measured time.Duration) Result {
	o := w.options
	r := Result{Scenario: name, Clients: o.Clients, Seconds: measured.Seconds(), Errors: map[string]uint64{}}
	if o.Scenario.writes() {
		r.Batch, r.EventSize, r.HotCorrelation, r.WithIDs = o.Batch, o.EventSize, o.HotCorrelation, o.WithIDs
	}
	return r
}

// setLatencies fills in the latencies and the rates.
func (r *Result) setLatencies(h *Histogram) {
	r.RequestsPerSecond = float64(r.Requests) / r.Seconds
	r.EventsPerSecond = float64(r.Events) / r.Seconds
	r.MeanMicros = micros(h.Mean())
	r.P50Micros = micros(h.Quantile(0.50))
	r.P95Micros = micros(h.Quantile(0.95))
	r.P99Micros = micros(h.Quantile(0.99))
	r.MaxMicros = micros(h.Max())
}

// setErrors fills in the errors of a run with so many good requests.
func (r *Result) setErrors(faults map[string]uint64, good uint64, example error) {
	bad := uint64(0)
	for name, n := range faults {
		r.Errors[name] = n
		bad += n
	}
	if bad > 0 {
		r.ErrorShare = float64(bad) / float64(bad+good)
	}
	if example != nil {
		r.Example = example.Error()
	}
}

// setCosts fills in what a run with so many good requests and events took.
func (r *Result) setCosts(c costs, requests, events uint64) {
	per := func(seconds *float64, n uint64) *float64 {
		if seconds == nil || n == 0 {
			return nil
		}
		v := *seconds * 1e6 / float64(n)
		return &v
	}
	r.ServerMicrosPerEvent = per(c.server, events)
	r.ServerMicrosPerRequest = per(c.server, requests)
	r.PostgresMicrosPerEvent = per(c.database, events)
	r.GeneratorMicrosPerRequest = per(c.own, requests)
	r.ServerMemory = c.memory
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }
