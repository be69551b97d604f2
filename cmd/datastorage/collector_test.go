package main

import "testing"

func TestCollectorPercent(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 400, 8 << 20: 400, 16 << 20: 250, 20 << 20: 200, 32 << 20: 125, 62 << 20: 100, 1 << 40: 100} {
		if got := collectorPercent(live); got != want {
			t.Errorf("with %d bytes alive it is %d, want %d", live, got, want)
		}
	}
}
