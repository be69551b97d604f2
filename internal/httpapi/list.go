package httpapi

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

func encodeSalt(salt [datastorage.SaltSize]byte) string {
	return base64.StdEncoding.EncodeToString(salt[:])
}

// params reads query parameters: every parameter at most once, an empty one is absent, and all faults are gathered.
type params struct {
	values url.Values
	faults map[string]string
}

func (c *call) params() (*params, error) {
	values, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return nil, datastorage.Errorf(datastorage.CodeValidation, "the query string is malformed")
	}
	return &params{values: values, faults: map[string]string{}}, nil
}

func (p *params) fault(name, format string, args ...any) {
	if _, ok := p.faults[name]; !ok {
		p.faults[name] = name + " " + fmt.Sprintf(format, args...)
	}
}

func (p *params) text(name string) string {
	v := p.values[name]
	switch {
	case len(v) == 0:
		return ""
	case len(v) > 1:
		p.fault(name, "must be given once")
	case !isText(v[0]):
		p.fault(name, "must be valid UTF-8 without U+0000")
		return ""
	}
	return v[0]
}

// isText reports whether a parameter can stand in a record.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func (p *params) integer(name string, fallback, lo, hi int64) int64 {
	s := p.text(name)
	if s == "" {
		return fallback
	}
	return p.number(name, s, lo, hi)
}

// number reads an integer that was given under a name.
func (p *params) number(name, s string, lo, hi int64) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil && !isDigits(strings.TrimPrefix(s, "-")):
		p.fault(name, "must be an integer")
	case n < lo:
		p.fault(name, "must be at least %d", lo)
	case n > hi:
		p.fault(name, "must be at most %d", hi)
	}
	return n
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func (p *params) enum(name string, allowed ...string) string {
	s := p.text(name)
	if s != "" && !slices.Contains(allowed, s) {
		p.fault(name, "must be one of: %s", strings.Join(allowed, ", "))
	}
	return s
}

func (p *params) id(name string) uuid.UUID {
	s := p.text(name)
	if s == "" {
		return uuid.Nil
	}
	id, err := datastorage.ParseUUID(s)
	if err != nil {
		p.fault(name, "must be a UUID")
	}
	return id
}

// span reads since and until. Both are inclusive, so since is rounded up and until down to whole microseconds. A cursor
// carries the bounds that its walk began with.
func (p *params) span(now time.Time, cur *cursor) (since, until time.Time) {
	if cur != nil {
		return cur.since, cur.until
	}
	read := func(name string) time.Time {
		s := p.text(name)
		if s == "" {
			return time.Time{}
		}
		t, err := datastorage.ParseTime(s, now)
		if err != nil {
			p.faults[name] = name + ": " + err.Error()
		}
		return t
	}
	since, until = read("since"), read("until")
	if !since.IsZero() {
		since = since.Add(time.Microsecond - 1).Truncate(time.Microsecond)
	}
	if !until.IsZero() {
		until = until.Truncate(time.Microsecond)
	}
	if !since.IsZero() && !until.IsZero() && since.After(until) {
		p.fault("since", "must not be after until")
	}
	return since, until
}

// err returns the faults as one error.
func (p *params) err() error {
	if e := datastorage.Invalid(p.faults); e != nil {
		return e
	}
	return nil
}

// paging is what every list takes beside its filters.
type paging struct {
	limit  int
	offset int64
	count  datastorage.CountMode
	cursor *cursor // nil at the beginning
}

// paging reads limit, offset, count and cursor. kind and filters are what the cursor must have been made for.
func (p *params) paging(codec cursorCodec, kind byte, filters []string) paging {
	var g paging
	g.limit = int(p.integer("limit", datastorage.DefaultLimit, 1, datastorage.MaxLimit))
	g.offset = p.integer("offset", 0, 0, 1<<40)
	switch p.enum("count", "exact", "none") {
	case "exact":
		g.count = datastorage.CountExact
	case "none":
		g.count = datastorage.CountNone
	}
	text := p.text("cursor")
	if text == "" {
		return g
	}
	cur, err := codec.decode(text, kind, p.filterHash(filters))
	switch {
	case err != nil:
		p.fault("cursor", "%s", err)
	case g.offset != 0:
		p.fault("offset", "cannot be combined with cursor")
	}
	g.cursor, g.count = cur, datastorage.CountNone
	return g
}

// eventFilters are the parameters that a cursor of events is bound to.
var eventFilters = []string{
	"actor_id", "actor_type", "cluster_name", "correlation_id", "detail_key", "detail_value", "event_category",
	"event_outcome", "event_type", "namespace", "order", "parent_event_id", "resource_id", "resource_type", "severity",
	"since", "trace_id", "until",
}

func (s *Server) listEvents(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	q, g := s.eventQuery(p)
	if err := p.err(); err != nil {
		return nil, err
	}
	defer s.metrics.query("list_events", s.cfg.Now(), &err)
	page, err := s.cfg.Reader.Events(c.Context(), q)
	if err != nil {
		return nil, err
	}
	out := buffers.get()
	b := append(*out, `{"data":[`...)
	for i := range page.Events {
		b = comma(b, i)
		b = datastorage.AppendRow(b, &page.Events[i])
	}
	next := ""
	if page.HasMore {
		last := page.Events[len(page.Events)-1]
		next = s.cursors().encode(cursorEvents, p.filterHash(eventFilters), cursor{
			size: page.Size, since: q.Since, until: q.Until, time: last.Time, id: last.ID,
		})
	}
	b = append(b, `],"pagination":`...)
	b = appendPagination(b, g, page.Total, page.TotalIsLowerBound, page.HasMore, next)
	return &response{status: http.StatusOK, body: append(b, '}'), buffer: out}, nil
}

func (s *Server) cursors() cursorCodec { return cursorCodec{key: s.cfg.CursorKey} }

func (s *Server) eventQuery(p *params) (datastorage.EventQuery, paging) {
	q := p.eventFilters()
	q.Ascending = p.enum("order", "asc", "desc") == "asc"
	g := p.paging(s.cursors(), cursorEvents, eventFilters)
	q.Since, q.Until = p.span(s.cfg.Now(), g.cursor)
	q.Limit, q.Offset, q.Count = g.limit, g.offset, g.count
	if g.cursor != nil {
		q.After = &datastorage.Position{Time: g.cursor.time, ID: g.cursor.id}
		q.Size = g.cursor.size
	}
	return q, g
}

// eventFilters reads what events can be selected by, but for their time.
func (p *params) eventFilters() datastorage.EventQuery {
	q := datastorage.EventQuery{
		CorrelationID: p.text("correlation_id"),
		EventType:     p.text("event_type"),
		Category:      p.text("event_category"),
		Outcome:       p.enum("event_outcome", datastorage.Outcomes...),
		Severity:      p.text("severity"),
		Namespace:     p.text("namespace"),
		ClusterName:   p.text("cluster_name"),
		ActorID:       p.text("actor_id"),
		ActorType:     p.text("actor_type"),
		ResourceType:  p.text("resource_type"),
		ResourceID:    p.text("resource_id"),
		TraceID:       p.text("trace_id"),
		ParentID:      p.id("parent_event_id"),
	}
	if prefix, ok := strings.CutSuffix(q.EventType, "*"); ok {
		q.EventType, q.EventTypePrefix = prefix, prefix != ""
	}
	p.detail(&q)
	return q
}

// detail reads detail_key and detail_value, which go together.
func (p *params) detail(q *datastorage.EventQuery) {
	key, value := p.text("detail_key"), p.text("detail_value")
	_, hasValue := p.values["detail_value"]
	switch {
	case key == "" && value != "":
		p.fault("detail_key", "is required with detail_value")
	case key != "" && !hasValue:
		p.fault("detail_value", "is required with detail_key")
	case key != "":
		q.DetailPath, q.DetailValue = strings.Split(key, "."), value
		if len(q.DetailPath) > datastorage.MaxEventDataDepth {
			p.fault("detail_key", "must name at most %d levels", datastorage.MaxEventDataDepth)
		}
	}
}

func appendPagination(b []byte, g paging, total int64, lowerBound, hasMore bool, next string) []byte {
	b = append(b, `{"limit":`...)
	b = strconv.AppendInt(b, int64(g.limit), 10)
	b = append(b, `,"offset":`...)
	b = strconv.AppendInt(b, g.offset, 10)
	if g.count != datastorage.CountNone {
		b = append(b, `,"total":`...)
		b = strconv.AppendInt(b, total, 10)
		if lowerBound {
			b = append(b, `,"total_is_lower_bound":true`...)
		}
	}
	b = append(b, `,"has_more":`...)
	b = strconv.AppendBool(b, hasMore)
	if next != "" {
		b = append(b, `,"next_cursor":"`...)
		b = append(b, next...)
		b = append(b, '"')
	}
	return append(b, '}')
}
