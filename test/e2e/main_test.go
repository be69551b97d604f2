// Package e2e drives the built binary as its users do: over HTTP, by signals and on the command line.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/pgtest"
)

// binary is the path of the program under test.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "datastorage-test-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "datastorage")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/datastorage")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
		os.Exit(1)
	}
	code := pgtest.Main(m, nil)
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// server is a running "datastorage serve".
type server struct {
	url  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended

	mu  sync.Mutex
	log bytes.Buffer
}

// startServer runs "datastorage serve" on a free port and waits until it serves.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{done: make(chan struct{})}
	s.cmd = exec.Command(binary, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	s.cmd.Env = environ("DATASTORAGE_SHUTDOWN_DRAIN_DELAY=0s")
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	go s.follow(stderr, address)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.tail())
		}
	})
	select {
	case s.url = <-address:
	case <-s.done:
		t.Fatalf("the server ended at once:\n%s", s.tail())
	case <-time.After(30 * time.Second):
		t.Fatalf("the server does not serve:\n%s", s.tail())
	}
	return s
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

// follow keeps the end of the log and reports the address that the server says it serves on.
func (s *server) follow(r io.Reader, address chan<- string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Level, Msg, Address string }
		known := json.Unmarshal(lines.Bytes(), &line) == nil
		if known && line.Msg == "serving" {
			address <- line.Address
		}
		if known && line.Msg == "request" && line.Level == "INFO" {
			continue
		}
		s.mu.Lock()
		if s.log.Len() > 1<<20 {
			s.log.Next(s.log.Len() / 2)
		}
		s.log.Write(append(lines.Bytes(), '\n'))
		s.mu.Unlock()
	}
	_ = s.cmd.Wait()
	close(s.done)
}

func (s *server) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.log.String()
	if len(text) > 4000 {
		text = "…" + text[len(text)-4000:]
	}
	return text
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// terminate sends SIGTERM and returns the exit code.
func (s *server) terminate(t *testing.T) int {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.done:
	case <-time.After(60 * time.Second):
		t.Fatal("the server does not stop on SIGTERM")
	}
	return s.cmd.ProcessState.ExitCode()
}

// cli runs one command to its end.
func cli(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = environ()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

var client = &http.Client{
	Timeout:   10 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64},
}

// do sends a request and returns the status and the whole body.
func do(method, url string, body []byte) (int, []byte, error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// get sends a GET that must succeed, and decodes the answer.
func get(t *testing.T, url string, into any) {
	t.Helper()
	status, body, err := do(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", url, status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v in %s", url, err, body)
	}
}
