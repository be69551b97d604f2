// Package express answers small POST requests over HTTP/1.1 for less than net/http takes, and leaves everything else to it.
//
// A service that writes events sends one complete request after the other on a connection that it keeps. Such a connection
// needs none of what costs net/http most beside the system calls: a second goroutine that looks whether the client has gone
// away, timers for each request, a buffer between the handler and the network. A request that is not of the one plain form
// that this package reads, or does not arrive in time, goes to net/http with the bytes that were read of it, and its
// connection stays there: what is refused, and how, is net/http's to say.
package express

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves HTTP as an http.Server does.
type Server struct {
	http    *http.Server
	paths   map[string]bool
	rest    *handedOver
	now     func() time.Time
	closing atomic.Bool

	mu        sync.Mutex
	listeners map[net.Listener]bool
	conns     map[*conn]bool
	ended     sync.WaitGroup // counts conns
}

// New returns a server with the handler, the times and the limits of server, which serves all that is not a POST
// to one of paths. The handler of such a request must neither wait for its client nor send parts of its answer: the
// request's context ends with nobody. Values that it gets belong to it until it returns.
func New(server *http.Server, paths []string) *Server {
	s := &Server{
		http: server, paths: map[string]bool{}, now: time.Now, rest: newHandedOver(),
		listeners: map[net.Listener]bool{}, conns: map[*conn]bool{},
	}
	for _, p := range paths {
		s.paths[p] = true
	}
	return s
}

// Serve answers requests on the connections of l. Errors: http.ErrServerClosed after Shutdown or Close; those of l. A
// server serves one listener.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listeners[l] = true
	s.mu.Unlock()
	defer l.Close()
	s.rest.address = l.Addr()
	rest := make(chan error, 1)
	go func() { rest <- s.http.Serve(s.rest) }()
	err := s.accept(l)
	if s.closing.Load() {
		return http.ErrServerClosed
	}
	return errors.Join(err, s.Close(), ignoreClosed(<-rest))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// The pauses after an Accept that failed for a moment, for example because there are too many open files.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = time.Second
)

func (s *Server) accept(l net.Listener) error {
	pause := firstPause
	for {
		raw, err := l.Accept()
		if err == nil {
			pause = firstPause
			s.begin(raw)
			continue
		}
		if s.closing.Load() || !isTemporary(err) {
			return err
		}
		s.logf("express: %v; accepting again in %v", err, pause)
		time.Sleep(pause)
		pause = min(2*pause, maxPause)
	}
}

// isTemporary is what net/http asks of an Accept that failed.
func isTemporary(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && e.Temporary()
}

// begin serves a new connection.
func (s *Server) begin(raw net.Conn) {
	c := newConn(s, raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		raw.Close()
		return
	}
	s.conns[c] = true
	s.ended.Add(1)
	go c.serve()
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.ended.Done()
}

// Shutdown stops accepting, ends connections that wait for a request, and returns when every request is answered, or with
// the error of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopAccepting((*conn).endIfIdle)
	done := make(chan struct{})
	go func() {
		s.ended.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	// Only now: requests that have begun here may still go to net/http.
	return s.http.Shutdown(ctx)
}

// Close ends all connections, whatever they do.
func (s *Server) Close() error {
	s.stopAccepting((*conn).end)
	return s.http.Close()
}

func (s *Server) stopAccepting(each func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing.Store(true)
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		each(c)
	}
}

func (s *Server) logf(format string, args ...any) {
	if s.http.ErrorLog != nil {
		s.http.ErrorLog.Printf(format, args...)
	}
}

// handedOver is the listener whose connections net/http serves.
type handedOver struct {
	address net.Addr
	conns   chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func newHandedOver() *handedOver {
	return &handedOver{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (h *handedOver) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handedOver) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener.
func (h *handedOver) Addr() net.Addr { return h.address }

// give hands a connection to net/http, or reports that it takes none any more.
func (h *handedOver) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
		return false
	}
}

// begun is a connection of which some bytes were read.
type begun struct {
	net.Conn
	read []byte
}

// Read implements net.Conn.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.read) > 0 {
		n := copy(p, b.read)
		b.read = b.read[n:]
		return n, nil
	}
	return b.Conn.Read(p)
}

// CloseWrite ends what is sent, where the connection can do that. net/http does so before it closes a connection on which it has
// not read everything, so that its answer arrives.
func (b *begun) CloseWrite() error {
	if c, ok := b.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
