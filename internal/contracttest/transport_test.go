package contracttest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// fakeTB notes failures instead of failing.
type fakeTB struct {
	testing.TB
	failures []string
}

func (f *fakeTB) Helper()                           {}
func (f *fakeTB) Error(args ...any)                 { f.failures = append(f.failures, fmt.Sprint(args...)) }
func (f *fakeTB) Errorf(format string, args ...any) { f.Error(fmt.Sprintf(format, args...)) }

// answering returns a round tripper that gives the same answer to every request.
func answering(a answer) http.RoundTripper {
	return roundTripper(func(*http.Request) (*http.Response, error) { return a.response(), nil })
}

func post(t *testing.T) *http.Request {
	t.Helper()
	return httptest.NewRequest(http.MethodPost, "/api/v1/audit/events", strings.NewReader("{}"))
}

func TestTransport_HandsOnTheAnswer(t *testing.T) {
	t.Parallel()
	tb := &fakeTB{TB: t}
	resp, err := Transport(tb, answering(answer{201, nil, created})).RoundTrip(post(t))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != created || resp.StatusCode != 201 {
		t.Errorf("answer is %d %s, %v", resp.StatusCode, body, err)
	}
	if len(tb.failures) != 0 {
		t.Errorf("a right answer failed the test: %v", tb.failures)
	}
}

func TestTransport_FailsTheTest(t *testing.T) {
	t.Parallel()
	tb := &fakeTB{TB: t}
	resp, err := Transport(tb, answering(answer{202, nil, created})).RoundTrip(post(t))
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != created {
		t.Errorf("body is %s", body)
	}
	if len(tb.failures) != 1 || !strings.Contains(tb.failures[0], "POST /api/v1/audit/events answered 202") {
		t.Errorf("failures are %q, want one that names the request", tb.failures)
	}
}

func TestTransport_PassesErrorsOn(t *testing.T) {
	t.Parallel()
	refused := errors.New("connection refused")
	tb := &fakeTB{TB: t}
	failing := roundTripper(func(*http.Request) (*http.Response, error) { return nil, refused })
	if _, err := Transport(tb, failing).RoundTrip(post(t)); !errors.Is(err, refused) {
		t.Errorf("error is %v, want %v", err, refused)
	}
	torn := roundTripper(func(*http.Request) (*http.Response, error) {
		resp := answer{201, nil, ""}.response()
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"event`), brokenBody{io.ErrUnexpectedEOF}))
		return resp, nil
	})
	resp, err := Transport(tb, torn).RoundTrip(post(t))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if string(body) != `{"event` || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("torn body is %q with %v", body, err)
	}
	if len(tb.failures) != 0 {
		t.Errorf("failures are %q, want none", tb.failures)
	}
}

func TestMiddleware_ChecksAndPassesOn(t *testing.T) {
	t.Parallel()
	for _, status := range []int{201, 202} {
		tb := &fakeTB{TB: t}
		handler := New(t).Middleware(tb, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Request-ID", "r1")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, created)
		}))
		got := httptest.NewRecorder()
		handler.ServeHTTP(got, post(t))
		if got.Code != status || got.Body.String() != created || got.Header().Get("X-Request-ID") != "r1" {
			t.Errorf("answer is %d %v %s", got.Code, got.Header(), got.Body)
		}
		if failed := len(tb.failures) > 0; failed != (status == 202) {
			t.Errorf("status %d: failures are %q", status, tb.failures)
		}
	}
}

func TestDocument_RouteFaults(t *testing.T) {
	t.Parallel()
	d := &document{operations: []*operation{
		{method: "POST", path: "/events"}, {method: "GET", path: "/events/{event_id}"}, {method: "GET", path: "/health"},
	}}
	all := []string{"POST /events", "GET /events/{id}", "GET /health"}
	for _, c := range []struct {
		name   string
		routes []string
		want   string
	}{
		{"all", all, ""},
		{"one missing", all[1:], "operation POST /events of the contract has no route"},
		{"one too many", append([]string{"DELETE /events/{id}"}, all...), "route DELETE /events/{id} is not in the contract"},
		{"twice", append([]string{"GET /health"}, all...), "route GET /health is listed twice"},
	} {
		if got := strings.Join(d.routeFaults(c.routes), "\n"); got != c.want {
			t.Errorf("%s: failures are %q, want %q", c.name, got, c.want)
		}
	}
}
