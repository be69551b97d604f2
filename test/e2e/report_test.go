package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReport reports on recorded runs as a person does: from a server, on paper and as a page.
func TestReport(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store []string) {
		if out, errs, code := cli(t, append([]string{"import", "../../testdata/remediations.ndjson"}, store...)...); code != 0 {
			t.Fatalf("import: exit %d\n%s%s", code, out, errs)
		}
		s := startServer(t, store...)
		const flow, run = "d549ad54-8979-5016-969a-b05a80e5a35f", "rr-0a443ebd1523-dbd7a501"
		// What is derived from the log takes a moment to be there.
		for _, path := range []string{"/success-rate/workflow?workflow_id=" + flow, "/remediation-history/context?target_kind=a&target_name=b"} {
			waitFor(t, func() bool {
				status, _, err := do(http.MethodGet, s.url+"/api/v1"+path, nil)
				return err == nil && status == http.StatusOK
			})
		}
		for _, r := range []struct {
			args []string
			want []string
		}{
			{[]string{"correlation", run}, []string{"KubePodCrashLooping", "● remediated", "Also tried on this object", "rr-0a443ebd1523-45fa1abd", "/timeline"}},
			{[]string{"workflow", flow, "--range", "3650d"}, []string{flow, "Success rate", "3 succeeded, 0 failed", "rr-e018fcfb58e6-2d6a55d4"}},
			{[]string{"week", "2026-W19"}, []string{"14 remediations ended, and 10 of them succeeded.", "manual review", "rr-c46eaaf74fff-92cc8e0d"}},
		} {
			args := append([]string{"report", "--url", s.url}, r.args...)
			text, errs, code := cli(t, args...)
			if code != 0 {
				t.Fatalf("%v: exit %d\n%s%s", r.args, code, text, errs)
			}
			name := filepath.Join(t.TempDir(), "report.html")
			if out, errs, code := cli(t, append(args, "--html", name)...); code != 0 || out != "" || !strings.Contains(errs, "wrote ") {
				t.Fatalf("%v --html: exit %d\n%s%s", r.args, code, out, errs)
			}
			page, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range r.want {
				if !strings.Contains(text, want) {
					t.Errorf("%v does not say %q:\n%s", r.args, want, text)
				}
				if want := strings.TrimPrefix(want, "● "); !strings.Contains(string(page), want) {
					t.Errorf("the page of %v does not say %q", r.args, want)
				}
			}
			if strings.Contains(text, "\x1b") {
				t.Errorf("%v has colours in a file", r.args)
			}
		}
		for line, want := range map[string]string{
			"correlation rr-none": "the server answered 404: no event has this correlation_id",
			"workflow none":       "no workflow is named none",
		} {
			_, errs, code := cli(t, append([]string{"report", "--url", s.url}, strings.Fields(line)...)...)
			if code != 1 || !strings.Contains(errs, want) {
				t.Errorf("%s: exit %d\n%s", line, code, errs)
			}
		}
	})
}
