package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/api"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/project"
)

// brokenReader is a store that cannot be reached.
type brokenReader struct{}

var errBroken = datastorage.Unavailable(errors.New("dial tcp 10.1.2.3:5432: connection refused"), "the database cannot be read")

func (brokenReader) Events(context.Context, datastorage.EventQuery) (datastorage.EventPage, error) {
	return datastorage.EventPage{}, errBroken
}

func (brokenReader) Event(context.Context, uuid.UUID) (datastorage.StoredEvent, error) {
	return datastorage.StoredEvent{}, errBroken
}

func (brokenReader) Correlation(context.Context, string, func(*datastorage.EventHeader) error) error {
	return errBroken
}

func (brokenReader) Notifications(context.Context, datastorage.NotificationQuery) (datastorage.NotificationPage, error) {
	return datastorage.NotificationPage{}, errBroken
}

func (brokenReader) QueueReports(context.Context) ([]deadletter.Report, error) { return nil, errBroken }

func (brokenReader) Ping(context.Context) error { return errBroken }

// brokenView is a store of projections that does not answer.
type brokenView struct{}

func (brokenView) View(context.Context, string, func(project.Tx, int64) error) error {
	return errBroken
}

func withBrokenStore(c *configuration) {
	c.Reader, c.Writer = brokenReader{}, failingWriter{errBroken}
	setProjections(c, brokenView{})
}

// probe checks the exact body of a probe's answer.
func (s *server) probe(path string, status int, body string) {
	s.t.Helper()
	a := s.send(http.MethodGet, path, nil)
	if a.status != status || string(a.body) != body || a.header.Get("Content-Type") != "application/json" {
		s.t.Errorf("%s answers %d %s %s; want %d %s", path, a.status, a.header.Get("Content-Type"), a.body, status, body)
	}
}

func TestServer_Health(t *testing.T) {
	s := newServer(t)
	s.probe("/health", 200, `{"status":"healthy","database":"connected"}`)
	s.probe("/health/ready", 200, `{"status":"ready"}`)
	s.probe("/health/live", 200, `{"status":"alive"}`)
}

func TestServer_Health_Broken(t *testing.T) {
	s := newServer(t, withBrokenStore)
	s.probe("/health", 503, `{"status":"unhealthy","database":"unreachable"}`)
	s.probe("/health/ready", 503, `{"status":"not_ready","reason":"database_unreachable"}`)
	s.probe("/health/live", 200, `{"status":"alive"}`)
	for _, path := range []string{eventsPath, notificationsPath, correlationsPath + "x", eventsPath + "/" + uuid.NewString(), eventsPath + "/" + uuid.NewString() + "/body"} {
		a := s.send(http.MethodGet, path, nil)
		p := s.problem(a, http.StatusServiceUnavailable, "service-unavailable")
		if p["retry"] != true || a.header.Get("Retry-After") == "" || strings.Contains(string(a.body), "10.1.2.3") {
			t.Errorf("%s: Retry-After %q, %s", path, a.header.Get("Retry-After"), a.body)
		}
	}
	// What can never be stored is a 400 during an outage too.
	p := s.problem(s.send(http.MethodPost, eventsPath, event("version", nil)), http.StatusBadRequest, "validation-error")
	s.fieldErrors(p, "version")
}

// blackHole is a store that answers nothing until the caller gives up.
type blackHole struct{ brokenReader }

func (blackHole) Ping(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestServer_Health_Hanging(t *testing.T) {
	s := newServer(t, func(c *configuration) { c.Reader = blackHole{} })
	s.probe("/health/ready", 503, `{"status":"not_ready","reason":"database_unreachable"}`)
}

func TestServer_Health_Draining(t *testing.T) {
	s := newServer(t)
	s.api.Drain()
	s.probe("/health/ready", 503, `{"status":"not_ready","reason":"shutting_down"}`)
	s.probe("/health", 200, `{"status":"healthy","database":"connected"}`)
	s.probe("/health/live", 200, `{"status":"alive"}`)
	s.write()
	s.get(eventsPath)
}

func TestServer_Health_Diverged(t *testing.T) {
	var diverged error
	s := newServer(t, func(c *configuration) { c.Diverged = func() error { return diverged } })
	s.probe("/health/ready", 200, `{"status":"ready"}`)
	diverged = errors.New("the store holds 4100 events, 4127 were acknowledged")
	s.probe("/health", 503, `{"status":"unhealthy","database":"connected","ledger":"diverged: the store holds 4100 events, 4127 were acknowledged"}`)
	s.probe("/health/ready", 503, `{"status":"not_ready","reason":"ledger_diverged"}`)
}

func TestServer_Health_Warnings(t *testing.T) {
	s := newServer(t, func(c *configuration) { c.Warnings = func() []string { return []string{"fsync is off"} } })
	s.probe("/health", 200, `{"status":"healthy","database":"connected","warnings":["fsync is off"]}`)
}

func TestServer_OpenAPI(t *testing.T) {
	s := newServer(t)
	a := s.send(http.MethodGet, "/openapi.yaml", nil)
	if a.status != http.StatusOK || string(a.body) != string(api.Document()) || a.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("%d, %s, %d bytes", a.status, a.header.Get("Content-Type"), len(a.body))
	}
}

var _ httpapi.Reader = brokenReader{}
