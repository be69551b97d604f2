package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"
)

// The server's GOGC. Little of what it allocates lives longer than a request: while the heap that lives is small, a
// collection for every doubling of it costs more processor time than memory is worth. A large catalogue makes it large; then
// the room that a collection waits for is roomyHeap, or as much again as lives, as usual.
const (
	greatestPercent = 400
	leastPercent    = 100
	roomyHeap       = 40 << 20
	// tuneInterval is how often the percentage is brought up to date.
	tuneInterval = 2 * time.Second
)

// tuneCollector keeps the garbage collector's percentage right until ctx ends, unless the environment sets it.
func tuneCollector(ctx context.Context, environ []string) {
	for _, v := range environ {
		if strings.HasPrefix(v, "GOGC=") || strings.HasPrefix(v, "GOMEMLIMIT=") {
			return
		}
	}
	// How much lives under load is not known yet.
	percent := leastPercent
	debug.SetGCPercent(percent)
	tick := time.NewTicker(tuneInterval)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(live)
		// A step saves the collector from being told of every small change.
		if now := collectorPercent(live[0].Value.Uint64()); now != percent {
			percent = now
			debug.SetGCPercent(percent)
		}
	}
}

// collectorPercent returns the percentage for a heap of which so many bytes live, in steps of 25.
func collectorPercent(live uint64) int {
	percent := int(100 * roomyHeap / max(live, 1<<20))
	return min(greatestPercent, max(leastPercent, percent/25*25))
}
