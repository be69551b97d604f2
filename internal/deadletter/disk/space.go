package disk

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

const (
	// maxWALPages is the size of the write-ahead log, in pages, from which it is moved into the file.
	maxWALPages = 2000
	// maxReserve is what Put leaves of the bound, in bytes, so that a full queue can be emptied.
	maxReserve = 4 << 20
	// shrinkPages is the size of the file, in pages, from which room is given back once nothing waits; maxKeptPages is how
	// many of them may be in use then, by letters, since they are copied.
	shrinkPages  = 1024
	maxKeptPages = 4096
)

// growth is the room that a change takes at most, in bytes.
type growth struct {
	data int64 // in the file
	log  int64 // in the write-ahead log
}

// add adds what a message takes whose row has that many bytes: whole pages for the row, and a page of the index, which
// is written but rarely new.
func (g *growth) add(row int64) {
	pages := row/(sqlitedb.PageSize-4) + 2
	g.data += pages * sqlitedb.PageSize
	g.log += (pages + 1) * (sqlitedb.PageSize + 24)
}

func (g *growth) join(other growth) {
	g.data += other.data
	g.log += other.log
}

// logOverhead is what a transaction writes to the log beside its rows: the paths to them, at most.
const logOverhead = 16 * sqlitedb.PageSize

// walPages is the number of pages of the log from which it is moved into the file: few when the bound is low.
func (q *Queue) walPages() int64 {
	return min(maxWALPages, q.opts.MaxBytes/sqlitedb.PageSize/16)
}

// allot decides which of the changes get the room that they need.
func (q *Queue) allot(ctx context.Context, c *sqlitedb.Conn, batch []*change) error {
	var sum growth
	for _, change := range batch {
		change.fits = true
		sum.join(change.growth)
	}
	if sum.data == 0 {
		return nil
	}
	r, err := q.measure(ctx, c)
	if err != nil || r.holds(sum) {
		return err
	}
	if r.beside > 0 {
		// What is in the log and in the file takes its room twice.
		if err := checkpoint(ctx, c); err != nil {
			return err
		}
		if r, err = q.measure(ctx, c); err != nil {
			return err
		}
	}
	sum = growth{}
	for _, change := range batch {
		if change.growth.data == 0 {
			continue
		}
		with := sum
		with.join(change.growth)
		if change.fits = r.holds(with); change.fits {
			sum = with
		}
	}
	return nil
}

// room is the room that the queue takes and has.
type room struct {
	file     int64 // bytes of the database
	reusable int64 // bytes of it that hold nothing
	beside   int64 // bytes of the files beside it
	bound    int64 // bytes that Put may take
	free     int64 // bytes that the file system has, beyond what must stay free
}

func (q *Queue) measure(ctx context.Context, c *sqlitedb.Conn) (r room, err error) {
	pages, err := q.countPages(ctx, c)
	if err != nil {
		return room{}, err
	}
	unused, err := number(ctx, c, `PRAGMA freelist_count`)
	if err != nil {
		return room{}, err
	}
	free, err := freeBytes(filepath.Dir(q.path))
	if err != nil {
		return room{}, fmt.Errorf("measure the free space: %w", err)
	}
	return room{
		file: pages * sqlitedb.PageSize, reusable: unused * sqlitedb.PageSize, beside: q.beside(),
		bound: q.opts.MaxBytes - min(maxReserve, q.opts.MaxBytes/16), free: free - q.opts.MinFreeBytes,
	}, nil
}

// holds reports whether there is room for what grows.
func (r room) holds(g growth) bool {
	file, log := max(0, g.data-r.reusable), g.log+logOverhead
	return r.file+r.beside+file+log <= r.bound && file+log <= r.free
}

// countPages reads and notes the size of the database.
func (q *Queue) countPages(ctx context.Context, c *sqlitedb.Conn) (int64, error) {
	n, err := number(ctx, c, `PRAGMA page_count`)
	if err == nil {
		q.pages.Store(n)
	}
	return n, err
}

// beside returns the size of the files beside the database.
func (q *Queue) beside() int64 { return size(q.path+"-wal") + size(q.path+"-shm") }

// size returns the size of a file in bytes, 0 when it is absent.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// freeBytes returns the bytes that are free on the file system of a directory.
func freeBytes(dir string) (int64, error) {
	var s syscall.Statfs_t
	for {
		err := syscall.Statfs(dir, &s)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		return int64(s.Bavail) * int64(s.Bsize), err //nolint:unconvert // the types differ between systems
	}
}

// checkpoint moves the log into the file and empties it, as far as nobody reads it.
func checkpoint(ctx context.Context, c *sqlitedb.Conn) error {
	return c.Query(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`, nil, func([]driver.Value) error { return nil })
}

// shrink gives the room of a file in which nothing waits any more back to the file system, when it is much and few
// letters have to be copied for it. That it fails does not matter: the room is used again.
func (q *Queue) shrink(ctx context.Context, c *sqlitedb.Conn, pages int64) {
	if pages < min(shrinkPages, q.walPages()) {
		return
	}
	unused, err := number(ctx, c, `PRAGMA freelist_count`)
	if kept := pages - unused; err != nil || kept > pages/4 || kept > maxKeptPages {
		return
	}
	if _, err := c.Exec(ctx, `VACUUM`); err == nil {
		_ = checkpoint(ctx, c)
		_, _ = q.countPages(ctx, c)
	}
}
