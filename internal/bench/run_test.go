package bench

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// shortOptions measure n requests of 4 clients against a server.
func shortOptions(url string, scenario Scenario, n int) Options {
	o := DefaultOptions()
	o.URL, o.Scenario, o.Clients, o.Requests, o.Warmup, o.Seed = url, scenario, 4, n, 0, 1
	o.Timeout = 5 * time.Second
	return o
}

func mustRun(t *testing.T, o Options) []Result {
	t.Helper()
	w, err := Prepare(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	results, err := w.Run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestRun_Single(t *testing.T) {
	f := newFakeServer(t, nil)
	r := mustRun(t, shortOptions(f.URL, Single, 400))[0]
	if r.Requests != 400 || r.Events != 400 || len(r.Errors) != 0 || len(f.events) != 400 {
		t.Errorf("%d requests, %d events, errors %v, %d stored; want 400 of each and none", r.Requests, r.Events, r.Errors, len(f.events))
	}
	if f.sizes[1000] != 400 {
		t.Errorf("sizes = %v, want 1000 bytes each", f.sizes)
	}
	if r.P50Micros <= 0 || r.P50Micros > r.P95Micros || r.P95Micros > r.P99Micros || r.P99Micros > r.MaxMicros {
		t.Errorf("p50 %v, p95 %v, p99 %v, max %v", r.P50Micros, r.P95Micros, r.P99Micros, r.MaxMicros)
	}
	for _, e := range f.events {
		if age := time.Since(e.Timestamp); age < 0 || age > time.Minute {
			t.Fatalf("event_timestamp %v is not current", e.Timestamp)
		}
	}
	if r.ServerMemory == nil || *r.ServerMemory != 6.1e7 {
		t.Errorf("server memory = %v, want 6.1e7", r.ServerMemory)
	}
	if r.ServerMicrosPerEvent == nil || *r.ServerMicrosPerEvent < 0 || *r.ServerMicrosPerEvent > 1000 {
		t.Errorf("server CPU per event = %v, want up to 1000 µs", r.ServerMicrosPerEvent)
	}
	if r.PostgresMicrosPerEvent != nil {
		t.Error("PostgreSQL's CPU is reported without a database URL")
	}
}

func TestRun_ByDuration(t *testing.T) {
	f := newFakeServer(t, nil)
	o := shortOptions(f.URL, Single, 0)
	o.Warmup, o.Duration = 20*time.Millisecond, 100*time.Millisecond
	var calls atomic.Int64
	w, err := Prepare(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	results, err := w.Run(t.Context(), func(p Progress) {
		calls.Add(1)
		if p.Total != 120*time.Millisecond || p.Scenario != Single {
			t.Errorf("progress = %+v", p)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	r := results[0]
	if r.Seconds != 0.1 || r.Requests == 0 || int(r.Requests) > len(f.events) {
		t.Errorf("%d requests of %d in %v s, want some in 0.1 s", r.Requests, len(f.events), r.Seconds)
	}
	if want := float64(r.Requests) / 0.1; r.RequestsPerSecond != want {
		t.Errorf("rate = %v, want %v", r.RequestsPerSecond, want)
	}
}

func TestRun_Batch(t *testing.T) {
	f := newFakeServer(t, nil)
	o := shortOptions(f.URL, Batch, 12)
	o.Batch, o.WithIDs, o.HotCorrelation, o.EventSize = 25, true, true, 1200
	r := mustRun(t, o)[0]
	if r.Requests != 12 || r.Events != 300 || len(r.Errors) != 0 {
		t.Errorf("%d requests, %d events, errors %v (%s)", r.Requests, r.Events, r.Errors, r.Example)
	}
	ids, correlations := map[string]bool{}, map[string]bool{}
	for _, e := range f.events {
		ids[e.EventID], correlations[e.CorrelationID] = true, true
	}
	if len(ids) != 300 || len(correlations) != 1 || f.sizes[1200] != 300 {
		t.Errorf("%d ids on %d correlations, sizes %v; want 300 on 1, all of 1200", len(ids), len(correlations), f.sizes)
	}
}

func TestRun_Reads(t *testing.T) {
	f := newFakeServer(t, nil)
	mustRun(t, shortOptions(f.URL, Single, 400))
	t.Run("correlation", func(t *testing.T) {
		r := mustRun(t, shortOptions(f.URL, Correlation, 40))[0]
		if r.Requests != 40 || r.Events != 800 || len(r.Errors) != 0 {
			t.Errorf("%d requests, %d events, errors %v (%s), want 40, 800, none", r.Requests, r.Events, r.Errors, r.Example)
		}
	})
	t.Run("list", func(t *testing.T) {
		o := shortOptions(f.URL, List, 40)
		o.Limit = 10
		r := mustRun(t, o)[0]
		if r.Requests != 40 || r.Events != 400 || len(r.Errors) != 0 {
			t.Errorf("%d requests, %d events, errors %v (%s), want 40, 400, none", r.Requests, r.Events, r.Errors, r.Example)
		}
	})
	t.Run("page", func(t *testing.T) {
		for target, want := range map[int]string{3: "page 3", 8: "page 8", 1000: "page 8"} {
			o := shortOptions(f.URL, Page, 40)
			o.Page = target
			results := mustRun(t, o)
			if len(results) != 2 || results[0].Scenario != "page 1" || results[1].Scenario != want {
				t.Fatalf("results = %+v, want page 1 and %s", results, want)
			}
			for _, r := range results {
				if r.Requests != 20 || r.Events != 1000 || len(r.Errors) != 0 {
					t.Errorf("%s: %d requests, %d events, errors %v (%s)", r.Scenario, r.Requests, r.Events, r.Errors, r.Example)
				}
			}
		}
	})
	t.Run("page, last one not full", func(t *testing.T) {
		o := shortOptions(f.URL, Page, 4)
		o.Limit, o.Page = 150, 1000
		if results := mustRun(t, o); results[1].Scenario != "page 2" {
			t.Errorf("deep page = %s, want page 2", results[1].Scenario)
		}
		o.Limit = 300
		if _, err := Prepare(t.Context(), o); !errors.Is(err, errEmpty) {
			t.Errorf("err = %v, want too few events", err)
		}
	})
}

func TestRun_EmptyServer(t *testing.T) {
	f := newFakeServer(t, nil)
	for _, s := range []Scenario{Correlation, List, Page} {
		if _, err := Prepare(t.Context(), shortOptions(f.URL, s, 10)); !errors.Is(err, errEmpty) {
			t.Errorf("%s: err = %v, want that there is nothing to read", s, err)
		}
	}
}

func TestRun_CountsErrorsByKind(t *testing.T) {
	var n atomic.Int64
	f := newFakeServer(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		switch n.Add(1) % 10 {
		case 3:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 6:
			w.WriteHeader(http.StatusAccepted)
		case 9:
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	})
	o := shortOptions(f.URL, Single, 100)
	o.Clients = 1
	r := mustRun(t, o)[0]
	if r.Requests != 70 || r.Errors["503"] != 10 || r.Errors["202"] != 10 || r.Errors[faultClosed] != 10 || r.ErrorShare != 0.3 {
		t.Errorf("%d requests, errors %v, share %v", r.Requests, r.Errors, r.ErrorShare)
	}
	if !strings.HasPrefix(r.Example, "status 503") {
		t.Errorf("example = %q, want the first error", r.Example)
	}
}

func TestRun_LooksIntoAnswers(t *testing.T) {
	f := newFakeServer(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"event_id":"none"}`))
		return true
	})
	o := shortOptions(f.URL, Single, 40)
	if r := mustRun(t, o)[0]; r.Errors[faultAnswer] != uint64(o.Clients) {
		t.Errorf("errors = %v, want one bad answer from each of %d clients", r.Errors, o.Clients)
	}
}

func TestRun_NothingListens(t *testing.T) {
	f := newFakeServer(t, nil)
	f.Close()
	w, err := Prepare(t.Context(), shortOptions(f.URL, Single, 10))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), f.URL) {
		t.Errorf("err = %v, want one that names %s", err, f.URL)
	}
}

func TestRun_StopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFakeServer(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			// The server only notices that a client left once the body is read.
			_, _ = io.Copy(io.Discard, r.Body)
			cancel()
			<-r.Context().Done()
		}
		return r.Method == http.MethodPost
	})
	o := shortOptions(f.URL, Single, 0)
	o.Duration, o.Timeout = time.Hour, time.Hour
	w, err := Prepare(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Run(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
}

func TestOptions_Validate(t *testing.T) {
	if err := DefaultOptions().Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	o := DefaultOptions()
	o.URL, o.Scenario, o.Clients, o.Batch, o.EventSize, o.Limit, o.Page = "x", "y", 0, 1001, 10, 0, 1
	o.Requests, o.Duration, o.Warmup, o.Timeout = -1, 0, -1, 0
	err := o.Validate()
	if err == nil {
		t.Fatal("nonsense is accepted")
	}
	for _, name := range []string{"url", "scenario", "clients", "batch", "event-size", "limit", "page", "requests", "duration", "warmup", "timeout"} {
		if !strings.Contains(err.Error(), name+" ") {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}
