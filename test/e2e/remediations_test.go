package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/datastorage-io/datastorage/internal/contracttest"
)

// What happened in a sample run, how it helped, what it was for, and what was tried on its object: answered as the contract
// says, on both stores.
func TestServe_Remediations(t *testing.T) {
	t.Parallel()
	recorder := contracttest.New(t)
	eachStore(t, func(t *testing.T, store []string) {
		s := startServer(t, append(store, "--demo")...)
		client := &http.Client{Transport: recorder.Transport(t, http.DefaultTransport)}
		try := func(method, path string, into any) (int, string) {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if into == nil {
				req.Header.Set("Accept", "text/plain, application/yaml")
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err == nil && into != nil {
				err = json.Unmarshal(body, into)
			}
			if err != nil {
				t.Fatalf("%s %s: %v %s", method, path, err, body)
			}
			return resp.StatusCode, string(body)
		}
		ask := func(method, path string, into any) string {
			t.Helper()
			status, body := try(method, path, into)
			if status != http.StatusOK {
				t.Fatalf("%s %s: %d %s", method, path, status, body)
			}
			return body
		}
		const id = "rr-c2dc7f50dc7b-655e2056"
		query := url.Values{"target_kind": {"Deployment"}, "target_name": {"worker"}, "target_namespace": {"demo-storefront"}, "cluster_name": {"dev-cluster"}}
		var past struct {
			Tier1, Tier2 struct {
				Chain []struct {
					RemediationUID string `json:"remediationUID"`
					Outcome        string `json:"outcome"`
				}
			}
		}
		waitFor(t, func() bool {
			past.Tier1.Chain, past.Tier2.Chain = nil, nil
			status, body := try(http.MethodGet, "/api/v1/remediation-history/context?"+query.Encode(), &past)
			if status != http.StatusOK && status != http.StatusServiceUnavailable { // not built yet
				t.Fatalf("%d %s", status, body)
			}
			chain := slices.Concat(past.Tier1.Chain, past.Tier2.Chain)
			return len(chain) == 1 && chain[0].RemediationUID == id && chain[0].Outcome == "Remediated"
		})
		var told struct {
			EventCount int `json:"event_count"`
			Summary    struct{ Outcome struct{ Value string } }
			Events     []struct{ Sentence string }
		}
		ask(http.MethodGet, "/api/v1/audit/correlations/"+id+"/timeline?limit=7", &told)
		if told.EventCount != 60 || told.Summary.Outcome.Value != "Remediated" || len(told.Events) != 7 || !strings.HasPrefix(told.Events[0].Sentence, "KubePodCrashLooping") {
			t.Errorf("the timeline is %+v", told)
		}
		if text := ask(http.MethodGet, "/api/v1/audit/correlations/"+id+"/timeline", nil); !strings.Contains(text, "A person was asked to approve") {
			t.Errorf("the text is %s", text)
		}
		var effectiveness struct{ Score float64 }
		ask(http.MethodGet, "/api/v1/effectiveness/"+id, &effectiveness)
		if effectiveness.Score < 0.58 || effectiveness.Score > 0.59 {
			t.Errorf("the effectiveness is %v", effectiveness.Score)
		}
		if document := ask(http.MethodPost, "/api/v1/audit/remediation-requests/"+id+"/reconstruct", nil); !strings.Contains(document, "\n  name: "+id+"\n") {
			t.Errorf("the document is %s", document)
		}
		ask(http.MethodPost, "/api/v1/audit/remediation-requests/"+id+"/reconstruct", &struct{}{})
	})
}
