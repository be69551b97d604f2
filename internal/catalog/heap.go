package catalog

import "slices"

// key orders what a search finds: the lower, the better. It holds what is missing from the score 1 above the place among
// workflows of equal score.
type key uint64

func makeKey(score int32, rank uint32) key { return key(maxScore-score)<<32 | key(rank) }

func (k key) score() Score { return Score(maxScore - int32(k>>32)) }
func (k key) rank() uint32 { return uint32(k) }

// heap is the best keys that were offered, the worst of them in front.
type heap []key

// offer takes x when fewer than k are kept, or instead of the worst when it is better.
func (h heap) offer(k int, x key) heap {
	if len(h) < k {
		h = append(h, x)
		h.rise(len(h) - 1)
		return h
	}
	if x < h[0] {
		h[0] = x
		h.sink()
	}
	return h
}

func (h heap) rise(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent] >= h[i] {
			return
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
}

func (h heap) sink() {
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if right := child + 1; right < len(h) && h[right] > h[child] {
			child = right
		}
		if h[i] >= h[child] {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// sort puts the best first.
func (h heap) sort() { slices.Sort(h) }
