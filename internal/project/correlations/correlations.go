// Package correlations derives a row for each correlation_id from the log: when it was active, how many events it has, and
// which event types, outcomes and namespaces they name.
package correlations

import (
	"context"
	"maps"
	"slices"
	"strings"

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
	adds                     []int // the numbers of the marks of its events
	marks                    marks // what it has
}

// Apply implements project.Projection.
func (Projection) Apply(ctx context.Context, tx project.Tx, events []project.Event) error {
	known := newVocabulary()
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
		r.mark(known.number(markType, e.Type))
		if e.Namespace != "" {
			r.mark(known.number(markNamespace, e.Namespace))
		}
	}
	// In the order of their key, as the table is.
	sorted := slices.SortedFunc(maps.Values(rows), func(a, b *row) int { return strings.Compare(a.id, b.id) })
	if err := storeRows(ctx, tx, sorted, rows, known); err != nil {
		return err
	}
	return storeSpilled(ctx, tx, sorted)
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

func (r *row) mark(number int) {
	if !slices.Contains(r.adds, number) {
		r.adds = append(r.adds, number)
	}
}

// storeRows adds to the rows of correlations. One that is new has the marks of its events. Those of the others are only known
// when that is done, and change less often than their counts.
func storeRows(ctx context.Context, tx project.Tx, sorted []*row, rows map[string]*row, known *vocabulary) error {
	var changed []*row
	for _, r := range sorted {
		r.marks.add(known, r.adds)
	}
	err := upsert(ctx, tx, sorted, `first_time = CASE WHEN excluded.first_time < old.first_time THEN excluded.first_time ELSE old.first_time END, `+
		`last_time = CASE WHEN excluded.last_time > old.last_time THEN excluded.last_time ELSE old.last_time END, `+
		`last_index = excluded.last_index, successes = old.successes + excluded.successes, `+
		`failures = old.failures + excluded.failures, pending = old.pending + excluded.pending`,
		func(stored project.Row) error {
			r := rows[stored.Text(0)]
			has := marks{inline: stored.Text(1), spilled: stored.Int(2)}
			if has.inline == r.marks.inline && has.spilled == r.marks.spilled {
				return nil
			}
			r.marks = has
			r.marks.add(known, r.adds)
			if has.inline != r.marks.inline || has.spilled != r.marks.spilled {
				changed = append(changed, r)
			}
			return nil
		})
	if err != nil {
		return err
	}
	return upsert(ctx, tx, changed, `marks = excluded.marks, spilled = excluded.spilled`, func(project.Row) error { return nil })
}

// upsert inserts rows or changes those that are there, and calls each with correlation_id, marks and spilled of what that
// makes of them.
func upsert(ctx context.Context, tx project.Tx, rows []*row, change string, each func(project.Row) error) error {
	const columns = 10
	values := make([]any, 0, len(rows)*columns)
	for _, r := range rows {
		values = append(values, r.id, r.firstTime, r.lastTime, r.firstIndex, r.lastIndex, r.success, r.failure, r.others, r.marks.inline, r.marks.spilled)
	}
	return project.InsertReturning(ctx, tx, `INSERT INTO p_correlations_{g} AS old `+
		`(correlation_id, first_time, last_time, first_index, last_index, successes, failures, pending, marks, spilled)`,
		`ON CONFLICT (correlation_id) DO UPDATE SET `+change+` RETURNING correlation_id, marks, spilled`, columns, values, each)
}

// storeSpilled stores the marks that have no place in their rows.
func storeSpilled(ctx context.Context, tx project.Tx, rows []*row) error {
	var values []any
	for _, r := range rows {
		for _, m := range r.marks.more {
			values = append(values, r.id, m)
		}
	}
	return project.Insert(ctx, tx, `INSERT INTO p_correlations_marks_{g} (correlation_id, mark)`,
		`ON CONFLICT (correlation_id, mark) DO NOTHING`, 2, values)
}
