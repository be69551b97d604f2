package tail

import (
	"sort"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// entry is an event of the ring, encoded. It is never changed.
type entry struct {
	datastorage.EventHeader
	frame    []byte
	from, to int // where the row stands in the frame
}

// entryOverhead is about what an entry takes beside its frame, in bytes.
const entryOverhead = 1 << 10

func newEntry(e *project.Event) *entry {
	const beside = 160 // what a frame holds beside the body
	frame, from, to := appendAudit(make([]byte, 0, len(e.Body)+beside), stored(e))
	return &entry{EventHeader: e.EventHeader, frame: frame, from: from, to: to}
}

func stored(e *project.Event) *datastorage.StoredEvent {
	return &datastorage.StoredEvent{LogIndex: e.LogIndex, ID: e.ID, Time: e.Time, Body: e.Body}
}

// row is the event as a query returns it.
func (e *entry) row() []byte { return e.frame[e.from:e.to] }

func (e *entry) size() int { return len(e.frame) + entryOverhead }

// ring holds the newest events of the log in order, bounded by number and by bytes.
type ring struct {
	slots    []*entry
	first, n int // the oldest one's slot, and how many there are
	bytes    int
	maxBytes int
	// low is where the ring begins: it holds every event from there to the end that was not removed.
	low int64
}

func newRing(events, bytes int, position int64) ring {
	return ring{slots: make([]*entry, events), maxBytes: bytes, low: position}
}

func (r *ring) at(i int) *entry { return r.slots[(r.first+i)%len(r.slots)] }

func (r *ring) add(e *entry) {
	for r.n > 0 && (r.n == len(r.slots) || r.bytes+e.size() > r.maxBytes) {
		r.drop()
	}
	r.slots[(r.first+r.n)%len(r.slots)] = e
	r.n++
	r.bytes += e.size()
}

func (r *ring) drop() {
	oldest := r.slots[r.first]
	r.slots[r.first] = nil
	r.first = (r.first + 1) % len(r.slots)
	r.n--
	r.bytes -= oldest.size()
	r.low = oldest.LogIndex + 1
}

// behind appends up to limit entries from the log_index next on to list.
func (r *ring) behind(next int64, limit int, list []*entry) []*entry {
	start := sort.Search(r.n, func(i int) bool { return r.at(i).LogIndex >= next })
	for i := start; i < min(r.n, start+limit); i++ {
		list = append(list, r.at(i))
	}
	return list
}
