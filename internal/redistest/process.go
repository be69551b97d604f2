package redistest

import (
	"os/exec"
	"runtime"
)

// startProcess runs the command on a thread that stays for as long as the process does: the kernel sends the parent death
// signal when the thread that forked ends. It closes done when the process was reaped.
func startProcess(cmd *exec.Cmd, done chan<- struct{}) error {
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
		close(done)
	}()
	return <-started
}
