package eventsql

import (
	"strings"
	"unicode/utf8"

	"github.com/datastorage-io/datastorage"
)

// logSize is the size of the log in the snapshot of the statement; NULL in an empty log.
const logSize = `(SELECT next_index FROM ledger_commits ORDER BY first_index DESC LIMIT 1)`

// Page returns the statement that reads one page of events and, in the same snapshot, the size of the log. Its columns
// are size, log_index, event_id, event_timestamp, body; it returns up to Limit+1 rows. An empty page is one row in which
// all columns but size are NULL, and in an empty log size is NULL too.
//
// On PostgreSQL the rows come in the order of the query. SQLite, which would sort once more for that, promises no order;
// but it finds all rows before it returns the first one, so that the driver, which can only interrupt the first step,
// can interrupt the search.
func Page(d Dialect, q *datastorage.EventQuery) Statement {
	b := newBuilder(d)
	if d == SQLite {
		b.write("WITH page AS MATERIALIZED (")
		b.sqlitePage(q)
		b.write(") SELECT head.size, page.log_index, page.event_id, page.event_timestamp, page.body FROM (SELECT ", logSize,
			" AS size) AS head LEFT JOIN page ON true")
		return b.statement()
	}
	b.write("SELECT head.size, page.log_index, page.event_id, page.event_timestamp, page.body FROM (SELECT ", logSize,
		" AS size) AS head LEFT JOIN (SELECT log_index, event_id, event_timestamp, body")
	b.page(q)
	b.write(") AS page ON true")
	b.order("page.event_timestamp", "page.event_id", q.Ascending)
	return b.statement()
}

// sqlitePage selects the rows of a page. A prefix matches several runs of the index, so its matches are sorted: by what
// the index holds, and only those of the page are then read from the table.
func (b *builder) sqlitePage(q *datastorage.EventQuery) {
	if !q.EventTypePrefix || indexFor(q) != "events_by_type" {
		b.write("SELECT log_index, event_id, event_timestamp, body")
		b.page(q)
		return
	}
	b.write("SELECT hit.log_index, hit.event_id, hit.event_timestamp, events.body " +
		"FROM (SELECT log_index, event_id, event_timestamp")
	b.page(q)
	b.write(") AS hit CROSS JOIN events ON events.log_index = hit.log_index")
}

func (b *builder) page(q *datastorage.EventQuery) {
	b.from(q)
	b.filters(q)
	if q.After != nil {
		b.behind("event_timestamp", "event_id", q.Ascending, q.After.Time, b.dialect.ID(q.After.ID))
	}
	b.order("event_timestamp", "event_id", q.Ascending)
	b.limit(q.Limit, q.Offset)
}

// Count returns the statement that counts the matches of a query in one row with one column. It disregards Limit,
// Offset and After. Unless the query asks for an exact count it stops at CountBound+1. To count in the
// snapshot of a page that was read before, set Size to the size of that page.
func Count(d Dialect, q *datastorage.EventQuery) Statement {
	b := newBuilder(d)
	all := *q
	all.After = nil
	if all.Count == datastorage.CountExact {
		b.write("SELECT count(*)")
		b.from(&all)
		b.filters(&all)
		return b.statement()
	}
	b.write("SELECT count(*) FROM (SELECT 1")
	b.from(&all)
	b.filters(&all)
	b.write(" LIMIT ")
	b.bind(int64(datastorage.CountBound) + 1)
	b.write(") AS matches")
	return b.statement()
}

// Total returns the total of a page when the page itself tells it, and whether it does: no count is needed then.
func Total(q *datastorage.EventQuery, page *datastorage.EventPage) (total int64, known bool) {
	if q.After != nil || page.HasMore || len(page.Events) == 0 && q.Offset > 0 {
		return 0, false
	}
	return q.Offset + int64(len(page.Events)), true
}

// Bound turns what Count or CountNotifications counted into a total, and says whether more match.
func Bound(mode datastorage.CountMode, counted int64) (total int64, lowerBound bool) {
	if mode != datastorage.CountExact && counted > datastorage.CountBound {
		return datastorage.CountBound, true
	}
	return counted, false
}

// HeaderColumns are the columns that Correlation selects, in the order of the fields of EventHeader.
const HeaderColumns = `log_index, event_id, parent_event_id, event_timestamp, event_type, event_category, event_outcome, ` +
	`severity, actor_type, actor_id, resource_type, resource_id, namespace, cluster_name, correlation_id`

// Correlation returns the statement that reads the headers of all events that match the CorrelationID, the time bounds and
// the Size of a query, oldest first. Its columns are HeaderColumns; parent_event_id, namespace and cluster_name may be
// NULL.
func Correlation(d Dialect, q *datastorage.EventQuery) Statement {
	b := newBuilder(d)
	b.write("SELECT ", HeaderColumns)
	b.from(q)
	b.correlation(q.CorrelationID)
	b.times(q)
	if q.Size > 0 {
		b.compare("log_index < ", q.Size)
	}
	b.order("event_timestamp", "event_id", true)
	return b.statement()
}

// from names the table. SQLite keeps no statistics here, so it is told the index; the same filters always take the same
// way.
func (b *builder) from(q *datastorage.EventQuery) {
	b.write(" FROM events")
	if b.dialect == SQLite {
		b.write(" INDEXED BY ", indexFor(q))
	}
}

// indexFor returns the index of the SQLite store that serves a query: the most selective filter that has one.
func indexFor(q *datastorage.EventQuery) string {
	switch {
	case q.CorrelationID != "":
		return "events_by_correlation"
	case q.EventType != "":
		return "events_by_type"
	default:
		return "events_by_time"
	}
}

// filters adds every condition of the query but its position.
func (b *builder) filters(q *datastorage.EventQuery) {
	if q.CorrelationID != "" {
		b.correlation(q.CorrelationID)
	}
	if q.EventTypePrefix && q.EventType != "" {
		b.compare("event_type >= ", q.EventType)
		b.compare("event_type < ", successor(q.EventType))
	} else {
		b.equal("event_type", q.EventType)
	}
	b.equal("event_category", q.Category)
	b.equal("event_outcome", q.Outcome)
	b.equal("severity", q.Severity)
	b.equal("namespace", q.Namespace)
	b.equal("cluster_name", q.ClusterName)
	b.equal("actor_id", q.ActorID)
	b.equal("actor_type", q.ActorType)
	b.equal("resource_type", q.ResourceType)
	b.equal("resource_id", q.ResourceID)
	b.equal("trace_id", q.TraceID)
	if q.ParentID != [16]byte{} {
		b.compare("parent_event_id = ", b.dialect.ID(q.ParentID))
	}
	b.times(q)
	if q.Size > 0 {
		b.compare("log_index < ", q.Size)
	}
	if len(q.DetailPath) > 0 {
		b.detail(q.DetailPath, q.DetailValue)
	}
}

// correlation adds the condition that an event has a correlation_id. SQLite's index holds the log_index at which the
// correlation begins in place of the text.
func (b *builder) correlation(id string) {
	if b.dialect == SQLite {
		b.compare("correlation_first = (SELECT first_index FROM correlations WHERE correlation_id = ", id)
		b.write(")")
		return
	}
	b.compare("correlation_id = ", id)
}

// times bounds event_timestamp. A walk that resumes is bounded on one side by its position; SQLite would otherwise seek
// by the wider bound and skip all pages before. The unary plus keeps a condition away from the index.
func (b *builder) times(q *datastorage.EventQuery) {
	since, until := "event_timestamp >= ", "event_timestamp <= "
	if b.dialect == SQLite && q.After != nil {
		if q.Ascending {
			since = "+" + since
		} else {
			until = "+" + until
		}
	}
	if !q.Since.IsZero() {
		b.compare(since, b.dialect.Time(q.Since))
	}
	if !q.Until.IsZero() {
		b.compare(until, b.dialect.Time(q.Until))
	}
}

// maxEventType is the longest event_type in characters.
const maxEventType = 100

// successor returns the least string, compared by code points, that is greater than every event_type with the prefix.
func successor(prefix string) string {
	for p := prefix; p != ""; {
		r, n := utf8.DecodeLastRuneInString(p)
		p = p[:len(p)-n]
		switch {
		case r == utf8.MaxRune:
			// The greatest code point has no successor; the one before it has.
			continue
		case r == 0xD7FF:
			// Surrogates are no characters.
			return p + "\uE000"
		default:
			return p + string(r+1)
		}
	}
	return strings.Repeat(string(utf8.MaxRune), maxEventType+1)
}
