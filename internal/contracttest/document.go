package contracttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/datastorage-io/datastorage/api"
)

// document is the contract in the form that checks need. It is read-only once it is loaded.
type document struct {
	// operations are sorted so that, of two paths that match a request, the one with fewer parameters comes first.
	operations []*operation
	// general are the problems that no operation documents, because no operation was found, by status.
	general map[int]*response
}

type operation struct {
	method, path string
	segments     []string // of path, parameters as parameter
	responses    map[int]*response
}

type response struct {
	headers map[string]header
	content map[string]*jsonschema.Schema // by media type, lower case
}

type header struct {
	required bool
	schema   *jsonschema.Schema
}

// generalProblems are the components that answer for a path or method that does not exist.
var generalProblems = map[int]string{
	http.StatusNotFound:            "NotFound",
	http.StatusMethodNotAllowed:    "MethodNotAllowed",
	http.StatusTooManyRequests:     "TooManyRequests",
	http.StatusInternalServerError: "InternalError",
	http.StatusServiceUnavailable:  "ServiceUnavailable",
}

// load reads the embedded document once for all tests of a process.
var load = sync.OnceValues(func() (*document, error) { return parse(api.Document()) })

func parse(raw []byte) (*document, error) {
	spec, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, err
	}
	schemas, err := newCompiler(raw)
	if err != nil {
		return nil, err
	}
	doc := &document{general: map[int]*response{}}
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			parsed, err := newOperation(schemas, method, path, op)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			doc.operations = append(doc.operations, parsed)
		}
	}
	slices.SortFunc(doc.operations, func(a, b *operation) int {
		if d := strings.Count(a.path, "{") - strings.Count(b.path, "{"); d != 0 {
			return d
		}
		return strings.Compare(a.path+a.method, b.path+b.method)
	})
	for status, name := range generalProblems {
		ref := spec.Components.Responses[name]
		if ref == nil {
			return nil, fmt.Errorf("components/responses/%s is missing", name)
		}
		if doc.general[status], err = newResponse(schemas, pointer("components", "responses", name), ref); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

func newOperation(schemas *compiler, method, path string, op *openapi3.Operation) (*operation, error) {
	parsed := &operation{method: method, path: path, segments: segments(path), responses: map[int]*response{}}
	for code, ref := range op.Responses.Map() {
		status, err := strconv.Atoi(code)
		if err != nil {
			return nil, fmt.Errorf("response %q is not a status", code)
		}
		at := pointer("paths", path, strings.ToLower(method), "responses", code)
		if parsed.responses[status], err = newResponse(schemas, at, ref); err != nil {
			return nil, err
		}
	}
	return parsed, nil
}

// newResponse compiles the response that stands at the given place, or at the component that it refers to.
func newResponse(schemas *compiler, at string, ref *openapi3.ResponseRef) (*response, error) {
	if ref.Ref != "" {
		at = ref.Ref
	}
	parsed := &response{headers: map[string]header{}, content: map[string]*jsonschema.Schema{}}
	for name, ref := range ref.Value.Headers {
		place := at + "/headers/" + escape(name)
		if ref.Ref != "" {
			place = ref.Ref
		}
		schema, err := schemas.compile(place + "/schema")
		if err != nil {
			return nil, err
		}
		parsed.headers[name] = header{required: ref.Value.Required, schema: schema}
	}
	for mediaType := range ref.Value.Content {
		schema, err := schemas.compile(at + "/content/" + escape(mediaType) + "/schema")
		if err != nil {
			return nil, err
		}
		parsed.content[strings.ToLower(mediaType)] = schema
	}
	return parsed, nil
}

// pointer returns the JSON pointer to a place in the document, as a URL fragment.
func pointer(tokens ...string) string {
	p := "#"
	for _, token := range tokens {
		p += "/" + escape(token)
	}
	return p
}

// escape writes one token of a JSON pointer as it stands in a URL fragment.
func escape(token string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(token))
}

// parameter stands for any segment of a path.
const parameter = "{}"

// segments splits a path template; what stands in braces becomes parameter.
func segments(path string) []string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}") {
			parts[i] = parameter
		}
	}
	return parts
}

// find returns the operation for a request, nil when there is none, and the methods of the paths that match it, in the
// order of the document.
func (d *document) find(method, path string) (op *operation, methods []string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	parts := strings.Split(path, "/")
	for _, candidate := range d.operations {
		if !matches(candidate.segments, parts) {
			continue
		}
		methods = append(methods, candidate.method)
		if op == nil && candidate.method == method {
			op = candidate
		}
	}
	return op, methods
}

func matches(template, parts []string) bool {
	return slices.EqualFunc(template, parts, func(segment, part string) bool {
		return segment == part || segment == parameter && part != ""
	})
}

// compiler compiles schemas of the document that are closed: what a schema does not name is a fault. It may be used by
// several goroutines at once.
type compiler struct {
	mu       sync.Mutex
	compiler *jsonschema.Compiler
}

// documentURL is the name under which the schema compiler knows the document.
const documentURL = "contract:///openapi.yaml"

func newCompiler(raw []byte) (*compiler, error) {
	tree, err := jsonTree(raw)
	if err != nil {
		return nil, err
	}
	closeDocument(tree)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.AssertContent()
	if err := c.AddResource(documentURL, tree); err != nil {
		return nil, err
	}
	return &compiler{compiler: c}, nil
}

func (c *compiler) compile(pointer string) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compiler.Compile(documentURL + pointer)
}

// jsonTree turns YAML into the values that JSON would give, numbers with their exact text.
func jsonTree(raw []byte) (any, error) {
	var value any
	if err := yaml.Unmarshal(raw, &value); err != nil {
		return nil, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}
