package sqlitedb

import (
	"context"
	"sync"
	"time"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// watched are the open databases, by what SQLite calls them: it calls the functions below with that.
var watched sync.Map // of *database

// watchSteps is after how many of its steps a statement looks whether it must end. SQLite forgets an interrupt that comes
// just before a statement begins.
const watchSteps = 1000

// watch has a statement that follows end when ctx ends, be it that it waits for a lock. It fails when ctx has ended.
// unwatch ends that, and reports whether ctx has ended.
func (d *database) watch(ctx context.Context) (unwatch func() (ended bool), err error) {
	if ctx.Done() == nil {
		return unwatched, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.wait = ctx.Done()
	d.ended.Store(false)
	d.setHandlers()
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		d.ended.Store(true)
		tls := libc.NewTLS()
		defer tls.Close()
		sqlite3.Xsqlite3_interrupt(tls, d.p)
	})
	return func() bool {
		d.wait = nil
		if stop() {
			return false
		}
		<-told
		d.ended.Store(false)
		return true
	}, nil
}

func unwatched() bool { return false }

// setHandlers makes SQLite ask whether a statement must end. PRAGMA busy_timeout, which says how long to wait for a lock, takes
// the place of the handler for that wait, and setting the handler forgets how long.
func (d *database) setHandlers() {
	db := at[sqlite3.Tsqlite3](d.p)
	if db.FxProgress == 0 {
		sqlite3.Xsqlite3_progress_handler(d.tls, d.p, watchSteps, pointer(mustEnd), d.p)
	}
	if db.FbusyHandler.FxBusyHandler != pointer(waitForLock) {
		longest := db.FbusyTimeout
		sqlite3.Xsqlite3_busy_handler(d.tls, d.p, pointer(waitForLock), d.p)
		db.FbusyTimeout = longest
	}
}

// mustEnd is 1 when the statement that runs must end.
func mustEnd(_ *libc.TLS, db uintptr) int32 {
	if d, ok := watched.Load(db); ok && d.(*database).ended.Load() {
		return 1
	}
	return 0
}

// lockPauses are the pauses between looks at a lock that another process holds; the last one is repeated.
var lockPauses = [...]time.Duration{
	1 * time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 15 * time.Millisecond,
	20 * time.Millisecond, 25 * time.Millisecond, 25 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond,
}

// waitForLock pauses and is 1, or is 0 when the wait is over: it took as long as PRAGMA busy_timeout says, or what watches
// the statement has ended. looks is how often the lock was looked at.
func waitForLock(_ *libc.TLS, db uintptr, looks int32) int32 {
	var waited time.Duration
	for i := range int(looks) {
		waited += lockPauses[min(i, len(lockPauses)-1)]
	}
	longest := time.Duration(at[sqlite3.Tsqlite3](db).FbusyTimeout) * time.Millisecond
	next := min(lockPauses[min(int(looks), len(lockPauses)-1)], longest-waited)
	if next <= 0 {
		return 0
	}
	timer := time.NewTimer(next)
	defer timer.Stop()
	var wait <-chan struct{}
	if d, ok := watched.Load(db); ok {
		wait = d.(*database).wait
	}
	select {
	case <-wait:
		return 0
	case <-timer.C:
		return 1
	}
}
