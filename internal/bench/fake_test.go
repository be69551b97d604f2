package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// storedEvent is what the fake server remembers of an event.
type storedEvent struct {
	EventID       string          `json:"event_id"`
	Timestamp     time.Time       `json:"event_timestamp"`
	Date          string          `json:"event_date"`
	EventType     string          `json:"event_type"`
	CorrelationID string          `json:"correlation_id"`
	Data          json.RawMessage `json:"event_data"`
	LogIndex      int             `json:"log_index"`
}

// fakeServer answers as the API's contract says, from memory.
type fakeServer struct {
	*httptest.Server
	mu     sync.Mutex
	events []storedEvent
	sizes  map[int]int  // lengths of the events received
	cpu    atomic.Int64 // milliseconds, moves with every write
	// answer, when it returns true, has answered the request in place of the server.
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func newFakeServer(t *testing.T, answer func(http.ResponseWriter, *http.Request) bool) *fakeServer {
	t.Helper()
	f := &fakeServer{sizes: map[int]int{}, answer: answer}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+eventsPath, f.create)
	mux.HandleFunc("POST "+batchPath, f.createBatch)
	mux.HandleFunc("GET "+eventsPath, f.query)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# HELP process_cpu_seconds_total CPU.\n# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %g\n", float64(f.cpu.Load())/1e3)
		fmt.Fprint(w, "process_resident_memory_bytes 6.1e+07\nprocess_resident_memory_bytes_other 1\n")
	})
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.answer == nil || !f.answer(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

// add stores one event and returns its id.
func (f *fakeServer) add(body []byte) (storedEvent, error) {
	var e storedEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return e, err
	}
	if e.EventID == "" {
		e.EventID = uuid.Must(uuid.NewV7()).String()
	}
	e.Date = e.Timestamp.Format(time.DateOnly)
	f.mu.Lock()
	defer f.mu.Unlock()
	e.LogIndex = len(f.events)
	f.events = append(f.events, e)
	f.sizes[len(body)]++
	f.cpu.Add(1)
	return e, nil
}

func (f *fakeServer) create(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	e, err := f.add(body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"event_id":%q,"event_timestamp":%q,"message":"Audit event created successfully"}`, e.EventID, e.Timestamp.Format(time.RFC3339Nano))
}

func (f *fakeServer) createBatch(w http.ResponseWriter, r *http.Request) {
	var batch []json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	ids := []string{}
	for _, body := range batch {
		e, err := f.add(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		ids = append(ids, e.EventID)
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"event_ids": ids, "message": strconv.Itoa(len(ids)) + " audit events created successfully"})
}

func (f *fakeServer) query(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	until, _ := time.Parse(time.RFC3339Nano, q.Get("until"))
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil {
		limit = 50
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	matches := []storedEvent{}
	for _, e := range f.events {
		if (q.Get("correlation_id") == "" || e.CorrelationID == q.Get("correlation_id")) &&
			(q.Get("event_type") == "" || e.EventType == q.Get("event_type")) &&
			(until.IsZero() || !e.Timestamp.After(until)) {
			matches = append(matches, e)
		}
	}
	slices.SortFunc(matches, func(a, b storedEvent) int { return b.Timestamp.Compare(a.Timestamp) })
	if q.Get("order") == "asc" {
		slices.Reverse(matches)
	}
	start, _ := strconv.Atoi(q.Get("cursor"))
	end := min(start+limit, len(matches))
	pagination := map[string]any{"limit": limit, "has_more": end < len(matches)}
	if end < len(matches) {
		pagination["next_cursor"] = strconv.Itoa(end)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": matches[start:end], "pagination": pagination})
}
