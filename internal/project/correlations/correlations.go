// Package correlations derives a row for each correlation_id from the log: when it was active, how many events it has, and
// which event types, outcomes and namespaces they name.
package correlations

import (
	"context"
	"maps"
	"slices"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// name is the projection's name.
const name = "correlations"

// Projection implements project.Projection.
type Projection struct{}

// Name implements project.Projection.
func (Projection) Name() string { return name }

// Version implements project.Projection.
func (Projection) Version() int { return 2 }

// Bodies implements project.Projection: headers are enough.
func (Projection) Bodies() project.Bodies { return project.Bodies{} }

// Schema implements project.Projection. Times are microseconds since 1970. A mark says that an event of the correlation
// has a value. The first maxMarks stand in the row, see marks; where there are more, spilled is 1 and the others are
// rows of their own.
func (Projection) Schema() []string {
	return []string{
		`CREATE TABLE p_correlations_{g} (
			correlation_id {text} PRIMARY KEY,
			first_time     bigint NOT NULL,
			last_time      bigint NOT NULL,
			first_index    bigint NOT NULL,
			last_index     bigint NOT NULL,
			successes      bigint NOT NULL,
			failures       bigint NOT NULL,
			pending        bigint NOT NULL,
			marks          {text} NOT NULL,
			spilled        bigint NOT NULL
		) {keyed}`,
		`CREATE INDEX p_correlations_by_time_{g} ON p_correlations_{g} (last_time, correlation_id)`,
		`CREATE TABLE p_correlations_marks_{g} (
			correlation_id {text} NOT NULL,
			mark           {text} NOT NULL,
			PRIMARY KEY (correlation_id, mark)
		) {keyed}`,
	}
}

// Tables implements project.Projection.
func (Projection) Tables() []string {
	return []string{"p_correlations_{g}", "p_correlations_marks_{g}"}
}

// row is what a batch adds to a correlation.
type row struct {
	id                       string
	firstTime, lastTime      int64
	firstIndex, lastIndex    int64
	success, failure, others int64
	marks                    marks
}

// Apply implements project.Projection.
func (Projection) Apply(ctx context.Context, tx project.Tx, events []project.Event) error {
	rows := map[string]*row{}
	for i := range events {
		e := &events[i].EventHeader
		r := rows[e.CorrelationID]
		if r == nil {
			t := e.Time.UnixMicro()
			r = &row{id: e.CorrelationID, firstTime: t, lastTime: t, firstIndex: e.LogIndex}
			rows[e.CorrelationID] = r
		}
		r.add(e)
	}
	ids := slices.Sorted(maps.Keys(rows))
	if err := loadMarks(ctx, tx, ids, rows); err != nil {
		return err
	}
	for i := range events {
		e := &events[i].EventHeader
		m := &rows[e.CorrelationID].marks
		m.add(markType, e.Type)
		if e.Namespace != "" {
			m.add(markNamespace, e.Namespace)
		}
	}
	if err := storeRows(ctx, tx, ids, rows); err != nil {
		return err
	}
	return storeSpilled(ctx, tx, ids, rows)
}

func (r *row) add(e *datastorage.EventHeader) {
	t := e.Time.UnixMicro()
	r.firstTime, r.lastTime, r.lastIndex = min(r.firstTime, t), max(r.lastTime, t), e.LogIndex
	switch e.Outcome {
	case "success":
		r.success++
	case "failure":
		r.failure++
	default:
		r.others++
	}
}

// loadMarks reads the marks that correlations have.
func loadMarks(ctx context.Context, tx project.Tx, ids []string, rows map[string]*row) error {
	const statement = `SELECT correlation_id, marks, spilled FROM p_correlations_{g} WHERE correlation_id IN`
	return project.QueryIn(ctx, tx, statement, ids, func(r project.Row) error {
		rows[r.Text(0)].marks = marks{inline: r.Text(1), spilled: r.Int(2)}
		return nil
	})
}

// storeRows adds to the rows of correlations, in order of their key, as the table is.
func storeRows(ctx context.Context, tx project.Tx, ids []string, rows map[string]*row) error {
	values := make([][]any, len(ids))
	for i, id := range ids {
		r := rows[id]
		values[i] = []any{id, r.firstTime, r.lastTime, r.firstIndex, r.lastIndex, r.success, r.failure, r.others, r.marks.inline, r.marks.spilled}
	}
	return project.Insert(ctx, tx, `INSERT INTO p_correlations_{g} AS old `+
		`(correlation_id, first_time, last_time, first_index, last_index, successes, failures, pending, marks, spilled)`,
		`ON CONFLICT (correlation_id) DO UPDATE SET `+
			`first_time = CASE WHEN excluded.first_time < old.first_time THEN excluded.first_time ELSE old.first_time END, `+
			`last_time = CASE WHEN excluded.last_time > old.last_time THEN excluded.last_time ELSE old.last_time END, `+
			`last_index = excluded.last_index, successes = old.successes + excluded.successes, `+
			`failures = old.failures + excluded.failures, pending = old.pending + excluded.pending, `+
			`marks = excluded.marks, spilled = excluded.spilled`, values)
}

// storeSpilled stores the marks that have no place in their rows.
func storeSpilled(ctx context.Context, tx project.Tx, ids []string, rows map[string]*row) error {
	var values [][]any
	for _, id := range ids {
		for _, m := range rows[id].marks.more {
			values = append(values, []any{id, m})
		}
	}
	return project.Insert(ctx, tx, `INSERT INTO p_correlations_marks_{g} (correlation_id, mark)`,
		`ON CONFLICT (correlation_id, mark) DO NOTHING`, values)
}
