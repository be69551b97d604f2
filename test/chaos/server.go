package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// startTimeout is how long the server may take until it serves, stopTimeout until it has ended after SIGTERM.
	startTimeout = 30 * time.Second
	stopTimeout  = 40 * time.Second
	// readTimeout bounds one GET: a page of the walk takes long on a busy machine.
	readTimeout = 30 * time.Second
	// maxLogLine is how much of a line of the server's log is shown, in bytes.
	maxLogLine = 300
	// pollInterval is how often anything is asked whether it is so far.
	pollInterval = 25 * time.Millisecond
)

// server is "datastorage serve", which is started again and again on one address.
type server struct {
	lab      *lab
	args     []string
	environ  []string
	url      string
	log      string // file that it appends its log to
	process  *os.Process
	done     chan struct{} // closed when the process has ended
	exit     error         // how it ended, once done is closed
	requests http.Client
}

// newServer returns a server that is not started, on a free port.
func (l *lab) newServer(ctx context.Context, environ []string, args ...string) (*server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	close(done)
	return &server{
		lab: l, url: "http://" + address, log: filepath.Join(l.dir, "server.log"), done: done,
		args:     append([]string{"serve", "--listen", address, "--log-level", "warn"}, args...),
		environ:  append([]string{"DATASTORAGE_SHUTDOWN_DRAIN_DELAY=0s"}, environ...),
		requests: http.Client{Timeout: readTimeout},
	}, nil
}

// start runs the server and waits until it serves.
func (s *server) start(ctx context.Context) error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.lab.binary, s.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = environ(s.environ...)
	cmd.SysProcAttr = ownGroupMortal()
	started, done := make(chan error), make(chan struct{})
	go func() {
		// The child ends with the thread that started it, so the thread stays for as long as the child does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			s.exit = cmd.Wait()
			close(done)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.process, s.done = cmd.Process, done
	err = until(ctx, startTimeout, "the server serves", func() bool {
		_, err := s.get(ctx, "/health/live")
		return err == nil || !s.running()
	})
	if err == nil && !s.running() {
		err = errors.New("the server ended while it started")
	}
	return err
}

func (s *server) running() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// kill ends the server as a crash does.
func (s *server) kill() {
	if s.running() {
		_ = s.process.Kill()
	}
	<-s.done
}

// terminate ends the server in good order and returns how long that took. It is an error when it does not end, or not with
// exit code 0.
func (s *server) terminate() (time.Duration, error) {
	if !s.running() {
		return 0, errors.New("the server has ended before its time")
	}
	began := time.Now()
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
		s.kill()
		return 0, fmt.Errorf("the server did not end within %s of SIGTERM", stopTimeout)
	}
	if s.exit != nil {
		return 0, fmt.Errorf("the server ended after SIGTERM with %w", s.exit)
	}
	return time.Since(began), nil
}

// explain adds the end of the server's log to an error.
func (s *server) explain(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; its log ends:\n%s", err, s.tail(8))
}

// tail returns the last lines of the log, cut to a readable length and without those about single requests.
func (s *server) tail(n int) string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, `"msg":"request"`) {
			lines = append(lines, strings.TrimSpace(line[:min(len(line), maxLogLine)]))
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// get returns the body of a 200 answer.
func (s *server) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := s.requests.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %d %s", path, response.StatusCode, body)
	}
	return body, err
}

// metric returns the sum of a metric over its labels, and false when the server does not answer or does not have it.
func (s *server) metric(ctx context.Context, name string) (sum float64, found bool) {
	page, err := s.get(ctx, "/metrics")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(page)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		fields := strings.Fields(rest)
		v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			return 0, false
		}
		sum, found = sum+v, true
	}
	return sum, found
}

// depth returns the number of events in the dead-letter queue, and false when the server does not say.
func (s *server) depth(ctx context.Context) (int64, bool) {
	n, ok := s.metric(ctx, "datastorage_dlq_depth")
	return int64(n), ok
}

// peakMemory returns the most memory that the process had, in bytes; 0 when the system does not say.
func (s *server) peakMemory() int64 { return s.memory("VmHWM:") }

// memory returns a field of the process's status, in bytes; 0 when the system does not say.
func (s *server) memory(field string) int64 {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", s.process.Pid))
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == field {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}
