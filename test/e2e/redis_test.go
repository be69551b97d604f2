package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/internal/redistest"
)

// redisConfig writes a configuration file that names a queue in Redis.
func redisConfig(t *testing.T, url string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "datastorage.yaml")
	if err := os.WriteFile(name, fmt.Appendf(nil, "dead_letters: {backend: redis, redis: {url: %q, timeout: 500ms}}\n", url), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestRedis_SharedQueue: what a server acknowledged while it was cut off from the database is stored by another one, in
// order, even when it is killed; and when the queue is gone too, each says so.
func TestRedis_SharedQueue(t *testing.T) {
	t.Parallel()
	database := pgtest.Empty(t)
	through, proxy := behindProxy(t, database)
	redis := redistest.Start(t)
	config := redisConfig(t, redis.URL(t))
	events := "/api/v1/audit/events"
	cut := startServer(t, "--config", config, "--database-url", through)
	other := startServer(t, "--config", config, "--database-url", database)
	post(t, other, event("rr-before", 0))
	proxy.SetRefuse(true)
	proxy.Cut()

	var order []uuid.UUID
	for n := range 10 {
		order = append(order, uuid.New())
		s, body := []*server{cut, other}[n%2], named(order[n], "rr-shared", n)
		status, answer, err := do(http.MethodPost, s.url+events, body)
		if err != nil || status != http.StatusAccepted && (status != http.StatusCreated || s == cut) {
			t.Fatalf("event %d: %d, %s, %v", n, status, answer, err)
		}
	}
	expect(t, http.StatusAccepted, http.MethodPost, cut.url+"/api/v1/audit/notifications", []byte(`{"remediation_id":"rr-note","notification_id":"n-1",
		"recipient":"oncall","channel":"slack","message_summary":"done","status":"sent","sent_at":"2026-05-11T14:40:59Z"}`))
	if m := cut.metrics(t); m[`datastorage_dlq_enqueue_total{stream="events",type="events"}`] != 5 ||
		m[`datastorage_dlq_enqueue_total{stream="notifications",type="notifications"}`] != 1 {
		t.Errorf("the metrics in the outage are %v", m)
	}
	cut.kill()
	waitFor(t, func() bool {
		m := other.metrics(t)
		return m[`datastorage_dlq_depth{stream="events"}`]+m[`datastorage_dlq_depth{stream="notifications"}`] == 0
	})
	last := -1.0
	for n, id := range order {
		stored, _ := expect(t, http.StatusOK, http.MethodGet, other.url+events+"/"+id.String(), nil)
		at, ok := stored["log_index"].(float64)
		if !ok || at <= last {
			t.Errorf("event %d stands at %v, the one before at %v", n, stored["log_index"], last)
		}
		last = at
	}
	list, _ := expect(t, http.StatusOK, http.MethodGet, other.url+"/api/v1/audit/notifications", nil)
	if !strings.Contains(fmt.Sprint(list), "n-1") {
		t.Errorf("the notification is not among %v", list)
	}

	// Without Redis writes go on in the store.
	redis.Kill()
	post(t, other, event("rr-after", 1))
	health, _ := expect(t, http.StatusOK, http.MethodGet, other.url+"/health", nil)
	if health["dead_letter_queue"] != "takes no writes" || !strings.Contains(fmt.Sprint(health["warnings"]), "shared dead-letter queue") {
		t.Errorf("health without Redis: %v", health)
	}
	expect(t, http.StatusOK, http.MethodGet, other.url+"/health/ready", nil)
	if err := redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		post(t, other, event("rr-again", 1))
		health, _ := expect(t, http.StatusOK, http.MethodGet, other.url+"/health", nil)
		return health["dead_letter_queue"] == "ready" && !strings.Contains(fmt.Sprint(health["warnings"]), "shared dead-letter queue")
	})
	if out, errs, code := cli(t, "dead-letters", "list", "--url", other.url); code != 0 || !strings.Contains(errs, "0 in the quarantine, 0 waiting") {
		t.Errorf("dead-letters list: exit %d\n%s%s", code, out, errs)
	}
}
