package httpapi_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage/internal/auth"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/ssetest"
	"github.com/datastorage-io/datastorage/internal/tail"
)

const streamPath = "/api/v1/audit/events/stream"

// stream is an open stream.
type stream struct {
	*ssetest.Reader
	t    testing.TB
	resp *http.Response
}

// follow opens a stream, which ends with the test.
func (s *server) follow(query string, headers ...string) *stream {
	s.t.Helper()
	return follow(s.t, http.DefaultTransport.(*http.Transport).Clone(), s.request(http.MethodGet, streamPath+query, nil, headers...))
}

func follow(t testing.TB, transport *http.Transport, req *http.Request) *stream {
	t.Helper()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = resp.Body.Close() // the stream is given up
		transport.CloseIdleConnections()
	})
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s answered %d: %s", req.URL, resp.StatusCode, body)
	}
	return &stream{Reader: ssetest.NewReader(resp.Body), t: t, resp: resp}
}

// next returns the next block with data.
func (s *stream) next() ssetest.Block {
	s.t.Helper()
	for {
		b, err := s.Next()
		if err != nil {
			s.t.Fatalf("the stream broke off: %v", err)
		}
		if b.Type != "" {
			return b
		}
	}
}

// hello reads the block that a stream begins with and returns its id.
func (s *stream) hello() string {
	s.t.Helper()
	b, err := s.Next()
	if err != nil || b.Type != "" || len(b.Comments) != 1 {
		s.t.Fatalf("the stream begins with %+v, %v", b, err)
	}
	return b.ID
}

// audit checks that the next event is the one at an index, as a query returns it.
func (s *stream) audit(on *server, index int) {
	s.t.Helper()
	b := s.next()
	var row object
	if err := json.Unmarshal([]byte(b.Data), &row); err != nil {
		s.t.Fatalf("%v: %s", err, b.Data)
	}
	if b.Type != "audit" || b.ID != strconv.Itoa(index) || row["log_index"] != float64(index) {
		s.t.Fatalf("the next block is %+v, want event %d", b, index)
	}
	a := on.send(http.MethodGet, eventsPath+"/"+row["event_id"].(string), nil)
	if string(a.body) != b.Data {
		s.t.Errorf("event %d came as\n%s\nbut is\n%s", index, b.Data, a.body)
	}
}

func TestServer_Stream(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *configuration) { c.AllowedOrigins = []string{"https://ui.example"} })
	s.write("correlation_id", "rr-0")
	st := s.follow("", "Origin", "https://ui.example")
	if id := st.hello(); id != "0" {
		t.Errorf("the stream begins behind event %s", id)
	}
	h := st.resp.Header
	if h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("X-Request-Id") == "" ||
		h.Get("Access-Control-Allow-Origin") != "https://ui.example" {
		t.Errorf("the headers are %v", h)
	}
	s.must(http.StatusCreated, s.send(http.MethodPost, batchPath, []object{event("correlation_id", "rr-1"), event("correlation_id", "rr-2")}))
	st.audit(s, 1)
	st.audit(s, 2)
	if b, err := st.Next(); err != nil || b.Type != "" || b.ID != "2" || len(b.Comments) != 1 {
		t.Errorf("then comes %+v, %v", b, err)
	}
	if a := s.send(http.MethodHead, streamPath, nil); a.status != http.StatusOK || a.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD answers %d, %v", a.status, a.header)
	}
}

// TestServer_Stream_Start says where a stream begins: what a client says that connects again counts more than its address.
func TestServer_Stream_Start(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for i := range 6 {
		s.write("correlation_id", fmt.Sprintf("rr-%d", i%2), "event_data", object{"n": i})
	}
	tests := map[string]struct {
		query, header string
		first         int
	}{
		"from the first":         {"?from=0", "", 0},
		"from one":               {"?from=4", "", 4},
		"behind one":             {"?last_event_id=2", "", 3},
		"before the first":       {"?last_event_id=-1", "", 0},
		"header":                 {"", "1", 2},
		"header before address":  {"?from=0", "3", 4},
		"header before the same": {"?last_event_id=0", "4", 5},
		"empty is absent":        {"?from=1&last_event_id=", "", 1},
		"filtered":               {"?from=2&correlation_id=rr-1", "", 3},
		"detail":                 {"?from=0&detail_key=n&detail_value=5", "", 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			st := s.follow(tt.query, "Last-Event-ID", tt.header)
			st.hello()
			st.audit(s, tt.first)
		})
	}
}

func TestServer_Stream_Invalid(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.write()
	tests := []struct {
		query, header, field, phrase string
	}{
		{"?event_outcome=maybe", "", "event_outcome", "must be one of"},
		{"?parent_event_id=x", "", "parent_event_id", "must be a UUID"},
		{"?detail_key=a", "", "detail_value", "is required with detail_key"},
		{"?namespace=a&namespace=b", "", "namespace", "must be given once"},
		{"?since=1h", "", "since", "does not apply to a stream"},
		{"?until=1h", "", "until", "does not apply to a stream"},
		{"?order=asc", "", "order", "does not apply to a stream"},
		{"?limit=5", "", "limit", "does not apply to a stream"},
		{"?offset=5", "", "offset", "does not apply to a stream"},
		{"?cursor=5", "", "cursor", "does not apply to a stream"},
		{"?count=none", "", "count", "does not apply to a stream"},
		{"?from=-1", "", "from", "must be at least 0"},
		{"?from=x", "", "from", "must be an integer"},
		{"?from=99999999999999999999", "", "from", "must be at most"},
		{"?from=0&last_event_id=0", "", "from", "cannot be combined with last_event_id"},
		{"?last_event_id=-2", "", "last_event_id", "must be at least -1"},
		{"", "x", "last_event_id", "must be an integer"},
	}
	for _, tt := range tests {
		a := s.send(http.MethodGet, streamPath+tt.query, nil, "Last-Event-ID", tt.header)
		s.fieldErrors(s.problem(a, http.StatusBadRequest, "validation-error", tt.phrase), tt.field)
	}
	for _, query := range []string{"?from=2", "?last_event_id=1"} {
		s.problem(s.send(http.MethodGet, streamPath+query, nil), http.StatusBadRequest, "validation-error", "the log ends before event 2")
	}
}

// TestServer_Stream_Lasts lets a stream last longer than the time-outs of the server allow any other answer, over both
// versions of HTTP.
func TestServer_Stream_Lasts(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP%d", version), func(t *testing.T) {
			t.Parallel()
			const timeout = 100 * time.Millisecond
			s := newServer(t)
			front := httptest.NewUnstartedServer(s.api)
			protocols := new(http.Protocols)
			protocols.SetHTTP1(version == 1)
			protocols.SetUnencryptedHTTP2(version == 2)
			front.Config.Protocols, front.Config.ReadTimeout, front.Config.WriteTimeout = protocols, timeout, timeout
			front.Start()
			t.Cleanup(front.Close)
			t.Cleanup(s.hub.Close)
			req := s.request(http.MethodGet, streamPath, nil)
			req.URL.Host = strings.TrimPrefix(front.URL, "http://")
			st := follow(t, &http.Transport{Protocols: protocols}, req)
			if st.resp.ProtoMajor != version {
				t.Fatalf("the answer is %s", st.resp.Proto)
			}
			st.hello()
			began := time.Now()
			for i := 0; time.Since(began) < 5*timeout; i++ {
				s.write()
				st.audit(s, i)
			}
		})
	}
}

func TestServer_Stream_Closing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.write()
	st := s.follow("?from=0")
	st.hello()
	st.audit(s, 0)
	s.hub.Close()
	b := st.next()
	if b.Type != "closing" || b.ID != "0" || !strings.Contains(b.Data, `"last_event_id":0`) {
		t.Errorf("the last block is %+v", b)
	}
	if b, err := st.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("behind it stands %+v, %v", b, err)
	}
	a := s.send(http.MethodGet, streamPath, nil)
	s.problem(a, http.StatusServiceUnavailable, "service-unavailable", "the server is stopping")
	if a.header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
}

// TestServer_Stream_Told counts and logs a stream as what it is: its duration is no answer's.
func TestServer_Stream_Told(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.write()
	st := s.follow("?from=0")
	st.hello()
	st.audit(s, 0)
	if got := s.metric("datastorage_tail_readers"); got != 1 {
		t.Errorf("%v readers are counted", got)
	}
	_ = st.resp.Body.Close()
	s.eventually("the log says how the stream ended", func() bool {
		return strings.Contains(s.logs.String(), `"events":1,"ended":"gone"`)
	})
	for name, want := range map[string]float64{
		`datastorage_tail_ended_total{reason="gone"}`: 1, "datastorage_tail_events_total": 1, "datastorage_tail_readers": 0,
		`datastorage_http_requests_total{route="GET /api/v1/audit/events/stream",status="200"}`:    1,
		`datastorage_http_request_duration_seconds_count{route="GET /api/v1/audit/events/stream"}`: 0,
	} {
		if got := s.metric(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// eventually waits until ok is true.
func (s *server) eventually(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			s.t.Fatalf("it did not happen: %s", what)
		}
	}
}

// metric reads a metric by its name and labels as /metrics writes them; -1 when it is not there.
func (s *server) metric(name string) float64 {
	s.t.Helper()
	for line := range strings.Lines(string(s.send(http.MethodGet, "/metrics", nil).body)) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return value
		}
	}
	return -1
}

// revocable is a file of tokens that can be emptied.
type revocable struct {
	httpapi.Clients
	taken *atomic.Bool
}

func (r *revocable) Client(token string) *auth.Client {
	if r.taken.Load() {
		return nil
	}
	return r.Clients.Client(token)
}

// TestServer_Stream_TokenTakenBack ends the stream of a client that may not read any more.
func TestServer_Stream_TokenTakenBack(t *testing.T) {
	t.Parallel()
	h := &holders{}
	var taken atomic.Bool
	s := newServer(t, withTokens(t, h), func(c *configuration) { c.Access.Clients = &revocable{c.Access.Clients, &taken} })
	s.problem(s.send(http.MethodGet, streamPath, nil), http.StatusUnauthorized, "unauthenticated")
	s.problem(s.bearing(h.token["write"]).send(http.MethodGet, streamPath, nil), http.StatusForbidden, "permission-denied")
	st := s.bearing(h.token["read"]).follow("")
	st.hello()
	taken.Store(true)
	if b := st.next(); b.Type != "closing" || !strings.Contains(b.Data, `"reason":"forbidden"`) {
		t.Errorf("the last block is %+v", b)
	}
}

// TestServer_Stream_Stuck sends away clients that read nothing.
func TestServer_Stream_Stuck(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	host := strings.TrimPrefix(s.url, "http://")
	for range 20 {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", streamPath, host); err != nil {
			t.Fatal(err)
		}
	}
	s.eventually("all read", func() bool { return s.metric("datastorage_tail_readers") == 20 })
	pad := strings.Repeat("x", 200<<10)
	s.eventually("all are sent away", func() bool {
		s.write("event_data", object{"pad": pad})
		return s.metric("datastorage_tail_readers") == 0
	})
	if got := s.metric(`datastorage_tail_ended_total{reason="cut"}`) + s.metric(`datastorage_tail_ended_total{reason="slow"}`); got != 20 {
		t.Errorf("%v clients were dropped, want 20", got)
	}
}

func TestServer_Stream_TooMany(t *testing.T) {
	t.Parallel()
	var hub *tail.Hub
	s := newServer(t, func(c *configuration) {
		hub = tail.NewHub(c.Reader.(tail.Log), tail.DefaultLimits(1), c.Log, tail.NewMetrics(prometheus.NewRegistry()))
		c.Tail = hub
	})
	t.Cleanup(hub.Close)
	s.follow("").hello()
	a := s.send(http.MethodGet, streamPath, nil)
	s.problem(a, http.StatusServiceUnavailable, "service-unavailable", "too many readers")
	if a.header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
}
