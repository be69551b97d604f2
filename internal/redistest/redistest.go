// Package redistest starts a real Redis for tests. Nobody has to run a service: the package finds redis-server, or Valkey's,
// starts it on a free port of the loopback interface with its data in a temporary directory, and removes everything at the
// end. A server syncs every change before it answers, so that it can be killed and started again.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
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
)

const (
	// databases is how many databases one server has.
	databases = 4096

	startTimeout = 30 * time.Second
	pollInterval = 5 * time.Millisecond
	portTries    = 5
)

// Server is a Redis of its own. Its methods may be called concurrently.
type Server struct {
	binary   string
	dir      string
	port     int
	settings []string
	next     atomic.Int64 // the database that New returns next

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the process was reaped
}

// shared is the server of the test process.
var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Main runs the tests of a package and returns the exit code for os.Exit. The shared server starts with the first New and
// is gone when Main returns.
func Main(m *testing.M) int {
	code := m.Run()
	// A server that never started needs no end, and must not start now.
	shared.once.Do(func() {})
	if shared.server == nil {
		return code
	}
	if err := shared.server.Stop(); err != nil {
		fmt.Println("redistest: stop the server:", err)
		return max(code, 1)
	}
	return code
}

// New returns the URL of an empty database of the shared server, which no other test gets.
func New(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = Launch(context.Background()) })
	if shared.err == nil && shared.server == nil {
		shared.err = errors.New("the server has stopped already")
	}
	if shared.err != nil {
		t.Fatalf("redistest: %v", shared.err)
	}
	return shared.server.URL(t)
}

// Start starts a server that is stopped and removed at the end of the test. Settings are options of redis-server, such as
// "--maxmemory", "1mb", behind those that every server gets.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := Launch(t.Context(), settings...)
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("redistest: stop the server: %v", err)
		}
	})
	return s
}

// Launch starts a server for a program that is no test. The caller must Stop it; on Linux the server dies with this
// process. ctx bounds the start only.
func Launch(ctx context.Context, settings ...string) (*Server, error) {
	binary, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "datastorage-redis-")
	if err != nil {
		return nil, err
	}
	s := &Server{binary: binary, dir: dir, settings: settings}
	for range portTries {
		if s.port, err = freePort(); err != nil {
			break
		}
		if err = s.start(ctx); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// BinaryVariable names the environment variable that names the server to test with, as a path or a name on PATH. Without it
// what is installed is taken.
const BinaryVariable = "DATASTORAGE_TEST_REDIS_SERVER"

// find returns the path of the server's binary.
func find() (string, error) {
	if name := os.Getenv(BinaryVariable); name != "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("%s: %w", BinaryVariable, err)
		}
		return path, nil
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("neither redis-server nor valkey-server is installed: the tests need one of them on PATH, 6.2 or newer " +
		"(Debian and Ubuntu: apt-get install redis-server; Fedora: dnf install valkey; macOS: brew install redis)")
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
	log, err := os.Create(filepath.Join(s.dir, "server.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--databases", strconv.Itoa(databases),
		"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no",
	}
	// The server outlives ctx; it ends by a signal.
	cmd := exec.Command(s.binary, append(args, s.settings...)...)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	done := make(chan struct{})
	if err := startProcess(cmd, done); err != nil {
		return err
	}
	s.mu.Lock()
	s.cmd, s.done = cmd, done
	s.mu.Unlock()
	return s.waitReady(ctx, done)
}

func (s *Server) waitReady(ctx context.Context, done <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := ping(ctx, s.Addr())
		if err == nil {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("redis-server ended while it started:\n%s", s.log())
		case <-ctx.Done():
			return fmt.Errorf("redis-server did not answer in %v: %w\n%s", startTimeout, err, s.log())
		case <-ticker.C:
		}
	}
}

// ping reports whether a server answers and has read its data. One that wants a password answers too.
func ping(ctx context.Context, addr string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line := make([]byte, 256)
	n, err := conn.Read(line)
	if err != nil {
		return err
	}
	if answer := string(line[:n]); !strings.HasPrefix(answer, "+PONG") && !strings.HasPrefix(answer, "-NOAUTH") {
		return errors.New(strings.TrimSpace(answer))
	}
	return nil
}

func (s *Server) log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "server.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Addr returns host and port of the server.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL returns the URL of a database that no other call returned.
func (s *Server) URL(t testing.TB) string {
	t.Helper()
	url, err := s.NextURL()
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	return url
}

// NextURL is URL for a program that is no test.
func (s *Server) NextURL() (string, error) {
	n := s.next.Add(1) - 1
	if n >= databases {
		return "", fmt.Errorf("the server has no more than %d databases", databases)
	}
	return fmt.Sprintf("redis://%s/%d", s.Addr(), n), nil
}

// Kill ends the server with SIGKILL. Its data stay for Restart.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Pause stops the server where it stands, as a frozen machine does; Resume lets it go on.
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Signal(sig)
}

// Restart starts the server again on the same port and data, after Kill.
func (s *Server) Restart(ctx context.Context) error { return s.start(ctx) }

// Stop ends the server and removes its directory.
func (s *Server) Stop() error {
	s.end(syscall.SIGKILL)
	return os.RemoveAll(s.dir)
}

func (s *Server) end(sig syscall.Signal) {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(sig)
	<-done
}
