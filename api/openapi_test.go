package api_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/api"
	"github.com/datastorage-io/datastorage/internal/contracttest"
)

// problems are the kinds of problem that the served routes can answer, with their status.
var problems = map[datastorage.Code]json.Number{
	datastorage.CodeValidation:       "400",
	datastorage.CodeImmutableField:   "400",
	datastorage.CodeUnauthenticated:  "401",
	datastorage.CodePermissionDenied: "403",
	datastorage.CodeNotFound:         "404",
	datastorage.CodeMethodNotAllowed: "405",
	datastorage.CodeConflict:         "409",
	datastorage.CodePrecondition:     "412",
	datastorage.CodeTooLarge:         "413",
	datastorage.CodeUnsupportedMedia: "415",
	datastorage.CodeTooManyRequests:  "429",
	datastorage.CodeInternal:         "500",
	datastorage.CodeUnavailable:      "503",
}

func load(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.Document())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// tree returns the document as JSON values.
func tree(t *testing.T) map[string]any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(api.Document(), &value); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return decoded.(map[string]any)
}

// at returns the value at a place in a tree, nil when there is none.
func at(node any, tokens ...string) any {
	for _, token := range tokens {
		m, _ := node.(map[string]any)
		node = m[token]
	}
	return node
}

func TestDocument_IsValidOpenAPI31(t *testing.T) {
	t.Parallel()
	doc := load(t)
	if !doc.IsOpenAPI31OrLater() {
		t.Errorf("openapi is %q, want 3.1", doc.OpenAPI)
	}
	// Examples have a test of their own, with a validator that knows 3.1.
	if err := doc.Validate(t.Context(), openapi3.DisableExamplesValidation()); err != nil {
		t.Error(err)
	}
}

func TestDocument_ReturnsACopy(t *testing.T) {
	t.Parallel()
	api.Document()[0] = 'X'
	if first := api.Document()[0]; first != 'o' {
		t.Errorf("the document begins with %q after a caller changed its copy", first)
	}
}

func TestDocument_OperationsAreComplete(t *testing.T) {
	t.Parallel()
	ids := map[string]string{}
	for path, item := range load(t).Paths.Map() {
		for method, op := range item.Operations() {
			name := method + " " + path
			if op.OperationID == "" || op.Summary == "" || op.Description == "" || len(op.Tags) == 0 {
				t.Errorf("%s: operationId, summary, description or tags are missing", name)
			}
			if other := ids[op.OperationID]; other != "" {
				t.Errorf("%s and %s have the same operationId", name, other)
			}
			ids[op.OperationID] = name
			if op.Responses.Status(500) == nil {
				t.Errorf("%s does not document 500", name)
			}
			for status, response := range op.Responses.Map() {
				if response.Value.Headers["X-Request-ID"] == nil {
					t.Errorf("%s: response %s has no X-Request-ID", name, status)
				}
			}
		}
	}
}

// TestDocument_WritesAnswer asserts which answers a write has, since clients act on each in another way.
func TestDocument_WritesAnswer(t *testing.T) {
	t.Parallel()
	refusals := []string{"400", "401", "403", "413", "415", "429", "500", "503"}
	answers := map[string][]string{ // beside the refusals
		"/api/v1/workflows": {"201", "409"}, "/api/v1/workflows/search": {"200"}, "/api/v1/workflows/import": {"200"},
	}
	for path, item := range load(t).Paths.Map() {
		if item.Post == nil || strings.HasSuffix(path, "/replay") || strings.HasSuffix(path, "/reconstruct") {
			continue // not there, or without a body
		}
		own, ok := answers[path]
		if !ok {
			own = []string{"201", "202", "409"}
		}
		want := slices.Sorted(slices.Values(append(own, refusals...)))
		if got := slices.Sorted(maps.Keys(item.Post.Responses.Map())); !slices.Equal(got, want) {
			t.Errorf("POST %s answers %v, want %v", path, got, want)
		}
		if body := item.Post.RequestBody; body == nil || !body.Value.Required {
			t.Errorf("POST %s does not require a body", path)
		}
	}
}

func TestDocument_EveryThingIsDescribed(t *testing.T) {
	t.Parallel()
	doc := tree(t)
	components := at(doc, "components").(map[string]any)
	walk(doc, nil, func(place []string, node map[string]any) {
		if node["$ref"] != nil || node["const"] != nil && len(node) == 1 {
			return
		}
		parent := ""
		if len(place) > 1 {
			parent = place[len(place)-2]
		}
		if slices.Contains([]string{"properties", "responses", "headers", "schemas"}, parent) && node["description"] == nil {
			t.Errorf("%s has no description", strings.Join(place, "/"))
		}
		if node["in"] != nil && (node["description"] == nil || node["example"] == nil && node["examples"] == nil) {
			t.Errorf("parameter %s has no description or no example", strings.Join(place, "/"))
		}
	})
	for kind := range components {
		if kind == "securitySchemes" {
			continue // they are named without a reference
		}
		for name := range at(components, kind).(map[string]any) {
			ref := "#/components/" + kind + "/" + name
			if kind+name != "responsesMethodNotAllowed" && !bytes.Contains(api.Document(), []byte("$ref: '"+ref+"'")) {
				t.Errorf("nothing refers to %s", ref)
			}
		}
	}
}

// TestDocument_Examples validates every example against its schema, and asserts that each body has one.
func TestDocument_Examples(t *testing.T) {
	t.Parallel()
	count := 0
	walk(tree(t), nil, func(place []string, node map[string]any) {
		schema := node["schema"]
		if schema == nil || len(place) > 0 && place[len(place)-1] == "properties" { // a member of that name
			return
		}
		examples := map[string]any{}
		if example, ok := node["example"]; ok {
			examples["example"] = example
		}
		named, _ := node["examples"].(map[string]any)
		for name, example := range named {
			if at(example, "summary") == nil {
				t.Errorf("%s: example %s has no summary", strings.Join(place, "/"), name)
			}
			examples[name] = at(example, "value")
		}
		if len(examples) == 0 {
			t.Errorf("%s has no example", strings.Join(place, "/"))
		}
		compiled := contracttest.Schema(t, append(slices.Clone(place), "schema")...)
		for name, example := range examples {
			count++
			if err := compiled.Validate(example); err != nil {
				t.Errorf("%s: example %s: %v", strings.Join(place, "/"), name, err)
			}
		}
	})
	if count < 80 {
		t.Errorf("validated %d examples, want at least 80", count)
	}
}

// TestDocument_Problems asserts that problems are exactly those of the contract, under their own status.
func TestDocument_Problems(t *testing.T) {
	t.Parallel()
	doc := tree(t)
	const prefix = "https://kubernaut.ai/problems/"
	kinds := map[datastorage.Code]bool{}
	for name, schema := range at(doc, "components", "schemas").(map[string]any) {
		for _, part := range list(at(schema, "allOf")) {
			uri, ok := at(part, "properties", "type", "const").(string)
			if !ok {
				continue
			}
			code := datastorage.Code(strings.TrimPrefix(uri, prefix))
			kinds[code] = true
			if status := at(part, "properties", "status", "const"); status != problems[code] || !strings.HasPrefix(uri, prefix) {
				t.Errorf("%s is %q with status %v, want %q", name, uri, status, problems[code])
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(kinds)), slices.Sorted(maps.Keys(problems)); !slices.Equal(got, want) {
		t.Errorf("problems are %v, want %v", got, want)
	}
	paths := load(t).Paths
	for path, item := range paths.Map() {
		for method, op := range item.Operations() {
			for status, response := range op.Responses.Map() {
				checkProblem(t, method+" "+path+" "+status, status, response.Value)
			}
		}
	}
}

// checkProblem asserts that an error is a problem whose examples carry the status that they stand under.
func checkProblem(t *testing.T, name, status string, response *openapi3.Response) {
	t.Helper()
	if status < "400" || strings.Contains(name, " /health") && status == "503" {
		return
	}
	media := response.Content["application/problem+json"]
	if media == nil || len(response.Content) != 1 {
		t.Errorf("%s is not a problem document alone", name)
		return
	}
	for key, example := range media.Examples {
		value, _ := json.Marshal(example.Value.Value)
		var problem struct{ Status json.Number }
		if err := json.Unmarshal(value, &problem); err != nil || problem.Status.String() != status {
			t.Errorf("%s: example %s has status %v (%v)", name, key, problem.Status, err)
		}
	}
	if retry := response.Headers["Retry-After"]; (status == "429" || status == "503") && (retry == nil || !retry.Value.Required) {
		t.Errorf("%s does not require Retry-After", name)
	}
}

func list(node any) []any {
	l, _ := node.([]any)
	return l
}

// walk calls visit for every object of the document but those inside examples.
func walk(node any, place []string, visit func(place []string, node map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		visit(place, node)
		for key, child := range node {
			if key != "example" && key != "examples" && key != "default" {
				walk(child, append(slices.Clone(place), key), visit)
			}
		}
	case []any:
		for i, child := range node {
			walk(child, append(slices.Clone(place), strconv.Itoa(i)), visit)
		}
	}
}
