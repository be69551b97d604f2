package remediation

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/datastorage-io/datastorage/internal/project"
)

// Bounds of what is told of an object's history.
const (
	// MaxRecent is how many remediations of the first tier are told in full, the latest ones.
	MaxRecent = 50
	// MaxOlder is how many of the second tier are told in short, the latest ones.
	MaxOlder = 100
	// maxRows is how many remediations of an object are looked at, by each of its roles, the latest ones.
	maxRows = 500
	// maxClusters is how many other clusters are named.
	maxClusters = 20
)

// Query asks what was tried on one object.
type Query struct {
	Target  Target
	Cluster string // "" for objects whose events name no cluster
	// SpecHash is the hash of the object's spec now; "" when it is not known.
	SpecHash string
	Now      time.Time
	// Recent and Older are the windows of the tiers, back from Now. Older ends where Recent begins.
	Recent, Older time.Duration
}

// Past is what was tried on an object, oldest first.
type Past struct {
	Recent, Older               []Remediation
	RecentLeftOut, OlderLeftOut int
	// Truncated says that there are more remediations than were looked at: the numbers of those left out are lower bounds.
	Truncated bool
	// Regressions are those whose spec the object has now, latest first.
	Regressions []Regression
	Flapping    Flapping
	// OtherClusters are clusters that have such an object with a past, when this one has none.
	OtherClusters []string
	// LogSize is how much of the log is known: events with log_index below it.
	LogSize int64
}

// Remediation is one remediation of an object.
type Remediation struct {
	CorrelationID string
	// ByTarget says that the signal was about the object, ByOwner that the analysis chose it to be repaired.
	ByTarget, ByOwner bool
	At                time.Time
	HashMatch         HashMatch
	Facts             *Facts
}

// LogIndexes are the events that the remediation is told from.
func (r *Remediation) LogIndexes() []int64 {
	indexes := make([]int64, 0, len(r.Facts.known))
	for i := range r.Facts.known {
		if r.Facts.knows(i) {
			indexes = append(indexes, r.Facts.known[i].LogIndex)
		}
	}
	slices.Sort(indexes)
	return slices.Compact(indexes)
}

// HashMatch says which spec of a remediation an object has now.
type HashMatch string

// What an object's spec now is to a remediation.
const (
	MatchNone HashMatch = "none"
	MatchPre  HashMatch = "preRemediation"
	MatchPost HashMatch = "postRemediation"
)

// Regression is a remediation whose spec the object has now.
type Regression struct {
	CorrelationID string
	HashMatch     HashMatch
	At            time.Time
	LogIndex      int64 // of its latest event
}

// History reads the past of objects from the projection.
type History struct{ view project.View }

// NewHistory returns a history that reads from a view.
func NewHistory(view project.View) *History { return &History{view} }

// row is a remediation before its facts are read.
type row struct {
	id                string
	byTarget, byOwner bool
	at, logIndex      int64
	acted             bool
	pre, post         string
}

// Of returns the past of an object. Errors are those of project.View: a store that is away is never an empty past.
func (h *History) Of(ctx context.Context, q Query) (*Past, error) {
	var past *Past
	err := h.view.View(ctx, Name, func(tx project.Tx, position int64) error {
		past = &Past{LogSize: position}
		rows, err := q.rows(ctx, tx, past)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			past.OtherClusters, err = q.otherClusters(ctx, tx)
			return err
		}
		q.compare(rows, past)
		return q.tell(ctx, tx, rows, past)
	})
	if err != nil {
		return nil, err
	}
	return past, nil
}

// rows reads the remediations of the object within both windows, latest first.
func (q *Query) rows(ctx context.Context, tx project.Tx, past *Past) ([]*row, error) {
	byID := map[string]*row{}
	since := q.Now.Add(-max(q.Recent, q.Older)).UnixMicro()
	for _, role := range [...]string{"target", "owner"} {
		n := 0
		statement := "SELECT correlation_id, at, log_index, flags, pre_hash, post_hash FROM " + rowsTable + " WHERE " + q.matches(role) +
			" AND cluster = ? AND at >= ? ORDER BY at DESC LIMIT ?"
		err := tx.Query(ctx, statement, append(q.object(), q.Cluster, since, int64(maxRows+1)), func(r project.Row) error {
			if n++; n > maxRows {
				past.Truncated = true
				return nil
			}
			found := byID[r.Text(0)]
			if found == nil {
				found = &row{id: r.Text(0), at: r.Int(1), logIndex: r.Int(2), acted: r.Int(3)&flagActed != 0, pre: r.Text(4), post: r.Text(5)}
				byID[found.id] = found
			}
			found.byTarget = found.byTarget || role == "target"
			found.byOwner = found.byOwner || role == "owner" || r.Int(3)&flagSame != 0
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	rows := make([]*row, 0, len(byID))
	for _, r := range byID {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b *row) int {
		return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.logIndex, a.logIndex), cmp.Compare(a.id, b.id))
	})
	return rows, nil
}

func (q *Query) matches(role string) string {
	return role + "_name = ? AND " + role + "_namespace = ? AND " + role + "_kind = ?"
}

func (q *Query) object() []any {
	return []any{q.Target.Name, q.Target.Namespace, strings.ToLower(q.Target.Kind)}
}

// otherClusters names the clusters that have such an object with a past.
func (q *Query) otherClusters(ctx context.Context, tx project.Tx) ([]string, error) {
	var clusters []string
	for _, role := range [...]string{"target", "owner"} {
		statement := "SELECT DISTINCT cluster FROM " + rowsTable + " WHERE " + q.matches(role) + " AND cluster <> ? ORDER BY cluster LIMIT ?"
		err := tx.Query(ctx, statement, append(q.object(), q.Cluster, int64(maxClusters)), func(r project.Row) error {
			clusters = append(clusters, r.Text(0))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(clusters)
	clusters = slices.Compact(clusters)
	return clusters[:min(len(clusters), maxClusters)], nil
}

// compare finds regressions, and whether the object flaps.
func (q *Query) compare(rows []*row, past *Past) {
	for _, r := range rows {
		if match := q.match(r); match != MatchNone && len(past.Regressions) < MaxRecent {
			past.Regressions = append(past.Regressions, Regression{r.id, match, time.UnixMicro(r.at).UTC(), r.logIndex})
		}
	}
	past.Flapping = q.flapping(rows)
}

// match says what the object's spec now is to a remediation. One that left the spec as it was has left the spec of now.
func (q *Query) match(r *row) HashMatch {
	switch q.SpecHash {
	case "":
		return MatchNone
	case r.post:
		return MatchPost
	case r.pre:
		return MatchPre
	}
	return MatchNone
}

// tell reads the facts of the remediations that are told.
func (q *Query) tell(ctx context.Context, tx project.Tx, rows []*row, past *Past) error {
	begin := q.Now.Add(-q.Recent).UnixMicro()
	split := len(rows)
	if i := slices.IndexFunc(rows, func(r *row) bool { return r.at < begin }); i >= 0 {
		split = i
	}
	recent, older := rows[:split], rows[split:]
	past.RecentLeftOut, past.OlderLeftOut = max(0, len(recent)-MaxRecent), max(0, len(older)-MaxOlder)
	recent, older = recent[:min(len(recent), MaxRecent)], older[:min(len(older), MaxOlder)]
	var ids []string
	for _, r := range slices.Concat(recent, older) {
		ids = append(ids, r.id)
	}
	facts, err := load(ctx, tx, ids)
	if err != nil {
		return err
	}
	past.Recent, past.Older = q.told(recent, facts), q.told(older, facts)
	return nil
}

// told turns rows, latest first, into remediations, oldest first.
func (q *Query) told(rows []*row, facts map[string]*Facts) []Remediation {
	told := make([]Remediation, 0, len(rows))
	for _, r := range slices.Backward(rows) {
		told = append(told, Remediation{
			CorrelationID: r.id, ByTarget: r.byTarget, ByOwner: r.byOwner, At: time.UnixMicro(r.at).UTC(), HashMatch: q.match(r), Facts: facts[r.id],
		})
	}
	return told
}
