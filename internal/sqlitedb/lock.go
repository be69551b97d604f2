package sqlitedb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// InUseError says that another process holds a lock.
type InUseError struct {
	// Holder names that process in brackets, with a blank before, as far as the lock's file tells; else it is "".
	Holder string
}

func (e *InUseError) Error() string { return "in use by another process" + e.Holder }

// LockFile locks a file for this process, and creates it when it is absent. It holds the process id. The lock ends with
// unlock or with the process, however that ends. While another process holds it the error is an InUseError.
func LockFile(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = Flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = &InUseError{holder(f)}
	} else if err == nil {
		err = writePID(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		// Closing alone would leave the lock to a child of this process that is about to be another program.
		err := Flock(f, syscall.LOCK_UN)
		// The file stays: a process that has opened it and waits for the lock must meet the next one on the same file.
		return errors.Join(err, f.Close())
	}, nil
}

// holder names the process that holds the lock, as far as its file tells.
func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	pid := strings.TrimSpace(string(b))
	if _, bad := strconv.Atoi(pid); err != nil || bad != nil {
		return ""
	}
	return " (process " + pid + ")"
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("write the process id: %w", err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("write the process id: %w", err)
	}
	return nil
}

// Flock is flock(2), which signals interrupt.
func Flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
