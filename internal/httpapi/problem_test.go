package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/ingest"
)

func TestServer_Problems(t *testing.T) {
	s := newServer(t)
	t.Run("NotFound", func(t *testing.T) {
		s := s.in(t)
		for _, path := range []string{
			"/", "/api/v1", "/api/v1/audit", "/api/v2/audit/events", "/api/v1/audit/events/", "/health/", "//health", "/api/v1/audit//events",
			"/api/../health", "/health/.", "/healthz", "/api/v1/audit/events/x/y", "/api/v1/audit/correlations/", "/a%20b", "/api/v1/audit%2Fevents", "/health%2Flive", "/%00", "/%ff", "/<script>",
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
				s.problem(s.send(method, path, nil), http.StatusNotFound, "not-found")
			}
		}
	})
	t.Run("MethodNotAllowed", func(t *testing.T) {
		s := s.in(t)
		for path, allow := range map[string]string{
			eventsPath: "GET, HEAD, POST, OPTIONS", batchPath: "GET, HEAD, POST, OPTIONS", notificationsPath: "GET, HEAD, POST, OPTIONS",
			eventsPath + "/x/body": "GET, HEAD, OPTIONS", correlationsPath + "x": "GET, HEAD, OPTIONS",
			"/health": "GET, HEAD, OPTIONS", "/health/ready": "GET, HEAD, OPTIONS", "/metrics": "GET, HEAD, OPTIONS", "/openapi.yaml": "GET, HEAD, OPTIONS",
		} {
			for _, method := range []string{http.MethodDelete, http.MethodPut, http.MethodPatch, "BREW"} {
				a := s.send(method, path, "{}")
				s.problem(a, http.StatusMethodNotAllowed, "method-not-allowed")
				if got := a.header.Get("Allow"); got != allow {
					t.Errorf("%s %s: Allow is %q, want %q", method, path, got, allow)
				}
			}
			a := s.send(http.MethodOptions, path, nil)
			if a.status != http.StatusNoContent || a.header.Get("Allow") != allow {
				t.Errorf("OPTIONS %s: %d, Allow %q", path, a.status, a.header.Get("Allow"))
			}
		}
		s.problem(s.send(http.MethodPost, "/health", nil), http.StatusMethodNotAllowed, "method-not-allowed")
	})
	t.Run("UnsupportedMediaType", func(t *testing.T) {
		s := s.in(t)
		for _, path := range []string{eventsPath, batchPath, notificationsPath} {
			for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", "json", "application/", ";", "text/json"} {
				req := s.request(http.MethodPost, path, "{}")
				req.Header.Set("Content-Type", media)
				s.problem(s.do(req), http.StatusUnsupportedMediaType, "unsupported-media-type", "application/json")
			}
			s.problem(s.send(http.MethodPost, path, "{}", "Content-Encoding", "gzip"), http.StatusUnsupportedMediaType, "unsupported-media-type", "compressed")
		}
		for _, media := range []string{"application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8;x=y", ""} {
			req := s.request(http.MethodPost, eventsPath, event())
			req.Header.Set("Content-Type", media)
			s.must(http.StatusCreated, s.do(req))
		}
	})
	t.Run("TooLarge", func(t *testing.T) {
		s := s.in(t)
		for path, limit := range map[string]int{eventsPath: 512 << 10, batchPath: 16 << 20, notificationsPath: 64 << 10} {
			body := bytes.Repeat([]byte(" "), limit)
			s.problem(s.send(http.MethodPost, path, body), http.StatusBadRequest, "validation-error")
			s.problem(s.send(http.MethodPost, path, io.MultiReader(bytes.NewReader(body))), http.StatusBadRequest, "validation-error")
			body = append(body, ' ')
			s.problem(s.send(http.MethodPost, path, body), http.StatusRequestEntityTooLarge, "payload-too-large", "at most")
			// Without a Content-Length.
			s.problem(s.send(http.MethodPost, path, io.MultiReader(bytes.NewReader(body))), http.StatusRequestEntityTooLarge, "payload-too-large", "at most")
		}
	})
	t.Run("Length", func(t *testing.T) {
		s := s.in(t)
		for _, path := range []string{"/health/live", "/openapi.yaml"} { // a short answer, and a long one
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				a := s.send(method, path, nil)
				if want := len(s.send(http.MethodGet, path, nil).body); a.header.Get("Content-Length") != strconv.Itoa(want) {
					t.Errorf("%s %s: Content-Length is %q, want %d", method, path, a.header.Get("Content-Length"), want)
				}
			}
		}
	})
	t.Run("Head", func(t *testing.T) {
		s := s.in(t)
		for path, status := range map[string]int{"/health": 200, "/nowhere": 404, eventsPath: 200, eventsPath + "?limit=0": 400, batchPath: 404, "/metrics": 200} {
			a := s.send(http.MethodHead, path, nil)
			if a.status != status || len(a.body) != 0 {
				t.Errorf("HEAD %s: %d, %q", path, a.status, a.body)
			}
		}
	})
}

// do sends a request that was changed after it was made.
func (s *server) do(req *http.Request) answer {
	s.t.Helper()
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, body}
}

// TestServer_RawRequests sends what an HTTP client would not.
func TestServer_RawRequests(t *testing.T) {
	s := newServer(t)
	for request, status := range map[string]string{
		"GET * HTTP/1.1\r\nHost: x\r\n\r\n":                           "404",
		"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n":                    "404",
		"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n":                    "404",
		"GET /health HTTP/1.0\r\n\r\n":                                "200",
		"POST /api/v1/audit/events HTTP/1.1\r\nHost: x\r\n\r\n":       "400",
		"GET /api/v1/audit/events?%zz HTTP/1.1\r\nHost: x\r\n\r\n":    "400",
		"GET /api/v1/audit/events?a;b HTTP/1.1\r\nHost: x\r\n\r\n":    "400",
		"TRACE /api/v1/audit/events HTTP/1.1\r\nHost: x\r\n\r\n":      "405",
		"GET /api/v1/audit/events/%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n": "404",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, strings.Replace(request, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		conn.Close()
		head, _, _ := strings.Cut(string(got), "\r\n\r\n")
		if err != nil || !strings.Contains(head, " "+status+" ") || !strings.Contains(head, "X-Request-Id: ") ||
			status != "200" && !strings.Contains(head, "application/problem+json") {
			t.Errorf("%q is answered with %q, %v; want %s", request, got, err, status)
		}
	}
}

func TestServer_RequestID(t *testing.T) {
	s := newServer(t)
	for _, id := range []string{"x", "5e2f9c1a7d3b4860", "with spaces and ~!", strings.Repeat("x", 128)} {
		a := s.send(http.MethodGet, "/nowhere", nil, "X-Request-ID", id)
		s.problem(a, http.StatusNotFound, "not-found")
		if a.header.Get("X-Request-ID") != id {
			t.Errorf("id %q is answered with %q", id, a.header.Get("X-Request-ID"))
		}
		if !strings.Contains(s.logs.String(), id) {
			t.Errorf("id %q is not in the log", id)
		}
	}
	seen := map[string]bool{}
	for _, id := range []string{"", strings.Repeat("x", 129), "é", "a\tb"} {
		got := s.send(http.MethodGet, "/health", nil, "X-Request-ID", id).header.Get("X-Request-ID")
		if got == "" || got == id || seen[got] {
			t.Errorf("id %q is answered with %q", id, got)
		}
		seen[got] = true
	}
}

// panickyWriter panics; with a nil Reader so does every read.
type panickyWriter struct{ httpapi.Writer }

func TestServer_Panic(t *testing.T) {
	s := newServer(t, func(c *httpapi.Config) { c.Writer, c.Reader = panickyWriter{}, nil })
	for path, body := range map[string]any{
		eventsPath: event(), batchPath: []object{event()}, notificationsPath: notification(),
	} {
		p := s.problem(s.send(http.MethodPost, path, body, "X-Request-ID", "panic-"+path), http.StatusInternalServerError, "internal-error")
		if p["title"] != "Internal Server Error" || strings.Contains(p["detail"].(string), "nil") {
			t.Errorf("the problem is %v", p)
		}
		if log := s.logs.String(); !strings.Contains(log, `"request_id":"panic-`+path) || !strings.Contains(log, "goroutine ") {
			t.Errorf("the log does not hold the stack: %s", log)
		}
	}
	for _, path := range []string{eventsPath, notificationsPath, correlationsPath + "x", "/health", "/health/ready", eventsPath + "/019e177b-f078-7934-ab60-48404a4f721f"} {
		s.problem(s.send(http.MethodGet, path, nil), http.StatusInternalServerError, "internal-error")
	}
	s.must(http.StatusOK, s.send(http.MethodGet, "/health/live", nil))
}

// failingWriter answers every write with an error.
type failingWriter struct{ err error }

func (w failingWriter) Write(context.Context, []datastorage.Event, bool) ([]ingest.Stored, error) {
	return nil, w.err
}

func (w failingWriter) WriteNotification(context.Context, *datastorage.Notification, datastorage.Event) (ingest.Stored, error) {
	return ingest.Stored{}, w.err
}

func TestServer_FailedWrite(t *testing.T) {
	secret := errors.New("dial tcp 10.1.2.3:5432: password authentication failed for user admin")
	for _, c := range []struct {
		err    error
		status int
		kind   string
	}{
		{datastorage.Unavailable(secret, "the store cannot be reached"), http.StatusServiceUnavailable, "service-unavailable"},
		{&datastorage.Error{Code: datastorage.CodeInternal, Detail: "the store refused the write", Cause: secret}, http.StatusInternalServerError, "internal-error"},
		{secret, http.StatusInternalServerError, "internal-error"},
	} {
		s := newServer(t, func(cfg *httpapi.Config) { cfg.Writer = failingWriter{c.err} })
		for path, body := range map[string]any{eventsPath: event(), batchPath: []object{event()}, notificationsPath: notification()} {
			a := s.send(http.MethodPost, path, body)
			p := s.problem(a, c.status, c.kind)
			if bytes.Contains(a.body, []byte("10.1.2.3")) || bytes.Contains(a.body, []byte("admin")) {
				t.Errorf("the problem tells the cause: %s", a.body)
			}
			if unavailable := c.status == http.StatusServiceUnavailable; unavailable != (p["retry"] == true) || unavailable != (a.header.Get("Retry-After") != "") {
				t.Errorf("retry is %v, Retry-After %q", p["retry"], a.header.Get("Retry-After"))
			}
		}
		if !strings.Contains(s.logs.String(), "10.1.2.3") {
			t.Error("the cause is not in the log")
		}
	}
}

func TestServer_CORS(t *testing.T) {
	const origin = "https://console.example"
	t.Run("None", func(t *testing.T) {
		s := newServer(t)
		a := s.send(http.MethodGet, "/health", nil, "Origin", origin)
		if a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Vary") != "" {
			t.Errorf("headers are %v", a.header)
		}
		a = s.send(http.MethodOptions, eventsPath, nil, "Origin", origin, "Access-Control-Request-Method", "POST")
		if a.header.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("headers are %v", a.header)
		}
	})
	s := newServer(t, func(c *httpapi.Config) { c.AllowedOrigins = []string{"https://other.example", origin} })
	for path, status := range map[string]int{"/health": 200, "/nowhere": 404, eventsPath + "?limit=0": 400} {
		a := s.send(http.MethodGet, path, nil, "Origin", origin)
		if a.status != status || a.header.Get("Access-Control-Allow-Origin") != origin || a.header.Get("Vary") != "Origin" ||
			!strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "X-Request-ID") {
			t.Errorf("%s: %d, headers are %v", path, a.status, a.header)
		}
	}
	a := s.send(http.MethodGet, "/health", nil, "Origin", "https://evil.example")
	if a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Vary") != "Origin" {
		t.Errorf("another origin: headers are %v", a.header)
	}
	a = s.send(http.MethodOptions, eventsPath, nil, "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != origin {
		t.Errorf("preflight: %d, headers are %v", a.status, a.header)
	}
	for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
		if !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), method) {
			t.Errorf("preflight does not allow %s", method)
		}
	}
	for _, name := range []string{"Content-Type", "Idempotency-Key", "Last-Event-ID", "traceparent", "X-Request-ID"} {
		if !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), name) {
			t.Errorf("preflight does not allow the header %s", name)
		}
	}
	a = s.send(http.MethodOptions, eventsPath, nil, "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
	if a.header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("another origin's preflight: headers are %v", a.header)
	}
	s = newServer(t, func(c *httpapi.Config) { c.AllowedOrigins = []string{"*"} })
	if a := s.send(http.MethodGet, "/health", nil, "Origin", origin); a.header.Get("Access-Control-Allow-Origin") != origin {
		t.Errorf("any origin: headers are %v", a.header)
	}
}

func TestServer_RateLimit(t *testing.T) {
	s := newServer(t, func(c *httpapi.Config) { c.Rate, c.Burst = 0.5, 2 })
	s.get(eventsPath)
	s.get(eventsPath)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		a := s.send(method, eventsPath, nil)
		s.problem(a, http.StatusTooManyRequests, "too-many-requests")
		if got := a.header.Get("Retry-After"); got != "2" && got != "3" {
			t.Errorf("Retry-After is %q", got)
		}
	}
	// Probes and scrapes are not limited.
	for range 5 {
		for _, path := range []string{"/health", "/health/ready", "/health/live", "/metrics", "/openapi.yaml"} {
			if a := s.send(http.MethodGet, path, nil); a.status != http.StatusOK {
				t.Errorf("%s: %d", path, a.status)
			}
		}
	}
	s.clock.add(2 * 1e9)
	s.get(eventsPath)
	s.problem(s.send(http.MethodGet, eventsPath, nil), http.StatusTooManyRequests, "too-many-requests")
}
