package httpapi_test

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/auth"
	"github.com/datastorage-io/datastorage/internal/contracttest"
	"github.com/datastorage-io/datastorage/internal/demo"
	"github.com/datastorage-io/datastorage/internal/ingest"
)

// nobody is a file of tokens that takes any for one that may do nothing.
type nobody struct{}

func (nobody) Client(string) *auth.Client { return &auth.Client{Name: "nobody"} }

// queuedWriter stands for a store that is down and a queue that takes everything.
type queuedWriter struct{}

func (queuedWriter) Write(_ context.Context, events []datastorage.Event, _ bool) ([]ingest.Stored, error) {
	stored := make([]ingest.Stored, len(events))
	for i := range events {
		stored[i] = ingest.Stored{ID: uuid.New(), Time: events[i].Time, Queued: true}
	}
	return stored, nil
}

func (queuedWriter) WriteNotification(_ context.Context, _ *datastorage.Notification, e datastorage.Event) (ingest.Stored, error) {
	return ingest.Stored{ID: e.ID, Time: e.Time, Queued: true}, nil
}

func TestServer_Routes(t *testing.T) {
	contracttest.CheckRoutes(t, newServer(t).api.Patterns())
}

// TestServer_EveryDocumentedAnswer provokes each answer that the OpenAPI document names.
func TestServer_EveryDocumentedAnswer(t *testing.T) {
	recorder := contracttest.New(t)
	posts := map[string]any{
		eventsPath: event(), batchPath: []object{event()}, notificationsPath: notification(),
		workflowsPath: workflow(), searchPath: object{"filters": labels()}, importPath: object{"documents": string(demo.Catalogue())},
	}
	gets := []string{
		queuesPath, lettersPath, lettersPath + "/L01", eventsPath, eventsPath + "/" + uuid.NewString(), eventsPath + "/" + uuid.NewString() + "/body", correlationsPath + "rr-1", correlationListPath, producersPath, gapsPath("p"), notificationsPath,
		timelinePath("rr-1"), effectivenessPath + "rr-1", historyPath + "?target_kind=Pod&target_name=a",
		streamPath + "?limit=1",
		eventTypesPath, typePath, workflowsPath + "/" + uuid.NewString(), versionsPath, workflowsPath, exportPath, actionsPath, actionPath,
		"/health", "/health/ready", "/health/live", "/metrics", "/openapi.yaml",
	}
	gets = append(append(gets, outcomePaths...), incidentsPath+"/rr-1")
	everything := func(s *server) {
		for path, body := range posts {
			s.send(http.MethodPost, path, body)
		}
		for _, path := range gets {
			s.send(http.MethodGet, path, nil)
		}
		s.put(typePath, eventType())
		patch := workflowsPath + "/" + uuid.NewString()
		s.send(http.MethodPatch, patch, object{"status": "active"})
		s.send(http.MethodPatch, patch+"/disable", nil)
		s.send(http.MethodPost, lettersPath+"/L01/replay", nil)
		s.send(http.MethodDelete, lettersPath+"/L02", object{"reason": "tidy"})
		s.send(http.MethodPost, reconstructPath("rr-1"), nil)
	}
	letters := func() func(*configuration) { return withLetters(newQuarantine(t, 2)) }
	broken := newQuarantine(t, 2)
	broken.broken = map[string]error{"Stats": errBroken, "Letter": errBroken}
	everything(newRecordedServer(t, recorder, withBrokenStore, withAwayCatalogue, withLetters(broken)))
	failing := newRecordedServer(t, recorder, func(c *configuration) {
		c.Reader, c.Writer, c.Catalogue, c.Tail, c.DeadLetters, c.Access.Local = nil, nil, nil, nil, (*quarantine)(nil), true
		setProjections(c, nil)
	})
	everything(failing)
	failing.send(http.MethodGet, streamPath, nil)
	everything(newRecordedServer(t, recorder, letters(), func(c *configuration) { c.Writer = queuedWriter{} }))
	everything(newRecordedServer(t, recorder, letters(), withTokens(t, &holders{})))
	everything(newRecordedServer(t, recorder, letters(), func(c *configuration) { c.Access.Clients = nobody{} }).bearing("dst_x"))
	everything(newRecordedServer(t, recorder, func(c *configuration) { c.Access.Local = true }))
	limited := newRecordedServer(t, recorder, func(c *configuration) { c.Rate, c.Burst = 1e-9, 1 })
	limited.send(http.MethodGet, eventsPath, nil)
	everything(limited)

	s := newRecordedServer(t, recorder, letters())
	everything(s)
	id := s.write("event_id", uuid.NewString())["event_id"].(string)
	s.get(eventsPath + "/" + id)
	s.write("producer_id", "known", "producer_seq", 1)
	s.get(gapsPath("known"))
	s.send(http.MethodGet, eventsPath+"/"+id+"/body", nil)
	s.write("correlation_id", "rr-3", "event_type", "gateway.crd.created")
	for _, id := range []string{"rr-1", "rr-3", "unknown"} {
		s.send(http.MethodPost, reconstructPath(id), nil)
	}
	for _, path := range []string{correlationsPath + "unknown", timelinePath("unknown"), effectivenessPath + "unknown"} {
		s.send(http.MethodGet, path, nil)
	}
	s.send(http.MethodPost, eventsPath, event("event_id", id, "version", "2"))
	s.send(http.MethodPost, batchPath, []object{event("event_id", id, "version", "2")})
	s.send(http.MethodPost, notificationsPath, notification())
	s.send(http.MethodPost, workflowsPath, workflow())
	w := workflowsPath + "/" + s.publish("workflow_name", "state")
	s.get(w)
	s.send(http.MethodGet, w+"?severity=fatal", nil)
	for _, path := range []string{w, w + "/disable"} {
		s.send(http.MethodPatch, path, object{})
		s.send(http.MethodPatch, path, object{"status": 1, "reason": 1})
		s.send(http.MethodPatch, path, bytes.Repeat([]byte{' '}, 65<<10))
		s.send(http.MethodPatch, path, stalled{t.Context()}, impatient, "yes")
		s.as("text/plain", http.MethodPatch, path, "{}")
	}
	s.write("event_type", "my.type")
	s.put(typePath, eventType())
	s.put(typePath, eventType("mode", "warn"))
	s.put(typePath, eventType(), "If-Match", `"7"`)
	s.put(typePath, "{")
	s.put(typePath, bytes.Repeat([]byte{' '}, 257<<10))
	s.as("text/plain", http.MethodPut, typePath, "{}")
	s.get(typePath)
	s.send(http.MethodGet, typePath+"?version=x", nil)
	for path := range posts {
		s.send(http.MethodPost, path, "{")
		s.send(http.MethodPost, path, bytes.Repeat([]byte{' '}, 17<<20))
		s.send(http.MethodPost, path, stalled{t.Context()}, impatient, "yes")
		req := s.request(http.MethodPost, path, "{}")
		req.Header.Set("Content-Type", "text/plain")
		s.do(req)
	}
	s.send(http.MethodDelete, lettersPath+"/L02", stalled{t.Context()}, impatient, "yes")
	held := newQuarantine(t, 1)
	held.held = map[uuid.UUID]bool{held.letters[0].EventID: true}
	newRecordedServer(t, recorder, withLetters(held)).send(http.MethodPost, lettersPath+"/L01/replay", nil)
	for _, body := range []string{"{", strings.Repeat(" ", 17<<10)} {
		s.send(http.MethodDelete, lettersPath+"/L02", body)
	}
	req := s.request(http.MethodDelete, lettersPath+"/L02", "{}")
	req.Header.Set("Content-Type", "text/plain")
	s.do(req)
	for _, path := range []string{eventsPath, correlationListPath, producersPath, notificationsPath, lettersPath, workflowsPath, actionPath, timelinePath("rr-1")} {
		s.send(http.MethodGet, path+"?limit=0", nil)
	}
	for _, path := range []string{incidentTypeRatePath, workflowRatePath, multiRatePath, incidentsPath + "?limit=0", aggregatePath + "success-rate", aggregatePath + "trend?period=x"} {
		s.send(http.MethodGet, path, nil)
	}
	s.five()
	s.send(http.MethodGet, incidentsPath+"/rr-1", nil)
	s.send(http.MethodGet, exportPath+"?status=gone", nil)
	s.send(http.MethodGet, historyPath, nil)
	s.send(http.MethodGet, actionsPath+"?severity=low", nil)
	unknown := newRecordedServer(t, recorder, func(c *configuration) { c.Rankings = knownOutcomes{} })
	unknown.send(http.MethodPost, searchPath, object{"filters": labels(), "rank": "outcomes"})
	s.send(http.MethodGet, actionsPath+"/Unknown/workflows", nil)
	time.AfterFunc(100*time.Millisecond, s.hub.Close)
	s.send(http.MethodGet, streamPath, nil) // ends when the hub closes
	s.send(http.MethodGet, streamPath, nil)
	// Nothing can fail in these.
	never := []string{"GET /health/live 500", "GET /metrics 500", "GET /openapi.yaml 500"}
	for _, name := range recorder.Unseen() {
		if !slices.Contains(never, name) {
			t.Errorf("the documented answer %s was not seen", name)
		}
	}
}
