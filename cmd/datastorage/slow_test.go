package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/sqlite"
)

// patience is how long a test waits for what happens after a fraction of a second.
const patience = 30 * time.Second

// listening is a server as serve runs it, on a real listener.
type listening struct {
	address  string
	registry *prometheus.Registry
	log      *lockedText
	closed   atomic.Int64 // connections that the server has ended
}

// counted counts the connections of a listener that the server closes.
type counted struct {
	net.Listener
	closed *atomic.Int64
}

func (c counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countedConn{TCPConn: conn.(*net.TCPConn), closed: c.closed}, nil
}

type countedConn struct {
	*net.TCPConn
	once   sync.Once
	closed *atomic.Int64
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.closed.Add(1) })
	return c.TCPConn.Close()
}

// lockedText is a log that several goroutines write.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// listen starts a server with the settings on an embedded store.
func listen(t *testing.T, cfg *config.Config) *listening {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Readers: 2, QueryTimeout: cfg.Database.QueryTimeout})
	if err != nil {
		t.Fatal(err)
	}
	l := &listening{registry: prometheus.NewRegistry(), log: &lockedText{}}
	log := slog.New(slog.NewTextHandler(l.log, nil))
	committer, err := ingest.NewCommitter(t.Context(), store, limits(cfg), log, ingest.NewMetrics(l.registry))
	if err != nil {
		t.Fatal(err)
	}
	service := ingest.NewService(committer)
	keeper, err := openCatalog(t.Context(), cfg, store, service, l.registry, log)
	if err != nil {
		t.Fatal(err)
	}
	handler := httpapi.New(httpapi.Config{
		Writer: service, Reader: store, Catalogue: keeper, Rules: rules(cfg), MaxBatch: cfg.Ingest.MaxBatchEvents,
		MaxInFlight: int64(cfg.Ingest.MaxInFlightBytes), CursorKey: []byte("key"), Diverged: committer.Diverged,
		Warnings:  func() []string { return nil },
		PoolStats: func() httpapi.PoolStats { return httpapi.PoolStats(store.Stats()) },
		Log:       log, Registry: l.registry, Now: time.Now,
	})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.address = listener.Addr().String()
	server := newServer(cfg, handler, log)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(counted{listener, &l.closed}) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		keeper.Close()
		committer.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// impatient are the default settings with times of a fraction of a second for the client.
func impatient() *config.Config {
	cfg := config.Default()
	cfg.HTTP.ReadHeaderTimeout, cfg.HTTP.ReadTimeout = 200*time.Millisecond, 400*time.Millisecond
	cfg.HTTP.IdleTimeout, cfg.HTTP.WriteTimeout = 300*time.Millisecond, 200*time.Millisecond
	cfg.Database.QueryTimeout, cfg.Ingest.WriteTimeout = time.Second, time.Second
	return &cfg
}

// inFlight is the metric of the bytes that are in flight.
func (l *listening) inFlight(t *testing.T) float64 {
	t.Helper()
	families, err := l.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "datastorage_http_inflight_bytes" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("there is no metric of the bytes in flight")
	return 0
}

// eventually polls until done.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %s: %s", patience, what)
		}
	}
}

// misbehaviour begins a connection as a bad client does, and goes on until the connection ends.
type misbehaviour func(conn *net.TCPConn) error

// drip sends the first bytes at once and then the letter x again and again, slowly.
func drip(first string) misbehaviour {
	return func(conn *net.TCPConn) error {
		if _, err := io.WriteString(conn, first); err != nil {
			return err
		}
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := io.WriteString(conn, "x"); err != nil {
				return err
			}
		}
		return nil
	}
}

const (
	postHead = "POST /api/v1/audit/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 400000\r\n\r\n"
	getHead  = "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"
)

// deaf asks for large answers, one after the other, and reads none.
func deaf(conn *net.TCPConn) error {
	if err := conn.SetReadBuffer(4 << 10); err != nil {
		return err
	}
	for {
		if _, err := io.WriteString(conn, getHead); err != nil {
			return err
		}
	}
}

// idle sends one request and then nothing.
func idle(conn *net.TCPConn) error {
	_, err := io.WriteString(conn, "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
	return err
}

func (l *listening) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// TestServer_SlowClient: whatever a client is slow in, the server ends its connection and gives back what it held.
func TestServer_SlowClient(t *testing.T) {
	t.Parallel()
	// A request that gets an answer must not lose it because the client, on a busy machine, begins late.
	cfg := impatient()
	cfg.HTTP.ReadHeaderTimeout = patience
	begun, l := listen(t, cfg), listen(t, impatient())
	for name, c := range map[string]struct {
		behave misbehaviour
		status int // of the answer; 0 for none, or the 400 of net/http, which may get lost
	}{
		"nothing":      {func(*net.TCPConn) error { return nil }, 0},
		"request line": {drip("POST /api"), 0},
		"first letter": {drip(""), 0},
		"header":       {drip("GET / HTTP/1.1\r\nX: "), 0},
		"body":         {drip(postHead), http.StatusServiceUnavailable},
		"no body":      {func(conn *net.TCPConn) error { _, err := io.WriteString(conn, postHead); return err }, http.StatusServiceUnavailable},
		"chunk":        {drip(strings.Replace(postHead, "Content-Length: 400000", "Transfer-Encoding: chunked", 1) + "ffff\r\n"), http.StatusServiceUnavailable},
		"idle":         {idle, http.StatusOK},
		"large header": {drip("GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 80<<10)), http.StatusRequestHeaderFieldsTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := l
			if c.status != 0 {
				to = begun
			}
			conn := to.dial(t)
			go func() { _ = c.behave(conn) }()
			in := bufio.NewReader(conn)
			if c.status != 0 {
				response, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				if err = errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != c.status {
					t.Fatalf("%v, %d %s", err, response.StatusCode, body)
				}
				if c.status == http.StatusServiceUnavailable && (response.Header.Get("Content-Type") != "application/problem+json" || !response.Close) {
					t.Errorf("%v, %s", response.Header, body)
				}
			}
			rest, err := io.ReadAll(in)
			if isTimeout(err) || len(rest) > 0 && !strings.HasPrefix(string(rest), "HTTP/1.1 400 ") {
				t.Errorf("%v, %q", err, rest)
			}
		})
	}
	t.Run("deaf", func(t *testing.T) {
		t.Parallel()
		if err := deaf(l.dial(t)); err == nil || isTimeout(err) {
			t.Errorf("the connection did not end: %v", err)
		}
	})
	t.Cleanup(func() {
		if !strings.Contains(begun.log.String(), "the body did not arrive in time") {
			t.Error("the log does not say why")
		}
	})
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// TestServer_SlowClient_HTTP2: a stream whose body stops gets its answer, too.
func TestServer_SlowClient_HTTP2(t *testing.T) {
	t.Parallel()
	cfg := impatient()
	// Only the body is slow: a connection that the client, on a busy machine, begins late must not end before that.
	cfg.HTTP.ReadHeaderTimeout, cfg.HTTP.IdleTimeout, cfg.HTTP.WriteTimeout = patience, patience, patience
	l := listen(t, cfg)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	body, never := io.Pipe()
	defer never.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.address+"/api/v1/audit/events", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable || response.ProtoMajor != 2 {
		t.Errorf("HTTP/%d, %s", response.ProtoMajor, response.Status)
	}
}

// TestServer_ManySlowClients: five hundred of them do not hinder those that write, and hold nothing when their time is over.
func TestServer_ManySlowClients(t *testing.T) {
	t.Parallel()
	cfg := impatient()
	cfg.HTTP.ReadHeaderTimeout, cfg.HTTP.ReadTimeout, cfg.HTTP.IdleTimeout = 8*time.Second, 8*time.Second, 8*time.Second
	cfg.Ingest.WriteTimeout = config.Default().Ingest.WriteTimeout // those that write are not impatient
	l := listen(t, cfg)
	var slow int64
	for _, kind := range []struct {
		count  int
		behave misbehaviour
	}{
		{200, drip("GET / HTTP/1.1\r\nX: ")}, {20, deaf}, {80, idle}, {200, drip(postHead + strings.Repeat(" ", 5000))},
	} {
		for range kind.count {
			conn := l.dial(t)
			slow++
			go func() { _ = kind.behave(conn) }()
		}
	}
	eventually(t, "the slow bodies are under way", func() bool { return l.inFlight(t) >= 200*5000 })
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	for n := range 200 {
		body := fmt.Sprintf(`{"version":"1.0","event_type":"t","event_timestamp":%q,"event_category":"gateway","event_action":"a",`+
			`"event_outcome":"success","correlation_id":"rr-%d","event_data":{}}`, time.Now().UTC().Format(time.RFC3339), n)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.address+"/api/v1/audit/events", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusCreated {
			t.Fatalf("beside slow clients: %v, %d %s", err, response.StatusCode, answer)
		}
	}
	eventually(t, "the slow connections have ended", func() bool { return l.closed.Load() >= slow })
	if bytes := l.inFlight(t); bytes != 0 {
		t.Errorf("%.0f bytes are still in flight", bytes)
	}
}
