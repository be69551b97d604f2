package postgres

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/eventsql"
	"github.com/datastorage-io/datastorage/internal/pgtest"
)

const (
	planMonths    = 6
	planPerMonth  = 2000
	perIncident   = 20
	planPartition = "events_2024_03"
)

// fill stores events over six months from January 2024 through the commit path, 20 with each correlation_id.
func fill(t testing.TB, s *Store, perMonth int) {
	t.Helper()
	types := []string{"gateway.signal.received", "orchestrator.request.created", "workflow.step.done", "execution.completed"}
	for m := range planMonths {
		start := time.Date(2024, time.Month(m+1), 1, 0, 0, 0, 0, time.UTC)
		for at := 0; at < perMonth; at += 1000 {
			var rs []*datastorage.Record
			for i := at; i < min(at+1000, perMonth); i++ {
				r := record(start.Add(time.Duration(i)*20*24*time.Hour/time.Duration(perMonth)), 600)
				r.CorrelationID = fmt.Sprintf("rr-%08x", uint32(m*perMonth+i)/perIncident*2654435761)
				r.Type = types[i%len(types)]
				rs = append(rs, r)
			}
			commit(t, s, rs...)
		}
	}
}

// explain runs a statement and returns its plan with what it did, generic or for its values as the store does it.
func explain(t *testing.T, conn *pgx.Conn, st eventsql.Statement, forValues bool) string {
	t.Helper()
	args := make([]string, len(st.Args))
	for i, a := range st.Args {
		switch a := a.(type) {
		case string:
			args[i] = "'" + strings.ReplaceAll(a, "'", "''") + "'"
		case time.Time:
			args[i] = "'" + a.Format(time.RFC3339Nano) + "'"
		case [16]byte:
			args[i] = "'" + uuid.UUID(a).String() + "'"
		case [][16]byte:
			args[i] = "ARRAY['" + uuid.UUID(a[0]).String() + "'::uuid]"
		default:
			args[i] = fmt.Sprint(a)
		}
	}
	call := ""
	if len(args) > 0 {
		call = "(" + strings.Join(args, ", ") + ")"
	}
	exec(t, conn, "BEGIN; PREPARE explained AS "+st.SQL, pgx.QueryExecModeSimpleProtocol)
	defer exec(t, conn, "DEALLOCATE explained; COMMIT", pgx.QueryExecModeSimpleProtocol)
	if forValues {
		exec(t, conn, planForValues)
	}
	rows, err := conn.Query(t.Context(), "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE explained"+call,
		pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// ran returns the lines of a plan that were executed.
func ran(plan string) string {
	var lines []string
	for line := range strings.Lines(plan) {
		if !strings.Contains(line, "never executed") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

var sortNode = regexp.MustCompile(`(?m)^\s*(->  )?(Incremental )?Sort  ?\(`)

func TestPlans(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	s := openAt(t, url)
	conn := connect(t, url)
	exec(t, conn, querySettings, pgx.QueryExecModeSimpleProtocol)
	// A plan that is made now stays while the tables grow.
	for name, st := range map[string]eventsql.Statement{
		"correlation": eventsql.Correlation(eventsql.PostgreSQL, &datastorage.EventQuery{CorrelationID: "rr-1"}),
		"event":       {SQL: selectEvent, Args: []any{[16]byte{}}},
		"head":        {SQL: selectHead},
		"find":        {SQL: selectIDs, Args: []any{[][16]byte{{1}}}},
		"version":     {SQL: selectCatalogVersion},
		"changes":     {SQL: selectChanges, Args: []any{7, 10}},
	} {
		if plan := explain(t, conn, st, false); strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s reads empty tables as a whole:\n%s", name, plan)
		}
	}
	fill(t, s, planPerMonth)
	exec(t, conn, "SET default_transaction_read_only = off")
	exec(t, conn, "VACUUM ANALYZE events")
	exec(t, conn, "ANALYZE ledger_commits, event_ids")

	march := time.Date(2024, 3, 10, 0, 0, 0, 0, time.UTC)
	correlation := one[string](t, conn, "SELECT correlation_id FROM "+planPartition+" LIMIT 1")
	id := one[[16]byte](t, conn, "SELECT event_id FROM "+planPartition+" LIMIT 1")
	byCorrelation := datastorage.EventQuery{CorrelationID: correlation, Limit: 50}
	recent := datastorage.EventQuery{Limit: 50}
	behind := datastorage.EventQuery{Limit: 50, Size: 9000, After: &datastorage.Position{Time: march, ID: uuid.Max}}
	ofType := datastorage.EventQuery{EventType: "execution.completed", Limit: 50}
	ofPrefix := datastorage.EventQuery{EventType: "o", EventTypePrefix: true, Limit: 50}
	ofCategory := datastorage.EventQuery{Category: "gateway", Outcome: "success", Limit: 50}
	within := datastorage.EventQuery{Since: march, Until: march.AddDate(0, 0, 3), Limit: 50, Ascending: true}

	tests := map[string]struct {
		st        eventsql.Statement
		forValues bool
		index     string // a part of the index that must be used
		only      string // the only partition that may be read; "" when more may
		sorts     int    // a page is sorted once more where it is joined with the size of the log
	}{
		"correlation":      {eventsql.Correlation(eventsql.PostgreSQL, &datastorage.EventQuery{CorrelationID: correlation}), false, "correlation_id_event_timestamp", "", 0},
		"page correlation": {eventsql.Page(eventsql.PostgreSQL, &byCorrelation), planned(&byCorrelation), "correlation_id_event_timestamp", "", 1},
		"first page":       {eventsql.Page(eventsql.PostgreSQL, &recent), planned(&recent), "pkey", "events_2024_06", 1},
		"page by cursor":   {eventsql.Page(eventsql.PostgreSQL, &behind), planned(&behind), "pkey", planPartition, 1},
		"page by type":     {eventsql.Page(eventsql.PostgreSQL, &ofType), planned(&ofType), "event_type_event_timestamp", "events_2024_06", 1},
		"page of a time":   {eventsql.Page(eventsql.PostgreSQL, &within), planned(&within), "pkey", planPartition, 1},
		"count of a time":  {eventsql.Count(eventsql.PostgreSQL, &within), countPlanned(&within), "pkey", planPartition, 0},
		"page by prefix":   {eventsql.Page(eventsql.PostgreSQL, &ofPrefix), planned(&ofPrefix), "pkey", "events_2024_06", 1},
		"page by category": {eventsql.Page(eventsql.PostgreSQL, &ofCategory), planned(&ofCategory), "pkey", "events_2024_06", 1},
		"event":            {eventsql.Statement{SQL: selectEvent, Args: []any{id}}, false, "pkey", planPartition, 0},
		"head":             {eventsql.Statement{SQL: selectHead}, false, "ledger_commits_pkey", "", 0},
	}
	read := regexp.MustCompile(`(?:Scan|Scan Backward) .*on (events_2024_\d\d)`)
	for name, tt := range tests {
		plan := explain(t, conn, tt.st, tt.forValues)
		done := ran(plan)
		if !strings.Contains(done, tt.index) || strings.Contains(done, "Seq Scan on events") {
			t.Errorf("%s does not use the index %s:\n%s", name, tt.index, plan)
		}
		if n := len(sortNode.FindAllString(plan, -1)); n != tt.sorts {
			t.Errorf("%s sorts %d times, want %d:\n%s", name, n, tt.sorts, plan)
		}
		for _, partition := range read.FindAllStringSubmatch(done, -1) {
			if tt.only != "" && partition[1] != tt.only {
				t.Errorf("%s reads %s:\n%s", name, partition[1], plan)
			}
		}
	}
}
