package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

// watchdogScript ends the server and removes its directory once its standard input ends, which is when the process
// that started it is gone, killed or not.
const watchdogScript = `read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
[ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null
while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
rm -rf "$1"`

// watchdog is a small process that outlives this one for as long as it takes to clean up.
type watchdog struct {
	cmd   *exec.Cmd
	stdin *os.File
}

func startWatchdog(dir string) (*watchdog, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "datastorage-test-watchdog", dir)
	cmd.Stdin = read
	// A group of its own: an interrupt from the terminal must not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		write.Close()
		return nil, err
	}
	return &watchdog{cmd: cmd, stdin: write}, nil
}

// finish lets the watchdog do its work and waits for it.
func (w *watchdog) finish() error {
	w.stdin.Close()
	return w.cmd.Wait()
}

// process is a running postmaster.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process was reaped
}

// startProcess runs the command on a thread that stays for as long as the process does: the kernel sends the parent
// death signal when the thread that forked ends.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		// How it ended shows in its log.
		_ = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// running reports whether the process has not been reaped.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// attributes are those of the server and of initdb: another user when we are root, a process group of its own so that
// an interrupt from the terminal reaches only us, and an immediate shutdown when we die.
func attributes(c *syscall.Credential) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Credential: c}
	setParentDeathSignal(a, syscall.SIGQUIT)
	return a
}

// makeDir creates the directory of one server, owned by the user that the server runs as.
func makeDir(c *syscall.Credential) (string, error) {
	dir, err := os.MkdirTemp("", "datastorage-test-")
	if err != nil {
		return "", err
	}
	// The path of a socket is limited to about 100 bytes.
	if len(filepath.Join(dir, ".s.PGSQL.00000")) > 100 {
		os.Remove(dir)
		return "", fmt.Errorf("the temporary directory %s is too long for a socket; set TMPDIR to a shorter one", os.TempDir())
	}
	if c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			os.Remove(dir)
			return "", err
		}
	}
	return dir, nil
}
