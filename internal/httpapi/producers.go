package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project/producers"
)

// Producers says which numbered events never arrived. Errors are *datastorage.Error.
type Producers interface {
	Producers(ctx context.Context, q producers.Query) (producers.Page, error)
	Details(ctx context.Context, id string) (producers.Details, error)
}

// producerFilters are the parameters that a cursor of producers is bound to.
var producerFilters = []string{"incomplete"}

// producerRow is a producer on the wire.
type producerRow struct {
	ID            string    `json:"producer_id"`
	LowestSeq     int64     `json:"lowest_seq"`
	HighestSeq    int64     `json:"highest_seq"`
	EventCount    int64     `json:"event_count"`
	MissingCount  int64     `json:"missing_count"`
	GapCount      int64     `json:"gap_count"`
	RepeatedCount int64     `json:"repeated_count"`
	LastEventAt   time.Time `json:"last_event_at"`
	LastLogIndex  int64     `json:"last_log_index"`
}

// producerGaps is what a producer lacks, and what it sent more than once.
type producerGaps struct {
	producerRow
	Gaps              []seqRange  `json:"gaps"`
	GapsTruncated     bool        `json:"gaps_truncated,omitzero"`
	Repeated          []seqRepeat `json:"repeated"`
	RepeatedTruncated bool        `json:"repeated_truncated,omitzero"`
}

type seqRange struct {
	First int64 `json:"first_seq"`
	Last  int64 `json:"last_seq"`
}

type seqRepeat struct {
	Seq      int64 `json:"producer_seq"`
	LogIndex int64 `json:"log_index"`
}

func newProducerRow(p *producers.Producer) producerRow {
	return producerRow{
		ID: p.ID, LowestSeq: p.Lowest, HighestSeq: p.Highest, EventCount: p.Events, MissingCount: p.Missing, GapCount: p.Gaps,
		RepeatedCount: p.Repeats, LastEventAt: p.LastTime, LastLogIndex: p.LastIndex,
	}
}

func (s *Server) listProducers(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	q := producers.Query{Incomplete: p.flag("incomplete")}
	g := p.paging(s.cursors(), cursorProducers, producerFilters)
	if g.offset != 0 {
		p.fault("offset", "is not taken here; use cursor")
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	if q.Limit = g.limit; g.cursor != nil {
		q.After = g.cursor.key
	}
	defer s.metrics.query("list_producers", s.cfg.Now(), &err)
	page, err := s.cfg.Producers.Producers(c.Context(), q)
	if err != nil {
		return nil, err
	}
	rows := make([]producerRow, len(page.Producers))
	for i := range rows {
		rows[i] = newProducerRow(&page.Producers[i])
	}
	next := ""
	if page.HasMore {
		next = s.cursors().encode(cursorProducers, p.filterHash(producerFilters), cursor{key: rows[len(rows)-1].ID})
	}
	res, err := encode(http.StatusOK, rows)
	if err != nil {
		return nil, err
	}
	g.count = datastorage.CountNone
	b := append([]byte(`{"data":`), res.body...)
	b = appendPagination(append(b, `,"pagination":`...), g, 0, false, page.HasMore, next)
	return &response{status: http.StatusOK, body: append(b, '}')}, nil
}

func (s *Server) getProducerGaps(c *call) (*response, error) {
	id := c.PathValue("id")
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return nil, datastorage.Errorf(datastorage.CodeNotFound, "no event has this producer_id")
	}
	var err error
	defer s.metrics.query("get_producer_gaps", s.cfg.Now(), &err)
	d, err := s.cfg.Producers.Details(c.Context(), id)
	if err != nil {
		return nil, err
	}
	out := producerGaps{
		producerRow: newProducerRow(&d.Producer), Gaps: []seqRange{}, Repeated: []seqRepeat{},
		GapsTruncated: d.Gaps > int64(len(d.Ranges)), RepeatedTruncated: d.Repeats > int64(len(d.Repeated)),
	}
	for _, r := range d.Ranges {
		out.Gaps = append(out.Gaps, seqRange(r))
	}
	for _, r := range d.Repeated {
		out.Repeated = append(out.Repeated, seqRepeat(r))
	}
	return encode(http.StatusOK, out)
}
