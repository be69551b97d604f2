package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/bench"
)

// firstFresh is the number of the first client that writes beside what is queued, so that their correlations differ.
const firstFresh = 1_000_000

// load is what a number of clients got for their events in a figure.
type load struct {
	url string

	mu      sync.Mutex
	acked   []uuid.UUID
	answers map[string]int  // answers and errors by kind
	latency bench.Histogram // of the acknowledgements
	queued  []queuedAnswer  // the answers with 202 of a load of single events
}

// queuedAnswer is when a 202 came and how long it took.
type queuedAnswer struct {
	at   time.Time
	took time.Duration
}

func newLoad(url string) *load { return &load{url: url, answers: map[string]int{}} }

// describe says how many answers of which kind there were: "201 ×12, 503 ×3".
func (l *load) describe() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(l.answers)) {
		parts = append(parts, fmt.Sprintf("%s ×%d", name, l.answers[name]))
	}
	return strings.Join(parts, ", ")
}

// poster sends one request and returns the status of its answer, and for how long the server wants to be left alone, 0
// where it does not say or the client does not look.
type poster func(ctx context.Context, path string, body []byte) (status int, leave time.Duration, err error)

// deliver sends a request again and again until it is acknowledged or ctx is done. It reports which.
func (l *load) deliver(ctx context.Context, post poster, path string, body []byte, ids ...uuid.UUID) bool {
	for {
		sent := time.Now()
		status, leave, err := post(ctx, path, body)
		if ctx.Err() != nil {
			return false
		}
		if l.note(status, err, sent, ids) {
			return true
		}
		leave = max(leave, 2*retryPause)
		if pause(ctx, leave/2+rand.N(leave)) != nil {
			return false
		}
	}
}

func (l *load) note(status int, err error, sent time.Time, ids []uuid.UUID) (acknowledged bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.answers["no answer"]++
		return false
	}
	l.answers[strconv.Itoa(status)]++
	if status != http.StatusCreated && status != http.StatusAccepted {
		return false
	}
	now := time.Now()
	l.latency.Record(now.Sub(sent))
	if status == http.StatusAccepted {
		l.queued = append(l.queued, queuedAnswer{now, now.Sub(sent)})
	}
	l.acked = append(l.acked, ids...)
	return true
}

// connection returns a poster on a connection of its own, and what closes it.
func (l *load) connection() (poster, func()) {
	conn, err := bench.NewConn(l.url, requestTimeout)
	if err != nil {
		panic(err) // the URL is ours
	}
	return func(ctx context.Context, path string, body []byte) (int, time.Duration, error) {
		status, _, err := conn.Post(ctx, path, body)
		return status, 0, err
	}, conn.Close
}

// drive lets clients, numbered from first, write one event after another until ctx is done.
func (l *load) drive(ctx context.Context, clients, first int) {
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			post, closeIt := l.connection()
			defer closeIt()
			var body []byte
			for seq := 1; ; seq++ {
				id := uuid.Must(uuid.NewV7())
				body = appendEvent(body[:0], id, first+i, seq)
				if !l.deliver(ctx, post, eventsPath, body, id) {
					return
				}
			}
		})
	}
	running.Wait()
}

// batches lets clients write so many batches of size events, each with a correlation_id of its own.
func (l *load) batches(ctx context.Context, clients, count, size int) {
	numbers := make(chan int)
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			post, closeIt := l.connection()
			defer closeIt()
			for n := range numbers {
				ids := make([]uuid.UUID, size)
				body := []byte{'['}
				for i := range ids {
					ids[i] = uuid.Must(uuid.NewV7())
					body = append(appendEvent(body, ids[i], n, i+1), ',')
				}
				body[len(body)-1] = ']'
				l.deliver(ctx, post, eventsPath+"/batch", body, ids...)
			}
		})
	}
	for n := range count {
		numbers <- n
	}
	close(numbers)
	running.Wait()
}

// burstStreams is how many requests a client of a burst has under way on its connection, which the server lets it.
const burstStreams = 20

// burst lets each client offer each events, spread evenly over the time, whether earlier ones are answered or not: a client
// has one HTTP/2 connection, and does as Retry-After says. It returns the time until all are acknowledged.
func (l *load) burst(ctx context.Context, clients, each int, over time.Duration) time.Duration {
	began := time.Now()
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			transport := &http.Transport{Protocols: new(http.Protocols)}
			transport.Protocols.SetUnencryptedHTTP2(true)
			client := &http.Client{Transport: transport, Timeout: requestTimeout}
			defer client.CloseIdleConnections()
			// The connection takes so many requests at once; the others wait here, without a time-out.
			streams := make(chan struct{}, burstStreams)
			post := func(ctx context.Context, path string, body []byte) (int, time.Duration, error) {
				streams <- struct{}{}
				defer func() { <-streams }()
				return postWith(ctx, client, l.url+path, body)
			}
			var open sync.WaitGroup
			defer open.Wait()
			for n := range each {
				if pause(ctx, time.Until(began.Add(over*time.Duration(n)/time.Duration(each)))) != nil {
					return
				}
				open.Go(func() {
					id := uuid.Must(uuid.NewV7())
					l.deliver(ctx, post, eventsPath, appendEvent(nil, id, i, n+1), id)
				})
			}
		})
	}
	running.Wait()
	return time.Since(began)
}

func postWith(ctx context.Context, client *http.Client, url string, body []byte) (status int, leave time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return response.StatusCode, time.Duration(seconds) * time.Second, err
}

// drained waits until the queue is empty and the server stores again.
func (t *trial) drained(ctx context.Context, limit time.Duration) error {
	if !t.queue {
		return nil
	}
	err := until(ctx, limit, "the queue is empty", func() bool {
		depth, ok := t.server.depth(ctx)
		return ok && depth == 0
	})
	return errors.Join(err, ctx.Err())
}
