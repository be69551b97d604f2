package project

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what projections report.
type Metrics struct {
	position, lagEvents, lagSeconds *prometheus.GaugeVec
	events, failures                *prometheus.CounterVec
}

// NewMetrics registers the metrics of projections.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"projection"})
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"projection"})
	}
	m := &Metrics{
		position:   gauge("datastorage_projection_position", "Events of the log that the live tables of a projection hold."),
		lagEvents:  gauge("datastorage_projection_lag_events", "Events of the log that the live tables of a projection lack."),
		lagSeconds: gauge("datastorage_projection_lag_seconds", "Age of the oldest commit that the live tables of a projection lack."),
		events:     counter("datastorage_projection_events_total", "Events that this server applied to the live tables of a projection."),
		failures:   counter("datastorage_projection_failures_total", "Batches that this server could not apply to a projection."),
	}
	reg.MustRegister(m.position, m.lagEvents, m.lagSeconds, m.events, m.failures)
	return m
}

// add begins the counters of a projection at 0.
func (m *Metrics) add(name string) {
	m.events.WithLabelValues(name)
	m.failures.WithLabelValues(name)
}

func (m *Metrics) applied(name string, events int) {
	m.events.WithLabelValues(name).Add(float64(events))
}
func (m *Metrics) failed(name string) { m.failures.WithLabelValues(name).Inc() }

func (m *Metrics) observe(s Status) {
	m.position.WithLabelValues(s.Name).Set(float64(s.Position))
	m.lagEvents.WithLabelValues(s.Name).Set(float64(s.LagEvents))
	m.lagSeconds.WithLabelValues(s.Name).Set(s.Lag.Seconds())
}

// Status says how far a projection is.
type Status struct {
	Generation
	// LagEvents are the events of the log that its tables lack; Lag is the age of the oldest commit that they lack, by this
	// process's clock and the committer's.
	LagEvents int64
	Lag       time.Duration
	// Foreign says that the tables were made from another log; they have no lag then.
	Foreign bool
}

// Statuses reads the registry, and how far each generation is behind the log.
func Statuses(ctx context.Context, log Log, store Store) (all []Status, err error) {
	var found []Generation
	err = store.Snapshot(ctx, func(tx Tx) (err error) {
		found, err = generations(ctx, tx, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	// Generations that follow stand at few positions.
	lags := map[int64]Status{}
	for _, g := range found {
		lag, known := lags[g.Position]
		if !known {
			if lag, err = lagAt(ctx, log, g.Position); err != nil {
				return nil, fmt.Errorf("read the log behind %s: %w", g.Name, err)
			}
			lags[g.Position] = lag
		}
		lag.Generation = g
		all = append(all, lag)
	}
	return all, nil
}

// lagAt says how much of the log follows a position.
func lagAt(ctx context.Context, log Log, position int64) (s Status, err error) {
	b, err := log.Follow(ctx, position, 1, Bodies{})
	if errors.Is(err, ErrPosition) {
		return Status{Foreign: true}, nil
	}
	if err != nil {
		return s, err
	}
	s.LagEvents = b.Size - position
	if b.Next > position {
		s.Lag = max(0, time.Since(b.CommittedAt))
	}
	return s, nil
}

// monitorInterval is how often a monitor looks.
const monitorInterval = time.Second

// warnLag is the lag from which on a projection is worth a warning.
const warnLag = 10 * time.Second

// Monitor watches how far projections are, whichever process follows the log for them.
type Monitor struct {
	log         Log
	store       Store
	projections []Projection
	metrics     *Metrics

	mu       sync.Mutex
	warnings []string
}

// NewMonitor returns a monitor that Run starts. The log is that of the store, not one that this process alone knows.
func NewMonitor(log Log, store Store, projections []Projection, m *Metrics) *Monitor {
	return &Monitor{log: log, store: store, projections: projections, metrics: m}
}

// Run watches until ctx ends.
func (m *Monitor) Run(ctx context.Context) {
	for ctx.Err() == nil {
		m.look(ctx)
		pause(ctx, monitorInterval)
	}
}

// Warnings says which projections answer from too far behind the log, or not at all.
func (m *Monitor) Warnings() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.warnings
}

// look takes the state of all projections. A store that cannot be read is warned of elsewhere.
func (m *Monitor) look(ctx context.Context) {
	all, err := Statuses(ctx, m.log, m.store)
	if err != nil {
		return
	}
	var warnings []string
	for _, p := range m.projections {
		s, ok := serving(all, p)
		if !ok {
			warnings = append(warnings, fmt.Sprintf("projection %s is being built from the log; what reads it is answered 503 until then", p.Name()))
			continue
		}
		m.metrics.observe(s)
		if s.Lag >= warnLag {
			warnings = append(warnings, fmt.Sprintf("projection %s is %s and %d events behind the log", p.Name(), s.Lag.Round(time.Second), s.LagEvents))
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.warnings = warnings
}

// serving finds the tables of a projection that serve reads.
func serving(all []Status, p Projection) (Status, bool) {
	for _, s := range all {
		if s.Name == p.Name() && s.State == live && s.Version == p.Version() && !s.Foreign {
			return s, true
		}
	}
	return Status{}, false
}
