package outcome

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

const (
	hour = 3600 * 1_000_000 // microseconds
	day  = 24 * hour
)

// levels are the spans of time that rollups count, in microseconds, each a multiple of the one before. A span begins at a
// multiple of its length since 1970 UTC, so a day is a UTC day. The long ones keep the rows that a rate over months reads
// to a few for each workflow.
var levels = [...]int64{hour, 6 * hour, day, 8 * day, 64 * day}

// topLevel is the level that counts all time in the fewest rows.
const topLevel = len(levels) - 1

// rollupDimensions are the columns of a rollup that a rate can be asked by alone. workflow_version needs workflow_id.
var rollupDimensions = []string{"incident_type", "workflow_id", "action_type"}

// dimensions are what rollups count by.
type dimensions struct {
	incidentType, workflowID, workflowVersion, actionType string
}

// hash stands for the dimensions in a key.
func (d *dimensions) hash() []byte {
	var b []byte
	for _, s := range [...]string{d.incidentType, d.workflowID, d.workflowVersion, d.actionType} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	return sum[:16]
}

// rollupKey is one row of the rollups.
type rollupKey struct {
	level  int
	bucket int64
	dimensions
}

// The kinds of count.
const (
	countDay       int64 = iota // by UTC day; the value is ""
	countNamespace              // by namespace; the bucket is 0
	countSeverity               // by severity; the bucket is 0
)

// countKey is one row of the counts.
type countKey struct {
	kind, bucket int64
	value        string
}

// deltas are the changes of rollups and counts, gathered so that each row is written once.
type deltas struct {
	rollups map[rollupKey]Tally
	counts  map[countKey]int64
}

func newDeltas() *deltas {
	return &deltas{rollups: map[rollupKey]Tally{}, counts: map[countKey]int64{}}
}

// replace takes the execution that was away and adds the one that is; either may be nil.
func (d *deltas) replace(was, is *Outcome) {
	if was != nil && is != nil && was.sameCount(is) {
		return
	}
	if was != nil {
		d.add(was, -1)
	}
	if is != nil {
		d.add(is, 1)
	}
}

// sameCount reports whether two outcomes are counted in the same rows and alike.
func (o *Outcome) sameCount(other *Outcome) bool {
	return o.At/hour == other.At/hour && o.dimensions() == other.dimensions() && o.tally() == other.tally() &&
		o.Namespace == other.Namespace && o.Severity == other.Severity
}

func (o *Outcome) dimensions() dimensions {
	return dimensions{o.IncidentType, o.WorkflowID, o.WorkflowVersion, o.ActionType}
}

func (d *deltas) add(o *Outcome, sign int64) {
	t := o.tally()
	for level, span := range levels {
		key := rollupKey{level: level, bucket: o.At / span, dimensions: o.dimensions()}
		d.rollups[key] = d.rollups[key].plus(t, sign)
	}
	d.counts[countKey{kind: countDay, bucket: o.At / day}] += sign
	d.counts[countKey{kind: countNamespace, value: o.Namespace}] += sign
	d.counts[countKey{kind: countSeverity, value: o.Severity}] += sign
}

// span is a run of buckets of one level: lo <= bucket < hi.
type span struct{ lo, hi int64 }

// forever is the bucket that no time reaches.
const forever = 1 << 62

// split covers the time from since on: the executions from since until partial, and the buckets of each level.
func split(since int64) (partial int64, spans [len(levels)]span) {
	from := ceil(since, levels[0])
	partial = from * levels[0]
	for level := range levels {
		if level == topLevel {
			spans[level] = span{from, forever}
			break
		}
		ratio := levels[level+1] / levels[level]
		next := ceil(from, ratio)
		spans[level] = span{from, next * ratio}
		from = next
	}
	return partial, spans
}

// ceil divides, rounding up; n is not negative.
func ceil(n, by int64) int64 { return (n + by - 1) / by }

// sortedRollups returns the rows that change, in the order of the table.
func (d *deltas) sortedRollups() []rollupKey {
	keys := make([]rollupKey, 0, len(d.rollups))
	for key, t := range d.rollups {
		if t != (Tally{}) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b rollupKey) int { return a.compare(b) })
	return keys
}

func (k rollupKey) compare(other rollupKey) int {
	return cmp.Or(
		cmp.Compare(k.level, other.level), cmp.Compare(k.bucket, other.bucket),
		cmp.Compare(k.incidentType, other.incidentType), cmp.Compare(k.workflowID, other.workflowID),
		cmp.Compare(k.workflowVersion, other.workflowVersion), cmp.Compare(k.actionType, other.actionType),
	)
}

// sortedCounts returns the rows that change, in the order of the table.
func (d *deltas) sortedCounts() []countKey {
	keys := make([]countKey, 0, len(d.counts))
	for key, n := range d.counts {
		if n != 0 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b countKey) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.value, b.value))
	})
	return keys
}
