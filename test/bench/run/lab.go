package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage/internal/pgtest"
)

// module is the path that the programs are built from.
const module = "github.com/datastorage-io/datastorage"

// lab is everything that the rows share: the programs, a PostgreSQL, and a
// directory, all of which close removes.
type lab struct {
	plan     plan
	dir      string
	postgres *pgtest.Server
	progress io.Writer
	began    time.Time

	server, echo, floor, fill string // programs

	loads  []load   // every measurement made
	rowed  string   // name of the row under way
	filled database // made by the first row that needs it
}

// postgresSettings undo what the package for tests sets otherwise than
// PostgreSQL does by default. Addresses, port, socket directory and the number
// of connections stay its own.
var postgresSettings = map[string]string{"shared_buffers": "128MB", "max_wal_size": "1GB"}

// newLab builds the programs and starts PostgreSQL.
func newLab(ctx context.Context, p plan, progress io.Writer) (l *lab, err error) {
	dir, err := os.MkdirTemp("", "datastorage-bench-")
	if err != nil {
		return nil, err
	}
	l = &lab{plan: p, dir: dir, progress: progress, began: time.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	l.say("building")
	for program, source := range map[*string]string{
		&l.server: "/cmd/datastorage", &l.echo: "/test/bench/echo", &l.floor: "/test/bench/floor", &l.fill: "/test/bench/fill",
	} {
		*program = filepath.Join(dir, filepath.Base(source))
		if _, err := output(ctx, []string{"CGO_ENABLED=0"}, "go", "build", "-buildvcs=auto", "-o", *program, module+source); err != nil {
			return l, err
		}
	}
	l.say("starting PostgreSQL")
	l.postgres, err = pgtest.Launch(ctx, pgtest.Options{Durable: true, Settings: postgresSettings})
	if err == nil {
		err = l.age(ctx)
	}
	return l, err
}

// agedLog is how much log is written before the first measurement, in MiB: more than a checkpoint's worth.
const agedLog = 640

// age brings PostgreSQL to where one that has run for some minutes is: it reuses the files of its log instead of making
// each of them, which takes a fourth of what it has of the processor.
func (l *lab) age(ctx context.Context) error {
	const write = "SELECT count(pg_logical_emit_message(false, 'bench', repeat('x', 1048576))) FROM generate_series(1, %d)"
	if err := execute(ctx, l.postgres.AdminURL("postgres"), fmt.Sprintf(write, agedLog)); err != nil {
		return fmt.Errorf("write the log of PostgreSQL: %w", err)
	}
	return l.settle(ctx)
}

// close stops PostgreSQL and removes the directory.
func (l *lab) close() error {
	var err error
	if l.postgres != nil {
		err = l.postgres.Stop()
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// say prints a line about what is going on.
func (l *lab) say(format string, args ...any) {
	fmt.Fprintf(l.progress, "%6.1fs  "+format+"\n", append([]any{time.Since(l.began).Seconds()}, args...)...)
}

// row measures one row and stops what it started.
func (l *lab) row(ctx context.Context, r row) (lines []line, err error) {
	l.rowed = r.name
	s := &scope{lab: l}
	defer func() { err = errors.Join(err, s.close()) }()
	return r.measure(ctx, s)
}

// database is one database of the lab's PostgreSQL.
type database struct {
	url   string // for the server's role
	admin string // for the superuser
}

// createDatabase makes a database with the schema.
func (l *lab) createDatabase(ctx context.Context) (database, error) {
	url, err := l.postgres.Create(ctx)
	if err != nil {
		return database{}, err
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return database{}, err
	}
	_, err = output(ctx, nil, l.server, "migrate", "--database-url", url)
	return database{url: url, admin: l.postgres.AdminURL(config.Database)}, err
}

// filledDatabase returns the database with many events in months of
// partitions. The first call makes it; it stays until the end.
func (l *lab) filledDatabase(ctx context.Context) (database, error) {
	if l.filled.url != "" {
		return l.filled, nil
	}
	db, err := l.fillDatabase(ctx, l.plan.large)
	if err != nil {
		return database{}, err
	}
	l.filled = db
	return db, nil
}

// fillDatabase makes a database with so many events in it.
func (l *lab) fillDatabase(ctx context.Context, events int) (database, error) {
	db, err := l.createDatabase(ctx)
	if err != nil {
		return database{}, err
	}
	l.say("  filling a database with %d events", events)
	args := []string{"--events", fmt.Sprint(events), "--months", fmt.Sprint(l.plan.months), "--database-url", db.url}
	if _, err := output(ctx, nil, l.fill, args...); err != nil {
		return database{}, err
	}
	// What autovacuum would do at a moment of its own choice.
	return db, execute(ctx, db.admin, "VACUUM (ANALYZE)")
}

// settle writes out what PostgreSQL has in memory, so that no measurement
// pays for the one before it.
func (l *lab) settle(ctx context.Context) error {
	return execute(ctx, l.postgres.AdminURL("postgres"), "CHECKPOINT")
}

// execute runs one statement on a connection of its own.
func execute(ctx context.Context, url, statement string) (err error) {
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close(context.WithoutCancel(ctx))) }()
	_, err = db.Exec(ctx, statement)
	return err
}

// scope holds what one row started. close stops it, the last first.
type scope struct {
	*lab
	closers []func() error
}

func (s *scope) defers(f func() error) { s.closers = append(s.closers, f) }

func (s *scope) close() error {
	var errs []error
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		f := s.closers[last]
		s.closers = s.closers[:last]
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// database makes a database that is dropped with the scope.
func (s *scope) database(ctx context.Context) (database, error) {
	db, err := s.createDatabase(ctx)
	if db.url != "" {
		s.dropLater(ctx, db)
	}
	return db, err
}

func (s *scope) dropLater(ctx context.Context, db database) {
	s.defers(func() error { return s.postgres.Drop(context.WithoutCancel(ctx), db.url) })
}

// dataDir makes a directory that is removed with the scope.
func (s *scope) dataDir() (string, error) {
	dir, err := os.MkdirTemp(s.dir, "data-")
	if err == nil {
		s.defers(func() error { return os.RemoveAll(dir) })
	}
	return dir, err
}

// target is a server under load.
type target struct {
	url      string
	database string // PostgreSQL behind it, "" for none
}

// serve starts a server on a database and waits until it is ready.
func (s *scope) serve(ctx context.Context, db database, environ ...string) (target, error) {
	dir, err := s.dataDir() // for the dead-letter queue
	if err != nil {
		return target{}, err
	}
	url, err := s.startServer(ctx, environ, "--database-url", db.url, "--data-dir", dir)
	return target{url, db.url}, err
}

// serveEmbedded starts a server on an embedded store of its own.
func (s *scope) serveEmbedded(ctx context.Context, environ ...string) (target, error) {
	dir, err := s.dataDir()
	if err != nil {
		return target{}, err
	}
	url, err := s.startServer(ctx, environ, "--data-dir", dir)
	return target{url: url}, err
}

// serveFresh starts a server on a new database.
func (s *scope) serveFresh(ctx context.Context, environ ...string) (target, error) {
	db, err := s.database(ctx)
	if err != nil {
		return target{}, err
	}
	return s.serve(ctx, db, environ...)
}

// startServer starts a server with settings in its environment and waits until it is ready.
func (s *scope) startServer(ctx context.Context, environ []string, store ...string) (string, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return "", err
	}
	// Nothing balances load here that would have to notice.
	environ = append(environ, "DATASTORAGE_SHUTDOWN_DRAIN_DELAY=0s")
	p, err := start(s.dir, "server", environ, s.server, append([]string{"serve", "--listen", address}, store...)...)
	if err != nil {
		return "", err
	}
	s.defers(p.stop)
	url := "http://" + address
	return url, p.await(ctx, func(ctx context.Context) bool { return answers(ctx, url+"/health/ready") })
}

// startEcho starts the handler that does nothing.
func (s *scope) startEcho(ctx context.Context) (target, error) {
	p, err := start(s.dir, "echo", nil, s.echo)
	if err != nil {
		return target{}, err
	}
	s.defers(p.stop)
	var url string
	err = p.await(ctx, func(context.Context) bool {
		text, err := os.ReadFile(p.log)
		url = strings.TrimSpace(string(text))
		return err == nil && strings.HasSuffix(string(text), "\n")
	})
	return target{url: url}, err
}
