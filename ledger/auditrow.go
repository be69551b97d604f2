package ledger

import (
	"bytes"
	"context"
	"math"

	"github.com/google/uuid"
)

// rows compares the events of the window with their entries.
func (a *auditor) rows(ctx context.Context) error {
	for len(a.window) > 0 {
		// Commits that follow each other are read together.
		n := 1
		for n < len(a.window) && a.window[n].first == a.window[n-1].next {
			n++
		}
		w := rowWalk{auditor: a, segments: a.window[:n], next: a.window[0].first, times: newSegmentTimes()}
		if err := a.src.Events(ctx, w.next, a.window[n-1].next, w.row); err != nil {
			return err
		}
		w.flush()
		w.upTo(a.window[n-1].next)
		w.closeSegment()
		a.window = a.window[n:]
	}
	return nil
}

// rowWalk goes through the rows of consecutive segments.
type rowWalk struct {
	*auditor
	segments []segment
	times    segmentTimes
	next     int64 // the log_index whose row is due
	placed   bool  // whether the row of next-1 was the right one
	// pending are the altered columns of that row: one more row with its log_index may be the real one.
	pending []string
	// They belong to the entry last, lastID; the row says that it is lastRowID.
	last              int64
	lastID, lastRowID uuid.UUID
}

// entry returns the entry of a log_index in the first segment.
func (w *rowWalk) entry(index int64) (uuid.UUID, Hash) {
	s := &w.segments[0]
	return entryAt(s.entries, index-s.first)
}

// upTo names the events below index that have no row, and moves to the segment of index.
func (w *rowWalk) upTo(index int64) {
	for w.next < index {
		w.enter(w.next)
		w.noRow(w.next)
		w.next++
	}
}

// enter makes the segment of index the first one.
func (w *rowWalk) enter(index int64) {
	for index >= w.segments[0].next {
		w.closeSegment()
	}
}

func (w *rowWalk) closeSegment() {
	w.checkTimes(&w.segments[0], &w.times)
	w.segments, w.times = w.segments[1:], newSegmentTimes()
}

// noRow judges an event that has an entry and no row. It is the one place that decides whether that is a fault.
func (w *rowWalk) noRow(index int64) {
	id, commitment := w.entry(index)
	w.times.bad = true
	w.ids.unknown(index)
	w.lost.missing(&w.faults, index, id, commitment)
}

// row checks the next row of the segments.
func (w *rowWalk) row(r *EventRow) error {
	if r.LogIndex < w.next {
		w.duplicate(r)
		return nil
	}
	w.flush()
	w.upTo(r.LogIndex)
	w.enter(r.LogIndex)
	w.next++
	id, commitment := w.entry(r.LogIndex)
	got := w.digest.commitment(r.Salt, r.Body)
	if w.placed = got == commitment; w.placed {
		w.authentic(r, id)
		return nil
	}
	w.times.bad = true
	w.ids.unknown(r.LogIndex)
	w.lost.mismatch(&w.faults, r.LogIndex, id, commitment, r.id(), got)
	return nil
}

// duplicate judges a further row of the log_index before next: the real one is the one that fits the entry best.
func (w *rowWalk) duplicate(r *EventRow) {
	index, other := r.LogIndex, r.id()
	id, commitment := w.entry(index)
	fits := w.digest.commitment(r.Salt, r.Body) == commitment
	switch {
	case fits && !w.placed:
		w.placed = true
		other = w.lost.withdraw(index)
		w.authentic(r, id)
	case fits && len(w.pending) > 0 && other == id:
		other = w.lastRowID
		w.pending = w.pending[:0]
		w.columns(r, id)
	}
	w.faults.add(DuplicateRow, "", index, other, "there is more than one row with this log_index; this one has no entry of its own")
}

// flush names the columns that are pending.
func (w *rowWalk) flush() {
	for _, column := range w.pending {
		detail := "the column %s differs from the body, which is as it was committed"
		if column == columnCorrelationFirst {
			detail = "the column %s does not say where the event's correlation begins, so queries by correlation_id do not find the event"
		}
		w.faults.add(AlteredColumn, column, w.last, w.lastID, detail, column)
	}
	w.pending = w.pending[:0]
}

// authentic checks a row whose salt and body are those that were committed.
func (w *rowWalk) authentic(r *EventRow, id uuid.UUID) {
	s := &w.scanner
	if err := s.scan(r.Body); err != nil {
		w.times.bad = true
		w.ids.unknown(r.LogIndex)
		w.faults.add(MalformedBody, "", r.LogIndex, id, "the body is as it was committed, but not canonical: %v", err)
		return
	}
	w.times.add(s.time)
	w.ids.expect(id, r.LogIndex, s.time)
	if s.id != id {
		w.faults.add(CommitEdited, partEntries, r.LogIndex, id, "the entry names this event, but its body is that of event %s", s.id)
	}
	w.changes.record(s, r.LogIndex, w.segments[0].committed)
	w.expectNotification(r.LogIndex, w.segments[0].committed)
	w.columns(r, id)
}

// columns compares the indexed columns with the body.
func (w *rowWalk) columns(r *EventRow, id uuid.UUID) {
	s := &w.scanner
	if r.Time != s.time {
		w.altered(r, id, "event_timestamp")
	}
	if !bytes.Equal(r.ID, s.id[:]) {
		w.altered(r, id, "event_id")
	}
	if s.parent == uuid.Nil && r.ParentID != nil || s.parent != uuid.Nil && !bytes.Equal(r.ParentID, s.parent[:]) {
		w.altered(r, id, "parent_event_id")
	}
	filed := r.Filed
	for c := range r.Texts {
		text := &s.texts[c]
		if (text.raw == nil) != (r.Texts[c] == nil) || !s.equal(*text, r.Texts[c]) {
			w.altered(r, id, columnNames[c])
			if Column(c) == ColumnCorrelationID {
				filed = Found // under another correlation_id, which is the fault
			}
		}
	}
	if filed != Found {
		w.filed(r, id)
	}
}

func (w *rowWalk) altered(r *EventRow, id uuid.UUID, column string) {
	w.pending = append(w.pending, column)
	w.last, w.lastID, w.lastRowID = r.LogIndex, id, r.id()
}

// strayBatch is how many rows outside the log are held at once.
const strayBatch = 10_000

// strayRows finds rows of events outside the log: before its beginning, or behind its end.
func (a *auditor) strayRows(ctx context.Context) error {
	note := func(row *lostRow) { a.lost.stray(&a.faults, row.index, row.id, row.commitment) }
	row := func(r *EventRow) lostRow {
		return lostRow{index: r.LogIndex, id: r.id(), commitment: a.digest.commitment(r.Salt, r.Body)}
	}
	err := a.src.Events(ctx, math.MinInt64, 0, func(r *EventRow) error {
		stray := row(r)
		note(&stray)
		return nil
	})
	if err != nil {
		return err
	}
	// A row is stored together with its commit, so a row that was read before the log's size and lies outside it is
	// stray, however much is written meanwhile.
	var held []lostRow
	flush := func() error {
		end, err := a.end(ctx)
		for i := range held {
			if held[i].index >= end {
				note(&held[i])
			}
		}
		held = held[:0]
		return err
	}
	end, err := a.end(ctx)
	if err != nil {
		return err
	}
	err = a.src.Events(ctx, end, math.MaxInt64, func(r *EventRow) error {
		held = append(held, row(r))
		if len(held) < strayBatch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// end returns the log's size as it is now. What the last commit says about that is not trusted when the audit has found
// another end of the same commits.
func (a *auditor) end(ctx context.Context) (int64, error) {
	size, err := a.src.Size(ctx)
	if size == a.size {
		size = a.tree.size
	}
	return size, err
}
