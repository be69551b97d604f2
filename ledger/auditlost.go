package ledger

import (
	"github.com/google/uuid"
)

// maxLost is how many rows and entries without a counterpart are held to be brought together. Beyond it they are named
// one by one, and a row at the wrong position counts as an altered one.
const maxLost = 1 << 20

// lostRows holds the rows that do not fit the entry of their log_index, and the entries without a row that fits: a row
// that was moved is among the former, and its entry among the latter.
type lostRows struct {
	rows    []lostRow
	entries []lostEntry
	without []uuid.UUID    // the ids of rows that have no entry
	bad     map[int64]bool // where a row does not fit its entry
}

type lostRow struct {
	index int64
	// id is that of the row, entryID that of the entry at index; the nil UUID where there is none.
	id, entryID uuid.UUID
	commitment  Hash
}

type lostEntry struct {
	index      int64
	id         uuid.UUID
	commitment Hash
}

// missing notes an entry without any row.
func (l *lostRows) missing(f *faultList, index int64, id uuid.UUID, commitment Hash) {
	if len(l.entries) == maxLost {
		nameMissing(f, index, id)
		return
	}
	l.entries = append(l.entries, lostEntry{index, id, commitment})
}

// mismatch notes a row with the commitment got where the entry says another.
func (l *lostRows) mismatch(f *faultList, index int64, entryID uuid.UUID, want Hash, rowID uuid.UUID, got Hash) {
	if len(l.entries) == maxLost || len(l.rows) == maxLost {
		nameAltered(f, index, entryID)
		return
	}
	if l.bad == nil {
		l.bad = map[int64]bool{}
	}
	l.bad[index] = true
	l.entries = append(l.entries, lostEntry{index, entryID, want})
	l.rows = append(l.rows, lostRow{index, rowID, entryID, got})
}

// stray notes a row outside the log.
func (l *lostRows) stray(f *faultList, index int64, id uuid.UUID, commitment Hash) {
	if len(l.rows) == maxLost {
		l.nameWithoutEntry(f, index, id)
		return
	}
	l.rows = append(l.rows, lostRow{index, id, uuid.Nil, commitment})
}

// withdraw takes back the mismatch at index, the last one noted, and returns the id of its row.
func (l *lostRows) withdraw(index int64) (id uuid.UUID) {
	if n := len(l.rows); n > 0 && l.rows[n-1].index == index {
		id = l.rows[n-1].id
		l.rows = l.rows[:n-1]
		l.entries = l.entries[:len(l.entries)-1]
	}
	return id
}

// settle names what has no counterpart, and the rows that have theirs elsewhere.
func (l *lostRows) settle(f *faultList) {
	byCommitment := make(map[Hash]int, len(l.entries))
	for i := range l.entries {
		byCommitment[l.entries[i].commitment] = i
	}
	found := make([]bool, len(l.entries))
	replaced := map[int64]bool{} // log_index of entries whose row stands elsewhere
	rest := l.rows[:0]
	for _, row := range l.rows {
		i, ok := byCommitment[row.commitment]
		if !ok || found[i] {
			rest = append(rest, row)
			continue
		}
		e := &l.entries[i]
		found[i], replaced[e.index] = true, true
		f.add(WrongPosition, "", row.index, e.id, "the unaltered row of log_index %d stands at log_index %d", e.index, row.index)
	}
	altered := map[int64]bool{}
	for _, row := range rest {
		if row.entryID == uuid.Nil || replaced[row.index] {
			l.nameWithoutEntry(f, row.index, row.id)
			continue
		}
		altered[row.index] = true
		nameAltered(f, row.index, row.entryID)
	}
	for i, e := range l.entries {
		if !found[i] && !altered[e.index] {
			nameMissing(f, e.index, e.id)
		}
	}
}

func nameMissing(f *faultList, index int64, id uuid.UUID) {
	f.add(MissingRow, "", index, id, "the event has an entry in the log and no row")
}

func nameAltered(f *faultList, index int64, id uuid.UUID) {
	f.add(AlteredBody, "", index, id, "the stored body and salt do not have the commitment that the entry holds")
}

func (l *lostRows) nameWithoutEntry(f *faultList, index int64, id uuid.UUID) {
	f.add(RowWithoutEntry, "", max(index, -1), id, "the row at log_index %d was never committed to the log", index)
	if len(l.without) < maxLost {
		l.without = append(l.without, id)
	}
}
