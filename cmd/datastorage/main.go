// Command datastorage serves, checks and feeds a store of audit events. See "datastorage help".
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := interruptible(context.Background(), os.Stderr, os.Exit)
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(reportError(os.Stderr, err))
}

// run executes one command line. It writes nothing about the error it returns: reportError does.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	a := &app{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	root := newRootCommand(a)
	root.SetArgs(args)
	return outcome(ctx, a.started, root.ExecuteContext(ctx))
}

// outcome turns a command's error into one that reportError understands.
func outcome(ctx context.Context, started bool, err error) error {
	switch {
	case err == nil:
		return nil
	case !started:
		return usageError{err}
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return errInterrupted
	default:
		return err
	}
}

// interruptible returns a context that the first SIGINT or SIGTERM cancels. The second one ends the process at once, by
// exit with 128 plus the signal's number. The function that is returned ends both.
func interruptible(parent context.Context, stderr io.Writer, exit func(int)) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				if ctx.Err() == nil {
					cancel()
					continue
				}
				fmt.Fprintf(stderr, "datastorage: second signal (%s), exiting at once\n", s)
				exit(128 + signalNumber(s))
				return
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

func signalNumber(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return int(n)
	}
	return 0
}
