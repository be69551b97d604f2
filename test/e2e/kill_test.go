package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/pgtest"
)

// Rounds and clients of the kill test, and for how long a server lives before it is killed.
const (
	killRounds  = 20
	killClients = 16
	killAfter   = 250 * time.Millisecond
)

// TestKill kills the server under load again and again. What was acknowledged must be there once, and the ledger must
// verify against the receipts that the clients kept.
func TestKill(t *testing.T) {
	t.Parallel()
	stores := map[string]func(t *testing.T) []string{
		"sqlite": func(t *testing.T) []string { return []string{"--data-dir", t.TempDir()} },
		"postgres": func(t *testing.T) []string {
			url, err := pgtest.Start(t, pgtest.Options{Durable: true}).Create(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return []string{"--database-url", url, "--data-dir", t.TempDir()}
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			w := &writers{acked: map[string]receipt{}}
			for range killRounds {
				s := startServer(t, store...)
				w.run(s, killAfter+rand.N(killAfter))
			}
			w.check(t, store)
		})
	}
}

// receipt is the answer to a write, as far as the test needs it.
type receipt struct {
	EventID string          `json:"event_id"`
	Receipt json.RawMessage `json:"receipt"`
}

// writers are the clients of a kill test. Each writes numbered events under ids of its own and sends an event again,
// in this round or the next, until it is acknowledged.
type writers struct {
	mu    sync.Mutex
	acked map[string]receipt // by event_id
	last  receipt
	open  [killClients][]byte // the event that each client could not yet get acknowledged
	seq   [killClients]int
	bad   []string // answers that must not occur
}

// run writes to s for the given time, kills it, and waits for the clients.
func (w *writers) run(s *server, life time.Duration) {
	stop := time.AfterFunc(life, s.kill)
	defer stop.Stop()
	var clients sync.WaitGroup
	for c := range killClients {
		clients.Go(func() {
			for w.writeNext(s.url, c) {
			}
		})
	}
	clients.Wait()
	<-s.done
}

// writeNext sends the client's next event and reports whether the server still lives.
func (w *writers) writeNext(url string, client int) bool {
	if w.open[client] == nil {
		w.seq[client]++
		w.open[client] = fmt.Appendf(nil, `{"version":"1.0","event_id":%q,"event_type":"kill.test","event_timestamp":%q,`+
			`"event_category":"execution","event_action":"write","event_outcome":"success","correlation_id":"kill-%d",`+
			`"event_data":{"client":%d,"seq":%d}}`,
			uuid.NewString(), time.Now().UTC().Format(time.RFC3339Nano), client, client, w.seq[client])
	}
	status, body, err := do(http.MethodPost, url+"/api/v1/audit/events", w.open[client])
	if err != nil {
		return false
	}
	var r receipt
	// A 202 is an acknowledgement without a receipt: the store was slow, and the next server stores the event.
	if status != http.StatusCreated && status != http.StatusAccepted || json.Unmarshal(body, &r) != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if status != http.StatusServiceUnavailable {
			w.bad = append(w.bad, fmt.Sprintf("%d %s", status, body))
		}
		return true
	}
	w.open[client] = nil
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked[r.EventID] = r
	if status == http.StatusCreated {
		w.last = r
	}
	return true
}

// check compares what was acknowledged with what is stored, and verifies the ledger against the last receipt.
func (w *writers) check(t *testing.T, store []string) {
	t.Helper()
	for _, answer := range w.bad {
		t.Errorf("unexpected answer: %s", answer)
	}
	s := startServer(t, store...)
	waitFor(t, func() bool {
		_, metrics, err := do(http.MethodGet, s.url+"/metrics", nil)
		return err == nil && bytes.Contains(metrics, []byte("\ndatastorage_dlq_depth{stream=\"events\"} 0\n"))
	})
	stored, events := map[string]bool{}, map[string]bool{}
	next := ""
	for {
		var page struct {
			Data []struct {
				EventID   string          `json:"event_id"`
				EventData json.RawMessage `json:"event_data"`
			}
			Pagination struct {
				NextCursor string `json:"next_cursor"`
			}
		}
		get(t, s.url+"/api/v1/audit/events?event_type=kill.test&limit=1000&cursor="+next, &page)
		for _, e := range page.Data {
			if stored[e.EventID] || events[string(e.EventData)] {
				t.Errorf("event %s is stored twice: %s", e.EventID, e.EventData)
			}
			stored[e.EventID], events[string(e.EventData)] = true, true
		}
		if next = page.Pagination.NextCursor; next == "" {
			break
		}
	}
	for id := range w.acked {
		if !stored[id] {
			t.Errorf("event %s was acknowledged and is not stored", id)
		}
	}
	if open := len(stored) - len(w.acked); open < 0 || open > killClients {
		t.Errorf("%d events are stored, %d were acknowledged", len(stored), len(w.acked))
	}
	t.Logf("%d acknowledged, %d stored", len(w.acked), len(stored))
	s.kill()
	kept := filepath.Join(t.TempDir(), "receipt.json")
	line, err := json.Marshal(w.last)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, line, 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := cli(t, append([]string{"verify", "--receipt", kept}, store...)...)
	if code != 0 {
		t.Errorf("verify: exit %d\n%s%s", code, out, errs)
	}
}
