package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project/correlations"
)

// Correlations lists remediations. Errors are *datastorage.Error.
type Correlations interface {
	Correlations(ctx context.Context, q correlations.Query) (correlations.Page, error)
}

// correlationFilters are the parameters that a cursor of correlations is bound to.
var correlationFilters = []string{"event_type", "namespace", "outcome", "since", "until"}

// correlationRow is a correlation in the list.
type correlationRow struct {
	ID            string           `json:"correlation_id"`
	FirstEventAt  time.Time        `json:"first_event_at"`
	LastEventAt   time.Time        `json:"last_event_at"`
	DurationMS    int64            `json:"duration_ms"`
	EventCount    int64            `json:"event_count"`
	Outcomes      map[string]int64 `json:"outcomes"`
	FirstLogIndex int64            `json:"first_log_index"`
	LastLogIndex  int64            `json:"last_log_index"`
}

func newCorrelationRow(c *correlations.Correlation) correlationRow {
	return correlationRow{
		ID: c.ID, FirstEventAt: c.FirstTime, LastEventAt: c.LastTime, DurationMS: c.LastTime.Sub(c.FirstTime).Milliseconds(),
		EventCount:    c.Successes + c.Failures + c.Pending,
		Outcomes:      map[string]int64{"success": c.Successes, "failure": c.Failures, "pending": c.Pending},
		FirstLogIndex: c.FirstIndex, LastLogIndex: c.LastIndex,
	}
}

func (s *Server) listCorrelations(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	q, g := s.correlationQuery(p)
	if err := p.err(); err != nil {
		return nil, err
	}
	defer s.metrics.query("list_correlations", s.cfg.Now(), &err)
	page, err := s.cfg.Correlations.Correlations(c.Context(), q)
	if err != nil {
		return nil, err
	}
	next := ""
	rows := make([]correlationRow, len(page.Correlations))
	for i := range rows {
		rows[i] = newCorrelationRow(&page.Correlations[i])
	}
	if page.HasMore {
		last := &page.Correlations[len(rows)-1]
		next = s.cursors().encode(cursorCorrelations, p.filterHash(correlationFilters), cursor{
			since: q.Since, until: q.Until, time: last.LastTime, key: last.ID,
		})
	}
	res, err := encode(http.StatusOK, rows)
	if err != nil {
		return nil, err
	}
	b := append([]byte(`{"data":`), res.body...)
	b = append(b, `,"pagination":`...)
	b = appendPagination(b, g, page.Total, page.TotalIsLowerBound, page.HasMore, next)
	return &response{status: http.StatusOK, body: append(b, '}')}, nil
}

func (s *Server) correlationQuery(p *params) (correlations.Query, paging) {
	q := correlations.Query{
		Outcome: p.enum("outcome", datastorage.Outcomes...), Namespace: p.text("namespace"), EventType: p.text("event_type"),
	}
	if prefix, ok := strings.CutSuffix(q.EventType, "*"); ok {
		q.EventType, q.EventTypePrefix = prefix, prefix != ""
	}
	g := p.paging(s.cursors(), cursorCorrelations, correlationFilters)
	q.Since, q.Until = p.span(s.cfg.Now(), g.cursor)
	q.Limit, q.Offset, q.Count = g.limit, g.offset, g.count
	if g.cursor != nil {
		q.After = &correlations.Position{LastTime: g.cursor.time, ID: g.cursor.key}
	}
	return q, g
}
