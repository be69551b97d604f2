package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// correlationPage is the answer of GET /api/v1/audit/correlations.
type correlationPage struct {
	Data       []correlationRow
	Pagination struct{ Total int64 }
}

type correlationRow struct {
	ID     string `json:"correlation_id"`
	Events int64  `json:"event_count"`
}

// What is derived from the log follows it within moments, and is whole again after a kill.
func TestServe_Correlations(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store []string) {
		s := startServer(t, append(store, "--demo")...)
		var list correlationPage
		read := func(filters string) correlationPage {
			list = correlationPage{}
			status, body, err := do("GET", s.url+"/api/v1/audit/correlations?"+filters, nil)
			if err == nil && status == 503 {
				return list // they are built for the first time
			}
			if err != nil || status != 200 || json.Unmarshal(body, &list) != nil {
				t.Fatalf("%s: %d %s, %v", filters, status, body, err)
			}
			return list
		}
		waitFor(t, func() bool { return read("event_type=gateway.signal.received").Pagination.Total == 8 })
		for n := range 20 {
			post(t, s, event("rr-hello", n))
		}
		hello := func() bool { return slices.Contains(read("limit=1").Data, correlationRow{"rr-hello", 20}) }
		waitFor(t, hello)
		s.kill()
		s = startServer(t, store...)
		waitFor(t, hello)
		if read("outcome=failure"); slices.ContainsFunc(list.Data, func(row correlationRow) bool { return row.ID == "rr-hello" }) {
			t.Error("a correlation without a failure is found by outcome=failure")
		}
		if read("event_type=" + url.QueryEscape("e2e.*")); list.Pagination.Total != 1 {
			t.Errorf("%d correlations by a prefix, want 1", list.Pagination.Total)
		}
		if code := s.terminate(t); code != 0 {
			t.Errorf("exit %d after SIGTERM", code)
		}
	})
}

// A projection is built again beside a server that is written to: its readers see no error, and never less than before. A
// rebuild that is killed in the middle leaves nothing behind that the next one does not remove.
func TestProjections_RebuildBesideServer(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store []string) {
		s := startServer(t, append(store, "--demo")...)
		done := make(chan struct{})
		var writer, reader sync.WaitGroup
		writer.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				post(t, s, event(fmt.Sprint("rr-", n%50), n))
			}
		})
		reader.Go(func() {
			for last := int64(0); ; {
				select {
				case <-done:
					return
				default:
				}
				var list correlationPage
				status, body, err := do("GET", s.url+"/api/v1/audit/correlations?event_type=e2e.test&limit=1000", nil)
				if err == nil && status == 503 && last == 0 {
					continue // the first build is under way
				}
				if err != nil || status != 200 || json.Unmarshal(body, &list) != nil {
					t.Errorf("a reader got %d %s, %v", status, body, err)
					return
				}
				events := int64(0)
				for _, row := range list.Data {
					events += row.Events
				}
				if events < last {
					t.Errorf("a reader sees %d events behind %d", events, last)
					return
				}
				last = events
			}
		})
		rebuild := append([]string{"projections", "rebuild", "correlations"}, store...)
		for range 3 {
			killed := exec.Command(binary, rebuild...)
			if err := killed.Start(); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(100*time.Millisecond, func() { _ = killed.Process.Kill() })
			_ = killed.Wait()
			waitFor(t, func() bool {
				_, errs, code := cli(t, rebuild...)
				if code != 0 && !strings.Contains(errs, "another process builds this projection") {
					t.Fatalf("exit %d\n%s", code, errs)
				}
				return code == 0
			})
		}
		close(done)
		writer.Wait()
		reader.Wait()
		out, errs, code := cli(t, append([]string{"projections", "list"}, store...)...)
		if code != 0 || strings.Count(out, "\tlive\t") < 1 || strings.Contains(out, "\tbuilding\t") {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
	})
}
