package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
)

// A request whose body is there takes more than its bytes, so that many small ones cannot fill the memory.
func TestServer_readBody_Cost(t *testing.T) {
	s := &Server{metrics: newMetrics(prometheus.NewRegistry(), func() PoolStats { return PoolStats{} })}
	s.budget.limit = requestCost + 8<<10
	read := func() (*call, error) {
		c := &call{Request: httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{}")), w: httptest.NewRecorder()}
		_, err := s.readBody(c, 100)
		return c, err
	}
	first, err := read()
	if err != nil || first.taken < requestCost {
		t.Fatalf("%d bytes are taken, %v", first.taken, err)
	}
	second, err := read()
	if datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("beside the first: %v", err)
	}
	s.budget.giveBack(second)
	s.budget.giveBack(first)
	if used := s.budget.used.Load(); used != 0 {
		t.Errorf("%d bytes are still taken", used)
	}
}

func TestBudget(t *testing.T) {
	b := &budget{limit: 100}
	first, second := &call{}, &call{}
	if err := b.take(first, 60); err != nil {
		t.Fatal(err)
	}
	if err := b.take(second, 60); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("beyond the limit: %v", err)
	}
	if err := b.take(second, 40); err != nil {
		t.Errorf("up to the limit: %v", err)
	}
	b.giveBack(first)
	b.giveBack(first)
	if used := b.used.Load(); used != 40 {
		t.Errorf("%d bytes are taken, want 40", used)
	}
	b.giveBack(second)
	if err := b.take(first, 500); err != nil {
		t.Errorf("one call alone: %v", err)
	}
}
