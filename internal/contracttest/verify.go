package contracttest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	requestID   = "X-Request-ID"
	problemType = "application/problem+json"
)

// verify compares an answer with the document. It returns the operation that the request belongs to, nil when there is
// none, and all faults of the answer.
func (d *document) verify(req *http.Request, resp *http.Response, body []byte) (*operation, error) {
	op, methods := d.find(req.Method, req.URL.EscapedPath())
	faults := requestIDFaults(req, resp)
	if op == nil && req.Method == http.MethodOptions && resp.StatusCode/100 == 2 {
		return nil, errors.Join(faults...) // a CORS preflight
	}
	var want *response
	if op != nil {
		want = op.responses[resp.StatusCode]
	} else {
		want = d.problem(resp.StatusCode, methods)
	}
	if want == nil {
		return op, errors.Join(append(faults, undocumented(op, methods, resp.StatusCode))...)
	}
	faults = append(faults, want.headerFaults(resp)...)
	faults = append(faults, want.bodyFaults(req, resp, body)...)
	if op == nil {
		faults = append(faults, allowFaults(resp, methods)...)
	}
	return op, errors.Join(faults...)
}

// problem returns the answer to a request that no operation is for: methods are those that its path has.
func (d *document) problem(status int, methods []string) *response {
	known := len(methods) > 0
	if known && status == http.StatusNotFound || !known && status == http.StatusMethodNotAllowed {
		return nil
	}
	return d.general[status]
}

func undocumented(op *operation, methods []string, status int) error {
	switch {
	case op != nil:
		return fmt.Errorf("status %d is not documented for %s %s", status, op.method, op.path)
	case len(methods) > 0:
		return fmt.Errorf("status %d: the path has only the methods %s, so this is a 405", status, strings.Join(methods, ", "))
	default:
		return fmt.Errorf("status %d: the path is not documented, so this is a 404", status)
	}
}

// requestIDFaults checks that the answer has a request id, and that it is the client's where that is acceptable.
func requestIDFaults(req *http.Request, resp *http.Response) []error {
	got := resp.Header.Get(requestID)
	if got == "" {
		return []error{fmt.Errorf("header %s is missing", requestID)}
	}
	sent := strings.Trim(req.Header.Get(requestID), " \t")
	printable := !strings.ContainsFunc(sent, func(c rune) bool { return c < ' ' || c > '~' })
	if sent != "" && len(sent) <= 128 && printable && sent != got {
		return []error{fmt.Errorf("header %s is %q, the request sent %q", requestID, got, sent)}
	}
	return nil
}

// headerFaults checks the documented headers but the request id, which has a check of its own.
func (r *response) headerFaults(resp *http.Response) []error {
	var faults []error
	for name, h := range r.headers {
		value := resp.Header.Get(name)
		switch {
		case value != "":
			for _, err := range h.faults(value) {
				faults = append(faults, fmt.Errorf("header %s %q: %w", name, value, err))
			}
		case h.required && http.CanonicalHeaderKey(name) != http.CanonicalHeaderKey(requestID):
			faults = append(faults, fmt.Errorf("header %s is missing", name))
		}
	}
	return faults
}

// faults validates the text of a header, as a number where the document wants one.
func (h header) faults(value string) []error {
	var v any = value
	if h.schema.Types != nil && slices.Contains(h.schema.Types.ToStrings(), "integer") {
		if text := jsontext.Value(value); text.IsValid() && text.Kind() == '0' {
			v = json.Number(value)
		}
	}
	return schemaFaults(h.schema.Validate(v))
}

// allowFaults checks that Allow names every method that the document has for the path.
func allowFaults(resp *http.Response, methods []string) []error {
	if resp.StatusCode != http.StatusMethodNotAllowed {
		return nil
	}
	var allowed []string
	for method := range strings.SplitSeq(strings.Join(resp.Header.Values("Allow"), ","), ",") {
		allowed = append(allowed, strings.TrimSpace(method))
	}
	var faults []error
	for _, method := range methods {
		if !slices.Contains(allowed, method) {
			faults = append(faults, fmt.Errorf("header Allow %q does not name %s", resp.Header.Get("Allow"), method))
		}
	}
	return faults
}

func (r *response) bodyFaults(req *http.Request, resp *http.Response, body []byte) []error {
	body, err := plain(resp, body)
	if err != nil {
		return []error{err}
	}
	mediaType, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return []error{fmt.Errorf("header Content-Type %q: %w", resp.Header.Get("Content-Type"), err)}
	}
	schema := r.content[mediaType]
	if schema == nil {
		return []error{fmt.Errorf("header Content-Type %q is not documented for status %d", mediaType, resp.StatusCode)}
	}
	if req.Method == http.MethodHead {
		return nil
	}
	if !isJSON(mediaType) {
		return schemaFaults(schema.Validate(string(body)))
	}
	value, err := decode(body)
	if err != nil {
		return []error{fmt.Errorf("the body is not JSON: %w", err)}
	}
	faults := schemaFaults(schema.Validate(value))
	if mediaType == problemType {
		faults = append(faults, problemFaults(req, resp, object(value))...)
	}
	return faults
}

// plain returns the body without its Content-Encoding.
func plain(resp *http.Response, body []byte) ([]byte, error) {
	switch encoding := resp.Header.Get("Content-Encoding"); {
	case encoding == "" || encoding == "identity" || len(body) == 0:
		return body, nil
	case encoding != "gzip":
		return nil, fmt.Errorf("the body is encoded as %q and cannot be checked", encoding)
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the body is not gzip: %w", err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("the body is not gzip: %w", err)
	}
	return text, nil
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// decode reads one JSON value, strictly: no duplicate member, no invalid UTF-8, nothing behind it.
func decode(body []byte) (any, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	if _, err := dec.ReadValue(); err != nil {
		return nil, err
	}
	if rest := bytes.TrimSpace(body[dec.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes follow the value", len(rest))
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(body))
}

// problemFaults checks what a problem says about its own request and answer.
func problemFaults(req *http.Request, resp *http.Response, problem map[string]any) []error {
	var faults []error
	if id, ok := problem["request_id"].(string); ok && id != resp.Header.Get(requestID) {
		faults = append(faults, fmt.Errorf("request_id is %q, header %s is %q", id, requestID, resp.Header.Get(requestID)))
	}
	instance, ok := problem["instance"].(string)
	if ok && instance != req.URL.EscapedPath() && instance != req.URL.Path {
		faults = append(faults, fmt.Errorf("instance is %q, the request went to %q", instance, req.URL.EscapedPath()))
	}
	return faults
}
