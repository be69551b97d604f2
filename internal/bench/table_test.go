package bench

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteTable(t *testing.T) {
	cpu, memory := 21.456, 61.2e6
	results := []Result{
		{
			Scenario: "single", Clients: 64, Requests: 123456, Events: 123456, RequestsPerSecond: 12345.6, EventsPerSecond: 12345.6,
			P50Micros: 4321, P95Micros: 9876.5, P99Micros: 12345.6, MaxMicros: 1_234_567,
			ServerMicrosPerEvent: &cpu, PostgresMicrosPerEvent: &cpu, GeneratorMicrosPerRequest: &cpu, ServerMemory: &memory,
		},
		{
			Scenario: "batch", Clients: 8, Requests: 10, Events: 1000, RequestsPerSecond: 1, EventsPerSecond: 100,
			P50Micros: 321.4, P95Micros: 999.6, P99Micros: 1e3, MaxMicros: 999_600,
			Errors: map[string]uint64{"503": 1200, "closed": 3}, Example: "status 503: full",
		},
	}
	want := `
╭────────────────────────────────┬─────────┬─────────────────────────╮
│ scenario                       │  single │                   batch │
├────────────────────────────────┼─────────┼─────────────────────────┤
│ clients                        │      64 │                       8 │
│ events in a request            │       1 │                     100 │
│ requests                       │ 123 456 │                      10 │
│ requests/s                     │  12 346 │                       1 │
│ events/s                       │  12 346 │                     100 │
│ p50                            │ 4.32 ms │                  321 µs │
│ p95                            │ 9.88 ms │                 1.00 ms │
│ p99                            │ 12.3 ms │                 1.00 ms │
│ max                            │  1.23 s │                  1.00 s │
│ errors                         │       0 │ 1 200 × 503, 3 × closed │
│ server CPU per event           │ 21.5 µs │                       – │
│ PostgreSQL CPU per event       │ 21.5 µs │                       – │
│ load generator CPU per request │ 21.5 µs │                       – │
│ server memory, largest         │ 61.2 MB │                       – │
╰────────────────────────────────┴─────────┴─────────────────────────╯
first error of batch: status 503: full
`
	var b strings.Builder
	if err := WriteTable(&b, results); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), b.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestCount(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7.4: "7", 999.5: "1 000", 1e6: "1 000 000", -1234: "-1 234", -0.2: "0"} {
		if got := Count(v); got != want {
			t.Errorf("Count(%v) = %q, want %q", v, got, want)
		}
	}
}
