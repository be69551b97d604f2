package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// onDisk is what the files of a queue take.
func onDisk(dir string) int64 {
	path := filepath.Join(dir, FileName)
	return size(path) + size(path+"-wal") + size(path+"-shm")
}

// TestPut_Bound fills and drains small queues; at no moment do the files exceed the bound.
func TestPut_Bound(t *testing.T) {
	t.Parallel()
	for _, bound := range []int64{MinBytes, 3 << 20} {
		for _, each := range []int{10, 900, 3000, 70_000} {
			t.Run(fmt.Sprintf("%d of %d", each, bound), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				q := openTest(t, dir, Options{MaxBytes: bound})
				within := func() {
					t.Helper()
					if n := onDisk(dir); n > bound {
						t.Fatalf("the files take %d bytes of %d", n, bound)
					}
				}
				for range 2 {
					n := fill(t, q, each, within)
					if taken := n * int64(each+600); taken < bound/4 {
						t.Errorf("%d messages fit, about %d bytes of %d", n, taken, bound)
					}
					drain(t, q, within)
				}
				if err := q.Close(); err != nil {
					t.Fatal(err)
				}
				if n := onDisk(dir); n > 128<<10 {
					t.Errorf("an empty queue takes %d bytes", n)
				}
			})
		}
	}
}

// fill puts messages in calls of 4 until the queue is full, and returns how many wait.
func fill(t *testing.T, q *Queue, each int, check func()) (n int64) {
	t.Helper()
	for {
		list := []*deadletter.Message{testMessage("c", each), testMessage("c", each), testMessage("c", each), testMessage("c", each)}
		err := q.Put(t.Context(), list)
		if errors.Is(err, deadletter.ErrFull) {
			return q.snapshot().depth
		}
		if err != nil {
			t.Fatal(err)
		}
		check()
	}
}

// drain takes all messages out.
func drain(t *testing.T, q *Queue, check func()) {
	t.Helper()
	for {
		list, err := q.Oldest(t.Context(), 50)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			return
		}
		ids := make([]string, len(list))
		for i, m := range list {
			ids[i] = m.ID
		}
		if err := q.Remove(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
		check()
	}
}

// TestRemove_ReturnsRoom: a large file is cut once nothing waits, though a letter stays.
func TestRemove_ReturnsRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := openTest(t, dir, Options{MaxBytes: 64 << 20})
	for range 10 {
		list := make([]*deadletter.Message, 20)
		for i := range list {
			list[i] = testMessage("c", 50_000)
		}
		if err := q.Put(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	list, err := q.Oldest(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Quarantine(t.Context(), list[0].ID, "reason"); err != nil {
		t.Fatal(err)
	}
	before := onDisk(dir)
	drain(t, q, func() {})
	if after := onDisk(dir); before < 8<<20 || after > 300<<10 {
		t.Errorf("the files took %d bytes full and %d empty", before, after)
	}
	if l, err := q.Letter(t.Context(), list[0].ID); err != nil || !bytes.Equal(l.Body, list[0].Body) {
		t.Errorf("the letter is gone: %v", err)
	}
}

func TestPut_MinFreeBytes(t *testing.T) {
	t.Parallel()
	q := openTest(t, t.TempDir(), Options{MaxBytes: 64 << 20, MinFreeBytes: 1 << 60})
	if err := q.Put(t.Context(), []*deadletter.Message{testMessage("c", 10)}); !errors.Is(err, deadletter.ErrFull) {
		t.Errorf("Put on a file system with too little room returned %v", err)
	}
}

// TestPut_FileLimit: writes that the system refuses lose nothing.
func TestPut_FileLimit(t *testing.T) {
	t.Parallel()
	testLimited(t)
}

func testLimited(t *testing.T) {
	dir := t.TempDir()
	cmd, out, _ := child(t, "limited", dir)
	put, last := map[uuid.UUID]bool{}, ""
	for out.Scan() {
		last = out.Text()
		var id string
		if n, _ := fmt.Sscanf(last, "put %s", &id); n == 1 {
			put[uuid.MustParse(id)] = true
		}
	}
	if err := cmd.Wait(); err != nil || last != "done" || len(put) < 50 {
		t.Fatalf("the process ended with %v behind %d messages and %q", err, len(put), last)
	}
	q := openTest(t, dir, Options{MaxBytes: 64 << 20})
	list, err := q.Oldest(t.Context(), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		delete(put, m.EventID)
	}
	if len(put) > 0 {
		t.Errorf("%d messages were acknowledged and are not there", len(put))
	}
}

// writeUntilLimit puts messages until a file may not grow, and goes on when it may again.
func writeUntilLimit(dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	q, err := Open(context.Background(), dir, Options{MaxBytes: 64 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	limit := func(bytes uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: 1 << 40}); err != nil {
			fmt.Println(err)
		}
	}
	limit(1 << 20)
	refused := 0
	for refused < 10 {
		m := testMessage("c", 900)
		if err := q.Put(context.Background(), []*deadletter.Message{m}); err != nil {
			refused++
			continue
		}
		fmt.Println("put", m.EventID)
	}
	limit(1 << 40)
	m := testMessage("c", 900)
	if err := q.Put(context.Background(), []*deadletter.Message{m}); err != nil {
		fmt.Println("still refused:", err)
		return
	}
	fmt.Println("put", m.EventID)
	if err := q.Close(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("done")
}
