package sqlite

import (
	"database/sql/driver"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/eventsql"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// plan returns what SQLite does for a statement, a step a line.
func plan(t *testing.T, s *Store, st eventsql.Statement) string {
	t.Helper()
	var b strings.Builder
	err := use(t.Context(), s.readers, func(c *conn) error {
		return c.Query(t.Context(), "EXPLAIN QUERY PLAN "+st.SQL, st.Args, func(row []driver.Value) error {
			b.WriteString(sqlitedb.Text(row[3]) + "\n")
			return nil
		})
	})
	if err != nil {
		t.Fatalf("%s: %v", st.SQL, err)
	}
	return b.String()
}

func TestPlan(t *testing.T) {
	s := openAt(t, t.TempDir())
	now := time.Now()
	after := &datastorage.Position{Time: now, ID: uuid.New()}
	page := func(q datastorage.EventQuery) eventsql.Statement {
		q.Limit = 50
		return eventsql.Page(eventsql.SQLite, &q)
	}
	count := func(q datastorage.EventQuery) eventsql.Statement { return eventsql.Count(eventsql.SQLite, &q) }
	const (
		sort        = "TEMP B-TREE"
		correlation = "USING INDEX events_by_correlation (correlation_first=?"
		byTime      = "USING INDEX events_by_time"
		byType      = "USING INDEX events_by_type (event_type=?"
	)
	for _, c := range []struct {
		name      string
		statement eventsql.Statement
		want      string
	}{
		{"by correlation", page(datastorage.EventQuery{CorrelationID: "c"}), correlation + ")"},
		{"by correlation, upwards", page(datastorage.EventQuery{CorrelationID: "c", Ascending: true}), correlation + ")"},
		{"by correlation, other filters", page(datastorage.EventQuery{CorrelationID: "c", EventType: "t", Outcome: "success"}), correlation + ")"},
		{
			"by correlation, resumed", page(datastorage.EventQuery{CorrelationID: "c", After: after, Size: 9}),
			correlation + " AND (event_timestamp,event_id)<(?,?))",
		},
		{"newest", page(datastorage.EventQuery{}), "SCAN events " + byTime},
		{"newest, a rare filter", page(datastorage.EventQuery{Namespace: "n"}), "SCAN events " + byTime},
		{"newest, resumed", page(datastorage.EventQuery{After: after}), byTime + " ((event_timestamp,event_id)<(?,?))"},
		{
			"newest, resumed in a time range", page(datastorage.EventQuery{After: after, Since: now, Until: now}),
			byTime + " (event_timestamp>? AND (event_timestamp,event_id)<(?,?))",
		},
		{
			"oldest, resumed in a time range", page(datastorage.EventQuery{After: after, Since: now, Until: now, Ascending: true}),
			byTime + " ((event_timestamp,event_id)>(?,?) AND event_timestamp<?)",
		},
		{"in a time range", page(datastorage.EventQuery{Since: now, Until: now}), byTime + " (event_timestamp>? AND event_timestamp<?)"},
		{"by type", page(datastorage.EventQuery{EventType: "t"}), byType + ")"},
		{"by type, resumed", page(datastorage.EventQuery{EventType: "t", After: after}), byType + " AND (event_timestamp,event_id)<(?,?))"},
		{"by type in a time range", page(datastorage.EventQuery{EventType: "t", Since: now}), byType + " AND event_timestamp>?)"},
		{"count by correlation", count(datastorage.EventQuery{CorrelationID: "c"}), "USING COVERING INDEX events_by_correlation (correlation_first=?)"},
		{"count by type", count(datastorage.EventQuery{EventType: "t"}), "USING COVERING INDEX events_by_type (event_type=?)"},
		{"count by prefix", count(datastorage.EventQuery{EventType: "t", EventTypePrefix: true}), "USING COVERING INDEX events_by_type (event_type>? AND event_type<?)"},
		{"count all", count(datastorage.EventQuery{}), "USING COVERING INDEX events_by_time"},
		{"count in a time range", count(datastorage.EventQuery{Since: now}), "USING COVERING INDEX events_by_time (event_timestamp>?)"},
		{"headers of a correlation", eventsql.Correlation(eventsql.SQLite, &datastorage.EventQuery{CorrelationID: "c"}), correlation + ")"},
		{"the end of the log", eventsql.Statement{SQL: selectHead}, "SCAN ledger_commits"},
		{"the version of the catalogue", eventsql.Statement{SQL: selectCatalogVersion}, "SEARCH catalog_changes"},
		{
			"changes of the catalogue", eventsql.Statement{SQL: selectChanges, Args: []any{int64(7), int64(10)}},
			"SEARCH catalog_changes USING INTEGER PRIMARY KEY (rowid>?)",
		},
		{"one event", eventsql.Statement{SQL: selectEvent, Args: []any{[]byte("id")}}, "SEARCH i USING PRIMARY KEY (event_id=?)"},
		{
			"notifications", eventsql.Notifications(eventsql.SQLite, &datastorage.NotificationQuery{Limit: 1}),
			"USING INDEX notifications_by_time",
		},
		{
			"notifications of a remediation", eventsql.Notifications(eventsql.SQLite, &datastorage.NotificationQuery{Limit: 1, RemediationID: "r"}),
			"USING INDEX notifications_by_remediation (remediation_id=?)",
		},
	} {
		got := plan(t, s, c.statement)
		if !strings.Contains(got, c.want) || strings.Contains(got, sort) {
			t.Errorf("%s: want %q and no sort, got\n%s", c.name, c.want, got)
		}
	}
}

// TestPlan_Prefix sorts, since the types of a prefix follow one another in the index, but it reads only the index for
// that, keeps no more than a page, and then reads its rows.
func TestPlan_Prefix(t *testing.T) {
	s := openAt(t, t.TempDir())
	got := plan(t, s, eventsql.Page(eventsql.SQLite, &datastorage.EventQuery{EventType: "t", EventTypePrefix: true, Limit: 50}))
	for _, want := range []string{
		"USING COVERING INDEX events_by_type (event_type>? AND event_type<?)", "SEARCH events USING INTEGER PRIMARY KEY (rowid=?)",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q, got\n%s", want, got)
		}
	}
}
