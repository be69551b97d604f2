package e2e

import (
	"net/url"
	"slices"
	"testing"
)

// correlationPage is the answer of GET /api/v1/audit/correlations.
type correlationPage struct {
	Data       []correlationRow
	Pagination struct{ Total int64 }
}

type correlationRow struct {
	ID     string `json:"correlation_id"`
	Events int64  `json:"event_count"`
}

// What is derived from the log follows it within moments, and is whole again after a kill.
func TestServe_Correlations(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store []string) {
		s := startServer(t, append(store, "--demo")...)
		var list correlationPage
		read := func(filters string) correlationPage {
			list = correlationPage{}
			get(t, s.url+"/api/v1/audit/correlations?"+filters, &list)
			return list
		}
		waitFor(t, func() bool { return read("event_type=gateway.signal.received").Pagination.Total == 8 })
		for n := range 20 {
			post(t, s, event("rr-hello", n))
		}
		hello := func() bool { return read("limit=1").Data[0].ID == "rr-hello" && list.Data[0].Events == 20 }
		waitFor(t, hello)
		s.kill()
		s = startServer(t, store...)
		waitFor(t, hello)
		if read("outcome=failure"); slices.ContainsFunc(list.Data, func(row correlationRow) bool { return row.ID == "rr-hello" }) {
			t.Error("a correlation without a failure is found by outcome=failure")
		}
		if read("event_type=" + url.QueryEscape("e2e.*")); list.Pagination.Total != 1 {
			t.Errorf("%d correlations by a prefix, want 1", list.Pagination.Total)
		}
		if code := s.terminate(t); code != 0 {
			t.Errorf("exit %d after SIGTERM", code)
		}
	})
}
