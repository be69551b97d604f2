package bench

import (
	"math"
	"math/bits"
	"time"
)

const (
	// subBits fixes the resolution: every power of two is cut into 2^subBits
	// buckets, so that a bucket is at most 1/128 of its value wide.
	subBits = 7
	// maxBits bounds what is told apart: 2^40 ns are 18 minutes.
	maxBits = 40
	buckets = (maxBits - subBits + 1) << subBits
)

// Histogram counts durations in logarithmic buckets. A quantile it reports is
// within 0.4 % of the true one; count, mean and maximum are exact. Durations
// below zero count as zero, those above 18 minutes fall into the last bucket.
// The zero value is empty and ready. It is not safe for concurrent use: each
// client of a load keeps its own, and Merge adds them up.
type Histogram struct {
	counts [buckets]uint64
	total  uint64
	sum    int64
	max    int64
}

// Record counts one duration.
func (h *Histogram) Record(d time.Duration) {
	v := max(int64(d), 0)
	h.counts[bucketOf(v)]++
	h.total++
	h.sum += v
	h.max = max(h.max, v)
}

// Merge adds what other counted to h.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.sum += other.sum
	h.max = max(h.max, other.max)
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.total }

// Max returns the longest duration recorded, 0 when there is none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Mean returns the arithmetic mean, 0 when nothing was recorded.
func (h *Histogram) Mean() time.Duration {
	if h.total == 0 {
		return 0
	}
	return time.Duration(h.sum / int64(h.total))
}

// Quantile returns the duration that the share q (0 to 1) of all recorded
// ones does not exceed, 0 when nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := min(max(uint64(math.Ceil(q*float64(h.total))), 1), h.total)
	var seen uint64
	for i, n := range h.counts {
		seen += n
		if seen >= rank {
			return time.Duration(min(middleOf(i), h.max))
		}
	}
	return h.Max()
}

// bucketOf returns the bucket of a duration of v nanoseconds, v ≥ 0.
func bucketOf(v int64) int {
	v = min(v, 1<<maxBits-1)
	shift := max(bits.Len64(uint64(v))-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// middleOf returns the middle of a bucket in nanoseconds.
func middleOf(bucket int) int64 {
	shift := max(bucket>>subBits-1, 0)
	low := int64(bucket-shift<<subBits) << shift
	return low + int64(1)<<shift/2
}
