package contracttest

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const (
	eventID = "019e177b-f078-7934-ab60-48404a4f721f"
	receipt = `{"log_index":42,"tree_size":45,"root_hash":"ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs="}`
	created = `{"event_id":"` + eventID + `","event_timestamp":"2026-05-11T14:40:59.000000Z",` +
		`"message":"Audit event created successfully","receipt":` + receipt + `}`
	stored = `{"actor_id":"gateway","actor_type":"service","correlation_id":"rr-8bad34fd18b5-fb652307",` +
		`"event_action":"received","event_category":"gateway","event_data":{"a":{"b":[1]}},"event_date":"2026-05-11",` +
		`"event_id":"` + eventID + `","event_outcome":"success","event_timestamp":"2026-05-11T14:40:59.000000Z",` +
		`"event_type":"gateway.signal.received","is_sensitive":false,"log_index":42,"resource_id":"w",` +
		`"resource_type":"Deployment","retention_days":2555,"severity":"critical","version":"1.0"}`
	eventBody = `{"actor_id":"gateway","actor_type":"service","correlation_id":"rr-8bad34fd18b5-fb652307",` +
		`"event_action":"received","event_category":"custom","event_data":{},` +
		`"event_id":"` + eventID + `","event_outcome":"success","event_timestamp":"2026-05-11T14:40:59.000000Z",` +
		`"event_type":"gateway.signal.received","is_sensitive":false,"resource_id":"w",` +
		`"resource_type":"Deployment","retention_days":2555,"severity":"critical","version":"1.0"}`
)

// answer is a hand-made response. Its id stands in X-Request-ID; headers are alternately names and values.
type answer struct {
	status  int
	headers []string
	body    string
}

func (a answer) response() *http.Response {
	resp := &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body))}
	resp.Header.Set("X-Request-ID", "r1")
	resp.Header.Set("Content-Type", "application/json")
	if a.status >= 400 {
		resp.Header.Set("Content-Type", "application/problem+json")
	}
	for i := 0; i < len(a.headers); i += 2 {
		if a.headers[i+1] == "" {
			resp.Header.Del(a.headers[i])
		} else {
			resp.Header.Set(a.headers[i], a.headers[i+1])
		}
	}
	return resp
}

func problem(status int, kind, title, instance, more string) string {
	return fmt.Sprintf(`{"type":"https://kubernaut.ai/problems/%s","title":"%s","status":%d,"detail":"d","instance":"%s","request_id":"r1"%s}`,
		kind, title, status, instance, more)
}

func compress(text string) string {
	var b strings.Builder
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text) // a strings.Builder takes everything
	_ = w.Close()
	return b.String()
}

func TestRecorder_Verify(t *testing.T) {
	t.Parallel()
	const (
		events   = "POST /api/v1/audit/events"
		one      = "GET /api/v1/audit/events/" + eventID
		deleting = "DELETE /api/v1/audit/events"
	)
	invalid := problem(400, "validation-error", "Validation Error", "/api/v1/audit/events", `,"field_errors":{"version":"version is required"}`)
	down := problem(503, "service-unavailable", "Service Unavailable", "/api/v1/audit/events", `,"retry":true`)
	conflict := problem(409, "conflict", "Resource Conflict", "/api/v1/audit/events",
		`,"resource":"audit_event","field":"event_id","value":"`+eventID+`","field_errors":{"event_id":"event_id is taken"}`)
	unknown := problem(404, "not-found", "Not Found", "/nowhere", "")
	notAllowed := problem(405, "method-not-allowed", "Method Not Allowed", "/api/v1/audit/events", "")
	salt := []string{"X-Ledger-Salt", "ypeBEsobvcr6wjGzmiPcTQ=="}
	with := func(old, replacement, body string) string { return strings.Replace(body, old, replacement, 1) }

	for _, c := range []struct {
		name, request string
		answer        answer
		want          string // part of the fault, "" when there is none
	}{
		{"created", events, answer{201, nil, created}, ""},
		{"charset", events, answer{201, []string{"Content-Type", "application/json; charset=utf-8"}, created}, ""},
		{"one event", one, answer{200, nil, stored}, ""},
		{"one event, HEAD", "HEAD /api/v1/audit/events/" + eventID, answer{200, nil, ""}, ""},
		{"body with a configured category", one + "/body", answer{200, salt, eventBody}, ""},
		{"invalid", events, answer{400, nil, invalid}, ""},
		{"store down", events, answer{503, []string{"Retry-After", "1"}, down}, ""},
		{"unhealthy", "GET /health", answer{503, []string{"Content-Type", "application/json"}, `{"status":"unhealthy","database":"unreachable"}`}, ""},
		{"metrics", "GET /metrics", answer{200, []string{"Content-Type", "text/plain; version=0.0.4"}, "x 1\n"}, ""},
		{"escaped id", "GET /api/v1/audit/correlations/a%2Fb", answer{404, nil, problem(404, "not-found", "Not Found", "/api/v1/audit/correlations/a%2Fb", "")}, ""},
		{"compressed", events, answer{201, []string{"Content-Encoding", "gzip"}, compress(created)}, ""},
		{"conflict", events, answer{409, nil, conflict}, ""},
		{"unknown path", "GET /nowhere", answer{404, nil, unknown}, ""},
		{"wrong method", deleting, answer{405, []string{"Allow", "GET, HEAD, POST"}, notAllowed}, ""},
		{"fault before the route is known", "GET /nowhere", answer{500, nil, problem(500, "internal-error", "Internal Server Error", "/nowhere", "")}, ""},
		{"preflight", "OPTIONS /api/v1/audit/events", answer{204, nil, ""}, ""},
		{"OPTIONS without CORS", "OPTIONS /api/v1/audit/events", answer{405, []string{"Allow", "GET, HEAD, POST"}, notAllowed}, ""},
		{"an id where the path has a constant", "GET /api/v1/audit/events/batch", answer{404, nil, problem(404, "not-found", "Not Found", "/api/v1/audit/events/batch", "")}, ""},

		{"undocumented status", events, answer{204, nil, created}, "status 204 is not documented"},
		{"200 for 201", events, answer{200, nil, created}, "status 200 is not documented"},
		{"no request id", events, answer{201, []string{"X-Request-ID", ""}, created}, "header X-Request-ID is missing"},
		{"long request id", events, answer{201, []string{"X-Request-ID", strings.Repeat("x", 129)}, created}, "header X-Request-ID \"xxx"},
		{"no salt", one + "/body", answer{200, nil, eventBody}, "header X-Ledger-Salt is missing"},
		{"salt in URL alphabet", one + "/body", answer{200, []string{"X-Ledger-Salt", "ypeBEsobvcr6wjGzmiPc-Q=="}, eventBody}, "header X-Ledger-Salt \"ype"},
		{"no Retry-After", events, answer{503, nil, down}, "header Retry-After is missing"},
		{"Retry-After as a date", events, answer{503, []string{"Retry-After", "Mon, 11 May 2026 14:40:59 GMT"}, down}, "got string, want integer"},
		{"Retry-After of 0", events, answer{503, []string{"Retry-After", "0"}, down}, "minimum"},
		{"no Allow", deleting, answer{405, nil, notAllowed}, "header Allow is missing"},
		{"Allow without POST", deleting, answer{405, []string{"Allow", "GET, HEAD"}, notAllowed}, "does not name POST"},
		{"error as plain JSON", events, answer{400, []string{"Content-Type", "application/json"}, invalid}, `"application/json" is not documented for status 400`},
		{"no content type", events, answer{201, []string{"Content-Type", ""}, created}, "header Content-Type"},
		{"unknown encoding", events, answer{201, []string{"Content-Encoding", "br"}, created}, "cannot be checked"},
		{"gzip in name only", events, answer{201, []string{"Content-Encoding", "gzip"}, created}, "not gzip"},
		{"no body", events, answer{201, nil, ""}, "the body is not JSON"},
		{"duplicate member", events, answer{201, nil, with(`{`, `{"message":"x",`, created)}, "the body is not JSON"},
		{"invalid UTF-8", events, answer{201, nil, with("successfully", "\xff", created)}, "the body is not JSON"},
		{"two values", events, answer{201, nil, created + "{}"}, "bytes follow the value"},
		{"missing member", events, answer{201, nil, with(`,"receipt":`+receipt, "", created)}, "missing property 'receipt'"},
		{"undocumented member", events, answer{201, nil, with(`{`, `{"extra":1,`, created)}, "at /extra: the member is not documented"},
		{"undocumented member, nested", events, answer{201, nil, with(`{"log`, `{"extra":1,"log`, created)}, "at /receipt/extra: the member is not documented"},
		{"undocumented member, combined", one, answer{200, nil, with(`{`, `{"extra":1,`, stored)}, "at /extra: the member is not documented"},
		{"column in the body", one + "/body", answer{200, salt, with(`{`, `{"log_index":1,`, eventBody)}, "at /log_index: the member is not documented"},
		{"wrong message", events, answer{201, nil, with("successfully", "", created)}, "value must be 'Audit event created successfully'"},
		{"not a UUID", events, answer{201, nil, with(eventID, "42", created)}, "uuid"},
		{"not a time", events, answer{201, nil, with("T14", "T25", created)}, "date-time"},
		{"local time", events, answer{201, nil, with("00Z", "00+02:00", created)}, "does not match pattern"},
		{"milliseconds", one, answer{200, nil, with(".000000Z", ".000Z", stored)}, "does not match pattern"},
		{"null for absent", one, answer{200, nil, with(`{`, `{"namespace":null,`, stored)}, "got null, want string"},
		{"unknown outcome", one, answer{200, nil, with(`"success"`, `"partial"`, stored)}, "value must be one of"},
		{"status in the problem", events, answer{400, nil, with("400", "422", invalid)}, "at /status: value must be 400"},
		{"kind of the problem", events, answer{400, nil, with("validation-error", "bad-request", invalid)}, "at /type: value must be"},
		{"another request's id", events, answer{400, nil, with("r1", "r2", invalid)}, `request_id is "r2"`},
		{"another path", events, answer{400, nil, with("/api/v1/audit/events", "/", invalid)}, `instance is "/"`},
		{"retry missing", events, answer{503, []string{"Retry-After", "1"}, with(`,"retry":true`, "", down)}, "'retry'"},
		{"unhealthy as a problem", "GET /health", answer{503, nil, down}, "is not documented for status 503"},
		{"unknown path, success", "GET /nowhere", answer{200, nil, "{}"}, "this is a 404"},
		{"unknown path as 405", "GET /nowhere", answer{405, []string{"Allow", "GET"}, notAllowed}, "this is a 404"},
		{"unknown path as text", "GET /nowhere", answer{404, []string{"Content-Type", "text/plain"}, "404"}, "is not documented for status 404"},
		{"wrong method as 404", deleting, answer{404, nil, unknown}, "so this is a 405"},
		{"redirect", "GET /api/v1/audit/events/", answer{301, nil, ""}, "this is a 404"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			method, target, _ := strings.Cut(c.request, " ")
			err := New(t).Verify(httptest.NewRequest(method, target, nil), c.answer.response(), []byte(c.answer.body))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("a right answer was refused: %v", err)
			case c.want != "" && err == nil:
				t.Errorf("a wrong answer was accepted, want a fault with %q", c.want)
			case c.want != "" && !strings.Contains(err.Error(), c.want):
				t.Errorf("fault is %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestRecorder_Verify_RequestID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sent string
		ok   bool
	}{
		{"r1", true},
		{"", true},
		{"other", false},
		{strings.Repeat("x", 128), false},
		{strings.Repeat("x", 129), true}, // too long to be taken over
		{"caf\u00e9", true},
	} {
		req := httptest.NewRequest(http.MethodPost, "/api/v1/audit/events", nil)
		req.Header.Set("X-Request-ID", c.sent)
		err := New(t).Verify(req, answer{201, nil, created}.response(), []byte(created))
		if (err == nil) != c.ok {
			t.Errorf("request sent id %q, answer has r1: %v", c.sent, err)
		}
	}
}

func TestRecorder_Verify_ReportsEveryFault(t *testing.T) {
	t.Parallel()
	a := answer{503, []string{"X-Request-ID", ""}, "{}"}
	err := New(t).Verify(httptest.NewRequest(http.MethodPost, "/api/v1/audit/events", nil), a.response(), []byte(a.body))
	for _, want := range []string{"X-Request-ID is missing", "Retry-After is missing", "'detail'"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("faults are %v, want %q among them", err, want)
		}
	}
}

// TestRecorder_Verify_NamesTheFaultAlone asserts that a fault inside an object does not make its neighbours look wrong.
func TestRecorder_Verify_NamesTheFaultAlone(t *testing.T) {
	t.Parallel()
	page := `{"data":[` + strings.Replace(stored, `"success"`, `"partial"`, 1) + `],"pagination":{"limit":50,"has_more":false}}`
	a := answer{200, nil, page}
	err := New(t).Verify(httptest.NewRequest(http.MethodGet, "/api/v1/audit/events", nil), a.response(), []byte(a.body))
	const want = "at /data/0/event_outcome: value must be one of 'success', 'failure', 'pending'"
	if err == nil || err.Error() != want {
		t.Errorf("fault is %v, want %s", err, want)
	}
}

func TestRecorder_Unseen(t *testing.T) {
	t.Parallel()
	r := New(t)
	before := r.Unseen()
	req := httptest.NewRequest(http.MethodPost, "/api/v1/audit/events", nil)
	if err := r.Verify(req, answer{202, nil, created}.response(), []byte(created)); err == nil {
		t.Error("202 was accepted")
	}
	r.Check(t, req, answer{201, nil, created}.response(), []byte(created))
	after := r.Unseen()
	if len(after) != len(before)-1 {
		t.Errorf("%d answers were not seen before and %d after one right answer", len(before), len(after))
	}
	const name = "POST /api/v1/audit/events 201"
	if !strings.Contains(strings.Join(before, "\n"), name) || strings.Contains(strings.Join(after, "\n"), name) {
		t.Errorf("%q is not noted as seen", name)
	}
}
