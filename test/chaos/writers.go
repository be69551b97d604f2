package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/bench"
)

const (
	eventsPath = "/api/v1/audit/events"
	// eventType is that of all events that are compared.
	eventType = "chaos.event.written"
	// requestTimeout is after how long a client takes a request for lost. The server answers within 3 s.
	requestTimeout = 8 * time.Second
	// retryPause is about how long a client waits before it sends an event again.
	retryPause = 20 * time.Millisecond
	// receiptEvery is out of how many receipts a client keeps one, beside the last.
	receiptEvery = 20
)

// filler gives an event the size of a real one.
var filler = strings.Repeat("the pod restarted after its memory limit was reached; ", 10)

// writers are the clients of a scenario. Each writes events numbered from 1 under a correlation_id and event_ids of its own,
// and sends an event again until it is acknowledged. Where there are several servers it takes them in turn.
type writers struct {
	urls    []string
	clients []*writer
	running sync.WaitGroup
	stopped chan struct{} // closed: no new events
	cancel  func()        // gives up what is not acknowledged

	mu       sync.Mutex
	last     time.Time     // of the last acknowledgement, at first the start
	longest  time.Duration // without one
	lastGap  time.Time     // when longest ended
	last201  time.Time
	slowest  time.Duration  // answer of any kind
	statuses map[string]int // number of answers and errors by kind
	refused  []string       // answers that no valid event may get
	created  int            // answered with 201
	queued   int            // answered with 202
}

// writer is one client.
type writer struct {
	number   int
	conns    []*bench.Conn // to each server
	requests int
	acked    []ack // by seq-1
	open     uuid.UUID
	receipts [][]byte // answers with a receipt, the last one last
}

// ack is one event that was acknowledged.
type ack struct {
	id     uuid.UUID
	status int
}

// write starts the clients.
func write(ctx context.Context, urls []string, clients int) *writers {
	ctx, cancel := context.WithCancel(ctx)
	w := &writers{urls: urls, stopped: make(chan struct{}), cancel: cancel, last: time.Now(), statuses: map[string]int{}}
	for i := range clients {
		c := &writer{number: i}
		w.clients = append(w.clients, c)
		w.running.Go(func() { w.run(ctx, c) })
	}
	return w
}

// stop lets every client get its event acknowledged, for as long as limit, and waits for them. It returns the number of
// clients that did not succeed.
func (w *writers) stop(limit time.Duration) (open int) {
	select {
	case <-w.stopped:
	default:
		close(w.stopped)
	}
	defer time.AfterFunc(limit, w.cancel).Stop()
	w.running.Wait()
	w.cancel()
	for _, c := range w.clients {
		if c.open != uuid.Nil {
			open++
		}
	}
	return open
}

func (w *writers) run(ctx context.Context, c *writer) {
	for _, url := range w.urls {
		conn, err := bench.NewConn(url, requestTimeout)
		if err != nil {
			panic(err) // the URL is ours
		}
		defer conn.Close() //nolint:gocritic // there are two at most
		c.conns = append(c.conns, conn)
	}
	var body []byte
	for {
		select {
		case <-w.stopped:
			return
		case <-ctx.Done():
			return
		default:
		}
		c.open = uuid.Must(uuid.NewV7())
		body = appendEvent(body[:0], c.open, c.number, len(c.acked)+1)
		if !w.deliver(ctx, c, body) {
			return
		}
		c.open = uuid.Nil
	}
}

func correlation(client int) string { return "chaos-" + strconv.Itoa(client) }

func appendEvent(b []byte, id uuid.UUID, client, seq int) []byte {
	return fmt.Appendf(b, `{"version":"1.0","event_id":"%s","event_type":%q,"event_timestamp":%q,"event_category":"execution",`+
		`"event_action":"write","event_outcome":"success","correlation_id":%q,"event_data":{"client":%d,"seq":%d,"text":%q}}`,
		id, eventType, time.Now().UTC().Format(time.RFC3339Nano), correlation(client), client, seq, filler)
}

// deliver sends an event until it is acknowledged. It reports whether it was.
func (w *writers) deliver(ctx context.Context, c *writer, body []byte) bool {
	for {
		sent := time.Now()
		c.requests++
		status, answer, err := c.conns[(c.number+c.requests)%len(c.conns)].Post(ctx, eventsPath, body)
		took := time.Since(sent)
		if ctx.Err() != nil {
			return false
		}
		if err == nil && (status == http.StatusCreated || status == http.StatusAccepted) {
			c.keep(status, answer)
			w.acknowledged(status, took)
			return true
		}
		w.failed(status, answer, err, took)
		if pause(ctx, retryPause/2+rand.N(retryPause)) != nil {
			return false
		}
	}
}

// keep notes that the open event was acknowledged.
func (c *writer) keep(status int, answer []byte) {
	c.acked = append(c.acked, ack{c.open, status})
	if status != http.StatusCreated {
		return
	}
	if n := len(c.receipts); n > 0 && len(c.acked)%receiptEvery != 0 {
		c.receipts = c.receipts[:n-1]
	}
	c.receipts = append(c.receipts, append([]byte(nil), answer...))
}

func (w *writers) acknowledged(status int, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.silence(now)
	w.last = now
	if status == http.StatusCreated {
		w.created++
		w.last201 = now
	} else {
		w.queued++
	}
	w.slowest = max(w.slowest, took)
}

func (w *writers) silence(now time.Time) {
	if gap := now.Sub(w.last); gap > w.longest {
		w.longest, w.lastGap = gap, now
	}
}

func (w *writers) failed(status int, answer []byte, err error, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.statuses["no answer"]++
		return
	}
	w.slowest = max(w.slowest, took)
	w.statuses[strconv.Itoa(status)]++
	if status != http.StatusServiceUnavailable {
		w.refused = append(w.refused, fmt.Sprintf("%d %s", status, answer))
	}
}

// createdSince reports whether an event was stored at once after the given time.
func (w *writers) createdSince(t time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last201.After(t)
}
