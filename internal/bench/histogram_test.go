package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogram_QuantileIsWithinOnePercent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	values := make([]time.Duration, 200_000)
	for i := range values {
		// From about a microsecond to about a minute, evenly on a log scale.
		values[i] = time.Duration(math.Exp(rng.Float64()*math.Log(6e7)) * 1e3)
		h.Record(values[i])
	}
	slices.Sort(values)
	for _, q := range []float64{0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999} {
		want := values[int(math.Ceil(q*float64(len(values))))-1]
		got := h.Quantile(q)
		if diff := math.Abs(float64(got-want)) / float64(want); diff > 0.005 {
			t.Errorf("Quantile(%v) = %v, want %v: off by %.2f %%", q, got, want, diff*100)
		}
	}
	if h.Quantile(1) != values[len(values)-1] && float64(h.Max()-h.Quantile(1))/float64(h.Max()) > 0.01 {
		t.Errorf("Quantile(1) = %v, want about %v", h.Quantile(1), h.Max())
	}
	if h.Max() != values[len(values)-1] {
		t.Errorf("Max = %v, want %v", h.Max(), values[len(values)-1])
	}
}

func TestHistogram_BucketsAreContiguousAndNarrow(t *testing.T) {
	previous := -1
	for v := int64(0); v < 1<<20; v++ {
		b := bucketOf(v)
		if b != previous && b != previous+1 {
			t.Fatalf("bucketOf(%d) = %d follows %d", v, b, previous)
		}
		if diff := math.Abs(float64(middleOf(b) - v)); diff > 0.5 && diff/float64(v) > 0.005 {
			t.Fatalf("middle of bucket of %d is %d", v, middleOf(b))
		}
		previous = b
	}
	if got := bucketOf(math.MaxInt64); got != buckets-1 {
		t.Errorf("bucketOf(MaxInt64) = %d, want the last, %d", got, buckets-1)
	}
}

func TestHistogram_MergeEqualsOneHistogram(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var whole, sum Histogram
	parts := make([]Histogram, 5)
	for i := range 10_000 {
		d := time.Duration(rng.Int64N(int64(time.Second)))
		whole.Record(d)
		parts[i%len(parts)].Record(d)
	}
	for i := range parts {
		sum.Merge(&parts[i])
	}
	if sum != whole {
		t.Error("the merged histogram differs from the one that saw every value")
	}
	if whole.Mean() < 490*time.Millisecond || whole.Mean() > 510*time.Millisecond {
		t.Errorf("Mean = %v, want about 500ms", whole.Mean())
	}
}

func TestHistogram_Edges(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 || h.Mean() != 0 || h.Count() != 0 {
		t.Error("an empty histogram reports something")
	}
	h.Record(-time.Second)
	h.Record(time.Hour)
	if h.Quantile(0) != 0 {
		t.Errorf("Quantile(0) = %v, want 0", h.Quantile(0))
	}
	if h.Max() != time.Hour {
		t.Errorf("Max = %v, want 1h", h.Max())
	}
	if h.Count() != 2 {
		t.Errorf("Count = %d, want 2", h.Count())
	}
}
