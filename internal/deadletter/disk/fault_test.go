package disk

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// hold keeps the writer's connection until the returned function is called, so that changes wait.
func hold(t *testing.T, q *Queue) (release func()) {
	t.Helper()
	held, free, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = q.writer.Use(context.Background(), func(*sqlitedb.Conn) error {
			close(held)
			<-free
			return nil
		})
	}()
	<-held
	release = sync.OnceFunc(func() { close(free); <-done })
	t.Cleanup(release)
	return release
}

// eventually waits for what other goroutines do.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happened(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

// queued is the number of changes that wait for the loop.
func (q *Queue) queued() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// watched is a context that says when somebody waits for its end.
type watched struct {
	context.Context
	waiting chan struct{} // buffered
}

func (w watched) Done() <-chan struct{} {
	select {
	case w.waiting <- struct{}{}:
	default:
	}
	return w.Context.Done()
}

// TestPut_Abandoned: a caller that gives up gets an answer, whether its messages are put later or not, and calling again
// is safe.
func TestPut_Abandoned(t *testing.T) {
	t.Parallel()
	q := openTest(t, t.TempDir(), crashOptions)
	release := hold(t, q)
	cancelled, cancel := context.WithCancel(t.Context())
	taken, withdrawn := testMessage("c", 10), testMessage("c", 10)
	answers := make(chan error, 2)
	for _, m := range []*deadletter.Message{taken, withdrawn} {
		ctx := watched{cancelled, make(chan struct{}, 1)}
		go func() { answers <- q.Put(ctx, []*deadletter.Message{m}) }()
		<-ctx.waiting
		// The loop takes the first and waits for the connection; the second waits for the loop.
		if m == taken {
			eventually(t, "taking the change", func() bool { return q.queued() == 0 })
		}
	}
	cancel()
	for range 2 {
		if err := <-answers; !errors.Is(err, context.Canceled) {
			t.Errorf("Put returned %v", err)
		}
	}
	release()
	again := *taken
	if err := q.Put(t.Context(), []*deadletter.Message{&again, withdrawn}); err != nil {
		t.Fatal(err)
	}
	if again.ID != "" || withdrawn.ID == "" || taken.ID != "" {
		t.Errorf("ids %q and %q, want one for what was withdrawn alone", again.ID, withdrawn.ID)
	}
	if n := q.snapshot().depth; n != 2 {
		t.Errorf("%d messages wait, want 2", n)
	}
}

// TestPut_BesideFault: changes that share a transaction with one that fails are made all the same.
func TestPut_BesideFault(t *testing.T) {
	t.Parallel()
	q := openTest(t, t.TempDir(), crashOptions)
	release := hold(t, q)
	const callers = 9
	errFault := errors.New("injected")
	answers := make(chan error, callers+1)
	// The loop takes this one, so that the others wait together.
	first := watched{t.Context(), make(chan struct{}, 1)}
	go func() { answers <- q.Put(first, []*deadletter.Message{testMessage("c", 10)}) }()
	<-first.waiting
	eventually(t, "taking the change", func() bool { return q.queued() == 0 })
	for i := range callers {
		go func() {
			if i == 4 {
				err := q.do(context.Background(), &change{apply: func(t *tx) error {
					_, err := t.exec(`DELETE FROM waiting`)
					return errors.Join(err, errFault)
				}})
				if !errors.Is(err, errFault) {
					err = errors.Join(errors.New("the fault was not answered"), err)
				} else {
					err = nil
				}
				answers <- err
				return
			}
			answers <- q.Put(context.Background(), []*deadletter.Message{testMessage("c", 10)})
		}()
	}
	eventually(t, "waiting", func() bool { return q.queued() == callers })
	release()
	for range callers + 1 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	list, err := q.Oldest(t.Context(), 100)
	if n := q.snapshot().depth; n != callers || err != nil || len(list) != callers {
		t.Errorf("%d messages wait, %d are counted, %v; want %d", len(list), n, err, callers)
	}
}

// TestQueue_DamagedInUse: damage that shows while the queue is in use is named too, and reported as often as it is met.
func TestQueue_DamagedInUse(t *testing.T) {
	t.Parallel()
	q := openTest(t, t.TempDir(), crashOptions)
	if err := q.Put(t.Context(), []*deadletter.Message{testMessage("c", 10)}); err != nil {
		t.Fatal(err)
	}
	damage := &change{apply: func(t *tx) error {
		_, err := t.exec(`UPDATE waiting SET notification = '{'`)
		return err
	}}
	if err := q.do(t.Context(), damage); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := q.Oldest(t.Context(), 10); err == nil || !strings.Contains(err.Error(), "message 00000000000000000001: decode the notification") {
			t.Errorf("Oldest: %v", err)
		}
	}
}
