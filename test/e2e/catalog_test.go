package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/pgtest"
)

// An import of this many workflows is killed this often, each time after at most so long.
const (
	importWorkflows = 2000
	importKills     = 8
	importLife      = 400 * time.Millisecond
)

// writeWorkflows writes an import file: several versions of each name.
func writeWorkflows(t *testing.T) (name string) {
	t.Helper()
	var b bytes.Buffer
	for i := range importWorkflows {
		fmt.Fprintf(&b, "---\napiVersion: kubernaut.ai/v1alpha1\nkind: RemediationWorkflow\nmetadata:\n  name: workflow-%d\nspec:\n"+
			"  version: 1.%d.0\n  description:\n    what: does %d\n    whenToUse: always\n  actionType: Restart\n  labels:\n"+
			"    severity: [critical]\n    environment: [production]\n    component: [pod]\n    priority: P0\n"+
			"  execution:\n    engine: job\n", i%100, i/100, i)
	}
	name = filepath.Join(t.TempDir(), "workflows.yaml")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// durableStores are stores that sync what they commit, as the flags of a server.
var durableStores = map[string]func(t *testing.T) []string{
	"sqlite": func(t *testing.T) []string { return []string{"--data-dir", t.TempDir()} },
	"postgres": func(t *testing.T) []string {
		url, err := pgtest.Start(t, pgtest.Options{Durable: true}).Create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return []string{"--database-url", url, "--data-dir", t.TempDir()}
	},
}

// TestCatalog_Kill kills imports again and again, beside a server. Run to the end, twice at once, they leave every version
// once, the server sees them all, and the ledger verifies.
func TestCatalog_Kill(t *testing.T) {
	t.Parallel()
	for name, open := range durableStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			s := startServer(t, store...)
			importAll := append([]string{"catalog", "import", writeWorkflows(t)}, store...)
			for range importKills {
				killed := exec.Command(binary, importAll...)
				killed.Env = environ()
				if err := killed.Start(); err != nil {
					t.Fatal(err)
				}
				life := time.AfterFunc(rand.N(importLife), func() { _ = killed.Process.Kill() })
				_ = killed.Wait()
				life.Stop()
			}
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					if out, errs, code := cli(t, importAll...); code != 0 {
						t.Errorf("import: exit %d\n%s%s", code, out, errs)
					}
				})
			}
			wg.Wait()
			if _, errs, code := cli(t, importAll...); code != 0 || !strings.Contains(errs, fmt.Sprintf("0 created, 0 updated, %d unchanged", importWorkflows)) {
				t.Errorf("import once more: exit %d\n%s", code, errs)
			}
			waitFor(t, func() bool {
				_, metrics, err := do(http.MethodGet, s.url+"/metrics", nil)
				return err == nil && bytes.Contains(metrics, fmt.Appendf(nil, "\ndatastorage_catalog_version %d\n", importWorkflows)) &&
					bytes.Contains(metrics, fmt.Appendf(nil, "\ndatastorage_catalog_workflows{status=\"active\"} %d\n", importWorkflows))
			})
			search := append([]string{
				"catalog", "search", "signal_type=x", "severity=critical", "component=pod", "environment=production", "priority=P0",
			}, store...)
			if _, errs, code := cli(t, search...); code != 0 || !strings.Contains(errs, "10 of 100 results, catalogue version 2000") {
				t.Errorf("search: exit %d, want the latest version of each of 100 names\n%s", code, errs)
			}
			if out, errs, code := cli(t, append([]string{"verify"}, store...)...); code != 0 {
				t.Errorf("verify: exit %d\n%s%s", code, out, errs)
			}
		})
	}
}

// newWorkflow is the body of a request that publishes a workflow.
func newWorkflow(name, version string) []byte {
	content := "steps of " + name + " " + version
	return fmt.Appendf(nil, `{"workflow_name":%[1]q,"version":%[2]q,"name":%[1]q,"description":"restarts","content":%[3]q,"content_hash":"%[4]x",`+
		`"labels":{"signal_type":%[1]q,"severity":"critical","component":"pod","environment":"production","priority":"P0"}}`,
		name, version, content, sha256.Sum256([]byte(content)))
}

// publish publishes a workflow; ok is false when the server does not answer.
func publish(t *testing.T, s *server, name, version string) (status int, ok bool) {
	t.Helper()
	status, body, err := do(http.MethodPost, s.url+"/api/v1/workflows", newWorkflow(name, version))
	if err != nil {
		return 0, false
	}
	if status != http.StatusCreated && status != http.StatusConflict && status != http.StatusServiceUnavailable {
		t.Errorf("publish %s %s: %d %s", name, version, status, body)
	}
	return status, true
}

// found reports whether a search for the signal of a name finds it.
func found(t *testing.T, s *server, name string) bool {
	t.Helper()
	status, body, err := do(http.MethodPost, s.url+"/api/v1/workflows/search", fmt.Appendf(nil,
		`{"filters":{"signal_type":%q,"severity":"critical","component":"pod","environment":"production","priority":"P0"}}`, name))
	if err != nil || status != http.StatusOK {
		t.Fatalf("search: %d %s %v", status, body, err)
	}
	return bytes.Contains(body, fmt.Appendf(nil, `"workflow_name":%q`, name))
}

// A workflow that is published on one server is found at once there, and on another within a second.
func TestCatalog_TwoServers(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	a := startServer(t, "--database-url", url, "--data-dir", t.TempDir())
	b := startServer(t, "--database-url", url, "--data-dir", t.TempDir())
	var took []time.Duration
	for i := range 50 {
		name := fmt.Sprintf("signal-%d", i)
		if status, _ := publish(t, a, name, "1.0.0"); status != http.StatusCreated {
			t.Fatalf("publish: %d", status)
		}
		acked := time.Now()
		if !found(t, a, name) {
			t.Errorf("%s is not found by the next search on the same server", name)
		}
		waitFor(t, func() bool { return found(t, b, name) })
		took = append(took, time.Since(acked))
	}
	slices.Sort(took)
	t.Logf("found on another server after %s in the median, %s at most", took[25], took[49])
	if took[49] > time.Second {
		t.Errorf("one was found on another server after %s", took[49])
	}
}

// TestCatalog_KillServer kills a server while clients publish. What was acknowledged is there, each name has one latest
// version, the highest, and the ledger verifies.
func TestCatalog_KillServer(t *testing.T) {
	t.Parallel()
	const rounds, clients = 6, 8
	for name, open := range durableStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			// acked are the versions of each client's workflow that were acknowledged; next is the one that it publishes next.
			var acked [clients][]string
			var next [clients]int
			for range rounds {
				s := startServer(t, store...)
				stop := time.AfterFunc(100*time.Millisecond+rand.N(200*time.Millisecond), s.kill)
				var wg sync.WaitGroup
				for c := range clients {
					wg.Go(func() {
						for {
							version := fmt.Sprintf("1.%d.0", next[c])
							status, ok := publish(t, s, fmt.Sprintf("client-%d", c), version)
							if !ok {
								return
							}
							// A conflict is an earlier try of the same whose answer was lost.
							if status == http.StatusCreated || status == http.StatusConflict {
								acked[c] = append(acked[c], version)
								next[c]++
							}
						}
					})
				}
				wg.Wait()
				stop.Stop()
				<-s.done
			}
			s := startServer(t, store...)
			total := 0
			for c := range clients {
				total += len(acked[c])
				checkVersions(t, s, fmt.Sprintf("client-%d", c), acked[c])
			}
			t.Logf("%d versions acknowledged", total)
			if out, errs, code := cli(t, append([]string{"verify"}, store...)...); code != 0 {
				t.Errorf("verify: exit %d\n%s%s", code, out, errs)
			}
		})
	}
}

// checkVersions checks that the acknowledged versions of a name are there, that at most one more is, whose answer was
// lost, and that the highest is the only latest one.
func checkVersions(t *testing.T, s *server, name string, acked []string) {
	t.Helper()
	var list struct {
		Versions []struct {
			Version string `json:"version"`
			Latest  bool   `json:"is_latest_version"`
		} `json:"versions"`
	}
	get(t, s.url+"/api/v1/workflows/by-name/"+name+"/versions", &list)
	stored, latest := map[string]bool{}, []string{}
	for _, v := range list.Versions {
		stored[v.Version] = true
		if v.Latest {
			latest = append(latest, v.Version)
		}
	}
	for _, v := range acked {
		if !stored[v] {
			t.Errorf("%s %s was acknowledged and is not there", name, v)
		}
	}
	if extra := len(list.Versions) - len(acked); extra < 0 || extra > 1 || len(stored) != len(list.Versions) {
		t.Errorf("%s has %d versions, %d were acknowledged", name, len(list.Versions), len(acked))
	}
	highest := fmt.Sprintf("1.%d.0", len(list.Versions)-1)
	if !slices.Equal(latest, []string{highest}) {
		t.Errorf("the latest of %d versions of %s are %v, want %s alone", len(list.Versions), name, latest, highest)
	}
}

// TestCatalog_Replay searches, also while the server is about to stop, and runs what was recorded again: it is identical
// although the catalogue has changed since. Other weights are then tried on it.
func TestCatalog_Replay(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, args []string) {
		s := startServer(t, args...)
		for _, version := range []string{"1.0.0", "1.1.0"} {
			if status, _ := publish(t, s, "replayed", version); status != http.StatusCreated {
				t.Fatalf("publish: %d", status)
			}
			if !found(t, s, "replayed") {
				t.Fatal("it is not found")
			}
		}
		s.terminate(t)
		s = startServer(t, args...)
		var recorded struct {
			Data []struct {
				EventID string `json:"event_id"`
			}
		}
		get(t, s.url+"/api/v1/audit/events?event_type=workflow.catalog.search_completed", &recorded)
		if len(recorded.Data) != 2 {
			t.Fatalf("%d searches are recorded, want 2", len(recorded.Data))
		}
		for _, event := range recorded.Data {
			out, errs, code := cli(t, append([]string{"catalog", "replay", event.EventID}, args...)...)
			if code != 0 || !strings.HasPrefix(out, "identical: 1 of 1 results") {
				t.Errorf("replay exits with %d: %s%s", code, out, errs)
			}
		}
		weights := filepath.Join(t.TempDir(), "weights.yaml")
		for text, want := range map[string]string{
			"git_ops_managed: 300\n": "2 searches; another workflow first in 0, another ranking in 0",
			"git_ops: 300\n":         "unknown field",
			"base: -1\n":             "base",
		} {
			if err := os.WriteFile(weights, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, errs, _ := cli(t, append([]string{"catalog", "backtest", "--weights", weights}, args...)...)
			if !strings.Contains(out+errs, want) {
				t.Errorf("backtest with %q says %s%s, want %q", text, out, errs, want)
			}
		}
		get(t, s.url+"/api/v1/audit/events?event_type=datastorage.workflow.created", &recorded)
		if out, errs, code := cli(t, append([]string{"catalog", "replay", recorded.Data[0].EventID}, args...)...); code != 1 || !strings.Contains(errs, "not a workflow.catalog.search_completed") {
			t.Errorf("replay of another event exits with %d: %s%s", code, out, errs)
		}
	})
}

// TestCatalog_Outcomes records how a workflow fared, which then decides a search that asks for it, and shows beside what
// other weights would have chosen.
func TestCatalog_Outcomes(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, args []string) {
		s := startServer(t, args...)
		var id string
		for _, name := range []string{"proven", "untried"} {
			body := bytes.Replace(newWorkflow(name, "1.0.0"), fmt.Appendf(nil, `"signal_type":%q`, name), []byte(`"signal_type":"OOMKilled"`), 1)
			if name == "proven" {
				body = bytes.Replace(body, []byte(`{`), []byte(`{"custom_labels":{"team":["a"]},`), 1)
			}
			answer, _ := expect(t, http.StatusCreated, http.MethodPost, s.url+"/api/v1/workflows", body)
			if name == "proven" {
				id = answer["workflow_id"].(string)
			}
		}
		for n := range 10 {
			post(t, s, fmt.Appendf(nil, `{"version":"1.0","event_type":"execution.workflow.completed","event_timestamp":%q,"event_category":"execution",`+
				`"event_action":"completed","event_outcome":"success","correlation_id":"rr-%d","event_data":{"incident_type":"OOMKilled","workflow_id":%q}}`,
				time.Now().UTC().Format(time.RFC3339), n, id))
		}
		const filters = `{"signal_type":"OOMKilled","severity":"critical","component":"pod","environment":"production","priority":"P0"`
		first := func(rank, custom string) string {
			answer, _ := expect(t, http.StatusOK, http.MethodPost, s.url+"/api/v1/workflows/search?rank="+rank, []byte(`{"filters":`+filters+custom+`}}`))
			workflows := answer["workflows"].([]any)
			if len(workflows) != 2 {
				t.Fatalf("%d workflows are found, want 2", len(workflows))
			}
			return workflows[0].(map[string]any)["workflow_name"].(string)
		}
		waitFor(t, func() bool { // the first tables are being made
			status, _, err := do(http.MethodGet, s.url+"/api/v1/success-rate/incident-type?incident_type=OOMKilled", nil)
			return err == nil && status == http.StatusOK
		})
		waitFor(t, func() bool { return first("outcomes", "") == "proven" })
		if name := first("labels", ""); name != "untried" {
			t.Errorf("by labels %s comes first, want the newest", name)
		}
		first("labels", `,"custom_labels":{"team":["a"]}`)
		s.terminate(t)

		search := append([]string{"catalog", "search", "signal_type=OOMKilled", "severity=critical", "component=pod", "environment=production",
			"priority=P0", "--rank", "outcomes", "--top", "1", "--explain"}, args...)
		if out, errs, code := cli(t, search...); code != 0 || !strings.Contains(out, "10 of 10 executions succeeded, lower bound 0.7") {
			t.Errorf("search exits with %d: %s%s", code, out, errs)
		}
		weights := filepath.Join(t.TempDir(), "weights.yaml")
		if err := os.WriteFile(weights, []byte("custom_label: 0\ncustom_label_wildcard: 0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs, code := cli(t, append([]string{"catalog", "backtest", "--weights", weights}, args...)...)
		for _, want := range []string{"another workflow first in 1,", "10 of 10 (72 to 100 %)", "never executed"} {
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("backtest exits with %d, without %q: %s%s", code, want, out, errs)
			}
		}
	})
}
