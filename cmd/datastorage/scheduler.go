package main

import (
	"runtime"
	"strings"
)

// spareProcs is how many goroutines of the server run at once beyond the number of processors. A commit keeps one place for
// long, in SQLite's code or in the kernel; while all others are taken, the scheduler looks for what came from the network only
// every 10 ms, and clients that were ready to go on wait so long.
const spareProcs = 2

// addSpareProcs makes the room, unless the environment sets it. A limit on processors that changes later is not followed.
func addSpareProcs(environ []string) {
	for _, v := range environ {
		if strings.HasPrefix(v, "GOMAXPROCS=") {
			return
		}
	}
	runtime.SetDefaultGOMAXPROCS()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spareProcs)
}
