package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/datastorage-io/datastorage/internal/contracttest"
	"github.com/datastorage-io/datastorage/internal/pgtest"
)

const eventTypePath = "/api/v1/event-types/e2e.test"

// caller sends requests whose answers are held to the contract.
type caller struct {
	t      *testing.T
	client *http.Client
	url    string
}

func newCaller(t *testing.T, s *server) caller {
	return caller{t, &http.Client{Transport: contracttest.Transport(t, http.DefaultTransport)}, s.url}
}

// send sends a request, whose answer must have the status.
func (c caller) send(status int, method, path, body string, headers ...string) (answer map[string]any) {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.client.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		c.t.Fatalf("%s %s: %v, %d %s; want %d", method, path, err, response.StatusCode, text, status)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		c.t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	return answer
}

// post writes an event, whose answer must have the status.
func (c caller) post(status, n int) map[string]any {
	c.t.Helper()
	return c.send(status, http.MethodPost, "/api/v1/audit/events", string(event("rr-types", n)))
}

// atMost is an event type whose events have an n of at most max.
func atMost(max int, mode string) string {
	return fmt.Sprintf(`{"mode":%q,"owner":"e2e","schema":{"properties":{"n":{"maximum":%d}}}}`, mode, max)
}

// TestEventTypes follows an event type from its first version to one that is enforced, over a restart, on both stores.
func TestEventTypes(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, args []string) {
		s := startServer(t, args...)
		c := newCaller(t, s)
		for n := range 5 {
			c.post(http.StatusCreated, n)
		}
		c.send(http.StatusCreated, http.MethodPut, eventTypePath, atMost(2, "off"))
		c.send(http.StatusOK, http.MethodPut, eventTypePath, atMost(2, "off"))
		refused := c.send(http.StatusConflict, http.MethodPut, eventTypePath, atMost(2, "warn"))
		if check := refused["check"].(map[string]any); check["checked"] != 5.0 || check["failed"] != 2.0 || len(check["failures"].([]any)) != 2 {
			t.Errorf("the check is %v", check)
		}
		c.send(http.StatusOK, http.MethodPut, eventTypePath+"?dry_run=true", atMost(2, "warn"))
		c.send(http.StatusPreconditionFailed, http.MethodPut, eventTypePath, atMost(9, "warn"), "If-Match", `"2"`)
		c.send(http.StatusCreated, http.MethodPut, eventTypePath, atMost(9, "warn"), "If-Match", `"1"`)
		if warned := c.post(http.StatusCreated, 10); warned["warnings_total"] != 1.0 {
			t.Errorf("the answer is %v", warned)
		}
		c.send(http.StatusCreated, http.MethodPut, eventTypePath+"?force=true", atMost(9, "enforce"))
		c.post(http.StatusBadRequest, 10)
		if code := s.terminate(t); code != 0 {
			t.Errorf("the server exits with %d", code)
		}

		s = startServer(t, args...)
		c = newCaller(t, s)
		c.post(http.StatusBadRequest, 10)
		c.post(http.StatusCreated, 9)
		got := c.send(http.StatusOK, http.MethodGet, eventTypePath, "")
		if got["version"] != 3.0 || got["mode"] != "enforce" || got["versions_total"] != 3.0 {
			t.Errorf("after a restart it is %v", got)
		}
		c.send(http.StatusOK, http.MethodGet, "/api/v1/event-types", "")
		if out, errs, code := cli(t, append([]string{"verify"}, args...)...); code != 0 {
			t.Errorf("verify: exit %d\n%s%s", code, out, errs)
		}
	})
}

// TestEventTypes_Outage begins to enforce a schema while an event that breaks it waits in the dead-letter queue: what was
// acknowledged is stored, and what comes later is refused, also in the next outage.
func TestEventTypes_Outage(t *testing.T) {
	t.Parallel()
	database := pgtest.Empty(t)
	through, proxy := behindProxy(t, database)
	s := startServer(t, "--database-url", through, "--data-dir", t.TempDir())
	other := startServer(t, "--database-url", database, "--data-dir", t.TempDir())
	a, b := newCaller(t, s), newCaller(t, other)
	proxy.SetRefuse(true)
	proxy.Cut()
	queued := a.post(http.StatusAccepted, 10)
	b.send(http.StatusCreated, http.MethodPut, eventTypePath, atMost(9, "enforce"))
	proxy.Heal()
	waitFor(t, func() bool {
		status, _, err := do(http.MethodGet, other.url+"/api/v1/audit/events/"+queued["event_id"].(string), nil)
		return err == nil && status == http.StatusOK
	})
	waitFor(t, func() bool {
		status, _, err := do(http.MethodGet, s.url+eventTypePath, nil)
		return err == nil && status == http.StatusOK
	})
	a.post(http.StatusBadRequest, 11)
	proxy.SetRefuse(true)
	proxy.Cut()
	a.post(http.StatusAccepted, 9) // the outage is known
	a.post(http.StatusBadRequest, 12)
	a.send(http.StatusServiceUnavailable, http.MethodPut, eventTypePath, atMost(20, "off"))
	proxy.Heal()
	waitFor(t, func() bool { return s.metrics(t)[`datastorage_dlq_depth{stream="events"}`] == 0 })
	if m := s.metrics(t); m["datastorage_dlq_quarantined"] != 0 || m[`datastorage_event_type_violations_total{mode="enforce"}`] != 2 {
		t.Errorf("the metrics are %v", m)
	}
}
