package outcome

import (
	"strings"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
)

// TestRateQuery_Plan: every part of a rate is found through an index, on its range of time too.
func TestRateQuery_Plan(t *testing.T) {
	t.Parallel()
	s := newStage(t, projecttest.SQLite(t).Projections, 1)
	for _, d := range []Dimensions{
		{}, {IncidentType: "CrashLoop"}, {WorkflowID: "w-1"}, {WorkflowID: "w-1", WorkflowVersion: "1.0"}, {ActionType: "Restart"},
		{IncidentType: "CrashLoop", WorkflowID: "w-1"}, {"CrashLoop", "w-1", "1.0", "Restart"},
	} {
		q := RateQuery{Dimensions: d, Since: begin}
		statement, args := q.statement()
		parts := 0
		for _, line := range explain(t, s, statement, args) {
			switch {
			case strings.HasPrefix(line, "SEARCH p_outcomes_executions") && strings.Contains(line, "at>? AND at<?"):
				parts++
			case strings.HasPrefix(line, "SEARCH p_outcomes_rollups") && strings.Contains(line, "level=? AND bucket>? AND bucket<?"):
				parts++
			case strings.HasPrefix(line, "SEARCH"), strings.HasPrefix(line, "SCAN"):
				t.Errorf("%+v: %s", d, line)
			}
		}
		if parts != 1+len(levels) {
			t.Errorf("%+v: %d parts are found through an index", d, parts)
		}
	}
}

// TestIncidentQuery_Plan: a page is read in the order of an index, whatever the filter.
func TestIncidentQuery_Plan(t *testing.T) {
	t.Parallel()
	s := newStage(t, projecttest.SQLite(t).Projections, 1)
	for _, column := range append([]string{"", "correlation_id"}, filterColumns...) {
		where, args := "", []any{int64(10), int64(0)}
		if column != "" {
			where, args = " AND "+column+" = ?", append([]any{"x"}, args...)
		}
		for _, line := range explain(t, s, latestStatement(where), args) {
			if !strings.HasPrefix(line, "SEARCH") || column != "" && !strings.Contains(line, column+"=? AND at>?") {
				t.Errorf("by %q: %s", column, line)
			}
		}
	}
}

// explain returns what SQLite does to run a statement.
func explain(t *testing.T, s *stage, statement string, args []any) (lines []string) {
	t.Helper()
	err := s.View(t.Context(), Name, func(tx project.Tx, _ int64) error {
		return tx.Query(t.Context(), "EXPLAIN QUERY PLAN "+statement, args, func(row project.Row) error {
			lines = append(lines, row.Text(3))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestRate_LargeSpan: what a rate reads does not grow with the executions in its range.
func TestRate_LargeSpan(t *testing.T) {
	t.Parallel()
	s := newStage(t, projecttest.SQLite(t).Projections, 1)
	var events []project.Event
	for n := range 5000 {
		at := begin.Add(time.Duration(n) * 26 * time.Minute) // 90 days
		o := Outcome{
			LogIndex: int64(n), At: at.UnixMicro(), CorrelationID: "rr-" + at.String(), IncidentType: "CrashLoop", WorkflowID: "w-1",
			Status: Completed, EventOutcome: "success", Duration: noDuration,
		}
		events = append(events, event(&o))
	}
	if err := s.apply(events); err != nil {
		t.Fatal(err)
	}
	q := RateQuery{Dimensions: Dimensions{IncidentType: "CrashLoop"}, Since: begin}
	statement, args := q.statement()
	rows := 0
	err := s.View(t.Context(), Name, func(tx project.Tx, _ int64) error {
		return tx.Query(t.Context(), statement, args, func(project.Row) error {
			rows++
			return nil
		})
	})
	if err != nil || rows > 30 {
		t.Errorf("a rate of one workflow reads %d rows, %v", rows, err)
	}
}
