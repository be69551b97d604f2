package httpapi

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/outcome"
)

const (
	// totalsTimeout is how long a workflow waits for what is computed from its executions, and totalsPause how long they are
	// not asked for after they could not be read: the catalogue answers at once, also while the store is away.
	totalsTimeout = 250 * time.Millisecond
	totalsPause   = 5 * time.Second
)

// totalsBreaker knows when the executions of workflows may be read again.
type totalsBreaker struct {
	mu    sync.Mutex
	until time.Time
}

func (b *totalsBreaker) isOpen(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Before(b.until)
}

func (b *totalsBreaker) open(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = until
}

// workflowTotals counts the executions of workflows; nil when that is not known now.
func (s *Server) workflowTotals(c *call, items ...catalog.Item) map[string]outcome.Tally {
	if len(items) == 0 || s.totals.isOpen(s.cfg.Now()) {
		return nil
	}
	ids := make([]string, len(items))
	for i := range items {
		ids[i] = items[i].Workflow.ID.String()
	}
	ctx, cancel := context.WithTimeout(c.Context(), totalsTimeout)
	defer cancel()
	var err error
	defer s.metrics.query("workflow_totals", s.cfg.Now(), &err)
	totals, err := s.cfg.Outcomes.Totals(ctx, ids)
	if err != nil {
		if c.Context().Err() == nil {
			s.totals.open(s.cfg.Now().Add(totalsPause))
		}
		return nil
	}
	return totals
}

// appendTotals appends what is computed from the executions of a workflow. A workflow without any has no rate.
func appendTotals(b []byte, t outcome.Tally) []byte {
	b = append(b, `,"total_executions":`...)
	b = strconv.AppendInt(b, t.Total, 10)
	b = append(b, `,"successful_executions":`...)
	b = strconv.AppendInt(b, t.Successful, 10)
	if t.Total > 0 {
		b = append(b, `,"actual_success_rate":`...)
		b = strconv.AppendFloat(b, t.SuccessRate(), 'g', -1, 64)
	}
	return b
}
