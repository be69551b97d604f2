package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/datastorage-io/datastorage/internal/httpapi"
)

// series returns the value of every series of a server, by name and labels; of a histogram, the number of observations.
func (s *server) series() map[string]float64 {
	s.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			values[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = value(m)
		}
	}
	return values
}

func value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.GetCounter().GetValue()
	case m.Gauge != nil:
		return m.GetGauge().GetValue()
	default:
		return float64(m.GetHistogram().GetSampleCount())
	}
}

func TestServer_Metrics(t *testing.T) {
	s := newServer(t, func(c *configuration) {
		c.PoolStats = func() httpapi.PoolStats {
			return httpapi.PoolStats{Open: 5, InUse: 2, Idle: 3, Max: 7, Wait: 1500 * time.Millisecond}
		}
	})
	id := s.write()["event_id"].(string)
	s.send(http.MethodPost, eventsPath, event("parent_event_id", "019e1780-45d8-7944-916f-c1dbe36a146d"))
	s.send(http.MethodPost, batchPath, []object{event(), event("event_category", "analysis")})
	s.send(http.MethodPost, batchPath, []any{event("version", nil), 1, event("duration_ms", -1)})
	s.send(http.MethodPost, eventsPath, event("event_outcome", "x", "severity", strings.Repeat("x", 21)))
	s.send(http.MethodPost, eventsPath, "{")
	s.send(http.MethodPost, notificationsPath, notification())
	s.send(http.MethodPost, notificationsPath, notification())
	s.get(eventsPath)
	s.get(notificationsPath)
	s.get(correlationsPath + "rr-1")
	s.get(eventsPath + "/" + id)
	s.send(http.MethodGet, eventsPath+"/019e1780-45d8-7944-916f-c1dbe36a146d", nil)
	s.send(http.MethodGet, eventsPath+"?limit=0", nil)
	s.send(http.MethodGet, "/nowhere", nil)
	got := s.series()
	for name, want := range map[string]float64{
		"datastorage_audit_traces_total{service=gateway,status=success}":                2,
		"datastorage_audit_traces_total{service=gateway,status=failure}":                1,
		"datastorage_audit_traces_total{service=analysis,status=success}":               1,
		"datastorage_audit_lag_seconds{service=gateway}":                                2,
		"datastorage_audit_lag_seconds{service=analysis}":                               1,
		"datastorage_write_duration_seconds{table=audit_events}":                        3,
		"datastorage_write_duration_seconds{table=notification_audit}":                  2,
		"datastorage_write_total{status=success,table=audit_events}":                    2,
		"datastorage_write_total{status=failure,table=audit_events}":                    1,
		"datastorage_write_total{status=success,table=notification_audit}":              1,
		"datastorage_write_total{status=failure,table=notification_audit}":              1,
		"datastorage_validation_failures_total{field=parent_event_id,reason=reference}": 1,
		"datastorage_validation_failures_total{field=version,reason=required}":          1,
		"datastorage_validation_failures_total{field=duration_ms,reason=range}":         1,
		"datastorage_validation_failures_total{field=event_outcome,reason=enum}":        1,
		"datastorage_validation_failures_total{field=severity,reason=length}":           1,
		"datastorage_validation_failures_total{field=body,reason=malformed}":            1,
		"datastorage_validation_failures_total{field=body,reason=format}":               1,
		"datastorage_validation_failures_total{field=limit,reason=range}":               1,
		"datastorage_query_total{operation=list_events,status=success}":                 1,
		"datastorage_query_total{operation=list_notifications,status=success}":          1,
		"datastorage_query_total{operation=get_correlation,status=success}":             1,
		"datastorage_query_total{operation=get_event,status=success}":                   2,
		"datastorage_query_duration_seconds{operation=list_events}":                     1,
		"datastorage_query_duration_seconds{operation=get_event}":                       2,
		"datastorage_db_connections_open{}":                                             5,
		"datastorage_db_connections_in_use{}":                                           2,
		"datastorage_db_connections_idle{}":                                             3,
		"datastorage_db_max_open_connections{}":                                         7,
		"datastorage_db_connection_wait_duration_seconds{}":                             1.5,
		"datastorage_http_requests_total{route=POST /api/v1/audit/events,status=201}":   1,
		"datastorage_http_requests_total{route=POST /api/v1/audit/events,status=400}":   3,
		"datastorage_http_requests_total{route=/,status=404}":                           1,
		"datastorage_http_request_duration_seconds{route=GET /api/v1/audit/events}":     2,
		"datastorage_commit_events{}":                                                   3,
		"datastorage_ledger_size{}":                                                     4,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	broken := newServer(t, withBrokenStore)
	broken.send(http.MethodGet, eventsPath, nil)
	broken.send(http.MethodPost, eventsPath, event())
	got = broken.series()
	for _, name := range []string{
		"datastorage_query_total{operation=list_events,status=failure}", "datastorage_write_total{status=failure,table=audit_events}",
	} {
		if got[name] != 1 {
			t.Errorf("with a broken store, %s is %v", name, got[name])
		}
	}
}

// TestServer_Metrics_Names checks that labels cannot grow with what clients send.
func TestServer_Metrics_Bounded(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"/a", "/b", eventsPath + "/x", eventsPath + "/y", correlationsPath + "x", eventsPath + "?x=1&limit=0", eventsPath + "?y=1&limit=x"} {
		s.send(http.MethodGet, path, nil)
		s.send("BREW", path, nil)
	}
	before := len(s.series())
	for _, body := range []any{`{"x":1e400}`, `{"y":1e400}`, `[1]`, `[1,2]`, []any{event(), 1}, event("event_category", "one"), event("event_category", "two"), event("z", 1)} {
		s.send(http.MethodPost, eventsPath, body)
		s.send(http.MethodPost, batchPath, body)
	}
	middle := len(s.series())
	for _, body := range []any{`{"xx":1e400}`, `{"yy":"\u0000"}`, `[1,2,3]`, []any{event(), event(), 1}, event("event_category", "three"), event("zz", 1)} {
		s.send(http.MethodPost, eventsPath, body)
		s.send(http.MethodPost, batchPath, body)
	}
	for _, path := range []string{"/c", eventsPath + "/z", correlationsPath + "z", eventsPath + "?z=1&limit=0"} {
		s.send(http.MethodGet, path, nil)
	}
	if after := len(s.series()); after != middle {
		t.Errorf("there are %d series, then %d, then %d", before, middle, after)
	}
}

func TestServer_Metrics_Endpoint(t *testing.T) {
	s := newServer(t)
	s.write()
	a := s.send(http.MethodGet, "/metrics", nil)
	if a.status != http.StatusOK || !strings.Contains(string(a.body), `datastorage_audit_traces_total{service="gateway",status="success"} 1`) {
		t.Errorf("%d: %s", a.status, a.body)
	}
	a = s.send(http.MethodGet, "/metrics", nil, "Accept", "application/openmetrics-text; version=1.0.0")
	if a.status != http.StatusOK {
		t.Errorf("OpenMetrics: %d", a.status)
	}
}
