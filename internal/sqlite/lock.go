package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// LockName is the name of the file in the data directory that a running server holds a lock on. It holds the server's
// process id.
const LockName = "datastorage.lock"

// LockDir claims a data directory for this process, and creates the directory when it is absent. The claim ends with
// unlock or with the process, however that ends. While another process holds it the error names that process. Only a
// server claims its directory: import and verify work beside it.
func LockDir(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	unlock, err = sqlitedb.LockFile(filepath.Join(dir, LockName))
	if e, ok := errors.AsType[*sqlitedb.InUseError](err); ok {
		return nil, fmt.Errorf("the data directory %s is in use by another server%s; stop that one, or choose another directory",
			dir, e.Holder)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	return unlock, nil
}

// openingPoll is how often a process looks whether another has finished opening the same directory.
const openingPoll = 20 * time.Millisecond

// lockOpening keeps other processes from opening the database of a directory at the same time. It locks the directory
// itself, which leaves no file behind.
func lockOpening(ctx context.Context, dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open the data directory: %w", err)
	}
	ticker := time.NewTicker(openingPoll)
	defer ticker.Stop()
	for {
		err := sqlitedb.Flock(d, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = d.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock the data directory: %w", err), d.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another process is opening the database: %w", ctx.Err()), d.Close())
		case <-ticker.C:
		}
	}
}
