// Package correlations derives a row for each correlation_id from the log: when it was active, how many events it has, and
// which event types, outcomes and namespaces they name.
package correlations

import (
	"cmp"
	"context"
	"slices"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// name is the projection's name.
const name = "correlations"

// Kinds of marks: what an event of a correlation may be looked for by.
const (
	markType      int64 = 1
	markOutcome   int64 = 2
	markNamespace int64 = 3
)

// Projection implements project.Projection.
type Projection struct{}

// Name implements project.Projection.
func (Projection) Name() string { return name }

// Version implements project.Projection.
func (Projection) Version() int { return 1 }

// Bodies implements project.Projection: headers are enough.
func (Projection) Bodies() project.Bodies { return project.Bodies{} }

// Schema implements project.Projection. Times are microseconds since 1970. A mark says that an event of the correlation
// has a value; its index finds the few correlations that have a rare one.
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
			pending        bigint NOT NULL
		) {keyed}`,
		`CREATE INDEX p_correlations_by_time_{g} ON p_correlations_{g} (last_time, correlation_id)`,
		`CREATE TABLE p_correlations_marks_{g} (
			correlation_id {text} NOT NULL,
			kind           bigint NOT NULL,
			value          {text} NOT NULL,
			PRIMARY KEY (correlation_id, kind, value)
		) {keyed}`,
		`CREATE INDEX p_correlations_marks_by_value_{g} ON p_correlations_marks_{g} (kind, value, correlation_id)`,
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
}

type mark struct {
	id    string
	kind  int64
	value string
}

// Apply implements project.Projection.
func (Projection) Apply(ctx context.Context, tx project.Tx, events []project.Event) error {
	rows, marks := map[string]*row{}, map[mark]bool{}
	for i := range events {
		e := &events[i].EventHeader
		r := rows[e.CorrelationID]
		if r == nil {
			t := e.Time.UnixMicro()
			r = &row{id: e.CorrelationID, firstTime: t, lastTime: t, firstIndex: e.LogIndex}
			rows[e.CorrelationID] = r
		}
		r.add(e)
		marks[mark{e.CorrelationID, markType, e.Type}] = true
		marks[mark{e.CorrelationID, markOutcome, e.Outcome}] = true
		if e.Namespace != "" {
			marks[mark{e.CorrelationID, markNamespace, e.Namespace}] = true
		}
	}
	if err := storeRows(ctx, tx, rows); err != nil {
		return err
	}
	return storeMarks(ctx, tx, marks)
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

// storeRows adds to the rows of correlations, in order of their key, as the table is.
func storeRows(ctx context.Context, tx project.Tx, rows map[string]*row) error {
	values := make([][]any, 0, len(rows))
	for _, r := range rows {
		values = append(values, []any{r.id, r.firstTime, r.lastTime, r.firstIndex, r.lastIndex, r.success, r.failure, r.others})
	}
	slices.SortFunc(values, func(a, b []any) int { return cmp.Compare(a[0].(string), b[0].(string)) })
	return project.Insert(ctx, tx, `INSERT INTO p_correlations_{g} AS old `+
		`(correlation_id, first_time, last_time, first_index, last_index, successes, failures, pending)`,
		`ON CONFLICT (correlation_id) DO UPDATE SET `+
			`first_time = CASE WHEN excluded.first_time < old.first_time THEN excluded.first_time ELSE old.first_time END, `+
			`last_time = CASE WHEN excluded.last_time > old.last_time THEN excluded.last_time ELSE old.last_time END, `+
			`last_index = excluded.last_index, successes = old.successes + excluded.successes, `+
			`failures = old.failures + excluded.failures, pending = old.pending + excluded.pending`, values)
}

func storeMarks(ctx context.Context, tx project.Tx, marks map[mark]bool) error {
	sorted := make([]mark, 0, len(marks))
	for m := range marks {
		sorted = append(sorted, m)
	}
	slices.SortFunc(sorted, func(a, b mark) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.kind, b.kind), cmp.Compare(a.value, b.value))
	})
	values := make([][]any, len(sorted))
	for i, m := range sorted {
		values[i] = []any{m.id, m.kind, m.value}
	}
	return project.Insert(ctx, tx, `INSERT INTO p_correlations_marks_{g} (correlation_id, kind, value)`,
		`ON CONFLICT (correlation_id, kind, value) DO NOTHING`, values)
}
