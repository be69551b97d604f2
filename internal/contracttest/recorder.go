// Package contracttest ties HTTP tests to the contract in package api: it compares every answer of a server, and the
// list of its routes, with the OpenAPI document. Only tests import it.
package contracttest

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// Recorder checks answers against the contract and remembers which documented answers it has seen. Its methods may be
// called from several goroutines at once.
type Recorder struct {
	doc *document

	mu   sync.Mutex
	seen map[string]bool
}

// New returns a recorder over the embedded document. It stops the test when the document does not load.
func New(t testing.TB) *Recorder {
	t.Helper()
	doc, err := load()
	if err != nil {
		t.Fatalf("the contract does not load: %v", err)
	}
	return &Recorder{doc: doc, seen: map[string]bool{}}
}

// Check marks the test as failed, with one message that lists every fault, unless the answer is one that the contract
// documents for req. body is the whole body of resp, which itself is not read. A HEAD request is checked as a GET
// without its body.
func (r *Recorder) Check(t testing.TB, req *http.Request, resp *http.Response, body []byte) {
	t.Helper()
	if err := r.Verify(req, resp, body); err != nil {
		t.Errorf("%s %s answered %d against the contract:\n%v\n%s",
			req.Method, req.URL.RequestURI(), resp.StatusCode, err, excerpt(body))
	}
}

// Verify is Check with the faults as an error.
func (r *Recorder) Verify(req *http.Request, resp *http.Response, body []byte) error {
	op, err := r.doc.verify(req, resp, body)
	if op != nil && err == nil {
		r.mu.Lock()
		r.seen[op.answer(resp.StatusCode)] = true
		r.mu.Unlock()
	}
	return err
}

// Unseen returns the documented answers, such as "POST /api/v1/audit/events 409", that no checked request has had so
// far, sorted. Answers that were wrong count as not seen.
func (r *Recorder) Unseen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var unseen []string
	for _, op := range r.doc.operations {
		for status := range op.responses {
			if name := op.answer(status); !r.seen[name] {
				unseen = append(unseen, name)
			}
		}
	}
	slices.Sort(unseen)
	return unseen
}

func (op *operation) answer(status int) string {
	return op.method + " " + op.path + " " + strconv.Itoa(status)
}

// excerpt returns what a failure message shows of a body.
func excerpt(body []byte) string {
	const limit = 2000
	if len(body) > limit {
		return string(body[:limit]) + "…"
	}
	return string(body)
}
