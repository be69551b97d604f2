package sqlitedb

import (
	"fmt"
	"net/url"
	"os"
	"sync"

	"modernc.org/sqlite"
)

const (
	// PageSize is the size of a page in bytes; it holds for files that are created.
	PageSize = 4096
	// LockWait is how long a statement waits for another process's transaction, in milliseconds. It ends before the
	// caller of a write would give up.
	LockWait = 2000
)

// UseFdatasync makes SQLite sync with fdatasync, as it does on every Linux distribution: equally durable, and a commit
// does not wait for the file's timestamps. Where there is no fdatasync, fsync stays.
var UseFdatasync = sync.OnceFunc(func() { _, _ = sqlite.Fdatasync(true) })

// CreateFile makes sure that the file exists with its permissions: SQLite gives those to the files beside it too.
func CreateFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	return f.Close()
}

// DSN returns the data source name of the file with pragmas, which SQLite keeps per connection.
func DSN(path string, cacheKiB int, pragmas ...string) string {
	usePageCache()
	q := url.Values{}
	q.Set("_dqs", "0")
	q.Set("_txlock", "immediate")
	q.Set("_error_rc", "1")
	q.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", LockWait))
	q.Add("_pragma", fmt.Sprintf("cache_size(%d)", -cacheKiB))
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String()
}
