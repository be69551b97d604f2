package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/pgtest"
)

// eachStore runs a test on both stores; args are the flags that name the store.
func eachStore(t *testing.T, test func(t *testing.T, args []string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, []string{"--data-dir", t.TempDir()})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, []string{"--database-url", pgtest.Empty(t), "--data-dir", t.TempDir()})
	})
}

// event is a request body with the given correlation_id and number.
func event(correlation string, n int) []byte {
	return fmt.Appendf(nil, `{"version":"1.0","event_type":"e2e.test","event_timestamp":%q,"event_category":"execution",`+
		`"event_action":"write","event_outcome":"success","correlation_id":%q,"event_data":{"n":%d}}`,
		time.Now().UTC().Format(time.RFC3339Nano), correlation, n)
}

// post writes one event, which must be stored, and returns the answer.
func post(t *testing.T, s *server, body []byte) []byte {
	t.Helper()
	status, answer, err := do(http.MethodPost, s.url+"/api/v1/audit/events", body)
	if err != nil || status != http.StatusCreated {
		t.Fatalf("POST: %v, %d %s", err, status, answer)
	}
	return answer
}

type page struct {
	Data []struct {
		EventID   string          `json:"event_id"`
		EventTime time.Time       `json:"event_timestamp"`
		EventData json.RawMessage `json:"event_data"`
	}
	Pagination struct {
		Total      int64  `json:"total"`
		NextCursor string `json:"next_cursor"`
	}
}

// demoEvents is how many events --demo leaves: those of the sample runs, and one for each workflow and action type.
const demoEvents = 440 + 34 + 35

// A newcomer's first minutes: the sample runs, an event of one's own, a restart, and the proof.
func TestServe_FirstMinutes(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store []string) {
		s := startServer(t, append(store, "--demo")...)
		var list page
		waitFor(t, func() bool {
			get(t, s.url+"/api/v1/audit/events?limit=1", &list)
			return list.Pagination.Total == demoEvents
		})
		if age := time.Since(list.Data[0].EventTime); age < 0 || age > time.Minute {
			t.Errorf("the newest sample event is %s old", age)
		}
		answer := post(t, s, event("rr-hello", 1))
		kept := filepath.Join(t.TempDir(), "receipt.json")
		if err := os.WriteFile(kept, answer, 0o600); err != nil {
			t.Fatal(err)
		}
		verify := append([]string{"verify", "--receipt", kept}, store...)
		if out, errs, code := cli(t, verify...); code != 0 {
			t.Errorf("verify beside the server: exit %d\n%s%s", code, out, errs)
		}
		if code := s.terminate(t); code != 0 {
			t.Errorf("exit %d after SIGTERM", code)
		}
		again := startServer(t, append(store, "--demo")...)
		get(t, again.url+"/api/v1/audit/events?limit=1", &list)
		if list.Pagination.Total != demoEvents+1 {
			t.Errorf("%d events after a restart, want %d", list.Pagination.Total, demoEvents+1)
		}
		if code := again.terminate(t); code != 0 {
			t.Errorf("exit %d after SIGTERM", code)
		}
		if out, errs, code := cli(t, verify...); code != 0 {
			t.Errorf("verify without the server: exit %d\n%s%s", code, out, errs)
		}
	})
}

// waitFor polls until done, for at most half a minute.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 1500 {
		if done() {
			return
		}
		<-tick.C
	}
	t.Fatal("it did not happen in time")
}

// SIGTERM under load: every request that was sent is answered with a 201 or refused as a whole, and what was
// acknowledged is there.
func TestServe_StopsUnderLoad(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store []string) {
		s := startServer(t, store...)
		var acked, odd atomic.Int64
		var clients sync.WaitGroup
		loaded := make(chan struct{})
		for range 16 {
			clients.Go(func() {
				for n := 0; ; n++ {
					status, _, err := do(http.MethodPost, s.url+"/api/v1/audit/events", event("rr-stop", n))
					switch {
					case err != nil:
						return
					case status != http.StatusCreated:
						odd.Add(1)
					case acked.Add(1) == 200:
						close(loaded)
					}
				}
			})
		}
		<-loaded
		if code := s.terminate(t); code != 0 {
			t.Errorf("exit %d", code)
		}
		clients.Wait()
		if odd.Load() != 0 {
			t.Errorf("%d requests were answered with something else than 201", odd.Load())
		}
		var list page
		get(t, startServer(t, store...).url+"/api/v1/audit/events?correlation_id=rr-stop&count=exact", &list)
		if list.Pagination.Total < acked.Load() {
			t.Errorf("%d acknowledged, %d stored", acked.Load(), list.Pagination.Total)
		}
	})
}

// import beside a running server, twice: the second run changes nothing, and both writers' events verify.
func TestImport_BesideServer(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store []string) {
		s := startServer(t, store...)
		stop := make(chan struct{})
		var writer sync.WaitGroup
		var written atomic.Int64
		writer.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				status, answer, err := do(http.MethodPost, s.url+"/api/v1/audit/events", event("rr-live", n))
				if err != nil || status != http.StatusCreated {
					t.Errorf("beside an import: %v, %d %s", err, status, answer)
					return
				}
				written.Add(1)
			}
		})
		file := "../../internal/demo/runs.ndjson"
		args := append([]string{"import", "--rebase", file}, store...)
		for _, want := range []string{"440 new, 0 stored before", "0 new, 440 stored before"} {
			out, errs, code := cli(t, args...)
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("import: exit %d, want %q\n%s%s", code, want, out, errs)
			}
		}
		close(stop)
		writer.Wait()
		var list page
		get(t, s.url+"/api/v1/audit/events?count=exact", &list)
		if want := 440 + written.Load(); list.Pagination.Total != want {
			t.Errorf("%d events, want %d", list.Pagination.Total, want)
		}
		if out, errs, code := cli(t, append([]string{"verify"}, store...)...); code != 0 {
			t.Errorf("verify: exit %d\n%s%s", code, out, errs)
		}
	})
}

// Two servers on one PostgreSQL share one log.
func TestServe_TwoOnOneDatabase(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	servers := []*server{
		startServer(t, "--database-url", url, "--data-dir", t.TempDir()),
		startServer(t, "--database-url", url, "--data-dir", t.TempDir()),
	}
	var clients sync.WaitGroup
	for c := range 16 {
		clients.Go(func() {
			for n := range 20 {
				status, answer, err := do(http.MethodPost, servers[c%2].url+"/api/v1/audit/events", event("rr-two", n))
				if err != nil || status != http.StatusCreated {
					t.Errorf("%v, %d %s", err, status, answer)
				}
			}
		})
	}
	clients.Wait()
	var list page
	get(t, servers[1].url+"/api/v1/audit/events?correlation_id=rr-two", &list)
	if list.Pagination.Total != 320 {
		t.Errorf("%d events, want 320", list.Pagination.Total)
	}
	// A cursor of one server is good on the other.
	get(t, servers[0].url+"/api/v1/audit/events?correlation_id=rr-two&cursor="+list.Pagination.NextCursor, &list)
	if out, errs, code := cli(t, "verify", "--database-url", url); code != 0 {
		t.Errorf("verify: exit %d\n%s%s", code, out, errs)
	}
}

// A start that fails prints one line that says what to do, and exits 1.
func TestServe_RefusesToStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inUse := t.TempDir()
	running := startServer(t, "--data-dir", inUse)
	for name, c := range map[string]struct {
		args []string
		say  []string
	}{
		"port in use":          {[]string{"--listen", taken.Addr().String(), "--data-dir", t.TempDir()}, []string{"port is in use", "--listen"}},
		"directory in use":     {[]string{"--listen", "127.0.0.1:0", "--data-dir", inUse}, []string{"in use by another server", fmt.Sprint(running.cmd.Process.Pid)}},
		"directory is a file":  {[]string{"--listen", "127.0.0.1:0", "--data-dir", file}, []string{"data directory"}},
		"database unreachable": {[]string{"--listen", "127.0.0.1:0", "--database-url", "postgres://audit:hunter2@127.0.0.1:1/audit"}, []string{"127.0.0.1:1"}},
		"Redis unreachable": {
			[]string{"--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--config", redisConfig(t, "redis://:hunter2@127.0.0.1:1/0")},
			[]string{"127.0.0.1:1", "dead_letters.redis.url"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, errs, code := cli(t, append([]string{"serve"}, c.args...)...)
			if code != 1 || out != "" {
				t.Errorf("exit %d, standard output %q", code, out)
			}
			if lines := strings.Count(strings.TrimSpace(errs), "\n") + 1; lines != 1 {
				t.Errorf("%d lines:\n%s", lines, errs)
			}
			for _, phrase := range c.say {
				if !strings.Contains(errs, phrase) {
					t.Errorf("%q is missing in %s", phrase, errs)
				}
			}
			if strings.Contains(errs, "hunter2") {
				t.Errorf("the password is printed: %s", errs)
			}
		})
	}
}
