package disk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// TestPut_DiskFull lets the system refuse to write. Where file systems may be mounted that is a full one, and else a
// process whose files may not grow.
func TestPut_DiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=3m"); err != nil {
		testLimited(t)
		return
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	q := openTest(t, dir, Options{MaxBytes: 64 << 20})
	// Something else takes the room that the queue counts on.
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	put := fill(t, q, 900, func() {})
	takeRest(t, filepath.Join(dir, "rest"))
	for range 20 {
		if err := q.Put(t.Context(), []*deadletter.Message{testMessage("c", 900)}); err == nil {
			put++
		} else if !errors.Is(err, deadletter.ErrFull) {
			t.Fatalf("Put on a full disk returned %v", err)
		}
	}
	if n := q.snapshot().depth; n != put || put < 100 {
		t.Fatalf("%d messages wait, %d were acknowledged", n, put)
	}
	if err := errors.Join(os.Remove(ballast), os.Remove(filepath.Join(dir, "rest"))); err != nil {
		t.Fatal(err)
	}
	// With room again, all goes on.
	if err := q.Put(t.Context(), []*deadletter.Message{testMessage("c", 900)}); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q = openTest(t, dir, Options{MaxBytes: 64 << 20})
	if n := q.snapshot().depth; n != put+1 {
		t.Fatalf("%d messages wait after opening again, want %d", n, put+1)
	}
	drain(t, q, func() {})
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

// takeRest writes until the disk is full.
func takeRest(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return
		}
	}
}
