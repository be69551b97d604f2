package tail

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// TestRing compares the ring with a list of everything, and holds it to its bounds.
func TestRing(t *testing.T) {
	t.Parallel()
	const maxEvents, maxBytes = 20, 30 * entryOverhead
	rng := rand.New(rand.NewPCG(1, 1))
	r := newRing(maxEvents, maxBytes, 100)
	var all []int64
	for index := int64(100); index < 2000; index += 1 + rng.Int64N(3) { // some events were removed
		body := make([]byte, 2+rng.IntN(4*entryOverhead))
		body[0], body[len(body)-1] = '{', '}'
		r.add(newEntry(&project.Event{EventHeader: datastorage.EventHeader{LogIndex: index, ID: uuid.New()}, Body: body}))
		all = append(all, index)
		bytes := 0
		for i := range r.n {
			bytes += r.at(i).size()
		}
		if r.n > maxEvents || r.bytes > maxBytes || r.bytes != bytes {
			t.Fatalf("the ring holds %d events and %d bytes, counted as %d", r.n, bytes, r.bytes)
		}
		from, limit := r.low+rng.Int64N(index-r.low+2), 1+rng.IntN(maxEvents)
		var got, want []int64
		for _, e := range r.behind(from, limit, nil) {
			got = append(got, e.LogIndex)
		}
		start, _ := slices.BinarySearch(all, from)
		want = append(want, all[start:min(len(all), start+limit)]...)
		if !slices.Equal(got, want) {
			t.Fatalf("behind %d stand %v, want %v", from, got, want)
		}
	}
	for i, e := range r.slots {
		if held := (i-r.first+len(r.slots))%len(r.slots) < r.n; held != (e != nil) {
			t.Errorf("slot %d is kept for nobody", i)
		}
	}
}

// TestLimits_adapt keeps what one read returns near what it should.
func TestLimits_adapt(t *testing.T) {
	t.Parallel()
	l := DefaultLimits(1)
	for _, size := range []int{200, 1000, 10_000, 256 << 10, 10 << 20} {
		limit := fewEvents
		for range 20 {
			limit = l.adapt(limit, limit*size)
		}
		if bytes := limit * size; limit > l.StoreEvents || limit > 1 && bytes > 2*l.StoreBytes || limit < l.StoreEvents && bytes < l.StoreBytes/4 {
			t.Errorf("events of %d bytes are read %d at once", size, limit)
		}
	}
}
