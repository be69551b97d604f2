package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/datastorage-io/datastorage/internal/config"
)

// The exit codes.
const (
	exitOK    = 0
	exitFault = 1 // something went wrong, or an audit found a fault
	exitUsage = 2 // the command line is wrong
)

// usageError is a mistake in the command line: a command, flag or argument that does not exist or has no such value.
type usageError struct{ err error }

// Error implements error.
func (e usageError) Error() string { return e.err.Error() }

// Unwrap returns the mistake.
func (e usageError) Unwrap() error { return e.err }

// usagef is for commands that find a mistake in their own arguments.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errSilent is returned, wrapped or not, by a command that has already told the user what is wrong.
var errSilent = errors.New("already reported")

// errInterrupted is the error of a command that a signal cut short.
var errInterrupted = errors.New("interrupted")

// reportError tells the user about the error of run and returns the exit code. It is the one place that does either.
func reportError(stderr io.Writer, err error) int {
	var faults config.Faults
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errSilent):
		return exitFault
	}
	fmt.Fprintf(stderr, "datastorage: %s\n", strings.TrimSpace(err.Error()))
	if errors.As(err, new(usageError)) || (errors.As(err, &faults) && faults.OnCommandLine()) {
		return exitUsage
	}
	return exitFault
}
