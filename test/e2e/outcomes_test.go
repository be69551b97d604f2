package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// outcomeEvent is an event that tells what has become of an execution.
func outcomeEvent(n int, outcome string) string {
	return fmt.Sprintf(`{"version":"1.0","event_type":"workflow.execution.ended","event_timestamp":%q,"event_category":"execution","event_action":"ended",`+
		`"event_outcome":%q,"correlation_id":"rr-%d","namespace":"shop","event_data":{"incident_type":"CrashLoop","workflow_id":"w-1","workflow_execution_id":"we-%d"}}`,
		time.Now().UTC().Format(time.RFC3339Nano), outcome, n, n)
}

// TestOutcomes follows executions from their events to every answer that counts them, over a restart, on both stores.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	const rate = "/api/v1/success-rate/incident-type?incident_type=CrashLoop&citations=true"
	eachStore(t, func(t *testing.T, args []string) {
		s := startServer(t, args...)
		c := newCaller(t, s)
		last := 0.0
		for n, outcome := range []string{"success", "failure", "pending", "success"} {
			receipt := c.send(http.StatusCreated, http.MethodPost, "/api/v1/audit/events", outcomeEvent(n, outcome))["receipt"]
			last = receipt.(map[string]any)["log_index"].(float64)
		}
		// An answer says whether it holds an event.
		counted := func(c caller) (got map[string]any) {
			t.Helper()
			waitFor(t, func() bool {
				if status, _, err := do(http.MethodGet, c.url+rate, nil); err != nil || status != http.StatusOK {
					return false
				}
				got = c.send(http.StatusOK, http.MethodGet, rate, "")
				return got["log_size"].(float64) > last
			})
			return got
		}
		got := counted(c)
		if got["total_executions"] != 4.0 || got["successful_executions"] != 2.0 || got["failed_executions"] != 1.0 || len(got["citations"].([]any)) != 4 {
			t.Errorf("the rate is %v", got)
		}
		for _, path := range []string{
			"/success-rate/workflow?workflow_id=w-1&time_range=24h", "/success-rate/multi-dimensional?incident_type=CrashLoop&workflow_id=w-1",
			"/incidents?namespace=shop&limit=2", "/incidents/rr-1", "/incidents/aggregate/success-rate?workflow_id=w-1", "/incidents/aggregate/by-namespace",
			"/incidents/aggregate/by-severity", "/incidents/aggregate/trend?period=90d",
		} {
			c.send(http.StatusOK, http.MethodGet, "/api/v1"+path, "")
		}
		if code := s.terminate(t); code != 0 {
			t.Errorf("the server exits with %d", code)
		}

		// An execution comes to another end.
		c = newCaller(t, startServer(t, args...))
		receipt := c.send(http.StatusCreated, http.MethodPost, "/api/v1/audit/events", outcomeEvent(2, "success"))["receipt"]
		last = receipt.(map[string]any)["log_index"].(float64)
		got = counted(c)
		if got["total_executions"] != 4.0 || got["successful_executions"] != 3.0 || got["citations"].([]any)[0] != last {
			t.Errorf("after a restart the rate is %v", got)
		}
	})
}
