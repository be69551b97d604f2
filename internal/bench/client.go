package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// checkEvery is how many answers pass between two that are looked at closely.
const checkEvery = 256

// errorPause is how long a client waits after a request that failed, so that
// a server that refuses at once is not asked in a tight loop.
const errorPause = 10 * time.Millisecond

// The names, beside HTTP statuses, that errors are counted under.
const (
	faultRefused = "refused"    // no connection could be opened
	faultClosed  = "closed"     // the connection ended before the answer did
	faultTimeout = "timeout"    // no answer in time
	faultAnswer  = "bad answer" // an answer that is not what the API promises
	faultOther   = "other"
)

// window is when answers count, as time since the load began.
type window struct {
	start, end time.Duration // end is 0 when each client has a quota instead
	quota      uint64        // answers and errors that each client counts, 0 for no bound
}

// client is one of the clients of a load and what it counted.
type client struct {
	source source
	conn   *conn
	status int // the good one
	began  time.Time
	window window

	latencies []Histogram // by series
	requests  []uint64    // good answers, by series
	events    []uint64    // events in them, by series
	errors    map[string]uint64
	example   error         // the first error
	last      time.Duration // when the last answer that counts came
	answered  atomic.Uint64 // all answers so far, for the progress line
}

func newClient(w *Workload, number int) *client {
	n := len(w.series)
	return &client{
		source:    w.source(number),
		conn:      newConn(w.endpoint, w.options.Timeout),
		status:    w.options.status(),
		latencies: make([]Histogram, n),
		requests:  make([]uint64, n),
		events:    make([]uint64, n),
		errors:    map[string]uint64{},
	}
}

// run sends requests until the window closes or ctx is done.
func (c *client) run(ctx context.Context, began time.Time, win window) {
	c.began, c.window = began, win
	defer c.conn.close()
	defer context.AfterFunc(ctx, c.conn.interrupt)()
	counted := uint64(0)
	now := time.Since(began)
	for n := 0; ctx.Err() == nil && (win.end == 0 || now < win.end) && (win.quota == 0 || counted < win.quota); n++ {
		sent := now
		request, series := c.source.next(began.Add(sent))
		status, body, err := c.conn.do(ctx, request)
		now = time.Since(began)
		if ctx.Err() != nil {
			return
		}
		counts := now >= win.start && (win.end == 0 || now < win.end)
		if counts {
			counted++
			c.last = now
		}
		if fault := c.fault(status, body, err, n%checkEvery == 0); fault != "" {
			if counts {
				c.errors[fault]++
			}
			pause(ctx, errorPause)
			now = time.Since(began)
			continue
		}
		c.answered.Add(1)
		if counts {
			c.latencies[series].Record(now - sent)
			c.requests[series]++
			c.events[series] += uint64(c.source.events(body))
		}
	}
}

// fault returns the name that a request's error is counted under, "" when
// there is none.
func (c *client) fault(status int, body []byte, err error, closely bool) string {
	name := ""
	switch {
	case err != nil:
		name = faultOf(err)
	case status != c.status:
		name, err = strconv.Itoa(status), statusError{status, string(body[:min(len(body), 300)])}
	case closely:
		if err = c.source.check(body); err != nil {
			name = faultAnswer
		}
	}
	if name != "" && c.example == nil {
		c.example = err
	}
	return name
}

// statusError is an answer with another status than the good one.
type statusError struct {
	status int
	body   string
}

// Error implements error.
func (e statusError) Error() string { return "status " + strconv.Itoa(e.status) + ": " + e.body }

func faultOf(err error) string {
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return faultRefused
	case errors.As(err, &network) && network.Timeout():
		return faultTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return faultClosed
	}
	return faultOther
}

// pause waits for d or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
