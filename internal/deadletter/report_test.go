package deadletter_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// counted is a queue of which only the numbers are known.
type counted struct {
	deadletter.Queue
	mu    sync.Mutex
	stats deadletter.Stats
}

func (c *counted) Stats(context.Context) (deadletter.Stats, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats, nil
}

func (c *counted) set(depth, quarantined int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Depth, c.stats.Quarantined = depth, quarantined
}

// board keeps reports; before and after are what a change fails with, not stored and stored.
type board struct {
	mu            sync.Mutex
	before, after error
	reports       map[uuid.UUID]deadletter.Report
	changes       int
}

func (b *board) PutQueueReport(_ context.Context, r *deadletter.Report) error {
	return b.change(func() { b.reports[r.Replica] = *r })
}

func (b *board) RemoveQueueReport(_ context.Context, replica uuid.UUID) error {
	return b.change(func() { delete(b.reports, replica) })
}

func (b *board) change(f func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes++
	if b.before != nil {
		return b.before
	}
	f()
	return b.after
}

func (b *board) fail(before, after error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before, b.after = before, after
}

// reported is the depth and the number of letters that are reported; nil when nothing is.
func (b *board) reported() (r []int64, changes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, report := range b.reports {
		r = append(r, report.Depth, report.Quarantined)
	}
	return r, b.changes
}

func TestReporter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, b := &counted{}, &board{reports: map[uuid.UUID]deadletter.Report{}}
		place := deadletter.Report{Replica: uuid.New(), Host: "host-1", DataDir: "/data"}
		// What the last process on this directory told is put right at the start.
		b.reports[place.Replica] = deadletter.Report{Depth: 5}
		var mu sync.Mutex
		away := false
		setAway := func(v bool) { mu.Lock(); defer mu.Unlock(); away = v }
		var log strings.Builder
		r := deadletter.NewReporter(queue, b, place, func() bool { mu.Lock(); defer mu.Unlock(); return away },
			slog.New(slog.NewTextHandler(&log, nil)))
		step := func(what string, d time.Duration, want ...int64) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got, _ := b.reported(); !slices.Equal(got, want) {
				t.Errorf("%s: %v is reported, want %v", what, got, want)
			}
		}
		step("empty at the start", time.Millisecond)
		setAway(true)
		queue.set(4, 0)
		step("the store is away", 20*time.Second)
		setAway(false)
		step("it is back", time.Second, 4, 0)
		queue.set(3, 0)
		step("soon after", 5*time.Second, 4, 0)
		step("later", 6*time.Second, 3, 0)
		queue.set(0, 1)
		step("a letter is left", 11*time.Second, 0, 1)
		queue.set(0, 0)
		b.fail(errors.New("not stored"), nil)
		step("failed and not stored", 5*time.Second, 0, 1)
		b.fail(nil, errors.New("stored, and the answer lost"))
		step("failed but stored", 5*time.Second)
		b.fail(nil, nil)
		step("empty", 5*time.Second)
		_, before := b.reported()
		step("nothing to tell", time.Hour)
		if _, after := b.reported(); after != before {
			t.Errorf("an empty queue was reported %d times more", after-before)
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 1 {
			t.Errorf("failures in a row are logged %d times:\n%s", n, &log)
		}
		queue.set(9, 2)
		step("full again", time.Second, 9, 2)
		queue.set(8, 2)
		r.Close()
		step("the last word", 0, 8, 2)
	})
}
