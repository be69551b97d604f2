package httpapi_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/contracttest"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/sqlite"
	"github.com/datastorage-io/datastorage/internal/tail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is what the clock of a test server shows at first.
var start = time.Date(2026, 5, 11, 15, 0, 0, 0, time.UTC)

type configuration = httpapi.Config

// impatient is a header that makes a test server's time for the body end before it comes.
const impatient = "X-Test-Impatient"

// stalled is a body that does not come before its context ends.
type stalled struct{ context.Context }

func (s stalled) Read([]byte) (int, error) {
	<-s.Done()
	return 0, s.Err()
}

// clock is a clock that only tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// server is the API in front of a SQLite store, served over HTTP. Every answer is checked against the OpenAPI document.
type server struct {
	t        testing.TB
	url      string
	api      *httpapi.Server
	client   *http.Client
	clock    *clock
	store    *sqlite.Store
	hub      *tail.Hub
	registry *prometheus.Registry
	logs     *lockedBuffer
	bearer   string // sent with every request; "" for none
}

// bearing is the same server for a client with a token.
func (s *server) bearing(token string) *server {
	sub := *s
	sub.bearer = token
	return &sub
}

// newServer starts a server with the default settings, changed by the given functions. It ends with the test.
func newServer(t testing.TB, change ...func(*httpapi.Config)) *server {
	t.Helper()
	return newRecordedServer(t, contracttest.New(t), change...)
}

func newRecordedServer(t testing.TB, recorder *contracttest.Recorder, change ...func(*httpapi.Config)) *server {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Readers: 2, QueryTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, clock: &clock{now: start}, store: store, registry: prometheus.NewRegistry(), logs: &lockedBuffer{}}
	log := slog.New(slog.NewJSONHandler(s.logs, nil))
	limits := ingest.Limits{QueueEvents: 10_000, QueueBytes: 1 << 28, CommitEvents: 2000, CommitBytes: 1 << 26, WriteTimeout: 20 * time.Second}
	committer, err := ingest.NewCommitter(context.Background(), store, limits, log, ingest.NewMetrics(s.registry))
	if err != nil {
		t.Fatal(err)
	}
	service := ingest.NewService(committer)
	keeper, err := catalog.NewKeeper(context.Background(), store, service, catalog.Options{
		PollInterval: time.Minute, Timeout: 20 * time.Second, Weights: catalog.DefaultWeights(), Retention: 30, Log: log,
		Metrics: catalog.NewMetrics(s.registry),
	})
	if err != nil {
		t.Fatal(err)
	}
	searches := catalog.NewRecorder(func(ctx context.Context, events []datastorage.Event) error {
		_, err := service.Write(ctx, events, true)
		return err
	}, catalog.RecorderOptions{
		FlushInterval: time.Millisecond, BatchSize: 100, MaxBytes: 1 << 20, Retention: 30, Log: log, Metrics: catalog.NewRecorderMetrics(s.registry),
	})
	tailLimits := tail.DefaultLimits(50)
	tailLimits.Patience = time.Second
	tailLimits.Heartbeat = 50 * time.Millisecond
	hub := tail.NewHub(store, tailLimits, log, tail.NewMetrics(s.registry))
	committer.Observe(func(int64, time.Time, []*datastorage.Record) { hub.Wake() })
	s.hub = hub
	cfg := httpapi.Config{
		Writer: service, Reader: store, Tail: hub, Catalogue: keeper, Recorder: searches, MaxBatch: 1000, MaxInFlight: 64 << 20, CursorKey: bytes.Repeat([]byte{7}, 32),
		Rules: datastorage.Rules{
			Window: true, Past: 7 * 24 * time.Hour, Future: 5 * time.Minute,
			Categories: datastorage.Categories, RetentionDays: datastorage.DefaultRetentionDays,
		},
		Diverged:  func() error { return nil },
		Warnings:  func() []string { return nil },
		PoolStats: func() httpapi.PoolStats { p := store.Stats(); return httpapi.PoolStats(p) },
		Log:       log, Registry: s.registry, Now: s.clock.Now,
	}
	projections, err := store.Projections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	setProjections(&cfg, &freshView{store, projections})
	for _, f := range change {
		f(&cfg)
	}
	s.api = httpapi.New(cfg)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(impatient) != "" {
			if err := http.NewResponseController(w).SetReadDeadline(time.Now()); err != nil {
				t.Error(err)
			}
		}
		s.api.ServeHTTP(w, r)
	}))
	s.url = front.URL
	s.client = &http.Client{
		Transport:     recorder.Transport(t, front.Client().Transport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() {
		hub.Close()
		front.Close()
		if err := searches.Close(context.Background()); err != nil {
			t.Error(err)
		}
		keeper.Close()
		committer.Close()
		if err := projections.Close(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// in is the same server for a subtest.
func (s *server) in(t *testing.T) *server {
	sub := *s
	sub.t = t
	return &sub
}

// lockedBuffer is a log that is written to by several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const (
	eventsPath        = "/api/v1/audit/events"
	batchPath         = "/api/v1/audit/events/batch"
	notificationsPath = "/api/v1/audit/notifications"
	correlationsPath  = "/api/v1/audit/correlations/"
)

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request; headers are pairs of name and value. A body makes it application/json unless they say otherwise.
func (s *server) send(method, path string, body any, headers ...string) answer {
	s.t.Helper()
	req := s.request(method, path, body, headers...)
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{resp.StatusCode, resp.Header, got}
}

func (s *server) request(method, path string, body any, headers ...string) *http.Request {
	s.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	case []byte:
		reader = bytes.NewReader(b)
	case io.Reader:
		reader = b
	default:
		encoded, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, reader)
	if err != nil {
		s.t.Fatal(err)
	}
	if reader != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+s.bearer)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return req
}

// object is a JSON object.
type object = map[string]any

// must checks the status and decodes the body.
func (s *server) must(status int, a answer) object {
	s.t.Helper()
	if a.status != status {
		s.t.Fatalf("status is %d, want %d: %s", a.status, status, a.body)
	}
	var v object
	if err := json.Unmarshal(a.body, &v); err != nil {
		s.t.Fatalf("%v: %s", err, a.body)
	}
	return v
}

// problem checks that an answer is a problem of a type, whose detail holds the phrases.
func (s *server) problem(a answer, status int, kind string, phrases ...string) object {
	s.t.Helper()
	p := s.must(status, a)
	if p["type"] != "https://kubernaut.ai/problems/"+kind || p["status"] != float64(status) {
		s.t.Fatalf("the problem is %s, want %d %s", a.body, status, kind)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		s.t.Errorf("Content-Type is %q", got)
	}
	if p["request_id"] != a.header.Get("X-Request-ID") {
		s.t.Errorf("request_id is %v, header X-Request-ID is %q", p["request_id"], a.header.Get("X-Request-ID"))
	}
	detail, _ := p["detail"].(string)
	for _, phrase := range phrases {
		if !strings.Contains(detail, phrase) {
			s.t.Errorf("the detail %q does not say %q", detail, phrase)
		}
	}
	return p
}

// fieldErrors checks that field_errors names exactly these fields.
func (s *server) fieldErrors(p object, want ...string) {
	s.t.Helper()
	fields, _ := p["field_errors"].(object)
	got := slices.Sorted(maps.Keys(fields))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("field_errors is %v, want %v", fields, want)
	}
}

// event is an event of the required members, changed by set; a nil value leaves a member out.
func event(set ...any) object {
	e := object{
		"version": "1.0", "event_type": "gateway.signal.received", "event_timestamp": "2026-05-11T14:40:59.000Z",
		"event_category": "gateway", "event_action": "received", "event_outcome": "success", "correlation_id": "rr-1",
		"event_data": object{"signal": "KubePodCrashLooping"},
	}
	for i := 0; i < len(set); i += 2 {
		if set[i+1] == nil {
			delete(e, set[i].(string))
		} else {
			e[set[i].(string)] = set[i+1]
		}
	}
	return e
}

// write stores an event and returns its answer.
func (s *server) write(set ...any) object {
	s.t.Helper()
	return s.must(http.StatusCreated, s.send(http.MethodPost, eventsPath, event(set...)))
}

// get reads a path that must answer 200.
func (s *server) get(path string) object {
	s.t.Helper()
	return s.must(http.StatusOK, s.send(http.MethodGet, path, nil))
}

// ids are the event_ids of a page.
func ids(page object) (ids []string) {
	for _, row := range page["data"].([]any) {
		ids = append(ids, row.(object)["event_id"].(string))
	}
	return ids
}

// pagination is the object of that name of a page.
func pagination(page object) object { return page["pagination"].(object) }

// notification is a notification of the required members, changed by set; a nil value leaves a member out.
func notification(set ...any) object {
	n := object{
		"remediation_id": "rr-1", "notification_id": "nr-1", "recipient": "#sre-oncall", "channel": "slack",
		"message_summary": "Approval needed", "status": "sent", "sent_at": "2026-05-11T14:44:47.123456Z",
	}
	for i := 0; i < len(set); i += 2 {
		if set[i+1] == nil {
			delete(n, set[i].(string))
		} else {
			n[set[i].(string)] = set[i+1]
		}
	}
	return n
}
