package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func mustEndpoint(t testing.TB, url string) endpoint {
	t.Helper()
	e, err := parseEndpoint(url)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// countingServer serves handler and counts the connections it accepted.
func countingServer(t testing.TB, handler http.HandlerFunc) (url string, connections *atomic.Int64) {
	t.Helper()
	connections = new(atomic.Int64)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, connections
}

// scriptedServer answers each request on every connection with raw bytes and
// closes the connection after closeAfter answers.
func scriptedServer(t *testing.T, answer string, closeAfter int) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				reader := bufio.NewReader(c)
				for range closeAfter {
					request, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, request.Body)
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

func TestConn_KeepsOneConnectionAndSendsTheBody(t *testing.T) {
	url, connections := countingServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/base/echo" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %v %v", r.Method, r.URL.Path, r.Header, err)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	e := mustEndpoint(t, url+"/base/")
	c := newConn(e, 5*time.Second)
	defer c.close()
	for i := range 50 {
		payload := strings.Repeat("x", i*400)
		status, body, err := c.do(t.Context(), append(e.request("POST", "/echo", len(payload)), payload...))
		if err != nil || status != http.StatusCreated || string(body) != payload {
			t.Fatalf("request %d: %d, %d bytes, %v", i, status, len(body), err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for 50 requests, want 1", n)
	}
}

func TestConn_ReadsChunkedResponses(t *testing.T) {
	url, connections := countingServer(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 20 {
			fmt.Fprintf(w, "%d;%s\n", i, strings.Repeat("c", i*100))
			w.(http.Flusher).Flush()
		}
	})
	e := mustEndpoint(t, url)
	c := newConn(e, 5*time.Second)
	defer c.close()
	for range 3 {
		status, body, err := c.do(t.Context(), e.request("GET", "/", 0))
		if err != nil || status != 200 || bytes.Count(body, []byte("\n")) != 20 || len(body) != 20*3+10+19*1000 {
			t.Fatalf("%d, %d bytes, %v", status, len(body), err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for 3 requests, want 1", n)
	}
}

func TestConn_ReturnsErrorStatuses(t *testing.T) {
	for _, want := range []int{204, 400, 404, 429, 500, 503} {
		url, connections := countingServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(want)
			if want != 204 {
				_, _ = io.WriteString(w, `{"status":`+strconv.Itoa(want)+`}`)
			}
		})
		e := mustEndpoint(t, url)
		c := newConn(e, 5*time.Second)
		for range 2 {
			if status, _, err := c.do(t.Context(), e.request("GET", "/", 0)); status != want || err != nil {
				t.Errorf("%d, %v, want %d", status, err, want)
			}
		}
		if n := connections.Load(); n != 1 {
			t.Errorf("%d: %d connections, want 1", want, n)
		}
		c.close()
	}
}

func TestConn_Framing(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		status int
		body   string
		keep   bool
	}{
		"length":             {"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", 201, "ok", true},
		"lower case, spaces": {"HTTP/1.1 200 OK\r\ncontent-length:   2  \r\n\r\nok", 200, "ok", true},
		"connection: close":  {"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 201, "ok", false},
		"HTTP/1.0":           {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false},
		"to the end":         {"HTTP/1.1 200 OK\r\n\r\nok", 200, "ok", false},
		"interim response":   {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", 201, "ok", true},
		"chunk extension":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\no\r\n1\r\nk\r\n0\r\nTrailer: x\r\n\r\n", 200, "ok", true},
	} {
		t.Run(name, func(t *testing.T) {
			closeAfter := 1
			e := mustEndpoint(t, scriptedServer(t, tt.answer, closeAfter))
			c := newConn(e, 5*time.Second)
			defer c.close()
			status, body, err := c.do(t.Context(), e.request("GET", "/", 0))
			if status != tt.status || string(body) != tt.body || err != nil {
				t.Errorf("%d %q %v, want %d %q", status, body, err, tt.status, tt.body)
			}
			if kept := c.net != nil; kept != tt.keep {
				t.Errorf("connection kept: %t, want %t", kept, tt.keep)
			}
		})
	}
}

func TestConn_RefusesBrokenResponses(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":       "",
		"no HTTP":       "SSH-2.0-OpenSSH_9.2\r\n",
		"bad status":    "HTTP/1.1 2x1 Created\r\n\r\n",
		"bad header":    "HTTP/1.1 200 OK\r\nContent-Length 2\r\n\r\n",
		"bad length":    "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n",
		"huge length":   "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
		"short head":    "HTTP/1.1 200 OK\r\nContent-Le",
		"short body":    "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok",
		"bad chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"bad chunk end": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nokk\r\n0\r\n\r\n",
		"short chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
	} {
		t.Run(name, func(t *testing.T) {
			e := mustEndpoint(t, scriptedServer(t, answer, 1))
			c := newConn(e, 5*time.Second)
			defer c.close()
			if status, body, err := c.do(t.Context(), e.request("GET", "/", 0)); err == nil {
				t.Errorf("accepted as %d %q", status, body)
			}
			if c.net != nil {
				t.Error("the connection is still open")
			}
		})
	}
}

func TestConn_DialsAgainAfterTheServerClosed(t *testing.T) {
	e := mustEndpoint(t, scriptedServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1))
	c := newConn(e, 5*time.Second)
	defer c.close()
	request := e.request("GET", "/", 0)
	good, failed := 0, 0
	for range 10 {
		if _, _, err := c.do(t.Context(), request); err != nil {
			failed++
		} else {
			good++
		}
	}
	if good != 5 || failed != 5 {
		t.Errorf("%d answered and %d failed, want 5 and 5", good, failed)
	}
}

func TestConn_TimesOut(t *testing.T) {
	release := make(chan struct{})
	url, _ := countingServer(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	e := mustEndpoint(t, url)
	c := newConn(e, 50*time.Millisecond)
	if _, _, err := c.do(t.Context(), e.request("GET", "/", 0)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("err = %v, want a time-out", err)
	}
}

func TestConn_Interrupt(t *testing.T) {
	release, arrived := make(chan struct{}), make(chan struct{})
	url, _ := countingServer(t, func(http.ResponseWriter, *http.Request) { close(arrived); <-release })
	defer close(release)
	e := mustEndpoint(t, url)
	c := newConn(e, time.Hour)
	go func() { <-arrived; c.interrupt() }()
	if _, _, err := c.do(t.Context(), e.request("GET", "/", 0)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("err = %v, want a time-out", err)
	}
	c.interrupt()
}

func TestConn_TLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "secret")
	}))
	defer server.Close()
	e := mustEndpoint(t, server.URL)
	e.tls.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	c := newConn(e, 5*time.Second)
	defer c.close()
	if status, body, err := c.do(t.Context(), e.request("GET", "/", 0)); status != 200 || string(body) != "secret" || err != nil {
		t.Errorf("%d %q %v", status, body, err)
	}
}

func TestParseEndpoint(t *testing.T) {
	for raw, want := range map[string]string{
		"http://127.0.0.1:8080":    "127.0.0.1:8080|127.0.0.1:8080|",
		"http://example.org/":      "example.org:80|example.org|",
		"https://example.org/a/b/": "example.org:443|example.org|/a/b",
		"http://[::1]:9000":        "[::1]:9000|[::1]:9000|",
	} {
		e, err := parseEndpoint(raw)
		if got := e.address + "|" + e.host + "|" + e.prefix; got != want || err != nil {
			t.Errorf("parseEndpoint(%q) = %q, %v, want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"", "127.0.0.1:8080", "ftp://x", "http://", "http://x/?a=b", "http://%zz"} {
		if _, err := parseEndpoint(raw); err == nil {
			t.Errorf("parseEndpoint(%q) is accepted", raw)
		}
	}
}

// BenchmarkClient compares the CPU of this package's client with net/http's,
// server included, on the exchange that a single event is.
func BenchmarkClient(b *testing.B) {
	answer := bytes.Repeat([]byte{'a'}, 330)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(answer)
	}))
	defer server.Close()
	payload := bytes.Repeat([]byte{'e'}, 1000)
	b.Run("conn", func(b *testing.B) {
		e := mustEndpoint(b, server.URL)
		request := append(e.request("POST", "/", len(payload)), payload...)
		c := newConn(e, time.Minute)
		defer c.close()
		for b.Loop() {
			if status, _, err := c.do(context.Background(), request); status != 201 || err != nil {
				b.Fatal(status, err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
		defer client.CloseIdleConnections()
		for b.Loop() {
			response, err := client.Post(server.URL, "application/json", bytes.NewReader(payload))
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	})
}
