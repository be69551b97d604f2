package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// startTimeout is how long a program may take until it serves.
	startTimeout = time.Minute
	// stopTimeout is how long it may take to end after SIGTERM.
	stopTimeout = 30 * time.Second
	// pollInterval is how often a program is asked whether it serves.
	pollInterval = 20 * time.Millisecond
)

// process is a program that runs beside the measurement.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string        // file that it writes to
	done chan struct{} // closed when it has ended
}

// start runs a program whose output goes to a file in dir. It is in a process
// group of its own, so that an interrupt from the terminal reaches only us.
func start(dir, name string, environ []string, program string, args ...string) (*process, error) {
	out, err := os.CreateTemp(dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: cmd, log: out.Name(), done: make(chan struct{})}
	go func() {
		// How it ended shows in its log.
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop ends the program in good order, or by force when it takes too long.
func (p *process) stop() error {
	if !p.running() {
		return p.failure("ended before its time")
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return p.failure(err.Error())
	}
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
		return p.failure("did not end after SIGTERM")
	}
	return nil
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// failure says what went wrong, with the end of the program's log.
func (p *process) failure(what string) error {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Errorf("%s %s", p.name, what)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("%s %s; its log ends:\n%s", p.name, what, strings.Join(lines[max(0, len(lines)-10):], "\n"))
}

// await calls ready until it is true. It fails when the program ends, when ctx
// is done, or after startTimeout.
func (p *process) await(ctx context.Context, ready func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for !ready(ctx) {
		select {
		case <-p.done:
			return p.failure("ended")
		case <-ctx.Done():
			return p.failure("does not serve: " + ctx.Err().Error())
		case <-ticker.C:
		}
	}
	return nil
}

// answers reports whether a GET of url is answered with 200.
func answers(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// freeAddress returns an address on the loopback interface that nobody
// listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// output runs a program to its end and returns what it prints to standard
// output. Its standard error is part of the error.
func output(ctx context.Context, environ []string, program string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
