// Package disk keeps a dead-letter queue in one SQLite file of its own, in the data directory of one server. The format
// of the file is described in docs/dead-letters.md.
package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// FileName is the name of the queue's file in the data directory. SQLite keeps two more files beside it, with the
// suffixes -wal and -shm, which belong to the queue: events wait in them too. LockName is the name of the file that the
// server which uses the queue holds a lock on.
const (
	FileName = "deadletter.db"
	LockName = "deadletter.lock"
)

const (
	// MinBytes is the least bound that a queue works with.
	MinBytes = 1 << 20
	// readers is the number of connections that read.
	readers = 3
	// writerCache and readerCache are the page caches of the writer and of each reader, in KiB.
	writerCache = 2 << 10
	readerCache = 256
)

// Options are the bounds of a queue.
type Options struct {
	// MaxBytes is what the queue's files may take, at least MinBytes. Put leaves a part of it, at most 4 MiB, so that a full
	// queue can be emptied.
	MaxBytes int64
	// MinFreeBytes is what Put leaves free on the file system.
	MinFreeBytes int64
}

// Queue is the queue of one process. It implements deadletter.Queue.
type Queue struct {
	path    string
	opts    Options
	writer  *sqlitedb.Pool // one connection
	readers *sqlitedb.Pool
	unlock  func() error

	mu      sync.Mutex
	waiting []*change // what the next transaction takes
	closing bool
	state   state // as of the last transaction

	wake chan struct{} // buffered 1: something waits, or the queue closes
	done chan struct{} // closed when the loop has answered everything

	// pages is the size of the database in pages, whether in its file already or not.
	pages atomic.Int64

	leader    chan struct{} // buffered 1: holds a value while someone leads
	life      context.Context
	end       context.CancelFunc
	closeOnce sync.Once
	closeErr  error
}

var _ deadletter.Queue = (*Queue)(nil)

// errClosed is what a closed queue says.
var errClosed = errors.New("the dead-letter queue is closed")

// Open opens the queue in a data directory for this process alone. It creates both when they are absent, readable by
// their owner alone. A file that cannot be a queue, or is damaged, is left as it is; the errors say what to do.
func Open(ctx context.Context, dir string, opts Options) (*Queue, error) {
	if opts.MaxBytes < MinBytes || opts.MinFreeBytes < 0 {
		return nil, fmt.Errorf("a dead-letter queue needs at least %d bytes, not %d, and leaves 0 bytes or more free, not %d",
			MinBytes, opts.MaxBytes, opts.MinFreeBytes)
	}
	sqlitedb.UseFdatasync()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	path, err := filepath.Abs(filepath.Join(dir, FileName))
	if err != nil {
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	q := &Queue{
		path: path, opts: opts, unlock: unlock,
		wake: make(chan struct{}, 1), done: make(chan struct{}), leader: make(chan struct{}, 1),
	}
	q.life, q.end = context.WithCancel(context.Background())
	if err := q.open(ctx); err != nil {
		close(q.done)
		return nil, errors.Join(err, q.Close())
	}
	go q.loop(context.WithoutCancel(ctx))
	return q, nil
}

func lock(dir string) (unlock func() error, err error) {
	unlock, err = sqlitedb.LockFile(filepath.Join(dir, LockName))
	if e, ok := errors.AsType[*sqlitedb.InUseError](err); ok {
		return nil, fmt.Errorf("the dead-letter queue in %s is in use by another server%s; stop that one, or give each server "+
			"a data directory of its own", dir, e.Holder)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the dead-letter queue: %w", err)
	}
	return unlock, nil
}

// open prepares the file and the connections.
func (q *Queue) open(ctx context.Context) error {
	if err := sqlitedb.CreateFile(q.path); err != nil {
		return fmt.Errorf("open the dead-letter queue: %w", err)
	}
	if err := syncDir(filepath.Dir(q.path)); err != nil {
		return fmt.Errorf("open the dead-letter queue: %w", err)
	}
	writer, err := sqlitedb.WriterDSN(q.path, writerCache,
		fmt.Sprintf("wal_autocheckpoint(%d)", q.walPages()),
		fmt.Sprintf("journal_size_limit(%d)", q.walPages()*sqlitedb.PageSize),
		"temp_store(MEMORY)")
	if err != nil {
		return fmt.Errorf("open the dead-letter queue: %w", err)
	}
	q.writer = sqlitedb.NewPool(1, writer)
	q.readers = sqlitedb.NewPool(readers, sqlitedb.DSN(q.path, readerCache, "query_only(1)", "temp_store(MEMORY)"))
	err = q.writer.Use(ctx, func(c *sqlitedb.Conn) error {
		if err := prepareFile(ctx, c); err != nil {
			return err
		}
		s, err := readState(ctx, c)
		if err != nil {
			return err
		}
		q.state = s
		_, err = q.countPages(ctx, c)
		return err
	})
	return q.explain(err)
}

// syncDir makes the creation of files in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close takes no more changes, finishes those that wait, and closes the file.
func (q *Queue) Close() error {
	q.closeOnce.Do(func() {
		q.mu.Lock()
		q.closing = true
		q.mu.Unlock()
		q.signal()
		<-q.done
		q.end()
		var errs []error
		// The writer last: it moves what the log holds into the file.
		for _, p := range []*sqlitedb.Pool{q.readers, q.writer} {
			if p != nil {
				errs = append(errs, p.Close())
			}
		}
		q.closeErr = errors.Join(append(errs, q.unlock())...)
	})
	return q.closeErr
}

// Shared implements deadletter.Queue: the queue belongs to one process.
func (q *Queue) Shared() bool { return false }

// Lead implements deadletter.Queue: one caller at a time leads.
func (q *Queue) Lead(ctx context.Context) (lead context.Context, release func(), err error) {
	if err := errors.Join(ctx.Err(), q.closed()); err != nil {
		return nil, nil, err
	}
	select {
	case q.leader <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-q.life.Done():
		return nil, nil, errClosed
	}
	lead, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(q.life, cancel)
	return lead, sync.OnceFunc(func() {
		stop()
		cancel()
		<-q.leader
	}), nil
}

func (q *Queue) closed() error {
	if q.life.Err() != nil {
		return errClosed
	}
	return nil
}
