package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// smallDisk is a file system of a few megabytes that can be filled and freed.
type smallDisk struct {
	dir    string
	means  string // says what it is and who mounted it
	prefix []string
}

// mountSmall mounts a tmpfs at the new directory dir, owned by a user, as root or through sudo where that asks for no
// password. There is no other way to a file system of its own that another process sees.
func mountSmall(ctx context.Context, dir string, mebibytes, uid, gid int) (*smallDisk, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("%w: only Linux has one", errNoMount)
	}
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL is another user
		return nil, err
	}
	var errs []error
	for _, prefix := range [][]string{nil, {"sudo", "-n"}} {
		d := &smallDisk{dir: dir, prefix: prefix}
		err := d.command(ctx, "mount", "-t", "tmpfs", "-o",
			fmt.Sprintf("size=%dm,mode=0755,uid=%d,gid=%d", mebibytes, uid, gid), "datastorage-chaos", dir)
		if err == nil {
			d.means = fmt.Sprintf("a tmpfs of %d MiB, mounted %s", mebibytes, map[bool]string{true: "directly", false: "with sudo"}[prefix == nil])
			return d, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("%w: run as root, in a container with CAP_SYS_ADMIN, or as a user whose sudo asks for no password: %w",
		errNoMount, errors.Join(errors.Join(errs...), os.Remove(dir)))
}

// errNoMount says that a scenario with a full disk cannot be run on this machine.
var errNoMount = errors.New("a full disk needs a small tmpfs, and it could not be mounted")

func (d *smallDisk) command(ctx context.Context, args ...string) error {
	args = append(append([]string(nil), d.prefix...), args...)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = ownGroup()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func (d *smallDisk) filler() string { return filepath.Join(d.dir, "filler") }

// fill takes all space but about as many bytes as leave.
func (d *smallDisk) fill(leave int64) (err error) {
	f, err := os.Create(d.filler())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	block := make([]byte, 1<<20)
	size := int64(0)
	for len(block) >= 4<<10 {
		n, err := f.Write(block)
		size += int64(n)
		if errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			return err
		}
	}
	return f.Truncate(max(0, size-leave))
}

// free gives back what fill took.
func (d *smallDisk) free() error { return os.Remove(d.filler()) }

// unmount removes the file system; what is still used of it stays invisible until then.
func (d *smallDisk) unmount(ctx context.Context) error {
	err := d.command(ctx, "umount", d.dir)
	if err != nil {
		err = d.command(ctx, "umount", "-l", d.dir)
	}
	return errors.Join(err, os.Remove(d.dir))
}
