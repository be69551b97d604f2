// Package sqlite keeps events, ledger and notifications in one SQLite file: the embedded default. It needs no service
// and no C compiler.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// FileName is the name of the database in its directory. SQLite keeps two more files beside it, with the suffixes -wal
// and -shm, which belong to the database.
const FileName = "datastorage.db"

const (
	// walPages is the size of the write-ahead log, in pages, from which a commit moves it into the database. A larger
	// log writes a page that many commits touched only once, but makes that commit slower.
	walPages = 4000
	// walKeep is the size to which the file of a log that grew beyond walPages is cut, in bytes.
	walKeep = 64 << 20
	// writerCache and readerCache are the page caches of the writer and of each reader, in KiB.
	writerCache = 6 << 10
	readerCache = 256
	// lookups is the number of connections for what the writing side reads.
	lookups = 2
	// followers is the number of connections for what follows the log.
	followers = 2
)

// Options are the settings of a store.
type Options struct {
	// Readers is the number of connections that serve reads; at least 1.
	Readers int
	// QueryTimeout is the longest a read may take, without the time its caller takes for what it yields; 0 is no limit.
	QueryTimeout time.Duration
}

// Store is a database file. Its methods may be called concurrently. Errors are those of ingest.Store and httpapi.Reader.
type Store struct {
	// readers serve queries, lookups what the writing side reads: slow queries cannot keep it waiting.
	readers, lookups *sqlitedb.Pool
	writer           *sqlitedb.Pool
	// followers serve those who follow the log.
	followers *sqlitedb.Pool
	// correlations belongs to who has the writer's connection.
	correlations correlationCache
	timeout      time.Duration
	dir          string
}

// Open opens the database in a directory. It creates both when they are absent, readable by their owner alone, and
// brings the schema up to date; processes that open the same directory at once do so one after the other. The errors
// say what to do.
func Open(ctx context.Context, dir string, opts Options) (*Store, error) {
	if opts.Readers < 1 {
		return nil, fmt.Errorf("a store needs at least 1 reader, not %d", opts.Readers)
	}
	sqlitedb.UseFdatasync()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	path, err := filepath.Abs(filepath.Join(dir, FileName))
	if err != nil {
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	unlock, err := lockOpening(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := sqlitedb.CreateFile(path); err != nil {
		return nil, err
	}
	if err := migrate(ctx, path, migrations, "migrations"); err != nil {
		return nil, err
	}
	return open(ctx, path, opts)
}

func open(ctx context.Context, path string, opts Options) (*Store, error) {
	writer, err := writerDSN(path)
	if err != nil {
		return nil, err
	}
	s := &Store{
		readers:   sqlitedb.NewPool(opts.Readers, readerDSN(path)),
		lookups:   sqlitedb.NewPool(lookups, readerDSN(path)),
		writer:    sqlitedb.NewPool(1, writer),
		followers: sqlitedb.NewPool(followers, readerDSN(path)),
		timeout:   opts.QueryTimeout,
		dir:       filepath.Dir(path),
	}
	// Whatever keeps the file from being used is said now.
	for _, p := range []*sqlitedb.Pool{s.writer, s.lookups, s.readers} {
		if err := p.Use(ctx, func(*sqlitedb.Conn) error { return nil }); err != nil {
			return nil, errors.Join(fmt.Errorf("open the database: %w", err), s.Close())
		}
	}
	return s, nil
}

func readerDSN(path string) string {
	return sqlitedb.DSN(path, readerCache,
		"query_only(1)",
		// The rows of a page wait in memory, not in a file that may not be writable.
		"temp_store(MEMORY)")
}

func writerDSN(path string) (string, error) {
	return sqlitedb.WriterDSN(path, writerCache,
		fmt.Sprintf("wal_autocheckpoint(%d)", walPages),
		fmt.Sprintf("journal_size_limit(%d)", walKeep))
}

// Close ends all connections. Reads and commits that are under way finish first; later calls fail.
func (s *Store) Close() error {
	return errors.Join(s.readers.Close(), s.lookups.Close(), s.followers.Close(), s.writer.Close())
}

// Stats returns the state of the connections.
func (s *Store) Stats() sqlitedb.Stats {
	var stats sqlitedb.Stats
	for _, p := range []*sqlitedb.Pool{s.readers, s.lookups, s.followers, s.writer} {
		stats.Add(p)
	}
	return stats
}

// Ping reports whether the store answers; the error has CodeUnavailable.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Head(ctx)
	return err
}
