package express

import (
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	// maxRequest is the longest request that is served here, head and body, in bytes.
	maxRequest = 16 << 10
	// firstBuffer is how many bytes a connection has for requests at first.
	firstBuffer = 4 << 10
	// maxKept is the longest answer whose buffer is kept for the next one, in bytes.
	maxKept = 16 << 10
	// patience is how long the rest of a request may take before net/http waits for it, by its own rules.
	patience = 50 * time.Millisecond
)

// What a connection does.
const (
	idle    int32 = iota // waits for a request
	serving              // has read some of a request that is not answered yet
	ended
)

// conn is a connection whose requests are served here. It belongs to the goroutine of serve, but for state.
type conn struct {
	server *Server
	net    net.Conn
	remote string
	state  atomic.Int32

	in     []byte // what was read and is not answered yet
	out    []byte
	header http.Header
	values []string // those of header
	body   body
	answer answer

	// When the deadlines of the connection are over. They are moved ahead of time, so that few requests pay for one.
	readBy, writeBy time.Time
}

func newConn(s *Server, raw net.Conn) *conn {
	return &conn{
		server: s, net: raw, remote: raw.RemoteAddr().String(),
		in: make([]byte, 0, firstBuffer), header: http.Header{}, answer: answer{header: http.Header{}},
	}
}

// serve answers requests until the connection ends or goes to net/http.
func (c *conn) serve() {
	over := false
	defer func() {
		if p := recover(); p != nil && p != any(http.ErrAbortHandler) {
			c.server.logf("express: panic serving %v: %v\n%s", c.remote, p, debug.Stack())
		}
		if !over {
			c.end()
		}
		c.server.forget(c)
	}()
	now := c.server.now()
	if wait := c.server.firstWait(); wait > 0 {
		c.readUntil(now.Add(wait))
	}
	for c.fill() {
		var r request
		found := partial
		for found == partial {
			if r, found = c.parse(); found == partial && !c.fillRest() {
				found = foreign
			}
		}
		if found == foreign {
			over = c.handOver()
			return
		}
		if now = c.serveOne(&r); now.IsZero() {
			return
		}
		c.in = c.in[:copy(c.in, c.in[r.size:])]
		if !c.state.CompareAndSwap(serving, idle) || c.server.closing.Load() {
			return
		}
		c.extendRead(now)
	}
}

// fill reads until there is something of a request. It reports false when the connection is over.
func (c *conn) fill() bool {
	if len(c.in) == 0 {
		n, err := c.net.Read(c.in[:cap(c.in)])
		if n == 0 || err != nil {
			return false
		}
		c.in = c.in[:n]
	}
	return c.state.CompareAndSwap(idle, serving)
}

// fillRest reads more of a request. It reports false when that is for net/http to wait for, or does not fit.
func (c *conn) fillRest() bool {
	if len(c.in) == cap(c.in) {
		if len(c.in) >= maxRequest {
			return false
		}
		c.in = append(make([]byte, 0, min(4*cap(c.in), maxRequest)), c.in...)
	}
	if by := c.server.now().Add(patience); c.readBy.IsZero() || by.Before(c.readBy) {
		c.readUntil(by)
	}
	n, err := c.net.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	return err == nil
}

// handOver gives the connection to net/http. It reports false when there is none any more.
func (c *conn) handOver() bool {
	if c.net.SetDeadline(time.Time{}) != nil || !c.state.CompareAndSwap(serving, ended) {
		return false
	}
	if !c.server.rest.give(&begun{c.net, c.in}) {
		c.net.Close()
		return false
	}
	return true
}

// serveOne answers a request and returns when, the zero time when the connection is over.
func (c *conn) serveOne(r *request) time.Time {
	c.answer.reset()
	c.body.rest = c.in[r.size-r.length : r.size]
	c.server.http.Handler.ServeHTTP(&c.answer, c.request(r))
	now := c.server.now()
	last := c.server.closing.Load() || c.answer.closes()
	c.out = c.answer.append(c.out[:0], now, last)
	if timeout := c.server.http.WriteTimeout; timeout > 0 && c.writeBy.Sub(now) < timeout {
		c.writeBy = now.Add(timeout + timeout/4)
		if c.net.SetWriteDeadline(c.writeBy) != nil {
			return time.Time{}
		}
	}
	if _, err := c.net.Write(c.out); err != nil || last {
		return time.Time{}
	}
	if cap(c.out) > maxKept {
		c.out = nil
	}
	return now
}

// extendRead gives the client at least the server's idle time for its next request.
func (c *conn) extendRead(now time.Time) {
	wait := c.server.http.IdleTimeout
	if wait == 0 {
		wait = c.server.http.ReadTimeout
	}
	most := wait + wait/4
	switch left := c.readBy.Sub(now); {
	case wait > 0 && (left < wait || left > most):
		c.readUntil(now.Add(most))
	case wait == 0 && !c.readBy.IsZero():
		c.readUntil(time.Time{})
	}
}

// firstWait is how long a new connection may wait with its first request; 0 is for ever.
func (s *Server) firstWait() time.Duration {
	if s.http.ReadHeaderTimeout > 0 {
		return s.http.ReadHeaderTimeout
	}
	return s.http.ReadTimeout
}

func (c *conn) readUntil(t time.Time) {
	c.readBy = t
	// It fails on a closed connection, of which the next read tells.
	_ = c.net.SetReadDeadline(t)
}

// end closes the connection, from any goroutine.
func (c *conn) end() {
	if c.state.Swap(ended) != ended {
		c.net.Close()
	}
}

// endIfIdle closes the connection unless a request is under way, from any goroutine.
func (c *conn) endIfIdle() {
	if c.state.CompareAndSwap(idle, ended) {
		c.net.Close()
	}
}
