package bench

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
)

func mustEvents(t testing.TB, options EventOptions) *Events {
	t.Helper()
	if options.PerCorrelation == 0 {
		options.PerCorrelation = 20
	}
	events, err := NewEvents(options)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestGenerator_EventsAreValidDistinctAndOfTheExactSize(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 30, 45, 123456789, time.FixedZone("", 7200))
	for _, size := range []int{MinEventSize, 1000, 1001, 4096, 60_000} {
		for _, withIDs := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes, ids %t", size, withIDs), func(t *testing.T) {
				g := mustEvents(t, EventOptions{Size: size, WithIDs: withIDs, Seed: 1}).Generator(3)
				seen := map[string]bool{}
				for range 600 {
					body := g.Append(nil, at)
					if len(body) != size {
						t.Fatalf("size = %d, want %d: %s", len(body), size, body)
					}
					if seen[string(body)] {
						t.Fatalf("twice the same event: %s", body)
					}
					seen[string(body)] = true
					checkEvent(t, body, withIDs)
				}
			})
		}
	}
}

// checkEvent looks at one event as the contract does.
func checkEvent(t *testing.T, body []byte, withIDs bool) {
	t.Helper()
	var event map[string]any
	if err := json.Unmarshal(body, &event); err != nil {
		t.Fatalf("not JSON: %v: %s", err, body)
	}
	limits := map[string]int{
		"version": 20, "event_type": 100, "event_category": 100, "event_action": 50, "event_outcome": 10, "correlation_id": 255,
		"actor_type": 50, "actor_id": 255, "resource_type": 100, "resource_id": 255, "namespace": 253, "cluster_name": 255, "severity": 20,
	}
	for field, limit := range limits {
		if s, ok := event[field].(string); !ok || s == "" || len(s) > limit {
			t.Fatalf("%s = %v in %s", field, event[field], body)
		}
	}
	if got := event["event_timestamp"]; got != "2026-07-01T10:30:45.123456Z" {
		t.Fatalf("event_timestamp = %v", got)
	}
	if d, ok := event["duration_ms"].(float64); !ok || d < 10_000 || d > 99_999 {
		t.Fatalf("duration_ms = %v", event["duration_ms"])
	}
	if data, ok := event["event_data"].(map[string]any); !ok || data["remediation_request"] != event["correlation_id"] {
		t.Fatalf("event_data = %v", event["event_data"])
	}
	id, _ := event["event_id"].(string)
	if !withIDs && id != "" {
		t.Fatalf("event_id = %q without being asked for", id)
	}
	if withIDs {
		if parsed, err := uuid.Parse(id); err != nil || parsed.Version() != 7 || parsed.Variant() != uuid.RFC4122 {
			t.Fatalf("event_id = %q is not a UUIDv7", id)
		}
	}
}

func TestGenerator_Correlations(t *testing.T) {
	count := func(options EventOptions) map[string]int {
		events, counts := mustEvents(t, options), map[string]int{}
		for stream := range 4 {
			g := events.Generator(stream)
			for range 100 {
				g.Append(nil, time.Now())
				counts[string(g.CorrelationID())]++
			}
		}
		return counts
	}
	spread := count(EventOptions{Size: 1000, Seed: 1, PerCorrelation: 20})
	if len(spread) != 20 {
		t.Errorf("400 events lie on %d correlations, want 20", len(spread))
	}
	for id, n := range spread {
		if n != 20 {
			t.Errorf("%s has %d events, want 20", id, n)
		}
	}
	if hot := count(EventOptions{Size: 1000, Seed: 1, HotCorrelation: true}); len(hot) != 1 {
		t.Errorf("hot events lie on %d correlations, want 1", len(hot))
	}
}

func TestGenerator_SeedDecidesTheContent(t *testing.T) {
	at := time.Now()
	first := func(seed uint64) string {
		return string(mustEvents(t, EventOptions{Size: 1000, Seed: seed}).Generator(0).Append(nil, at))
	}
	if first(1) != first(1) {
		t.Error("one seed makes two contents")
	}
	if first(1) == first(2) {
		t.Error("two seeds make one content")
	}
}

func TestGenerator_ContentDoesNotCompressAway(t *testing.T) {
	g := mustEvents(t, EventOptions{Size: 1000, Seed: 1}).Generator(0)
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	const events = 200
	for range events {
		if _, err := w.Write(g.Append(nil, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if perEvent := out.Len() / events; perEvent < 150 {
		t.Errorf("an event of 1000 bytes compresses to %d among its like", perEvent)
	}
}

func TestGenerator_AppendDoesNotAllocate(t *testing.T) {
	g := mustEvents(t, EventOptions{Size: 1000, WithIDs: true, Seed: 1}).Generator(0)
	dst := make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() { dst = g.appendMicros(dst[:0], 1_780_000_000_000_000) }); n != 0 {
		t.Errorf("Append allocates %v times", n)
	}
}

func TestNewEvents_Refuses(t *testing.T) {
	for _, options := range []EventOptions{
		{Size: MinEventSize - 1, PerCorrelation: 1},
		{Size: MaxEventSize + 1, PerCorrelation: 1},
		{Size: 1000},
	} {
		if _, err := NewEvents(options); err == nil {
			t.Errorf("NewEvents(%+v) is accepted", options)
		}
	}
}

func BenchmarkGenerator(b *testing.B) {
	g := mustEvents(b, EventOptions{Size: 1000, WithIDs: true, Seed: 1}).Generator(0)
	dst := make([]byte, 0, 1000)
	b.ReportAllocs()
	for b.Loop() {
		dst = g.Append(dst[:0], time.Now())
	}
}
