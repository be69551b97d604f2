package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/auth"
	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/deadletter/disk"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/sqlite"
)

// taker takes the server's own events, as if the store were down.
type taker struct{}

func (taker) Write(_ context.Context, events []datastorage.Event, _ bool) ([]ingest.Stored, error) {
	return []ingest.Stored{{ID: events[0].ID, Queued: true}}, nil
}

func (taker) WriteNotification(context.Context, *datastorage.Notification, datastorage.Event) (ingest.Stored, error) {
	return ingest.Stored{}, datastorage.Unavailable(nil, "not here")
}

var noon = time.Date(2026, 5, 11, 15, 0, 0, 0, time.UTC)

// otherReplica is a server that a script is told of.
const otherReplica = "7d3a2c5e-0e4b-4f0e-9d0f-6a1c4b8e2f10"

// forget is the script command of that name: the other server's queue is empty now.
func forget(ts *testscript.TestScript, _ bool, _ []string) {
	store, err := sqlite.Open(context.Background(), ts.MkAbs("store"), sqlite.Options{Readers: 1})
	ts.Check(err)
	ts.Check(errors.Join(store.RemoveQueueReport(context.Background(), uuid.MustParse(otherReplica)), store.Close()))
}

// quarantine is the script command of that name. It serves a queue of two letters, $L1 and $L2, and one message that waits,
// at $URL, with tokens for readers in $READ and for administrators in the file admin.token.
func quarantine(ts *testscript.TestScript, _ bool, _ []string) {
	ctx := context.Background()
	queue, err := disk.Open(ctx, ts.MkAbs("queue"), disk.Options{MaxBytes: 1 << 30})
	ts.Check(err)
	rules := datastorage.Rules{Categories: datastorage.Categories, RetentionDays: 30}
	var messages []*deadletter.Message
	for n := 1; n <= 3; n++ {
		e, err := rules.Decode(fmt.Appendf(nil, `{"version":"1.0","event_type":"t","event_timestamp":"2026-05-11T14:40:59Z","event_category":"gateway",
			"event_action":"a","event_outcome":"success","correlation_id":"rr-%d","event_data":{}}`, n), noon)
		ts.Check(err)
		e.ID = uuid.New()
		r := datastorage.NewRecord(e, [datastorage.SaltSize]byte{1})
		messages = append(messages, &deadletter.Message{
			EventID: e.ID, CorrelationID: e.CorrelationID, Body: r.Body, Salt: r.Salt, Sent: e.Sent, QueuedAt: noon.Add(time.Duration(n-4) * time.Hour),
		})
	}
	ts.Check(queue.Put(ctx, messages))
	for n, m := range messages[:2] {
		ts.Check(queue.Quarantine(ctx, m.ID, "event_id belongs to \x1b[31manother event"))
		ts.Setenv(fmt.Sprintf("L%d", n+1), m.ID)
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
	store, err := sqlite.Open(ctx, ts.MkAbs("store"), sqlite.Options{Readers: 1})
	ts.Check(err)
	ts.Check(store.PutQueueReport(ctx, &deadletter.Report{
		Replica: uuid.MustParse(otherReplica), Host: "pod-1", DataDir: "/data", Depth: 4127, Quarantined: 2, Bytes: 1 << 20,
		Oldest: noon.Add(-time.Hour), UpdatedAt: noon.Add(-90 * time.Second),
	}))
	server := httptest.NewServer(httpapi.New(httpapi.Config{
		Writer: taker{}, Reader: store, DeadLetters: queue, Access: httpapi.Access{Clients: file}, Rules: rules, CursorKey: []byte("key"),
		Diverged: func() error { return nil }, Warnings: func() []string { return nil }, PoolStats: func() httpapi.PoolStats { return httpapi.PoolStats{} },
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Now: func() time.Time { return noon },
	}))
	ts.Defer(func() {
		server.Close()
		ts.Check(queue.Close())
		ts.Check(store.Close())
	})
	ts.Setenv("URL", server.URL)
	ts.Setenv("READ", tokens[auth.RoleRead])
}

// TestOpenAccess: what a server without tokens says, and lets anybody do, depends on who can reach it.
func TestOpenAccess(t *testing.T) {
	for address, local := range map[string]bool{"127.0.0.1": true, "::1": true, "0.0.0.0": false, "::": false, "10.1.2.3": false} {
		var log strings.Builder
		access, stop, err := openAccess(t.Context(), config.Auth{}, &net.TCPAddr{IP: net.ParseIP(address), Port: 80}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		stop()
		if warned := strings.Contains(log.String(), "level=WARN"); access.Local != local || access.Clients != nil || warned == local {
			t.Errorf("%s: %+v, log %q", address, access, &log)
		}
	}
}
