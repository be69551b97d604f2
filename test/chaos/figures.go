package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/bench"
)

// figure is something that is measured beside what it must be.
type figure struct {
	name, about string
	measure     func(ctx context.Context, f *figureRun) error
}

var figures = []figure{
	{"burst", "25 000 events offered in one second by 100 clients", measureBurst},
	{"drain", "100 000 events queued during an outage are stored while new writes go on", measureDrain},
	{"outage-rate", "202 a second during an outage, beside 201 a second of the embedded store", measureOutageRate},
	{"pushback", "writes while the memory for requests is taken: how fast they are refused, and how flat memory stays", measurePushback},
	{"first-202", "how long the first 202 takes when the connection has died, and later ones", measureFirst202},
}

// figureRun is the measurement of one figure.
type figureRun struct {
	*lab
	name string
	out  *printer
	lost int
}

// measure goes through the figures. It fails when one cannot be measured or an event is lost, not when a value is poor.
func (l *lab) measure(ctx context.Context, chosen []figure, out *printer) error {
	for _, f := range chosen {
		l.say("%s: %s", f.name, f.about)
		run := &figureRun{lab: l, name: f.name, out: out}
		err := f.measure(ctx, run)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err == nil && run.lost > 0 {
			err = fmt.Errorf("%d events are lost or stored twice", run.lost)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func (f *figureRun) begin(ctx context.Context) (*trial, error) {
	return f.lab.begin(ctx, nothing, rand.New(rand.NewPCG(f.seed, 0)))
}

// needQueue makes a trial for a figure that says nothing without a dead-letter queue.
func (f *figureRun) needQueue(ctx context.Context) (*trial, error) {
	t, err := f.begin(ctx)
	if err == nil && !t.queue {
		return nil, errors.Join(errors.New("not measured: this build has no dead-letter queue"), t.close())
	}
	return t, err
}

// scaled returns full, or a tenth of it in a short run.
func (f *figureRun) scaled(full int) int {
	if f.short {
		return full / 10
	}
	return full
}

// report prints a value that has no target.
func (f *figureRun) report(value, what string, args ...any) error {
	return f.out.measurement(measurement{Figure: f.name, What: fmt.Sprintf(what, args...), Value: value})
}

// judge prints a value with its target and whether it is met.
func (f *figureRun) judge(met bool, value, target, what string, args ...any) error {
	return f.out.measurement(measurement{Figure: f.name, What: fmt.Sprintf(what, args...), Value: value, Target: target, Met: &met})
}

// compare counts and prints what was acknowledged and is not stored exactly once.
func (f *figureRun) compare(ctx context.Context, s *server, acked []uuid.UUID) error {
	times := make(map[uuid.UUID]int, len(acked))
	if err := s.walk(ctx, eventType, func(e storedEvent) { times[e.ID]++ }); err != nil {
		return err
	}
	wrong := 0
	for _, id := range acked {
		if times[id] != 1 {
			wrong++
		}
	}
	f.lost += wrong
	return f.judge(wrong == 0, bench.Count(float64(wrong)), "0", "events of %s acknowledged that are lost or stored twice", bench.Count(float64(len(acked))))
}

func measureBurst(ctx context.Context, f *figureRun) error {
	const clients = 100
	each := f.scaled(250)
	t, err := f.begin(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	l := newLoad(t.server.url)
	took := l.burst(ctx, clients, each, time.Second)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f.judge(took <= 10*time.Second, seconds(took.Seconds()), "≤ 10 s", "time until all of %d were acknowledged (%s)",
		clients*each, l.describe()); err != nil {
		return err
	}
	memory := float64(t.server.peakMemory()) / 1e6
	if err := f.judge(memory > 0 && memory < 300, fmt.Sprintf("%.0f MB", memory), "< 300 MB", "most memory of the server"); err != nil {
		return err
	}
	if err := t.drained(ctx, recoverTimeout); err != nil {
		return err
	}
	return f.compare(ctx, t.server, l.acked)
}

func measureDrain(ctx context.Context, f *figureRun) error {
	const batch, newClients = 100, 8
	events := f.scaled(100_000)
	t, err := f.needQueue(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	t.unreachable()
	queued := newLoad(t.server.url)
	began := time.Now()
	queued.batches(ctx, 16, events/batch, batch)
	if err := ctx.Err(); err != nil {
		return err
	}
	depth, _ := t.server.depth(ctx)
	if err := f.report(seconds(time.Since(began).Seconds()), "time to queue %s in batches of %d (%s)", bench.Count(float64(depth)), batch, queued.describe()); err != nil {
		return err
	}
	t.proxy.Heal()
	began = time.Now()
	fresh := newLoad(t.server.url)
	drained, finished := make(chan error, 1), time.Duration(0)
	loadCtx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		err := t.drained(ctx, 4*recoverTimeout)
		finished = time.Since(began)
		stop()
		drained <- err
	}()
	fresh.drive(loadCtx, newClients, firstFresh)
	if err := <-drained; err != nil {
		return err
	}
	p99 := fresh.latency.Quantile(0.99)
	if err := f.judge(finished <= 30*time.Second, seconds(finished.Seconds()), "≤ 30 s", "time from recovery until the queue was empty"); err != nil {
		return err
	}
	if err := f.judge(p99 < 500*time.Millisecond, bench.Micros(float64(p99.Microseconds())), "< 500 ms",
		"p99 of %d new writes meanwhile (%s)", fresh.latency.Count(), fresh.describe()); err != nil {
		return err
	}
	if err := t.drained(ctx, recoverTimeout); err != nil {
		return err
	}
	return f.compare(ctx, t.server, slices.Concat(queued.acked, fresh.acked))
}

func measureOutageRate(ctx context.Context, f *figureRun) error {
	rounds, duration := 3, 5*time.Second
	if f.short {
		rounds, duration = 1, 2*time.Second
	}
	t, err := f.needQueue(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	t.unreachable()
	embedded, err := f.embedded(ctx, t)
	if err != nil {
		return err
	}
	rate := func(url, status string) (float64, error) {
		l := newLoad(url)
		limited, cancel := context.WithTimeout(ctx, duration)
		defer cancel()
		began := time.Now()
		l.drive(limited, f.clients, 0)
		if other := len(l.acked) - l.answers[status]; other > l.answers[status]/10 {
			return 0, fmt.Errorf("expected %s, got %s", status, l.describe())
		}
		return float64(l.answers[status]) / time.Since(began).Seconds(), ctx.Err()
	}
	var ratios []float64
	for range rounds {
		queued, err := rate(t.server.url, "202")
		if err != nil {
			return err
		}
		stored, err := rate(embedded.url, "201")
		if err != nil {
			return err
		}
		ratios = append(ratios, queued/stored)
		value := fmt.Sprintf("%s, %s", bench.Count(queued), bench.Count(stored))
		if err := f.report(value, "202/s in an outage, 201/s embedded, %d clients", f.clients); err != nil {
			return err
		}
	}
	slices.Sort(ratios)
	median := ratios[len(ratios)/2]
	return f.judge(median >= 0.5, fmt.Sprintf("%.2f", median), "≥ 0.5", "ratio, median of %d", rounds)
}

// embedded starts a server on an embedded store, which ends with the trial.
func (f *figureRun) embedded(ctx context.Context, t *trial) (*server, error) {
	s, err := f.newServer(ctx, nil, "--data-dir", t.server.log+".data")
	if err != nil {
		return nil, err
	}
	t.defers(func() error {
		s.kill()
		return nil // the directory goes with the lab's
	})
	err = s.start(ctx)
	return s, err
}

func measureFirst202(ctx context.Context, f *figureRun) error {
	for _, fault := range []struct {
		name string
		set  func(*trial)
	}{
		{"connections reset", (*trial).unreachable},
		{"connections silent", func(t *trial) { t.proxy.SetBlackHole(true) }},
	} {
		if err := f.first202(ctx, fault.name, fault.set); err != nil {
			return err
		}
	}
	return nil
}

func (f *figureRun) first202(ctx context.Context, name string, set func(*trial)) error {
	t, err := f.needQueue(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	l := newLoad(t.server.url)
	loadCtx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.drive(loadCtx, 1, 0)
	}()
	err = pause(ctx, time.Second)
	died := time.Now()
	set(t)
	if err == nil {
		err = pause(ctx, 8*time.Second)
	}
	stop()
	<-done
	if err != nil {
		return err
	}
	var later bench.Histogram
	first := time.Duration(0)
	for _, a := range l.queued {
		if a.at.Before(died) {
			return fmt.Errorf("%s: a 202 came before the fault", name)
		}
		if first == 0 {
			first = a.at.Sub(died)
		} else {
			later.Record(a.took)
		}
	}
	if later.Count() == 0 {
		return fmt.Errorf("%s: not measured, there were no 202 answers (%s)", name, l.describe())
	}
	if err := f.judge(first <= 3*time.Second, bench.Micros(float64(first.Microseconds())), "≤ 3 s", "%s: until the first 202", name); err != nil {
		return err
	}
	worst := later.Max()
	value := strings.Join([]string{
		bench.Micros(float64(later.Quantile(0.5).Microseconds())), bench.Micros(float64(later.Quantile(0.99).Microseconds())),
		bench.Micros(float64(worst.Microseconds())),
	}, ", ")
	return f.judge(worst < 20*time.Millisecond, value, "< 20 ms", "%s: later 202 (%d): p50, p99, slowest", name, later.Count())
}
