package correlations

import (
	"context"
	"strings"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// Query selects correlations. Every filter that is set must match; the zero value of a filter matches all.
type Query struct {
	// Since and Until bound the last activity, both inclusive, in whole microseconds; zero means no bound.
	Since, Until time.Time
	// Outcome, Namespace and EventType match a correlation that holds an event with that value.
	Outcome, Namespace, EventType string
	// EventTypePrefix makes EventType a prefix.
	EventTypePrefix bool

	// Limit is the page size, 1 to datastorage.MaxLimit.
	Limit int
	// Offset skips that many matches; it is 0 when After is set.
	Offset int64
	// After resumes behind this position of the same walk; nil starts at the beginning.
	After *Position
	Count datastorage.CountMode
}

// Position is a place in the order of correlations.
type Position struct {
	LastTime time.Time
	ID       string
}

// Correlation is what is known of the events of one correlation_id.
type Correlation struct {
	ID                  string
	FirstTime, LastTime time.Time // of its events, UTC
	// FirstIndex and LastIndex are the log_index of the first and of the last of its events that were stored.
	FirstIndex, LastIndex int64
	// Successes, Failures and Pending count its events by outcome.
	Successes, Failures, Pending int64
}

// Page is one page of correlations, last activity first, then by correlation_id, both descending.
type Page struct {
	Correlations []Correlation
	// HasMore says that another match follows.
	HasMore bool
	// Total is the number of matches; meaningless when the query does not count.
	Total int64
	// TotalIsLowerBound says that more than Total match.
	TotalIsLowerBound bool
	// Position is where the log ended that the page is derived from.
	Position int64
}

// List finds correlations. A walk sees each that stays as it is once; one that becomes active moves to the front.
type List struct{ view project.View }

// NewList returns a list on a view of the projection.
func NewList(view project.View) *List { return &List{view} }

// Correlations returns one page. Errors have CodeUnavailable.
func (l *List) Correlations(ctx context.Context, q Query) (page Page, err error) {
	err = l.view.View(ctx, name, func(tx project.Tx, position int64) (err error) {
		page = Page{Position: position}
		return read(ctx, tx, &q, &page)
	})
	if err != nil {
		return Page{}, err
	}
	return page, nil
}

func read(ctx context.Context, tx project.Tx, q *Query, page *Page) error {
	w := newWhere(q)
	if q.Count != datastorage.CountNone {
		if err := count(ctx, tx, q, w, page); err != nil {
			return err
		}
	}
	if q.After != nil {
		at := q.After.LastTime.UnixMicro()
		w.and(`(last_time < ? OR last_time = ? AND correlation_id < ?)`, at, at, q.After.ID)
		w.and(`last_time <= ?`, at)
	}
	text := `SELECT correlation_id, first_time, last_time, first_index, last_index, successes, failures, pending FROM ` +
		w.String() + ` ORDER BY last_time DESC, correlation_id DESC LIMIT ? OFFSET ?`
	err := tx.Query(ctx, text, append(w.args, int64(q.Limit)+1, q.Offset), func(r project.Row) error {
		page.Correlations = append(page.Correlations, Correlation{
			ID: r.Text(0), FirstTime: micros(r.Int(1)), LastTime: micros(r.Int(2)), FirstIndex: r.Int(3), LastIndex: r.Int(4),
			Successes: r.Int(5), Failures: r.Int(6), Pending: r.Int(7),
		})
		return nil
	})
	if len(page.Correlations) > q.Limit {
		page.Correlations, page.HasMore = page.Correlations[:q.Limit], true
	}
	return err
}

func micros(n int64) time.Time { return time.UnixMicro(n).UTC() }

// count fills in the total.
func count(ctx context.Context, tx project.Tx, q *Query, w *where, page *Page) error {
	text, args := `SELECT count(*) FROM `+w.String(), w.args
	if q.Count == datastorage.CountBounded {
		text, args = `SELECT count(*) FROM (SELECT 1 FROM `+w.String()+` LIMIT ?) AS counted`, append(args, int64(datastorage.CountBound)+1)
	}
	err := tx.Query(ctx, text, args, func(r project.Row) error {
		page.Total = r.Int(0)
		return nil
	})
	if q.Count == datastorage.CountBounded && page.Total > datastorage.CountBound {
		page.Total, page.TotalIsLowerBound = datastorage.CountBound, true
	}
	return err
}

// where is the table of a query and its conditions.
type where struct {
	table, text string
	args        []any
}

// String returns the text behind FROM.
func (w *where) String() string { return w.table + w.text }

// and adds a condition.
func (w *where) and(text string, args ...any) {
	if w.text == "" {
		w.text = " WHERE " + text
	} else {
		w.text += " AND " + text
	}
	w.args = append(w.args, args...)
}

// newWhere puts the filters of a query together.
func newWhere(q *Query) *where {
	w := &where{table: `p_correlations_{g} AS c`}
	if q.EventType != "" && q.EventTypePrefix {
		// Between the prefix and what is longer than any event type and begins with it.
		text := mark(markType, q.EventType)
		w.marked(markEnd+text, `mark >= ? AND mark <= ?`, text, text+strings.Repeat("\U0010FFFF", maxEventType))
	} else if q.EventType != "" {
		w.marks(markType, q.EventType)
	}
	if q.Namespace != "" {
		w.marks(markNamespace, q.Namespace)
	}
	if column, ok := outcomeColumns[q.Outcome]; ok {
		w.and(column + ` > 0`)
	}
	if !q.Since.IsZero() {
		w.and(`last_time >= ?`, q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		w.and(`last_time <= ?`, q.Until.UnixMicro())
	}
	return w
}

// outcomeColumns count events by their outcome.
var outcomeColumns = map[string]string{"success": "successes", "failure": "failures", "pending": "pending"}

// maxEventType is the longest event_type in characters; each may be escaped as three.
const maxEventType = 3 * 100

// marks asks for a mark.
func (w *where) marks(kind byte, value string) {
	text := mark(kind, value)
	w.marked(markEnd+text+markEnd, `mark = ?`, text)
}

// marked asks for a text among the marks of a row, or for a mark that has no place in it. Both databases know replace, which
// looks at case.
func (w *where) marked(inline, condition string, args ...any) {
	w.and(`(replace(marks, ?, '') <> marks OR spilled = 1 AND EXISTS (SELECT 1 FROM p_correlations_marks_{g} AS m `+
		`WHERE m.correlation_id = c.correlation_id AND `+condition+`))`, append([]any{inline}, args...)...)
}
