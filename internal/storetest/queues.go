package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// testQueueReports: each replica has one report, its last one, which every handle sees.
func testQueueReports(t *testing.T, s Store) {
	ctx := t.Context()
	other := share(t, s)
	check := func(what string, want ...deadletter.Report) {
		t.Helper()
		for _, handle := range []Store{s, other} {
			got, err := handle.QueueReports(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
	}
	check("at first")
	now := base.Truncate(time.Microsecond)
	first := deadletter.Report{
		Replica: uuid.New(), Host: "é%_'", DataDir: "/data", Depth: 1 << 40, Bytes: 1 << 41, Oldest: now.Add(-time.Hour), Quarantined: 3, UpdatedAt: now,
	}
	second := deadletter.Report{Replica: uuid.New(), Host: "a", DataDir: "/data", Quarantined: 1, UpdatedAt: now}
	for _, r := range []deadletter.Report{first, second} {
		if err := s.PutQueueReport(ctx, &r); err != nil {
			t.Fatal(err)
		}
	}
	check("two", second, first)
	second.Host, second.DataDir, second.Depth, second.Bytes, second.Oldest = "z", "/moved", 7, 4096, now
	second.Quarantined, second.UpdatedAt = 0, now.Add(time.Second)
	if err := other.PutQueueReport(ctx, &second); err != nil {
		t.Fatal(err)
	}
	check("one again", second, first)
	for range 2 {
		if err := other.RemoveQueueReport(ctx, first.Replica); err != nil {
			t.Fatal(err)
		}
		check("one removed", second)
	}
}
