package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/faultproxy"
	"github.com/datastorage-io/datastorage/internal/pgtest"
)

// behindProxy returns the URL of a database that is reached through a proxy, and the proxy.
func behindProxy(t *testing.T, database string) (string, *faultproxy.Proxy) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := faultproxy.Listen(u.Host, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	u.Host = proxy.Addr()
	return u.String(), proxy
}

// metrics returns the series of a server by name and labels.
func (s *server) metrics(t *testing.T) map[string]float64 {
	t.Helper()
	status, page, err := do(http.MethodGet, s.url+"/metrics", nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("metrics: %d, %v", status, err)
	}
	series := map[string]float64{}
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ') // a label may hold blanks
		if at < 0 || line[0] == '#' {
			continue
		}
		if series[line[:at]], err = strconv.ParseFloat(line[at+1:], 64); err != nil {
			t.Fatalf("metrics: %q", line)
		}
	}
	return series
}

// expect sends a request and checks the status of its answer.
func expect(t *testing.T, status int, method, url string, body []byte) (answer map[string]any, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		t.Fatalf("%s %s: %v, %d %s; want %d", method, url, err, response.StatusCode, text, status)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s %s: %v in %s", method, url, err, text)
	}
	return answer, response.Header
}

// named is an event with an event_id of the producer's own.
func named(id uuid.UUID, correlation string, n int) []byte {
	return append([]byte(fmt.Sprintf(`{"event_id":%q,`, id)), event(correlation, n)[1:]...)
}

// TestServe_Outage follows a server through an outage of its database, as an operator sees it, while another server on the
// same database goes on.
func TestServe_Outage(t *testing.T) {
	t.Parallel()
	database := pgtest.Empty(t)
	through, proxy := behindProxy(t, database)
	events := "/api/v1/audit/events"
	s := startServer(t, "--database-url", through, "--data-dir", t.TempDir())
	other := startServer(t, "--database-url", database, "--data-dir", t.TempDir())
	post(t, s, event("rr-before", 1))

	// Reads stop, writes go on, and the server says so.
	proxy.SetRefuse(true)
	proxy.Cut()
	queued := uuid.New()
	expect(t, http.StatusAccepted, http.MethodPost, s.url+events, named(queued, "rr-outage", 1))
	expect(t, http.StatusAccepted, http.MethodPost, s.url+events+"/batch", fmt.Appendf(nil, "[%s,%s]", event("rr-outage", 2), event("rr-batch", 1)))
	expect(t, http.StatusAccepted, http.MethodPost, s.url+"/api/v1/audit/notifications", []byte(`{"remediation_id":"rr-note","notification_id":"n-1",
		"recipient":"oncall","channel":"slack","message_summary":"done","status":"sent","sent_at":"2026-05-11T14:40:59Z"}`))
	for _, path := range []string{events, events + "/" + queued.String(), "/api/v1/audit/correlations/rr-outage", "/api/v1/audit/notifications", "/api/v1/dead-letter-queues"} {
		problem, header := expect(t, http.StatusServiceUnavailable, http.MethodGet, s.url+path, nil)
		if header.Get("Retry-After") == "" || header.Get("Content-Type") != "application/problem+json" || problem["retry"] != true {
			t.Errorf("GET %s: %v, %v", path, header, problem)
		}
	}
	expect(t, http.StatusOK, http.MethodGet, s.url+"/health/ready", nil)
	health, _ := expect(t, http.StatusServiceUnavailable, http.MethodGet, s.url+"/health", nil)
	if health["database"] != "unreachable" || health["dead_letter_queue"] != "takes the writes" {
		t.Errorf("health in the outage: %v", health)
	}
	letters, _ := expect(t, http.StatusOK, http.MethodGet, s.url+"/api/v1/dead-letters", nil)
	if depth := letters["waiting"].(map[string]any)["depth"]; depth != 4.0 {
		t.Errorf("%v messages wait, want 4", depth)
	}
	m := s.metrics(t)
	if m["datastorage_dlq_depth{stream=\"events\"}"] != 4 || m["datastorage_breaker_state"] == 0 || m["datastorage_dlq_bytes"] == 0 ||
		m["datastorage_dlq_oldest_age_seconds"] <= 0 || m["datastorage_dlq_capacity_ratio{stream=\"events\"}"] <= 0 ||
		m[`datastorage_dlq_enqueue_total{stream="events",type="events"}`] != 3 ||
		m[`datastorage_dlq_enqueue_total{stream="notifications",type="notifications"}`] != 1 {
		t.Errorf("the metrics in the outage are %v", m)
	}

	// The event_id of one that waits is taken meanwhile, by other content.
	post(t, other, named(queued, "rr-other", 7))
	proxy.Heal()
	waitFor(t, func() bool {
		m = s.metrics(t)
		return m["datastorage_dlq_depth{stream=\"events\"}"] == 0 && m["datastorage_breaker_state"] == 0
	})
	if m["datastorage_dlq_redriven_total"] != 3 || m["datastorage_dlq_quarantined"] != 1 || m["datastorage_dlq_oldest_age_seconds"] != 0 {
		t.Errorf("the metrics after the outage are %v", m)
	}
	for _, line := range []string{"they go to the dead-letter queue", "a queued event was set aside", "the store takes writes again"} {
		waitFor(t, func() bool { return strings.Contains(s.tail(), line) })
	}
	health, _ = expect(t, http.StatusOK, http.MethodGet, s.url+"/health", nil)
	if health["dead_letter_queue"] != "ready" {
		t.Errorf("health after the outage: %v", health)
	}

	// Another server tells that the disk of this one holds an acknowledged event.
	queues := func() []any {
		answer, _ := expect(t, http.StatusOK, http.MethodGet, other.url+"/api/v1/dead-letter-queues", nil)
		return answer["data"].([]any)
	}
	waitFor(t, func() bool { return len(queues()) == 1 })
	if q := queues()[0].(map[string]any); q["quarantined"] != 1.0 || q["depth"] != 0.0 || q["host"] == "" {
		t.Errorf("the report is %v", q)
	}
	if out, errs, code := cli(t, "dead-letters", "queues", "--url", other.url); code != 0 || !strings.Contains(out, "\t0\t1\t-\t") {
		t.Errorf("dead-letters queues: exit %d\n%s%s", code, out, errs)
	}

	// What an administrator does in an outage is recorded as everything else is, and known to all when it is over.
	letters, _ = expect(t, http.StatusOK, http.MethodGet, s.url+"/api/v1/dead-letters", nil)
	letter := letters["data"].([]any)[0].(map[string]any)
	if letter["event_id"] != queued.String() {
		t.Errorf("the letter is %v", letter)
	}
	proxy.SetRefuse(true)
	proxy.Cut()
	act, _ := expect(t, http.StatusOK, http.MethodDelete, s.url+"/api/v1/dead-letters/"+letter["id"].(string), []byte(`{"reason":"sent again"}`))
	if n := s.metrics(t)["datastorage_dlq_depth{stream=\"events\"}"]; n != 1 {
		t.Errorf("%v messages wait behind the discard, want its own event", n)
	}
	proxy.Heal()
	waitFor(t, func() bool {
		status, _, err := do(http.MethodGet, other.url+events+"/"+act["audit_event_id"].(string), nil)
		return err == nil && status == http.StatusOK
	})
	record, _ := expect(t, http.StatusOK, http.MethodGet, other.url+events+"/"+act["audit_event_id"].(string), nil)
	if record["event_type"] != "datastorage.deadletter.discarded" || record["actor_id"] != "127.0.0.1" {
		t.Errorf("the record of the discard is %v", record)
	}
	waitFor(t, func() bool { return len(queues()) == 0 })
	if out, errs, code := cli(t, "verify", "--database-url", database); code != 0 {
		t.Errorf("verify: exit %d\n%s%s", code, out, errs)
	}
}
