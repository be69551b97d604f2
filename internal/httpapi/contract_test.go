package httpapi_test

import (
	"bytes"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/contracttest"
)

func TestServer_Routes(t *testing.T) {
	contracttest.CheckRoutes(t, newServer(t).api.Patterns())
}

// TestServer_EveryDocumentedAnswer provokes each answer that the OpenAPI document names.
func TestServer_EveryDocumentedAnswer(t *testing.T) {
	recorder := contracttest.New(t)
	posts := map[string]any{eventsPath: event(), batchPath: []object{event()}, notificationsPath: notification()}
	gets := []string{
		eventsPath, eventsPath + "/" + uuid.NewString(), eventsPath + "/" + uuid.NewString() + "/body", correlationsPath + "rr-1", notificationsPath,
		"/health", "/health/ready", "/health/live", "/metrics", "/openapi.yaml",
	}
	everything := func(s *server) {
		for path, body := range posts {
			s.send(http.MethodPost, path, body)
		}
		for _, path := range gets {
			s.send(http.MethodGet, path, nil)
		}
	}
	everything(newRecordedServer(t, recorder, withBrokenStore))
	everything(newRecordedServer(t, recorder, func(c *configuration) { c.Reader, c.Writer = nil, nil }))
	limited := newRecordedServer(t, recorder, func(c *configuration) { c.Rate, c.Burst = 1e-9, 1 })
	limited.send(http.MethodGet, eventsPath, nil)
	everything(limited)

	s := newRecordedServer(t, recorder)
	everything(s)
	id := s.write("event_id", uuid.NewString())["event_id"].(string)
	s.get(eventsPath + "/" + id)
	s.send(http.MethodGet, eventsPath+"/"+id+"/body", nil)
	s.send(http.MethodGet, correlationsPath+"unknown", nil)
	s.send(http.MethodPost, eventsPath, event("event_id", id, "version", "2"))
	s.send(http.MethodPost, batchPath, []object{event("event_id", id, "version", "2")})
	s.send(http.MethodPost, notificationsPath, notification())
	for path := range posts {
		s.send(http.MethodPost, path, "{")
		s.send(http.MethodPost, path, bytes.Repeat([]byte{' '}, 17<<20))
		req := s.request(http.MethodPost, path, "{}")
		req.Header.Set("Content-Type", "text/plain")
		s.do(req)
	}
	for _, path := range []string{eventsPath, notificationsPath} {
		s.send(http.MethodGet, path+"?limit=0", nil)
	}
	// Nothing can fail in these.
	never := []string{"GET /health/live 500", "GET /metrics 500", "GET /openapi.yaml 500"}
	for _, name := range recorder.Unseen() {
		if !slices.Contains(never, name) {
			t.Errorf("the documented answer %s was not seen", name)
		}
	}
}
