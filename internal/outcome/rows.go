package outcome

import (
	"context"
	"slices"
	"strings"

	"github.com/datastorage-io/datastorage/internal/project"
)

// flags are the bits of the column of that name.
type flags int64

const (
	// severalHomes says that the events that name an execution come from several correlations.
	severalHomes flags = 1 << iota
	// shadowed says that the events that name an execution do not say alone what counts: those are in the shadows.
	shadowed
)

// record is a row of executionsTable or shadowsTable.
type record struct {
	// id is the kind of the row and a name: see executionRow and correlationRow.
	id string
	// link is, of an execution, the correlation whose events name it ("" with severalHomes), and of a shadow the execution
	// that a correlation's events joined.
	link  string
	flags flags
	Outcome
}

// executionRow and correlationRow are the ids of the rows of an execution that has a workflow_execution_id, and of the
// events of a correlation that name none.
func executionRow(executionID string) string     { return "x" + executionID }
func correlationRow(correlationID string) string { return "c" + correlationID }

func scanRecord(r project.Row) *record {
	return &record{id: r.Text(0), link: r.Text(1), flags: flags(r.Int(2)), Outcome: scanOutcome(r, 3)}
}

// scanOutcome reads the columns of an Outcome, the first of which is column first.
func scanOutcome(r project.Row, first int) Outcome {
	return Outcome{
		At: r.Int(first), LogIndex: r.Int(first + 1), Started: r.Int(first + 2), CorrelationID: r.Text(first + 3),
		ExecutionID: r.Text(first + 4), IncidentType: r.Text(first + 5), WorkflowID: r.Text(first + 6),
		WorkflowVersion: r.Text(first + 7), ActionType: r.Text(first + 8), Status: Status(r.Text(first + 9)),
		EventOutcome: r.Text(first + 10), Severity: r.Text(first + 11), Namespace: r.Text(first + 12),
		Cluster: r.Text(first + 13), Environment: r.Text(first + 14), Duration: r.Int(first + 15), Mode: Mode(r.Int(first + 16)),
	}
}

// appendValues appends the columns of a record in the order of outcomeColumns.
func (r *record) appendValues(to []any) []any {
	o := &r.Outcome
	return append(to,
		r.id, r.link, int64(r.flags), o.At, o.LogIndex, o.Started, o.CorrelationID, o.ExecutionID,
		o.IncidentType, o.WorkflowID, o.WorkflowVersion, o.ActionType, string(o.Status), o.EventOutcome, o.Severity,
		o.Namespace, o.Cluster, o.Environment, o.Duration, int64(o.Mode),
	)
}

// load reads the records of a table by id.
func load(ctx context.Context, tx project.Tx, table string, ids []string) (map[string]*record, error) {
	found := make(map[string]*record, len(ids))
	err := project.QueryIn(ctx, tx, "SELECT "+outcomeColumns+" FROM "+table+" WHERE id IN", ids, func(r project.Row) error {
		rec := scanRecord(r)
		found[rec.id] = rec
		return nil
	})
	return found, err
}

// store inserts records or puts them in the place of those with their ids.
func store(ctx context.Context, tx project.Tx, table string, records []*record) error {
	columns := strings.Split(outcomeColumns, ", ")
	rows := make([]any, 0, len(records)*len(columns))
	for _, r := range records {
		rows = r.appendValues(rows)
	}
	var set []string
	for _, column := range columns[1:] {
		set = append(set, column+" = excluded."+column)
	}
	return project.Insert(ctx, tx, "INSERT INTO "+table+" ("+outcomeColumns+")",
		"ON CONFLICT (id) DO UPDATE SET "+strings.Join(set, ", "), len(columns), rows)
}

// removeSize is how many rows one statement deletes; a smaller set repeats its last element.
const removeSize = 8

// remove deletes rows by id.
func remove(ctx context.Context, tx project.Tx, table string, ids []string) error {
	for set := range slices.Chunk(ids, removeSize) {
		args := make([]any, removeSize)
		for i := range args {
			args[i] = set[min(i, len(set)-1)]
		}
		statement := "DELETE FROM " + table + " WHERE id IN (?" + strings.Repeat(", ?", removeSize-1) + ")"
		if _, err := tx.Exec(ctx, statement, args...); err != nil {
			return err
		}
	}
	return nil
}

// store writes the changes of rollups and counts.
func (d *deltas) store(ctx context.Context, tx project.Tx) error {
	var rows []any
	for _, key := range d.sortedRollups() {
		t := d.rollups[key]
		rows = append(rows,
			int64(key.level), key.bucket, key.hash(), key.incidentType, key.workflowID, key.workflowVersion, key.actionType,
			t.Total, t.Successful, t.Failed, t.Selected, t.Chained, t.Escalated,
		)
	}
	err := project.Insert(ctx, tx, "INSERT INTO "+rollupsTable+" (level, bucket, dimensions, incident_type, workflow_id, "+
		"workflow_version, action_type, "+tallyColumns+")",
		"ON CONFLICT (level, bucket, dimensions) DO UPDATE SET "+sums(rollupsTable, tallyColumns), 13, rows)
	if err != nil {
		return err
	}
	rows = nil
	for _, key := range d.sortedCounts() {
		rows = append(rows, key.kind, key.bucket, key.value, d.counts[key])
	}
	return project.Insert(ctx, tx, "INSERT INTO "+countsTable+" (kind, bucket, value, total)",
		"ON CONFLICT (kind, bucket, value) DO UPDATE SET "+sums(countsTable, "total"), 4, rows)
}

// tallyColumns are the columns of a Tally.
const tallyColumns = "total, successful, failed, selected, chained, escalated"

func scanTally(r project.Row, first int) Tally {
	return Tally{r.Int(first), r.Int(first + 1), r.Int(first + 2), r.Int(first + 3), r.Int(first + 4), r.Int(first + 5)}
}

// sums adds what is inserted to what is there.
func sums(table, columns string) string {
	var set []string
	for column := range strings.SplitSeq(columns, ", ") {
		set = append(set, column+" = "+table+"."+column+" + excluded."+column)
	}
	return strings.Join(set, ", ")
}
