package contracttest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Transport returns a round tripper that checks every answer that passes through next against the contract; see
// Recorder.Check. It reads each body to its end before it returns the answer, and hands on what it read. An answer whose
// body breaks off is handed on unchecked, with the error at its end.
func Transport(t testing.TB, next http.RoundTripper) http.RoundTripper {
	t.Helper()
	return New(t).Transport(t, next)
}

// Transport is like the function of that name, and remembers what it saw in r.
func (r *Recorder) Transport(t testing.TB, next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		t.Helper()
		resp, err := next.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		closeErr := resp.Body.Close()
		if err != nil {
			resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), brokenBody{err}))
			return resp, nil
		}
		if closeErr != nil {
			t.Errorf("%s %s: closing the body: %v", req.Method, req.URL, closeErr)
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		r.Check(t, req, resp, body)
		return resp, nil
	})
}

// Middleware returns a handler that checks every answer of next against the contract before it passes it on.
func (r *Recorder) Middleware(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		t.Helper()
		recorded := httptest.NewRecorder()
		next.ServeHTTP(recorded, req)
		resp := recorded.Result()
		body := recorded.Body.Bytes()
		r.Check(t, req, resp, body)
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		// A client that went away does not make the answer wrong.
		_, _ = w.Write(body)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// brokenBody ends a body with the error that ended the original.
type brokenBody struct{ err error }

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }
