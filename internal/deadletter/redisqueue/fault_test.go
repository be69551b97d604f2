package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/redistest"
)

// testMessage returns a message of a correlation_id.
func testMessage(correlation string) *deadletter.Message {
	r := datastorage.NewRecord(datastorage.Event{
		ID: uuid.Must(uuid.NewV7()), Version: "1.0", Type: "gateway.signal.received", Category: "gateway", Action: "test",
		Time: time.Now().UTC().Truncate(time.Microsecond), Outcome: "success", CorrelationID: correlation, Data: []byte(`{"n":1}`),
		ActorType: "service", ActorID: "gateway", ResourceType: "Signal", ResourceID: "s-1", Severity: "info", Retention: 2555,
	}, [datastorage.SaltSize]byte(uuid.New()))
	return &deadletter.Message{
		EventID: r.ID, CorrelationID: correlation, Body: r.Body, Salt: r.Salt, QueuedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
}

// openTest opens a queue until the test ends.
func openTest(t *testing.T, url string) *Queue {
	t.Helper()
	q := openURL(t, url, 64<<20)
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func mustPut(t *testing.T, q *Queue, messages ...*deadletter.Message) {
	t.Helper()
	if err := q.Put(t.Context(), messages); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

// wantDepth checks how many messages wait and are quarantined.
func wantDepth(t *testing.T, q *Queue, depth, quarantined int64) {
	t.Helper()
	s, err := q.Stats(t.Context())
	if err != nil || s.Depth != depth || s.Quarantined != quarantined {
		t.Fatalf("%d wait and %d are quarantined (%v), want %d and %d", s.Depth, s.Quarantined, err, depth, quarantined)
	}
}

// TestPut_AnswerLost: a Put whose connection ends, on either side of what the server does, puts its messages once.
func TestPut_AnswerLost(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{"before": cutBefore, "after": cutAfter} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, url := startProxy(t, redistest.New(t))
			q := openTest(t, url)
			mustPut(t, q, testMessage("c"))
			p.set(f, 2)
			m := testMessage("c")
			mustPut(t, q, m)
			if m.ID == "" {
				t.Error("the message that was appended has no id")
			}
			wantDepth(t, q, 2, 0)
			// However often it fails, calling again is safe.
			p.set(f, maxTries)
			again := testMessage("c")
			err := q.Put(t.Context(), []*deadletter.Message{again})
			if err == nil || errors.Is(err, deadletter.ErrFull) || errors.Is(err, deadletter.ErrConflict) {
				t.Fatalf("Put returned %v", err)
			}
			mustPut(t, q, again)
			wantDepth(t, q, 3, 0)
		})
	}
}

// TestQueue_AnswerLost: every other change that fails, made or not, can be made again.
func TestQueue_AnswerLost(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{"before": cutBefore, "after": cutAfter} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, url := startProxy(t, redistest.New(t))
			q := openTest(t, url)
			list := []*deadletter.Message{testMessage("a"), testMessage("b"), testMessage("c")}
			mustPut(t, q, list...)
			twice := func(what string, change func() error) {
				t.Helper()
				p.set(f, 1)
				if err := change(); err == nil || errors.Is(err, deadletter.ErrNotFound) {
					t.Fatalf("%s returned %v although its answer is lost", what, err)
				}
				if err := change(); err != nil && (f == cutBefore || !errors.Is(err, deadletter.ErrNotFound)) {
					t.Fatalf("%s again: %v", what, err)
				}
			}
			ctx := t.Context()
			twice("Remove", func() error { return q.Remove(ctx, []string{list[0].ID}) })
			wantDepth(t, q, 2, 0)
			twice("Quarantine", func() error { return q.Quarantine(ctx, list[1].ID, "reason") })
			wantDepth(t, q, 1, 1)
			twice("Replay", func() error { return q.Replay(ctx, list[1].ID) })
			wantDepth(t, q, 2, 0)
			if err := q.Quarantine(ctx, list[2].ID, "reason"); err != nil {
				t.Fatal(err)
			}
			twice("Discard", func() error { return q.Discard(ctx, list[2].ID) })
			wantDepth(t, q, 1, 0)
			held, err := q.HoldsCorrelations(ctx, []string{"a", "b", "c"})
			if err != nil || len(held) != 1 || !held["b"] {
				t.Errorf("of the correlation_ids %v wait (%v), want b", held, err)
			}
		})
	}
}

// TestPut_ServerKilled: what was acknowledged is there when the server starts again, and the queue goes on with it.
func TestPut_ServerKilled(t *testing.T) {
	t.Parallel()
	// A server that syncs once a second answers eight writers eight times a second.
	for setting, enough := range map[string]int{"always": 200, "everysec": 16} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			putAndKill(t, setting, enough)
		})
	}
}

// putAndKill kills a server once it has acknowledged enough messages.
func putAndKill(t *testing.T, appendfsync string, enough int) {
	server := redistest.Start(t, "--appendfsync", appendfsync)
	opts := testOptions(server.URL(t), 1<<30)
	// Before 7.2 it may lose what it acknowledges when the machine fails, but not when it is killed.
	opts.AllowUnsafe = appendfsync != "always"
	q, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	var (
		mu    sync.Mutex
		acked []string
		wg    sync.WaitGroup
	)
	many := make(chan struct{})
	for w := range 8 {
		wg.Go(func() {
			for {
				m := testMessage(fmt.Sprint(w))
				if q.Put(context.Background(), []*deadletter.Message{m}) != nil {
					return
				}
				mu.Lock()
				acked = append(acked, m.EventID.String())
				if len(acked) == enough {
					close(many)
				}
				mu.Unlock()
			}
		})
	}
	<-many
	server.Kill()
	wg.Wait()
	if _, err := q.Stats(t.Context()); err == nil {
		t.Error("a killed server answers")
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustPut(t, q, testMessage("after"))
	there := map[string]bool{}
	for {
		list, err := q.Oldest(t.Context(), 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		var ids []string
		for _, m := range list {
			there[m.EventID.String()] = true
			ids = append(ids, m.ID)
		}
		if err := q.Remove(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if i := slices.IndexFunc(acked, func(id string) bool { return !there[id] }); i >= 0 {
		t.Errorf("message %d of %d was acknowledged and is not there", i, len(acked))
	}
	if s, err := q.Stats(t.Context()); err != nil || s.Bytes != 0 {
		t.Errorf("an empty queue takes %d bytes, %v", s.Bytes, err)
	}
}

// TestLead_CutOff: a leader that does not reach Redis ends its lead before another one has it, and removes nothing
// afterwards.
func TestLead_CutOff(t *testing.T) {
	t.Parallel()
	url := redistest.New(t)
	p, through := startProxy(t, url)
	cut, other := openTest(t, through), openTest(t, url)
	m := testMessage("c")
	mustPut(t, other, m)
	lead, release, err := cut.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	p.refuse(true)
	began := time.Now()
	_, releaseOther, err := other.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer releaseOther()
	if lead.Err() == nil {
		t.Error("two lead at once")
	}
	if took := time.Since(began); took > 2*leaseTime {
		t.Errorf("the lead passed on after %v", took)
	}
	p.refuse(false)
	if err := cut.Remove(t.Context(), []string{m.ID}); !errors.Is(err, errLeadLost) {
		t.Errorf("Remove of one that led before returned %v", err)
	}
	if err := cut.Quarantine(t.Context(), m.ID, "reason"); !errors.Is(err, errLeadLost) {
		t.Errorf("Quarantine of one that led before returned %v", err)
	}
	wantDepth(t, other, 1, 0)
}

// TestPut_Abandoned: a caller that gives up gets an answer, and calling again is safe.
func TestPut_Abandoned(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q := openTest(t, server.URL(t))
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	m := testMessage("c")
	if err := q.Put(ctx, []*deadletter.Message{m}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Put returned %v", err)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	mustPut(t, q, m)
	wantDepth(t, q, 1, 0)
}
