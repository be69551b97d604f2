package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// superuser administers a server; Role owns its databases and is what the code under test logs in as.
	superuser = "postgres"
	// Role is the login role of the URLs that this package returns. It is no superuser and has no password.
	Role = "datastorage"

	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
	pollInterval = 10 * time.Millisecond
	portTries    = 5
)

// Migrate brings the empty database at url to the current schema.
type Migrate func(ctx context.Context, url string) error

// Options are those of one server. The zero value is a fast server that loses data when the machine fails.
type Options struct {
	// Durable runs with fsync and full_page_writes on, as production does.
	Durable bool
	// Settings are further settings of postgresql.conf, for example "max_connections": "20".
	Settings map[string]string
}

// Server is a PostgreSQL of its own. Its methods may be called concurrently.
type Server struct {
	dir      string
	binaries string
	user     *syscall.Credential
	options  Options
	port     int
	watchdog *watchdog
	names    atomic.Int64

	mu      sync.Mutex
	process *process // nil once stopped

	template templateState
}

// templateState is the migrated database that others are cloned from.
type templateState struct {
	once sync.Once
	err  error
}

// Start starts a server that is stopped and removed at the end of the test. A server that cannot start fails the test
// with what to do about it.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Launch(t.Context(), o)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("pgtest: stop the server: %v", err)
		}
	})
	return s
}

// Launch starts a server for a program that is no test. The caller must Stop it; if the process dies first the server
// dies with it. ctx bounds the start only.
func Launch(ctx context.Context, o Options) (*Server, error) {
	binaries, err := findBinaries()
	if err != nil {
		return nil, err
	}
	credential, err := account()
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(credential)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, binaries: binaries, user: credential, options: o}
	if s.watchdog, err = startWatchdog(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err = s.initialize(ctx); err == nil {
		err = s.startOnFreePort(ctx)
	}
	if err == nil {
		err = s.exec(ctx, "CREATE ROLE "+Role+" LOGIN")
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// initialize runs initdb and writes the configuration.
func (s *Server) initialize(ctx context.Context) error {
	cmd := s.command(ctx, "initdb", "--pgdata", s.data(), "--username", superuser, "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb failed: %w\n%s", err, out)
	}
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for name, value := range s.settings() {
		if _, err := fmt.Fprintf(f, "%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''")); err != nil {
			return err
		}
	}
	return f.Close()
}

func (s *Server) settings() map[string]string {
	m := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": s.dir,
		"max_connections":         "200",
		"shared_buffers":          "256MB",
		"max_wal_size":            "4GB",
		"wal_level":               "replica",
		"log_min_messages":        "warning",
		"timezone":                "UTC",
	}
	if !s.options.Durable {
		m["fsync"] = "off"
		m["full_page_writes"] = "off"
		m["wal_level"] = "minimal"
		m["max_wal_senders"] = "0"
	}
	for name, value := range s.options.Settings {
		m[name] = value
	}
	return m
}

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.binaries, name), args...)
	cmd.SysProcAttr = attributes(s.user)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"}
	return cmd
}

// startOnFreePort starts the server on a port that was free a moment ago, and tries another when it no longer is.
func (s *Server) startOnFreePort(ctx context.Context) error {
	var err error
	for range portTries {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.start(ctx); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			return err
		}
	}
	return err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// start runs the server on its port and waits until it answers.
func (s *Server) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	log, err := os.Create(s.logFile())
	if err != nil {
		return err
	}
	defer log.Close()
	// The server outlives ctx; it ends by a signal.
	cmd := s.command(context.WithoutCancel(ctx), "postgres", "-D", s.data(), "-p", strconv.Itoa(s.port))
	cmd.Stdout, cmd.Stderr = log, log
	p, err := startProcess(cmd)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.process = p
	s.mu.Unlock()
	return s.waitReady(ctx, p)
}

func (s *Server) waitReady(ctx context.Context, p *process) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		conn, err := pgconn.Connect(ctx, s.adminURL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.done:
			return fmt.Errorf("PostgreSQL ended while it started:\n%s", s.log())
		case <-ctx.Done():
			p.signal(syscall.SIGQUIT)
			<-p.done
			return fmt.Errorf("PostgreSQL did not answer in %s: %w\n%s", startTimeout, err, s.log())
		case <-ticker.C:
		}
	}
}

func (s *Server) data() string    { return filepath.Join(s.dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "server.log") }

func (s *Server) log() string {
	b, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Addr returns host and port of the server on the loopback interface.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Dir returns the directory that holds the server's data, log and socket.
func (s *Server) Dir() string { return s.dir }

// PID returns the process id of the postmaster, 0 when the server does not run.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil || !s.process.running() {
		return 0
	}
	return s.process.cmd.Process.Pid
}

// URL returns the URL of a database for Role.
func (s *Server) URL(database string) string { return s.url(Role, database) }

// AdminURL returns the URL of a database for the superuser.
func (s *Server) AdminURL(database string) string { return s.adminURL(database) }

func (s *Server) adminURL(database string) string { return s.url(superuser, database) }

func (s *Server) url(user, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(user), Host: s.Addr(), Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// exec runs SQL as the superuser.
func (s *Server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.adminURL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

// Kill ends the server as a crash does: SIGKILL to the postmaster and to each of its processes. The data directory
// stays; Restart recovers it.
func (s *Server) Kill() error {
	s.mu.Lock()
	p := s.process
	s.mu.Unlock()
	if p == nil || !p.running() {
		return errors.New("the server does not run")
	}
	// A stopped postmaster forks no child that the list would miss.
	p.signal(syscall.SIGSTOP)
	children, err := childrenOf(p.cmd.Process.Pid)
	p.signal(syscall.SIGKILL)
	for _, pid := range children {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-p.done
	// Until the last of them is gone, PostgreSQL refuses to start on their shared memory.
	awaitEnd(children, stopTimeout)
	return errors.Join(err, s.removePIDFile())
}

// removePIDFile removes what a killed postmaster leaves behind, so that nobody signals a process that has its id now.
func (s *Server) removePIDFile() error {
	err := os.Remove(filepath.Join(s.data(), "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Pause stops every process of the server where it stands, as a frozen machine does; Resume lets them go on.
func (s *Server) Pause() error { return s.signalAll(syscall.SIGSTOP) }

// Resume undoes Pause.
func (s *Server) Resume() error { return s.signalAll(syscall.SIGCONT) }

func (s *Server) signalAll(sig syscall.Signal) error {
	pid := s.PID()
	if pid == 0 {
		return errors.New("the server does not run")
	}
	children, err := childrenOf(pid)
	if err != nil {
		return err
	}
	for _, pid := range append(children, pid) {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// Shutdown ends the server in an orderly way and keeps its data for Restart.
func (s *Server) Shutdown() error {
	s.mu.Lock()
	p := s.process
	s.mu.Unlock()
	if p == nil || !p.running() {
		return nil
	}
	// SIGINT is the fast shutdown: it ends sessions and writes a checkpoint. One that hangs is ended at once.
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		p.signal(sig)
		select {
		case <-p.done:
			return s.removePIDFile()
		case <-time.After(stopTimeout):
		}
	}
	return errors.New("the server does not end")
}

// Restart starts the server again on the same port and data, after Kill or Shutdown or, when it still runs, after an
// orderly shutdown.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Shutdown(); err != nil {
		return err
	}
	return s.start(ctx)
}

// Stop ends the server and removes its directory.
func (s *Server) Stop() error {
	s.mu.Lock()
	p := s.process
	s.process = nil
	s.mu.Unlock()
	if p != nil && p.running() {
		// Nothing of the data is needed any more.
		p.signal(syscall.SIGQUIT)
		select {
		case <-p.done:
		case <-time.After(stopTimeout):
			p.signal(syscall.SIGKILL)
			<-p.done
		}
	}
	return errors.Join(s.removePIDFile(), s.watchdog.finish())
}
