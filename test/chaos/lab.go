package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/internal/redistest"
)

// program is the path that the binary is built from.
const program = "github.com/datastorage-io/datastorage/cmd/datastorage"

// lab is what all scenarios share: the binary, a PostgreSQL, and a directory, which close removes.
type lab struct {
	options

	dir, binary string
	postgres    *pgtest.Server
	queueServer *redistest.Server // nil when the queue is on disk
	settings    string            // what "datastorage config" prints
	verifies    bool              // this build has the command verify
	progress    io.Writer
	began       time.Time
}

// newLab builds the binary and starts PostgreSQL.
func newLab(ctx context.Context, o options, progress io.Writer) (l *lab, err error) {
	dir, err := os.MkdirTemp("", "datastorage-chaos-")
	if err != nil {
		return nil, err
	}
	l = &lab{options: o, dir: dir, binary: filepath.Join(dir, "datastorage"), progress: progress, began: time.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	// PostgreSQL is another user when we are root, and must reach what lies below.
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // nothing in it can be listed by others
		return l, err
	}
	l.say("building; seed %d", o.seed)
	if _, err := l.output(ctx, "go", "build", "-o", l.binary, program); err != nil {
		return l, err
	}
	if l.settings, err = l.output(ctx, l.binary, "config"); err != nil {
		return l, err
	}
	help, err := l.output(ctx, l.binary, "help")
	if err != nil {
		return l, err
	}
	l.verifies = strings.Contains(help, "\n  verify ")
	l.say("starting PostgreSQL")
	if l.postgres, err = pgtest.Launch(ctx, pgtest.Options{Durable: true}); err != nil || !l.redis {
		return l, err
	}
	l.say("starting Redis")
	l.queueServer, err = redistest.Launch(ctx)
	return l, err
}

// close stops what runs and removes the directory.
func (l *lab) close() error {
	var err error
	if l.postgres != nil {
		err = l.postgres.Stop()
	}
	if l.queueServer != nil {
		err = errors.Join(err, l.queueServer.Stop())
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// revivePostgres starts PostgreSQL again when the scenario before has left it down.
func (l *lab) revivePostgres(ctx context.Context) error {
	down := l.execute(ctx, "SELECT 1") != nil
	if !down || ctx.Err() != nil {
		return ctx.Err()
	}
	_ = l.postgres.Kill() // it may have ended already
	return l.postgres.Restart(ctx)
}

// say prints a line about what is going on.
func (l *lab) say(format string, args ...any) {
	fmt.Fprintf(l.progress, "%6.1fs  "+format+"\n", append([]any{time.Since(l.began).Seconds()}, args...)...)
}

// output runs a program to its end and returns what it prints. The output is returned with an error, too.
func (l *lab) output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = environ("CGO_ENABLED=0")
	cmd.SysProcAttr = ownGroup()
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), err
}

// environ is this process's environment without settings of the program, and with the given ones.
func environ(more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "DATASTORAGE_") {
			env = append(env, v)
		}
	}
	return append(env, more...)
}

// execute runs statements as the superuser, each for itself.
func (l *lab) execute(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, l.postgres.AdminURL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// pause waits for d or until ctx is done, which is its error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until calls done until it is true, or fails after limit with a sentence that says what was waited for.
func until(ctx context.Context, limit time.Duration, what string, done func() bool) error {
	deadline := time.Now().Add(limit)
	for !done() {
		if time.Now().After(deadline) {
			return fmt.Errorf("not so after %s: %s", limit, what)
		}
		if err := pause(ctx, pollInterval); err != nil {
			return err
		}
	}
	return nil
}
