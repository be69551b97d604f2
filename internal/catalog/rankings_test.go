package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/catalog"
)

func TestRankings(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	reads, fail := map[string]int{}, false
	r := catalog.NewRankings(func(_ context.Context, incidentType string) ([]catalog.OutcomeRecord, error) {
		reads[incidentType]++
		if fail {
			return nil, errors.New("down")
		}
		return []catalog.OutcomeRecord{{WorkflowID: uuid.New(), Executions: int64(reads[incidentType]) + 4}}, nil
	}, catalog.RankingOptions{MaxShift: 50, MinExecutions: 5, Fresh: time.Second, Types: 2, Now: func() time.Time { return now }})
	check := func(incidentType string, executions int64) {
		t.Helper()
		o, err := r.Outcomes(t.Context(), incidentType)
		if err != nil || len(o.Records) != 1 || o.Records[0].Executions != executions || o.MaxShift != 50 {
			t.Errorf("%s: %+v, %v; want one record of %d", incidentType, o, err, executions)
		}
	}
	check("oom", 5)
	now = now.Add(time.Second - 1)
	check("oom", 5)
	now = now.Add(1)
	check("oom", 6)
	now, fail = now.Add(time.Second), true
	if o, err := r.Outcomes(t.Context(), "oom"); err == nil {
		t.Errorf("what is stale is used although it cannot be read: %+v", o)
	}
	fail = false
	for i := range 10 {
		check(fmt.Sprintf("type %d", i), 5)
	}
	if reads["oom"] != 3 {
		t.Errorf("read %d times, want 3", reads["oom"])
	}
}

// TestRankings_concurrent has one search read for all that wait.
func TestRankings_concurrent(t *testing.T) {
	t.Parallel()
	var reads atomic.Int64
	r := catalog.NewRankings(func(context.Context, string) ([]catalog.OutcomeRecord, error) {
		reads.Add(1)
		return nil, nil
	}, catalog.RankingOptions{Fresh: time.Hour, Types: 10, Now: time.Now})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := r.Outcomes(t.Context(), "oom"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := reads.Load(); n != 1 {
		t.Errorf("read %d times", n)
	}
}
