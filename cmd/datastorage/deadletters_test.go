package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/auth"
	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/ingest"
)

// quarantined is a queue with letters alone.
type quarantined struct {
	mu      sync.Mutex
	letters []deadletter.Letter
}

var noon = time.Date(2026, 5, 11, 15, 0, 0, 0, time.UTC)

func (q *quarantined) Stats(context.Context) (deadletter.Stats, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return deadletter.Stats{Depth: 3, Bytes: 4096, Capacity: 1 << 30, Oldest: noon.Add(-time.Minute), Quarantined: int64(len(q.letters))}, nil
}

func (q *quarantined) Letters(_ context.Context, after string, limit int) ([]deadletter.Letter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var page []deadletter.Letter
	for _, l := range q.letters {
		if l.ID > after && len(page) < limit {
			page = append(page, l)
		}
	}
	return page, nil
}

func (q *quarantined) find(id string) int {
	return slices.IndexFunc(q.letters, func(l deadletter.Letter) bool { return l.ID == id })
}

func (q *quarantined) Letter(_ context.Context, id string) (deadletter.Letter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := q.find(id); n >= 0 {
		return q.letters[n], nil
	}
	return deadletter.Letter{}, deadletter.ErrNotFound
}

func (q *quarantined) Holds(context.Context, []uuid.UUID) (map[uuid.UUID]bool, error) {
	return nil, nil
}

func (q *quarantined) Replay(_ context.Context, id string) error { return q.take(id) }

func (q *quarantined) Discard(_ context.Context, id string) error { return q.take(id) }

func (q *quarantined) take(id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.find(id)
	if n < 0 {
		return deadletter.ErrNotFound
	}
	q.letters = slices.Delete(q.letters, n, n+1)
	return nil
}

// Write and WriteNotification take the server's own events.
func (q *quarantined) Write(_ context.Context, events []datastorage.Event, _ bool) ([]ingest.Stored, error) {
	return []ingest.Stored{{ID: events[0].ID, Queued: true}}, nil
}

func (q *quarantined) WriteNotification(context.Context, *datastorage.Notification, datastorage.Event) (ingest.Stored, error) {
	return ingest.Stored{}, datastorage.Unavailable(nil, "not here")
}

// quarantine is the script command of that name: it serves two letters, L01 and L02, with tokens for the readers in $READ
// and for administrators in the file admin.token, at $URL.
func quarantine(ts *testscript.TestScript, _ bool, _ []string) {
	q := &quarantined{}
	rules := datastorage.Rules{Categories: datastorage.Categories, RetentionDays: 30}
	for n := 1; n <= 2; n++ {
		e, err := rules.Decode(fmt.Appendf(nil, `{"version":"1.0","event_type":"t","event_timestamp":"2026-05-11T14:40:59Z","event_category":"gateway",
			"event_action":"a","event_outcome":"success","correlation_id":"rr-%d","event_data":{}}`, n), noon)
		ts.Check(err)
		e.ID = uuid.New()
		r := datastorage.NewRecord(e, [datastorage.SaltSize]byte{1})
		q.letters = append(q.letters, deadletter.Letter{
			Message: deadletter.Message{
				ID: fmt.Sprintf("L%02d", n), EventID: e.ID, CorrelationID: e.CorrelationID, Body: r.Body, Salt: r.Salt, QueuedAt: noon.Add(-time.Hour),
			},
			Reason: "event_id belongs to \x1b[31manother event", QuarantinedAt: noon,
		})
	}
	var entries strings.Builder
	tokens := map[auth.Role]string{}
	for role, name := range map[auth.Role]string{auth.RoleRead: "reader", auth.RoleAdmin: "admin"} {
		token, hash := auth.NewToken()
		line, err := auth.Line(name, []auth.Role{role}, hash)
		ts.Check(err)
		entries.WriteString(line + "\n")
		tokens[role] = token
	}
	ts.Check(os.WriteFile(ts.MkAbs("served.yaml"), []byte(entries.String()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("admin.token"), []byte(tokens[auth.RoleAdmin]+"\n"), 0o600))
	file, err := auth.Open(ts.MkAbs("served.yaml"), slog.New(slog.DiscardHandler))
	ts.Check(err)
	server := httptest.NewServer(httpapi.New(httpapi.Config{
		Writer: q, DeadLetters: q, Access: httpapi.Access{Clients: file}, Rules: rules, CursorKey: []byte("key"),
		Diverged: func() error { return nil }, PoolStats: func() httpapi.PoolStats { return httpapi.PoolStats{} },
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Now: func() time.Time { return noon },
	}))
	ts.Defer(server.Close)
	ts.Setenv("URL", server.URL)
	ts.Setenv("READ", tokens[auth.RoleRead])
}

// TestOpenAccess: what a server without tokens says, and lets anybody do, depends on who can reach it.
func TestOpenAccess(t *testing.T) {
	for address, local := range map[string]bool{"127.0.0.1": true, "::1": true, "0.0.0.0": false, "::": false, "10.1.2.3": false} {
		var log strings.Builder
		access, stop, err := openAccess(config.Auth{}, &net.TCPAddr{IP: net.ParseIP(address), Port: 80}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		stop()
		if warned := strings.Contains(log.String(), "level=WARN"); access.Local != local || access.Clients != nil || warned == local {
			t.Errorf("%s: %+v, log %q", address, access, &log)
		}
	}
}
