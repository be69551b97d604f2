package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// benchServer is what "datastorage bench" needs of a server that takes every event.
func benchServer(t *testing.T, status int) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/audit/events", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"event_id":"01980000-0000-7000-8000-000000000000","event_timestamp":"2026-01-01T00:00:00Z","message":"Audit event created successfully"}`)
	})
	mux.HandleFunc("POST /api/v1/audit/events/batch", func(w http.ResponseWriter, r *http.Request) {
		var events []json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		ids := make([]string, len(events))
		for i := range ids {
			ids[i] = "01980000-0000-7000-8000-000000000000"
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"event_ids": ids, "message": "audit events created successfully"})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// runBench runs the command and returns what it printed and its exit code.
func runBench(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, diagnostics bytes.Buffer
	err := run(t.Context(), append([]string{"bench"}, args...), nil, strings.NewReader(""), &out, &diagnostics)
	code = reportError(&diagnostics, err)
	return out.String(), diagnostics.String(), code
}

func TestBench_Table(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := runBench(t, "--url", benchServer(t, 201), "--requests", "50", "--warmup", "0", "--clients", "2")
	if code != exitOK || stderr != "" {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	for _, want := range []string{"single", "requests/s", "p99", "PostgreSQL CPU per event"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
}

func TestBench_JSON(t *testing.T) {
	t.Parallel()
	url := benchServer(t, 201)
	stdout, stderr, code := runBench(t, "--url", url, "--scenario", "single,batch", "--requests", "40", "--warmup", "0", "--clients", "2", "--json")
	if code != exitOK || stderr != "" {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	var got struct {
		URL     string
		Results []struct {
			Scenario         string
			Clients          int
			Batch            int
			Requests, Events int
			P99              float64        `json:"p99_us"`
			Errors           map[string]int `json:"errors"`
			PostgresCPU      *float64       `json:"postgres_cpu_us_per_event"`
		}
	}
	decoder := json.NewDecoder(strings.NewReader(stdout))
	if err := decoder.Decode(&got); err != nil || decoder.More() {
		t.Fatalf("not one JSON object: %v\n%s", err, stdout)
	}
	if got.URL != url || len(got.Results) != 2 {
		t.Fatalf("got %+v", got)
	}
	for i, want := range []struct {
		scenario      string
		batch, events int
	}{{"single", 1, 40}, {"batch", 100, 4000}} {
		r := got.Results[i]
		if r.Scenario != want.scenario || r.Batch != want.batch || r.Requests != 40 || r.Events != want.events || r.Clients != 2 ||
			r.P99 <= 0 || r.Errors == nil || r.PostgresCPU != nil {
			t.Errorf("result %d = %+v, want %+v", i, r, want)
		}
	}
}

func TestBench_FailsAboveMaxErrors(t *testing.T) {
	t.Parallel()
	args := []string{"--url", benchServer(t, 503), "--requests", "4", "--warmup", "0", "--clients", "2"}
	stdout, stderr, code := runBench(t, args...)
	if code != exitFault || !strings.Contains(stderr, "100.00 % of the requests of single failed") || !strings.Contains(stdout, "4 × 503") {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
	if _, stderr, code = runBench(t, append(args, "--max-errors", "1")...); code != exitOK {
		t.Errorf("exit code %d with --max-errors 1, stderr %q", code, stderr)
	}
}

func TestBench_RefusesNonsense(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"scenario must be one of single, batch":  {"--scenario", "write"},
		"event-size must be between":             {"--event-size", "10"},
		"batch must be 1 in the single scenario": {"--scenario", "single", "--batch", "5"},
		"is not of the form http://host:port":    {"--url", "localhost:8080"},
		"--max-errors must be between 0 and 1":   {"--max-errors", "2"},
		"takes no argument":                      {"http://127.0.0.1:8080"},
	} {
		stdout, stderr, code := runBench(t, args...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("bench %q: exit code %d, stdout %q, stderr %q; want %d and %q", args, code, stdout, stderr, exitUsage, want)
		}
	}
}

func TestBench_NothingListens(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	server.Close()
	stdout, stderr, code := runBench(t, "--url", server.URL)
	if code != exitFault || stdout != "" || !strings.Contains(stderr, "nothing answers at "+server.URL) {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}
