package express

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// piped starts a server whose listener gives connections of memory, in a bubble with a clock of its own.
func piped(t *testing.T, server *http.Server) (dial func() net.Conn) {
	t.Helper()
	l := newPipes()
	serveOn(t, server, l)
	return func() net.Conn {
		ours, theirs := net.Pipe()
		l.conns <- theirs
		t.Cleanup(func() { ours.Close() })
		return ours
	}
}

// pipes is a listener of connections in memory, and of errors.
type pipes struct {
	conns  chan net.Conn
	errs   chan error
	closed chan struct{}
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), errs: make(chan error, 3), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case err := <-p.errs:
		return nil, err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// ends returns how long the server keeps a connection on which nothing is sent any more.
func ends(t *testing.T, c io.Reader) time.Duration {
	t.Helper()
	began := time.Now()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatalf("read %d, %v", n, err)
	}
	return time.Since(began)
}

// between is an expectation of a time.
func between(t *testing.T, what string, got, least, most time.Duration) {
	t.Helper()
	if got < least || got > most {
		t.Errorf("%s: ended after %v, want %v to %v", what, got, least, most)
	}
}

func TestServer_Times(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dial := piped(t, &http.Server{
			Handler: http.HandlerFunc(told), ReadHeaderTimeout: 2 * time.Second, ReadTimeout: 5 * time.Second,
			WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		})
		between(t, "no request", ends(t, dial()), 2*time.Second, 2*time.Second)

		c := dial()
		in := bufio.NewReader(c)
		for range 100 {
			write(t, c, post("/post", "", "x"))
			if got := status(t, in); got != http.StatusCreated {
				t.Fatalf("status %d", got)
			}
			time.Sleep(50 * time.Second) // of the bubble's clock
		}
		write(t, c, post("/post", "", "x"))
		if got := status(t, in); got != http.StatusCreated {
			t.Fatalf("status %d", got)
		}
		between(t, "idle", ends(t, in), time.Minute, time.Minute+time.Minute/4)

		c = dial()
		write(t, c, "POST /post HTTP/1.1\r\n")
		between(t, "half a head", ends(t, c), patience+2*time.Second, patience+2*time.Second)

		// The handler answers 400, since what it reads ends.
		c = dial()
		write(t, c, "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
		began := time.Now()
		if got := status(t, bufio.NewReader(c)); got != http.StatusBadRequest {
			t.Errorf("half a body is answered %d", got)
		}
		between(t, "half a body", time.Since(began), patience+5*time.Second, patience+5*time.Second)

		// The rest of a request may come late.
		c = dial()
		request := post("/post", "", "x")
		write(t, c, request[:20])
		time.Sleep(patience + time.Second)
		write(t, c, request[20:])
		if got := status(t, bufio.NewReader(c)); got != http.StatusCreated {
			t.Errorf("a late rest is answered %d", got)
		}

		c = dial()
		write(t, c, post("/post", "", "x"))
		time.Sleep(13 * time.Second) // it does not read its answer
		between(t, "no reader", ends(t, c), 0, 0)
	})
}

// TestServer_IdleTime has a client that may take longer with its first request than with any later one.
func TestServer_IdleTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dial := piped(t, &http.Server{Handler: http.HandlerFunc(told), ReadHeaderTimeout: time.Hour, IdleTimeout: time.Second})
		c := dial()
		in := bufio.NewReader(c)
		write(t, c, post("/post", "", "x"))
		if got := status(t, in); got != http.StatusCreated {
			t.Fatalf("status %d", got)
		}
		between(t, "idle", ends(t, in), time.Second, time.Second+time.Second/4)
	})
}

func TestServer_NoTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dial := piped(t, &http.Server{Handler: http.HandlerFunc(told)})
		c := dial()
		in := bufio.NewReader(c)
		for range 3 {
			time.Sleep(1000 * time.Hour)
			request := post("/post", "", "x")
			write(t, c, request[:30])
			write(t, c, request[30:])
			if got := status(t, in); got != http.StatusCreated {
				t.Fatalf("status %d", got)
			}
		}
	})
}

// TestServer_Accept has a listener that fails for a moment, and then for good.
func TestServer_Accept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		l.errs <- syscall.EMFILE
		l.errs <- syscall.EMFILE
		fault := errors.New("for good")
		l.errs <- fault
		began := time.Now()
		if err := New(&http.Server{}, nil).Serve(l); !errors.Is(err, fault) {
			t.Errorf("Serve returned %v", err)
		}
		if took := time.Since(began); took != 3*firstPause {
			t.Errorf("it paused for %v", took)
		}
	})
}
