package outcome

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/datastorage-io/datastorage/internal/project"
)

// MaxGroups is how many groups an answer lists, the largest first.
const MaxGroups = 1000

// MaxCitations is how many log indexes an answer cites, the latest first.
const MaxCitations = 10_000

// Reader reads the executions. Every answer is of one snapshot and says how much of the log it holds. Errors are
// *datastorage.Error with CodeUnavailable, also when the projection is being built for the first time.
type Reader struct{ view project.View }

// NewReader returns a reader of what a view shows.
func NewReader(view project.View) *Reader { return &Reader{view} }

// Dimensions select executions; "" selects all.
type Dimensions struct {
	IncidentType, WorkflowID, WorkflowVersion, ActionType string
}

// RateQuery asks how many of the executions since a time have succeeded.
type RateQuery struct {
	Dimensions
	// Since bounds the time of the event that counts, inclusive.
	Since time.Time
	// Citations asks for the log indexes of the events that count.
	Citations bool
}

// Rate is what has become of some executions.
type Rate struct {
	Tally
	// ByWorkflow and ByIncidentType hold at most MaxGroups groups, the largest first. Executions without a workflow are in
	// no group of ByWorkflow.
	ByWorkflow     []WorkflowTally
	ByIncidentType []IncidentTally
	// Citations are the log indexes of the events that count, one for each execution, the latest first; at most
	// MaxCitations.
	Citations []int64
	// Truncated says that groups or citations are left out.
	GroupsTruncated, CitationsTruncated bool
	// LogSize is how much of the log the answer holds: the events with log_index < LogSize.
	LogSize int64
}

// WorkflowTally counts the executions of one version of a workflow.
type WorkflowTally struct {
	WorkflowID, WorkflowVersion string
	Tally
}

// IncidentTally counts the executions for one incident type.
type IncidentTally struct {
	IncidentType string
	Tally
}

// Rate answers a query. It reads rollups of whole hours and longer; the part of an hour with which the range begins is
// read from the executions.
func (r *Reader) Rate(ctx context.Context, q RateQuery) (*Rate, error) {
	rate := &Rate{}
	err := r.view.View(ctx, Name, func(tx project.Tx, position int64) error {
		rate.LogSize = position
		g := grouping{workflows: map[WorkflowTally]Tally{}, incidents: map[string]Tally{}}
		if err := g.read(ctx, tx, &q); err != nil {
			return err
		}
		g.fill(rate)
		if !q.Citations {
			return nil
		}
		return rate.cite(ctx, tx, &q)
	})
	if err != nil {
		return nil, err
	}
	return rate, nil
}

// WorkflowTallies counts, for each workflow_id, the executions for one incident type since a time. Executions without a
// workflow are left out.
func (r *Reader) WorkflowTallies(ctx context.Context, incidentType string, since time.Time) (map[string]Tally, error) {
	found := map[string]Tally{}
	err := r.view.View(ctx, Name, func(tx project.Tx, _ int64) error {
		g := grouping{workflows: map[WorkflowTally]Tally{}, incidents: map[string]Tally{}}
		q := RateQuery{Dimensions: Dimensions{IncidentType: incidentType}, Since: since}
		if err := g.read(ctx, tx, &q); err != nil {
			return err
		}
		for key, t := range g.workflows {
			if t.Total == 0 {
				continue
			}
			found[key.WorkflowID] = found[key.WorkflowID].plus(t, 1)
		}
		return nil
	})
	return found, err
}

// Totals counts all executions of each of some workflows. Those without executions are left out.
func (r *Reader) Totals(ctx context.Context, workflowIDs []string) (map[string]Tally, error) {
	found := map[string]Tally{}
	err := r.view.View(ctx, Name, func(tx project.Tx, _ int64) error {
		return project.QueryIn(ctx, tx, "SELECT workflow_id, "+tallyColumns+" FROM "+rollupsTable+" WHERE level = "+topLevelText+
			" AND workflow_id IN", workflowIDs, func(row project.Row) error {
			t := scanTally(row, 1)
			if t.Total == 0 {
				return nil // its executions have become those of another workflow
			}
			found[row.Text(0)] = found[row.Text(0)].plus(t, 1)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// where returns the conditions of the dimensions, each behind an AND, and their arguments.
func (d *Dimensions) where() (string, []any) {
	return conditions([]condition{
		{"incident_type", d.IncidentType}, {"workflow_id", d.WorkflowID}, {"workflow_version", d.WorkflowVersion}, {"action_type", d.ActionType},
	})
}

// condition says that a column has a value; "" says nothing.
type condition struct{ column, value string }

func conditions(all []condition) (string, []any) {
	var b strings.Builder
	var args []any
	for _, c := range all {
		if c.value != "" {
			b.WriteString(" AND " + c.column + " = ?")
			args = append(args, c.value)
		}
	}
	return b.String(), args
}

// grouping adds up what a rate reads.
type grouping struct {
	total     Tally
	workflows map[WorkflowTally]Tally // the key has no tally
	incidents map[string]Tally
}

// executionTally are the columns of a Tally of one execution; see Outcome.tally.
const executionTally = "1, CASE WHEN status = 'completed' THEN 1 ELSE 0 END, CASE WHEN status = 'failed' THEN 1 ELSE 0 END, " +
	"ai_mode & 1, (ai_mode & 2) / 2, (ai_mode & 4) / 4"

// read adds up the executions of a query, all in one statement, so that a rate costs one round trip.
func (g *grouping) read(ctx context.Context, tx project.Tx, q *RateQuery) error {
	statement, args := q.statement()
	return tx.Query(ctx, statement, args, func(row project.Row) error {
		g.add(row.Text(0), WorkflowTally{WorkflowID: row.Text(1), WorkflowVersion: row.Text(2)}, scanTally(row, 3))
		return nil
	})
}

// statement reads incident_type, workflow_id, workflow_version and a Tally, of each rollup and single execution in the range.
func (q *RateQuery) statement() (string, []any) {
	const groups = "SELECT incident_type, workflow_id, workflow_version, "
	since := max(0, q.Since.UnixMicro())
	where, values := q.where()
	partial, spans := split(since)
	var b strings.Builder
	b.WriteString(groups + executionTally + " FROM " + executionsTable + " WHERE at >= ? AND at < ?" + where)
	args := append([]any{since, partial}, values...)
	for level, span := range spans {
		b.WriteString(" UNION ALL " + groups + tallyColumns + " FROM " + rollupsTable + " WHERE level = " + levelText[level] +
			" AND bucket >= ? AND bucket < ?" + where)
		args = append(append(args, span.lo, span.hi), values...)
	}
	return b.String(), args
}

func (g *grouping) add(incidentType string, workflow WorkflowTally, t Tally) {
	g.total = g.total.plus(t, 1)
	g.incidents[incidentType] = g.incidents[incidentType].plus(t, 1)
	if workflow.WorkflowID != "" {
		g.workflows[workflow] = g.workflows[workflow].plus(t, 1)
	}
}

// fill puts the sums into a rate, the largest groups first.
func (g *grouping) fill(rate *Rate) {
	rate.Tally = g.total
	for key, t := range g.workflows {
		if t.Total > 0 {
			key.Tally = t
			rate.ByWorkflow = append(rate.ByWorkflow, key)
		}
	}
	for incidentType, t := range g.incidents {
		if t.Total > 0 {
			rate.ByIncidentType = append(rate.ByIncidentType, IncidentTally{incidentType, t})
		}
	}
	slices.SortFunc(rate.ByWorkflow, func(a, b WorkflowTally) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.WorkflowID, b.WorkflowID), cmp.Compare(a.WorkflowVersion, b.WorkflowVersion))
	})
	slices.SortFunc(rate.ByIncidentType, func(a, b IncidentTally) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.IncidentType, b.IncidentType))
	})
	rate.GroupsTruncated = len(rate.ByWorkflow) > MaxGroups || len(rate.ByIncidentType) > MaxGroups
	rate.ByWorkflow = rate.ByWorkflow[:min(MaxGroups, len(rate.ByWorkflow))]
	rate.ByIncidentType = rate.ByIncidentType[:min(MaxGroups, len(rate.ByIncidentType))]
}

// cite adds the log indexes of the events that count.
func (r *Rate) cite(ctx context.Context, tx project.Tx, q *RateQuery) error {
	where, values := q.where()
	args := append(append([]any{max(0, q.Since.UnixMicro())}, values...), int64(MaxCitations+1))
	err := tx.Query(ctx, "SELECT log_index FROM "+executionsTable+" WHERE at >= ?"+where+
		" ORDER BY at DESC, log_index DESC LIMIT ?", args, func(row project.Row) error {
		r.Citations = append(r.Citations, row.Int(0))
		return nil
	})
	if len(r.Citations) > MaxCitations {
		r.Citations, r.CitationsTruncated = r.Citations[:MaxCitations], true
	}
	return err
}
