package ledger

import (
	"bytes"
	"context"
	"math"

	"github.com/google/uuid"
)

// The parts of a commit that a fault names.
const (
	partFirstIndex = "first_index"
	partNextIndex  = "next_index"
	partEntries    = "entries"
	partRange      = "range"
	partRoot       = "root"
	partMinTime    = "min_time"
	partMaxTime    = "max_time"
)

// maxCommit bounds how many events a commit may claim when its entries have to be rebuilt from rows.
const maxCommit = 1 << 20

// place returns where the events of a commit begin when it follows a log of size at. inside says that it begins within
// that log, so that its entries have no place.
func place(c *CommitRow, at int64) (begin int64, inside bool) {
	n := int64(len(c.Entries) / EntrySize)
	switch {
	case c.FirstIndex == at, c.NextIndex-n == at && n > 0:
		return at, false
	case c.FirstIndex < at:
		return at, true
	default:
		return c.FirstIndex, false
	}
}

// commit checks one commit against the tree so far and appends it to the window.
func (a *auditor) commit(ctx context.Context, c *CommitRow) error {
	a.commits++
	first, inside := place(c, a.tree.size)
	switch {
	case inside:
		a.edited(max(c.FirstIndex, 0), partFirstIndex, "a commit begins at log_index %d, inside those before it, which end at %d", c.FirstIndex, first)
		return nil
	case first > a.tree.size:
		a.gap(a.tree.size, first)
	case first != c.FirstIndex:
		a.edited(first, partFirstIndex, "the commit at log_index %d says that it begins at %d", first, c.FirstIndex)
	}
	before, known := a.tree, a.synced
	entries, err := a.settle(ctx, c, first)
	if err != nil {
		return err
	}
	a.ids.begin(c.FirstIndex, first, a.tree.size)
	if len(entries) > 0 {
		a.checkVersions(first, entries)
		a.window = append(a.window, segment{first, a.tree.size, entries, c.MinTime, c.MaxTime, c.CommittedAt})
	}
	a.anchors.commit(&before, known, entries, &a.tree)
	return nil
}

func (a *auditor) edited(index int64, part, format string, args ...any) {
	a.faults.add(CommitEdited, part, index, uuid.Nil, format, args...)
}

// gap notes that the commits of [first, next) are missing. Nothing is said about the rows there: without entries none
// can be judged.
func (a *auditor) gap(first, next int64) {
	a.faults.add(CommitGap, "", first, uuid.Nil, "the commit rows for %s are missing", spell(first, next))
	a.ids.skip(first, next)
	a.tree.size, a.synced, a.claimed = next, false, nil
}

// settle finds out which entries the commit at first really has, names the part that is wrong, and moves the tree behind
// it. The entries, the compact range and the root each tell the other two.
func (a *auditor) settle(ctx context.Context, c *CommitRow, first int64) ([]byte, error) {
	if !a.synced {
		return a.resync(c, first), nil
	}
	claimed := a.claimed
	a.claimed = nil
	whole := len(c.Entries) > 0 && len(c.Entries)%EntrySize == 0
	if whole {
		tree := a.tree
		if a.try(&tree, c, c.Entries) || claimed != nil && claimed.size == first && a.try(claimed, c, c.Entries) {
			return c.Entries, nil
		}
	}
	rebuilt, err := a.rebuild(ctx, c, first)
	if err != nil {
		return nil, err
	}
	before := a.tree
	if rebuilt != nil && a.try(&before, c, rebuilt) {
		at := firstDifference(c.Entries, rebuilt)
		id, _ := entryAt(rebuilt, at)
		a.faults.add(CommitEdited, partEntries, first+at, id,
			"the entries stored by the commit at log_index %d differ from those that its root was made of", first)
		a.rebuilt[first] = rebuilt
		return rebuilt, nil
	}
	return a.mismatch(c, first), nil
}

// try appends entries to tree. When the result is what the commit's root or range says, it becomes the tree, whatever
// else of the commit is wrong is named, and try returns true.
func (a *auditor) try(tree *frontier, c *CommitRow, entries []byte) bool {
	first := tree.size
	tree.appendAll(entries)
	root := tree.root()
	rootFits, rangeFits := bytes.Equal(root[:], c.Root), tree.is(c.Range)
	if !rootFits && !rangeFits {
		return false
	}
	if !rootFits {
		a.edited(first, partRoot, "the entries up to log_index %d and the stored compact range have another root than the stored one", tree.size-1)
	}
	if !rangeFits {
		a.edited(first, partRange, "the stored compact range is not that of the entries up to log_index %d, though the root is", tree.size-1)
	}
	if c.NextIndex != tree.size {
		a.edited(first, partNextIndex, "the commit at log_index %d says that it ends at %d, but its entries end at %d", first, c.NextIndex, tree.size)
	}
	a.tree = *tree
	return true
}

// mismatch names a commit whose parts cannot be reconciled and goes on with its entries. The tree that it claims is
// kept, in case the commits behind it were made on that.
func (a *auditor) mismatch(c *CommitRow, first int64) []byte {
	entries := c.Entries[:len(c.Entries)/EntrySize*EntrySize]
	if len(entries) != len(c.Entries) || len(entries) == 0 {
		a.edited(first, partEntries, "the entries of the commit at log_index %d have %d bytes, which is not a multiple of %d", first, len(c.Entries), EntrySize)
	} else {
		a.faults.add(RootMismatch, "", first, uuid.Nil,
			"the entries up to log_index %d do not hash to the root that the commit at %d stores", first+int64(len(entries)/EntrySize)-1, first)
	}
	var claimed frontier
	if claimed.load(c.NextIndex, c.Range, c.Root) && c.NextIndex > first {
		a.claimed = &claimed
	}
	a.tree.appendAll(entries)
	if a.claimed != nil && claimed.size != a.tree.size {
		// Its entries are not even as many as it says.
		a.tree, a.claimed = claimed, nil
		a.ids.skip(first, claimed.size)
		return nil
	}
	return entries
}

// resync takes the tree of a commit behind a gap as the commit claims it. If it were made up, no anchor would match.
func (a *auditor) resync(c *CommitRow, first int64) []byte {
	n := int64(len(c.Entries) / EntrySize)
	next := first + n
	if len(c.Entries)%EntrySize != 0 || n == 0 || c.NextIndex != next || !a.tree.load(next, c.Range, c.Root) {
		a.faults.add(RootMismatch, "", first, uuid.Nil,
			"the commit at log_index %d follows a gap, and its entries, compact range and root do not agree", first)
		a.tree.size = max(next, first)
		return c.Entries[:n*EntrySize]
	}
	a.synced = true
	return c.Entries
}

// rebuild makes the entries of a commit from the rows of its events; nil when they are not all there.
func (a *auditor) rebuild(ctx context.Context, c *CommitRow, first int64) ([]byte, error) {
	if c.NextIndex <= first || c.NextIndex-first > maxCommit {
		return nil, nil
	}
	var entries []byte
	next := first
	err := a.src.Events(ctx, first, c.NextIndex, func(r *EventRow) error {
		if r.LogIndex == next && len(r.ID) == 16 {
			entries = AppendEntry(entries, uuid.UUID(r.ID), a.digest.commitment(r.Salt, r.Body))
			next++
		}
		return nil
	})
	if err != nil || next != c.NextIndex {
		return nil, err
	}
	return entries, nil
}

// firstDifference returns the index of the first of the right entries that the stored ones do not hold at its place.
func firstDifference(stored, right []byte) int64 {
	for i := int64(0); i < int64(len(right)/EntrySize); i++ {
		if to := (i + 1) * EntrySize; to > int64(len(stored)) || !bytes.Equal(stored[i*EntrySize:to], right[i*EntrySize:to]) {
			return i
		}
	}
	return int64(len(right)/EntrySize) - 1
}

func (a *auditor) checkVersions(first int64, entries []byte) {
	for i := int64(0); i < int64(len(entries)/EntrySize); i++ {
		if v := entries[i*EntrySize]; v != EntryVersion {
			id, _ := entryAt(entries, i)
			a.faults.add(CommitEdited, partEntries, first+i, id, "the entry has version %d, which this program does not know", v)
		}
	}
}

// segmentTimes gathers the event_timestamps of a segment's events.
type segmentTimes struct {
	min, max int64
	bad      bool // one of the events has no row that can be trusted
}

func newSegmentTimes() segmentTimes { return segmentTimes{min: math.MaxInt64, max: math.MinInt64} }

func (t *segmentTimes) add(micros int64) { t.min, t.max = min(t.min, micros), max(t.max, micros) }

// checkTimes compares the times of a commit with those of its events. With events missing they are only bounds.
func (a *auditor) checkTimes(s *segment, t *segmentTimes) {
	a.minTime, a.maxTime = min(a.minTime, t.min), max(a.maxTime, t.max)
	if t.min < s.minTime || !t.bad && t.min != s.minTime {
		a.edited(s.first, partMinTime, "min_time of the commit at log_index %d is not the least event_timestamp of its events", s.first)
	}
	if t.max > s.maxTime || !t.bad && t.max != s.maxTime {
		a.edited(s.first, partMaxTime, "max_time of the commit at log_index %d is not the greatest event_timestamp of its events", s.first)
	}
}
