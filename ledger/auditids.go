package ledger

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
)

// Every event must have its row in event_ids, and every row there its event. Looking each up would read the table in
// random order. Instead both sides are summed up by buckets of log_index: a sum of keyed hashes does not depend on the
// order, and nobody who does not know the key can make other rows with the same sum. Only buckets that differ are looked
// at closely.

// bucketSize is how many log_indexes one bucket holds.
const bucketSize = 4096

// idGroup is how many buckets are looked at closely in one pass over event_ids.
const idGroup = 128

// idCheck holds the sums.
type idCheck struct {
	key     [16]byte
	sums    []idSum
	dirty   map[int64]bool // buckets that differ for certain
	gaps    []span
	orphans []idRow // rows outside the log
	// named are the events that have a fault in event_ids, or a stray row.
	named map[uuid.UUID]bool
	buf   [48]byte
	// starts says where to read each bucket again: the commit that holds its first log_index.
	starts []idStart
}

// idStart is the commit with first_index key, whose events begin at log_index at.
type idStart struct{ key, at int64 }

// span is the log_indexes [first, next).
type span struct{ first, next int64 }

// idSum is what is left of a bucket when the rows of event_ids are taken from the events of the log: zero when they are
// the same.
type idSum [4]uint64

// idRow is a row of event_ids that is held.
type idRow struct {
	id    uuid.UUID
	index int64
	time  int64
}

func newIDCheck() idCheck {
	c := idCheck{dirty: map[int64]bool{}, named: map[uuid.UUID]bool{}}
	_, _ = rand.Read(c.key[:]) // crypto/rand.Read never fails
	return c
}

func (c *idCheck) hash(id *uuid.UUID, index, time int64) [sha256.Size]byte {
	copy(c.buf[:16], c.key[:])
	copy(c.buf[16:32], id[:])
	binary.LittleEndian.PutUint64(c.buf[32:], uint64(index))
	binary.LittleEndian.PutUint64(c.buf[40:], uint64(time))
	return sha256.Sum256(c.buf[:])
}

// expect adds an event of the log.
func (c *idCheck) expect(id uuid.UUID, index, time int64) {
	h := c.hash(&id, index, time)
	sum := c.bucket(index)
	for i := range sum {
		sum[i] += binary.LittleEndian.Uint64(h[8*i:])
	}
}

func (c *idCheck) bucket(index int64) *idSum {
	b := index / bucketSize
	for int64(len(c.sums)) <= b {
		c.sums = append(c.sums, idSum{})
	}
	return &c.sums[b]
}

// begin notes a commit that ends behind the buckets that were begun so far.
func (c *idCheck) begin(key, at, next int64) {
	for int64(len(c.starts))*bucketSize < next {
		c.starts = append(c.starts, idStart{key, at})
	}
}

// unknown notes an event whose time cannot be told.
func (c *idCheck) unknown(index int64) { c.dirty[index/bucketSize] = true }

// skip notes log_indexes whose events cannot be told.
func (c *idCheck) skip(first, next int64) {
	c.gaps = append(c.gaps, span{first, next})
	if first < next {
		c.dirty[first/bucketSize], c.dirty[(next-1)/bucketSize] = true, true
	}
}

func (c *idCheck) inGap(index int64) bool {
	for _, g := range c.gaps {
		if index >= g.first && index < g.next {
			return true
		}
	}
	return false
}

// found takes a row of event_ids away.
func (c *idCheck) found(r *EventIDRow, size int64) {
	id := asID(r.ID)
	if r.LogIndex < 0 || r.LogIndex >= size {
		if len(c.orphans) < maxLost {
			c.orphans = append(c.orphans, idRow{id, r.LogIndex, r.Time})
		}
		return
	}
	h := c.hash(&id, r.LogIndex, r.Time)
	sum := c.bucket(r.LogIndex)
	for i := range sum {
		sum[i] -= binary.LittleEndian.Uint64(h[8*i:])
	}
}

// eventIDs compares event_ids with the log.
func (a *auditor) eventIDs(ctx context.Context) error {
	c := &a.ids
	size := a.tree.size
	if err := a.src.EventIDs(ctx, func(r *EventIDRow) error { c.found(r, size); return nil }); err != nil {
		return err
	}
	end, err := a.end(ctx)
	if err != nil {
		return err
	}
	outside := c.orphans
	c.orphans = nil
	for _, id := range a.lost.without {
		c.named[id] = true
	}
	var group []int64
	for b := range c.starts {
		if *c.bucket(int64(b) * bucketSize) == (idSum{}) && !c.dirty[int64(b)] {
			continue
		}
		if group = append(group, int64(b)); len(group) == idGroup {
			if err := a.closeLook(ctx, group); err != nil {
				return err
			}
			group = group[:0]
		}
	}
	if err := a.closeLook(ctx, group); err != nil {
		return err
	}
	for _, r := range c.orphans {
		a.nameOrphan(r)
	}
	for _, r := range outside {
		if r.index < 0 || r.index >= end {
			a.nameOrphan(r)
		}
	}
	return nil
}

func (a *auditor) nameOrphan(r idRow) {
	if !a.ids.named[r.id] && !a.ids.inGap(r.index) {
		a.faults.add(EventIDWithoutEntry, "", max(r.index, -1), r.id, "event_ids says that the event stands at log_index %d, but the log does not hold it there", r.index)
	}
}

// idExpected is an event of a bucket that differs.
type idExpected struct {
	index, time int64
	timed, seen bool
}

// closeLook reads a group of buckets again and names every event of them that event_ids has not, or has wrong. Rows of
// event_ids that claim a place in the group and do not belong there become orphans.
func (a *auditor) closeLook(ctx context.Context, group []int64) error {
	if len(group) == 0 {
		return nil
	}
	expected := map[uuid.UUID]*idExpected{}
	inGroup := map[int64]bool{}
	var order []uuid.UUID
	for _, b := range group {
		inGroup[b] = true
		ids, err := a.readBucket(ctx, b, expected)
		if err != nil {
			return err
		}
		order = append(order, ids...)
	}
	err := a.src.EventIDs(ctx, func(r *EventIDRow) error {
		id := asID(r.ID)
		e := expected[id]
		switch {
		case e == nil && r.LogIndex >= 0 && inGroup[r.LogIndex/bucketSize] && r.LogIndex < a.tree.size:
			if len(a.ids.orphans) < maxLost {
				a.ids.orphans = append(a.ids.orphans, idRow{id, r.LogIndex, r.Time})
			}
		case e == nil:
		case e.seen:
			a.faults.add(DuplicateRow, "", e.index, id, "event_ids holds the event more than once")
		case r.LogIndex != e.index:
			e.seen, a.ids.named[id] = true, true
			a.faults.add(AlteredEventID, "log_index", e.index, id, "event_ids says that the event stands at log_index %d", r.LogIndex)
		case e.timed && r.Time != e.time:
			e.seen, a.ids.named[id] = true, true
			a.faults.add(AlteredEventID, "event_timestamp", e.index, id, "event_ids holds another event_timestamp than the body")
		default:
			e.seen = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range order {
		if e := expected[id]; !e.seen {
			a.ids.named[id] = true
			a.faults.add(MissingEventID, "", e.index, id, "event_ids does not hold the event")
		}
	}
	return nil
}

// readBucket reads the events of a bucket again, by their entries, and their times where the rows can be trusted.
func (a *auditor) readBucket(ctx context.Context, bucket int64, expected map[uuid.UUID]*idExpected) ([]uuid.UUID, error) {
	first := bucket * bucketSize
	next := min(first+bucketSize, a.tree.size)
	var ids []uuid.UUID
	commitments := map[int64]Hash{}
	err := a.entries(ctx, first, next, func(index int64, entry []byte) {
		id, commitment := entryAt(entry, 0)
		if expected[id] == nil {
			ids = append(ids, id)
			expected[id] = &idExpected{index: index}
		}
		commitments[index] = commitment
	})
	if err != nil {
		return nil, err
	}
	var s bodyScanner
	err = a.src.Events(ctx, first, next, func(r *EventRow) error {
		if a.digest.commitment(r.Salt, r.Body) != commitments[r.LogIndex] || !s.accepts(r.Body) {
			return nil
		}
		if e := expected[s.id]; e != nil && e.index == r.LogIndex {
			e.time, e.timed = s.time, true
		}
		return nil
	})
	return ids, err
}

// entries calls f with the entries of [first, next), placed as in the first reading.
func (a *auditor) entries(ctx context.Context, first, next int64, f func(index int64, entry []byte)) error {
	start := a.ids.starts[first/bucketSize]
	at, from := start.at, start.key
	for at < next {
		commits, err := a.src.Commits(ctx, from, windowCommits)
		if err != nil || len(commits) == 0 {
			return err
		}
		for i := range commits {
			c := &commits[i]
			from = c.FirstIndex + 1
			begin, inside := place(c, at)
			if inside {
				continue
			}
			entries := c.Entries
			if rebuilt, ok := a.rebuilt[begin]; ok {
				entries = rebuilt
			}
			at = begin
			for ; len(entries) >= EntrySize; entries = entries[EntrySize:] {
				if at >= first && at < next {
					f(at, entries[:EntrySize])
				}
				at++
			}
		}
	}
	return nil
}
