package outcome

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// levelText are the levels as statements name them.
var levelText = func() (text [len(levels)]string) {
	for level := range levels {
		text[level] = strconv.Itoa(level)
	}
	return text
}()

var topLevelText = levelText[topLevel]

// IncidentQuery selects executions; "" selects all.
type IncidentQuery struct {
	IncidentType, Namespace, Severity, Cluster, Environment, ActionType string

	Limit  int // 1 or more
	Offset int64
}

// IncidentPage is one page of executions, the latest first: by the time of the event that counts, then its log_index.
type IncidentPage struct {
	Executions []Outcome
	HasMore    bool
	// Total is the number of matches; more than that match when TotalIsLowerBound says so.
	Total             int64
	TotalIsLowerBound bool
	LogSize           int64 // see Rate
}

// Incidents returns one page of executions.
func (r *Reader) Incidents(ctx context.Context, q IncidentQuery) (*IncidentPage, error) {
	where, values := conditions([]condition{
		{"incident_type", q.IncidentType}, {"namespace", q.Namespace}, {"severity", q.Severity}, {"cluster", q.Cluster},
		{"environment", q.Environment}, {"action_type", q.ActionType},
	})
	page := &IncidentPage{}
	err := r.view.View(ctx, Name, func(tx project.Tx, position int64) (err error) {
		page.LogSize = position
		page.Executions, err = latest(ctx, tx, where, values, q.Limit+1, q.Offset)
		if err != nil {
			return err
		}
		if len(page.Executions) > q.Limit {
			page.Executions, page.HasMore = page.Executions[:q.Limit], true
		}
		return page.count(ctx, tx, where, values, q.Offset)
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// count counts the matches, unless the page itself tells their number.
func (p *IncidentPage) count(ctx context.Context, tx project.Tx, where string, values []any, offset int64) error {
	if !p.HasMore && (len(p.Executions) > 0 || offset == 0) {
		p.Total = offset + int64(len(p.Executions))
		return nil
	}
	args := slices.Concat(values, []any{int64(datastorage.CountBound) + 1})
	err := tx.Query(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+executionsTable+" WHERE at >= 0"+where+" LIMIT ?) AS matches", args,
		func(row project.Row) error {
			p.Total = row.Int(0)
			return nil
		})
	if p.Total > datastorage.CountBound {
		p.Total, p.TotalIsLowerBound = datastorage.CountBound, true
	}
	return err
}

// latest reads executions, the latest first.
func latest(ctx context.Context, tx project.Tx, where string, values []any, limit int, offset int64) (found []Outcome, err error) {
	args := slices.Concat(values, []any{int64(limit), offset})
	err = tx.Query(ctx, latestStatement(where), args, func(row project.Row) error {
		found = append(found, scanRecord(row).Outcome)
		return nil
	})
	return found, err
}

// latestStatement reads executions that meet conditions, the latest first; its last arguments are limit and offset.
func latestStatement(where string) string {
	return "SELECT " + outcomeColumns + " FROM " + executionsTable + " WHERE at >= 0" + where +
		" ORDER BY at DESC, log_index DESC LIMIT ? OFFSET ?"
}

// MaxIncidentExecutions is how many executions of one correlation an answer lists.
const MaxIncidentExecutions = 100

// Incident returns the executions whose event that counts belongs to a correlation, the latest first, at most
// MaxIncidentExecutions, and whether there are more.
func (r *Reader) Incident(ctx context.Context, correlationID string) (page *IncidentPage, err error) {
	page = &IncidentPage{}
	err = r.view.View(ctx, Name, func(tx project.Tx, position int64) (err error) {
		page.LogSize = position
		page.Executions, err = latest(ctx, tx, " AND correlation_id = ?", []any{correlationID}, MaxIncidentExecutions+1, 0)
		if len(page.Executions) > MaxIncidentExecutions {
			page.Executions, page.HasMore = page.Executions[:MaxIncidentExecutions], true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// Group is the number of executions with one value of a column, "" for those without.
type Group struct {
	Value string
	Count int64
}

// Groups are the values of a column, the most frequent first, at most MaxGroups.
type Groups struct {
	Groups    []Group
	Truncated bool
	LogSize   int64 // see Rate
}

// Column is what executions are counted by.
type Column int64

// The columns that executions are counted by.
const (
	ColumnNamespace = Column(countNamespace)
	ColumnSeverity  = Column(countSeverity)
)

// CountBy counts all executions by the values of a column.
func (r *Reader) CountBy(ctx context.Context, column Column) (*Groups, error) {
	g := &Groups{}
	err := r.view.View(ctx, Name, func(tx project.Tx, position int64) error {
		g.LogSize = position
		return tx.Query(ctx, "SELECT value, total FROM "+countsTable+" WHERE kind = ? AND bucket = 0 AND total > 0 "+
			"ORDER BY total DESC, value LIMIT ?", []any{int64(column), int64(MaxGroups + 1)}, func(row project.Row) error {
			g.Groups = append(g.Groups, Group{row.Text(0), row.Int(1)})
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if len(g.Groups) > MaxGroups {
		g.Groups, g.Truncated = g.Groups[:MaxGroups], true
	}
	return g, nil
}

// Trend is the number of executions on each of some UTC days.
type Trend struct {
	First   time.Time // the first day, at midnight
	Counts  []int64   // of that day and those that follow
	LogSize int64     // see Rate
}

// Trend counts the executions of the days up to and including that of now.
func (r *Reader) Trend(ctx context.Context, days int, now time.Time) (*Trend, error) {
	first := now.UnixMicro()/day - int64(days) + 1
	t := &Trend{First: time.UnixMicro(first * day).UTC(), Counts: make([]int64, days)}
	err := r.view.View(ctx, Name, func(tx project.Tx, position int64) error {
		t.LogSize = position
		return tx.Query(ctx, "SELECT bucket, total FROM "+countsTable+" WHERE kind = ? AND bucket >= ? AND bucket < ?",
			[]any{countDay, first, first + int64(days)}, func(row project.Row) error {
				t.Counts[row.Int(0)-first] = row.Int(1)
				return nil
			})
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}
