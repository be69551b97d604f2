package catalog

import (
	"math/rand/v2"
	"testing"
)

func TestSkip(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		ascending := make([]uint32, 1+r.IntN(70))
		next := uint32(0)
		for i := range ascending {
			next += 1 + r.Uint32N(3)
			ascending[i] = next
		}
		above := ascending[0] + 1 + r.Uint32N(next+2)
		want := uint32(0)
		for int(want) < len(ascending) && ascending[want] < above {
			want++
		}
		if got := skip(ascending, above); got != want {
			t.Fatalf("%d of %v are below %d, not %d", want, ascending, above, got)
		}
	}
}
