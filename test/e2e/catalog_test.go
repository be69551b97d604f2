package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

// TestCatalog_Kill kills imports again and again, beside a server. Run to the end, twice at once, they leave every version
// once, the server sees them all, and the ledger verifies.
func TestCatalog_Kill(t *testing.T) {
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
