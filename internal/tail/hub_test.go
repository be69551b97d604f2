package tail_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/ssetest"
	"github.com/datastorage-io/datastorage/internal/tail"
)

// lab is a hub over a log in memory.
type lab struct {
	t        *testing.T
	log      *fakeLog
	hub      *tail.Hub
	logs     bytes.Buffer
	registry *prometheus.Registry
	wait     time.Duration // what clients have from their beginning
}

func newLab(t *testing.T, change ...func(*tail.Limits)) *lab {
	l := &lab{t: t, log: &fakeLog{}, registry: prometheus.NewRegistry()}
	limits := tail.DefaultLimits(100)
	for _, f := range change {
		f(&limits)
	}
	l.hub = tail.NewHub(l.log, limits, slog.New(slog.NewTextHandler(&l.logs, nil)), tail.NewMetrics(l.registry))
	t.Cleanup(l.hub.Close)
	return l
}

// client is what one stream has sent.
type client struct {
	lab    *lab
	cancel context.CancelFunc
	done   chan tail.Ended

	mu   sync.Mutex
	text bytes.Buffer
	wait time.Duration // how long the next pieces take
	err  error         // of the next pieces
	may  bool
}

// open begins a stream; it ends at the latest with the test.
func (l *lab) open(from int64, q datastorage.EventQuery) *client {
	l.t.Helper()
	r, err := l.hub.Open(l.t.Context(), from, &q)
	if err != nil {
		l.t.Fatalf("Open: %v", err)
	}
	ctx, cancel := context.WithCancel(l.t.Context())
	c := &client{lab: l, cancel: cancel, done: make(chan tail.Ended, 1), may: true, wait: l.wait}
	go func() {
		defer r.Close()
		c.done <- r.Serve(ctx, tail.Session{Send: c.send, Allowed: c.allowed})
	}()
	l.t.Cleanup(cancel)
	return c
}

func (c *client) send(frames []byte) error {
	c.mu.Lock()
	wait, err := c.wait, c.err
	if err == nil {
		c.text.Write(frames)
	}
	c.mu.Unlock()
	time.Sleep(wait) // of the bubble
	return err
}

func (c *client) allowed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.may
}

// set changes how the client behaves.
func (c *client) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *client) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// blocks are all that came so far.
func (c *client) blocks() (blocks []ssetest.Block) {
	r := ssetest.NewReader(strings.NewReader(c.String()))
	for {
		b, err := r.Next()
		if err != nil {
			return blocks
		}
		blocks = append(blocks, b)
	}
}

// audits are the ids of the events that came so far; each is compared with the log.
func (c *client) audits() (ids []int) {
	c.lab.t.Helper()
	for _, b := range c.blocks() {
		if b.Type != "audit" {
			continue
		}
		id, err := strconv.Atoi(b.ID)
		if err != nil {
			c.lab.t.Fatal(err)
		}
		if want := c.lab.log.row(c.lab.t, id); b.Data != want {
			c.lab.t.Errorf("event %d came as\n%s\nwant\n%s", id, b.Data, want)
		}
		ids = append(ids, id)
	}
	return ids
}

// end waits for the end of the stream.
func (c *client) end() tail.Ended {
	c.cancel()
	return <-c.done
}

func span(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

func (c *client) check(want []int) {
	c.lab.t.Helper()
	synctest.Wait()
	if got := c.audits(); !slices.Equal(got, want) {
		c.lab.t.Errorf("events %v came, want %v", got, want)
	}
}

func TestReader_Serve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.log.fill(2, 2, 1)
		c := l.open(tail.End, datastorage.EventQuery{})
		synctest.Wait()
		l.log.append(event(2, 1))
		l.hub.Wake()
		synctest.Wait()
		want := ": events of the log from 2\nretry: 2000\nid: 1\n\nid: 2\nevent: audit\ndata: " + l.log.row(t, 2) + "\n\n"
		if got := c.String(); got != want {
			t.Errorf("the stream is\n%s\nwant\n%s", got, want)
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := strings.TrimPrefix(c.String(), want); got != ": heartbeat\nid: 2\n\n" {
			t.Errorf("then comes %q", got)
		}
		if e := c.end(); e.Reason != tail.ReasonGone || e.Events != 1 || e.Next != 3 {
			t.Errorf("it ended with %+v", e)
		}
	})
}

// TestReader_Serve_Poll finds what another process has committed.
func TestReader_Serve_Poll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		c := l.open(tail.End, datastorage.EventQuery{})
		synctest.Wait()
		l.log.append(event(0, 1))
		time.Sleep(tail.DefaultLimits(1).Poll)
		c.check(span(0, 1))
		if first := c.blocks()[0]; first.ID != "-1" {
			t.Errorf("the id in an empty log is %q", first.ID)
		}
		c.end()
	})
}

func TestReader_Serve_From(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.log.fill(500, 7, 1)
		for _, from := range []int{0, 3, 7, 250, 499, 500} {
			c := l.open(int64(from), datastorage.EventQuery{})
			c.check(span(from, 500))
			c.end()
		}
	})
}

// TestReader_Serve_Filter sends the events that match, and moves the position of who sees none of the others.
func TestReader_Serve_Filter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.log.fill(300, 10, 1)
		queries := []datastorage.EventQuery{
			{EventType: "kind.1"}, {EventType: "kind.", EventTypePrefix: true, CorrelationID: "rr-2"}, {Category: "gateway", CorrelationID: "rr-0"},
			{DetailPath: []string{"n"}, DetailValue: "77"}, {Category: "workflow"},
		}
		var clients []*client
		for _, q := range queries {
			clients = append(clients, l.open(0, q), l.open(tail.End, q))
		}
		synctest.Wait()
		for i := range 300 {
			l.log.append(event(i, 1))
		}
		l.hub.Wake()
		time.Sleep(16 * time.Second)
		for i, q := range queries {
			filter := datastorage.NewEventFilter(&q)
			for j, from := range []int{0, 300} {
				var want []int
				for k := from; k < 600; k++ {
					if filter.Match(&l.log.events[k].EventHeader, l.log.events[k].Body) {
						want = append(want, k)
					}
				}
				c := clients[2*i+j]
				c.check(want)
				if blocks := c.blocks(); blocks[len(blocks)-1].ID != "599" {
					t.Errorf("query %d stands at %s", i, blocks[len(blocks)-1].ID)
				}
			}
		}
		for _, c := range clients {
			c.end()
		}
	})
}

// TestReader_Serve_ExactlyOnce reads with clients that break off at random and resume by their last id while many write.
func TestReader_Serve_ExactlyOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const writers, each, readers = 64, 40, 8
		// A ring of few events: readers fall behind it often.
		l := newLab(t, func(limits *tail.Limits) { limits.RingEvents, limits.PieceBytes, limits.StoreBytes = 50, 2000, 8000 })
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(w), 1))
				for n := 0; n < each; {
					var batch []datastorage.Event
					for range min(each-n, 1+rng.IntN(5)) {
						batch = append(batch, event(n, rng.IntN(200)))
						n++
					}
					l.log.append(batch...)
					l.hub.Wake()
					time.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
				}
			})
		}
		for i := range readers {
			all.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(i), 2))
				var got []int
				for from := 0; len(got) < writers*each; {
					c := l.open(int64(from), datastorage.EventQuery{})
					time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
					c.end()
					got = append(got, c.audits()...)
					if blocks := c.blocks(); len(blocks) > 0 {
						last, err := strconv.Atoi(blocks[len(blocks)-1].ID)
						if err != nil {
							t.Error(err)
						}
						from = last + 1
					}
				}
				if !slices.Equal(got, span(0, writers*each)) {
					t.Errorf("reader %d did not get every event once and in order", i)
				}
			})
		}
		all.Wait()
	})
}

func TestReader_Serve_Slow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		c := l.open(tail.End, datastorage.EventQuery{})
		synctest.Wait()
		c.set(func() { c.wait = 6 * time.Second })
		l.log.append(event(0, 1))
		l.hub.Wake()
		if e := <-c.done; e.Reason != tail.ReasonSlow || e.Next != 1 {
			t.Errorf("it ended with %+v", e)
		}
		blocks := c.blocks()
		last := blocks[len(blocks)-1]
		if last.Type != "dropped" || last.ID != "0" || !strings.Contains(last.Data, `"reason":"slow"`) || !strings.Contains(last.Data, `"last_event_id":0}`) {
			t.Errorf("the last block is %+v", last)
		}
		c.check(span(0, 1))

		c = l.open(tail.End, datastorage.EventQuery{})
		synctest.Wait()
		c.set(func() { c.wait, c.err = 10*time.Second, errors.New("time-out") })
		l.log.append(event(1, 1))
		l.hub.Wake()
		if e := <-c.done; e.Reason != tail.ReasonCut || e.Next != 1 {
			t.Errorf("it ended with %+v", e)
		}
		for _, reason := range []string{"slow", "cut"} {
			if n := l.metric("datastorage_tail_ended_total", reason); n != 1 {
				t.Errorf("%v streams are counted as %s", n, reason)
			}
		}
	})
}

// metric is the value of a metric, of the one with that label when it has one; -1 when there is none.
func (l *lab) metric(name, label string) float64 {
	l.t.Helper()
	families, err := l.registry.Gather()
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

// TestReader_Serve_SlowCatchUp sends away who holds a piece from the store for long, however steadily it takes it.
func TestReader_Serve_SlowCatchUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, func(limits *tail.Limits) { limits.PieceBytes = 1 })
		l.log.fill(64, 64, 1)
		c := l.open(0, datastorage.EventQuery{})
		c.set(func() { c.wait = 4 * time.Second })
		if e := <-c.done; e.Reason != tail.ReasonSlow {
			t.Errorf("it ended with %+v", e)
		}
		got := c.audits()
		c.check(span(0, len(got)))
		c = l.open(int64(len(got)), datastorage.EventQuery{})
		c.check(span(len(got), 64))
		c.end()
	})
}

func TestHub_Close(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.log.fill(3, 3, 1)
		c := l.open(tail.End, datastorage.EventQuery{})
		synctest.Wait()
		l.hub.Close()
		if e := <-c.done; e.Reason != tail.ReasonClosing {
			t.Errorf("it ended with %+v", e)
		}
		blocks := c.blocks()
		if last := blocks[len(blocks)-1]; last.Type != "closing" || last.ID != "2" {
			t.Errorf("the last block is %+v", last)
		}
		if _, err := l.hub.Open(t.Context(), tail.End, &datastorage.EventQuery{}); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
			t.Errorf("a closed hub let a reader in: %v", err)
		}
	})
}

// TestHub_Open bounds the readers, and stops the follower when the last has left.
func TestHub_Open(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, func(limits *tail.Limits) { limits.Readers = 2 })
		l.log.fill(3, 3, 1)
		q := &datastorage.EventQuery{}
		if _, err := l.hub.Open(t.Context(), 4, q); datastorage.CodeOf(err) != datastorage.CodeValidation {
			t.Errorf("a place behind the end: %v", err)
		}
		l.log.fail(errAway)
		if _, err := l.hub.Open(t.Context(), 0, q); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
			t.Errorf("a store that is away: %v", err)
		}
		l.log.fail(nil)
		a, b := l.open(3, *q), l.open(3, *q)
		if _, err := l.hub.Open(t.Context(), 0, q); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
			t.Errorf("one reader too many: %v", err)
		}
		time.Sleep(time.Second)
		if l.log.followed() == 0 {
			t.Error("nothing follows the log")
		}
		a.end()
		b.end()
		synctest.Wait()
		before := l.log.followed()
		time.Sleep(time.Minute)
		if after := l.log.followed(); after != before {
			t.Errorf("the log was read %d times for nobody", after-before)
		}
		l.hub.Wake()
		c := l.open(0, *q)
		c.check(span(0, 3))
		for name, want := range map[string]float64{
			"datastorage_tail_readers": 1, "datastorage_tail_refused_total": 1, "datastorage_tail_events_total": 3,
			"datastorage_tail_catch_up_reads_total": 1,
		} {
			if got := l.metric(name, ""); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		c.end()
	})
}

// TestReader_Serve_Outage waits for a store that is away, says so, and goes on.
func TestReader_Serve_Outage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.log.fill(200, 10, 1)
		live, past := l.open(tail.End, datastorage.EventQuery{}), l.open(0, datastorage.EventQuery{EventType: "kind.0"})
		past.set(func() { past.wait = 100 * time.Millisecond })
		l.log.fail(errAway)
		l.log.append(event(0, 1))
		time.Sleep(16 * time.Second)
		synctest.Wait()
		for _, c := range []*client{live, past} {
			blocks := c.blocks()
			if last := blocks[len(blocks)-1]; len(last.Comments) != 1 || !strings.Contains(last.Comments[0], "cannot be reached") {
				t.Errorf("during the outage comes %+v", last)
			}
		}
		l.log.fail(nil)
		time.Sleep(5 * time.Second)
		live.check(span(200, 201))
		if got := len(past.audits()); got != 68 {
			t.Errorf("%d events of the past came, want 68", got)
		}
		live.end()
		past.end()
		if got := strings.Count(l.logs.String(), "\n"); got != 2 {
			t.Errorf("the outage took %d log lines:\n%s", got, l.logs.String())
		}
	})
}

func TestReader_Serve_Failed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.log.fill(20, 10, 1)
		r, err := l.hub.Open(t.Context(), 5, &datastorage.EventQuery{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		broken := errors.New("a body is missing")
		l.log.fail(broken)
		var text bytes.Buffer
		end := r.Serve(t.Context(), tail.Session{Send: func(b []byte) error { text.Write(b); return nil }, Allowed: func() bool { return true }})
		if end.Reason != tail.ReasonFailed || !errors.Is(end.Err, broken) || end.Next != 5 {
			t.Errorf("it ended with %+v", end)
		}
		if !strings.Contains(text.String(), "event: closing\n") || strings.Contains(text.String(), "missing") {
			t.Errorf("the client was told:\n%s", text.String())
		}
	})
}

func TestReader_Serve_Forbidden(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		c := l.open(tail.End, datastorage.EventQuery{})
		c.set(func() { c.may = false })
		if e := <-c.done; e.Reason != tail.ReasonForbidden {
			t.Errorf("it ended with %+v", e)
		}
		if !strings.Contains(c.String(), "event: closing\n") {
			t.Errorf("the client was told:\n%s", c.String())
		}
	})
}

// TestReader_Serve_CatchUps lets few readers hold a piece from the store at once, all be served, and none wait for ever.
func TestReader_Serve_CatchUps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, func(limits *tail.Limits) { limits.CatchUps, limits.PieceBytes = 2, 4000 })
		l.log.fill(200, 50, 100)
		l.wait = time.Second
		var clients []*client
		for range 20 {
			clients = append(clients, l.open(0, datastorage.EventQuery{}))
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		begun := 0
		for _, c := range clients {
			if len(c.audits()) > 0 {
				begun++
			}
		}
		if begun != 2 {
			t.Errorf("%d readers hold a piece from the store, want 2", begun)
		}
		time.Sleep(10 * time.Minute)
		for _, c := range clients {
			c.check(span(0, 200))
			c.end()
		}
	})
}

// TestReader_Serve_Large reads fewer events at once when they are large.
func TestReader_Serve_Large(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, func(limits *tail.Limits) { limits.StoreBytes = 64 << 10 })
		l.log.fill(300, 1, 8<<10)
		c := l.open(0, datastorage.EventQuery{})
		c.check(span(0, 300))
		c.end()
		if l.log.largest > 64 || l.log.followed() < 30 {
			t.Errorf("300 events of 8 KiB were read %d times, at most %d at once", l.log.followed(), l.log.largest)
		}
	})
}
