package contracttest

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/datastorage-io/datastorage/api"
)

// TestDocument_ExamplesVerify plays every example of a success as an answer to its own operation.
func TestDocument_ExamplesVerify(t *testing.T) {
	t.Parallel()
	spec, err := openapi3.NewLoader().LoadFromData(api.Document())
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for path, item := range spec.Paths.Map() {
		target := strings.NewReplacer("{event_id}", eventID, "{id}", "rr-8bad34fd18b5-fb652307").Replace(path)
		for method, op := range item.Operations() {
			for _, status := range []int{200, 201} {
				response := op.Responses.Status(status)
				if response == nil {
					continue
				}
				for mediaType, media := range response.Value.Content {
					for name, example := range media.Examples {
						count++
						body, ok := example.Value.Value.(string)
						if !ok {
							text, err := json.Marshal(example.Value.Value)
							if err != nil {
								t.Fatal(err)
							}
							body = string(text)
						}
						a := answer{status, []string{"Content-Type", mediaType, "X-Ledger-Salt", "ypeBEsobvcr6wjGzmiPcTQ==", "ETag", `"3"`}, body}
						if err := New(t).Verify(httptest.NewRequest(method, target, nil), a.response(), []byte(body)); err != nil {
							t.Errorf("%s %s %d, example %s: %v", method, path, status, name, err)
						}
					}
				}
			}
		}
	}
	if count < 13 {
		t.Errorf("played %d examples, want at least one for each operation", count)
	}
}

func TestSchema_IsClosed(t *testing.T) {
	t.Parallel()
	schema := Schema(t, "paths", "/api/v1/audit/events", "post", "requestBody", "content", "application/json", "schema")
	event := map[string]any{
		"version": "1.0", "event_type": "gateway.signal.received", "event_timestamp": "2026-05-11T14:40:59Z",
		"event_category": "gateway", "event_action": "received", "event_outcome": "success",
		"correlation_id": "rr-8bad34fd18b5-fb652307", "event_data": map[string]any{"anything": "goes"},
	}
	if err := schema.Validate(event); err != nil {
		t.Errorf("a right event is refused: %v", err)
	}
	event["event_typ"] = "typo"
	if err := schema.Validate(event); err == nil || !strings.Contains(err.Error(), "event_typ") {
		t.Errorf("a member that is not documented: %v", err)
	}
}

func TestParse_RefusesABrokenDocument(t *testing.T) {
	t.Parallel()
	whole := string(api.Document())
	for name, raw := range map[string]string{
		"no YAML":            "\t",
		"dangling reference": strings.Replace(whole, "#/components/schemas/EventCreated'", "#/components/schemas/Nothing'", 1),
		"bad schema":         strings.ReplaceAll(whole, "type: object\n", "type: thing\n"),
		"no problem for 405": strings.Replace(whole, "    MethodNotAllowed:\n", "    Other:\n", 1),
	} {
		if _, err := parse([]byte(raw)); err == nil {
			t.Errorf("%s: the document was accepted", name)
		}
	}
}
