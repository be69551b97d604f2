package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/sqlite"
	"github.com/datastorage-io/datastorage/ledger"
)

// faultStore is a real store whose writes can be made to fail on either side of the transaction.
type faultStore struct {
	ingest.Store
	mu sync.Mutex
	// before runs ahead of a commit; its error is returned and nothing is stored.
	before func(*datastorage.Write) error
	// after runs behind a commit that succeeded; its error is returned although everything is stored.
	after func() error
	// head replaces the head that is read when it is not nil.
	head *ledger.Head
}

func (f *faultStore) set(before func(*datastorage.Write) error, after func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

func (f *faultStore) around(w *datastorage.Write, commit func() error) error {
	f.mu.Lock()
	before, after := f.before, f.after
	f.mu.Unlock()
	if before != nil {
		if err := before(w); err != nil {
			return err
		}
	}
	if err := commit(); err != nil {
		return err
	}
	if after != nil {
		return after()
	}
	return nil
}

func (f *faultStore) Commit(ctx context.Context, c *ledger.Commit, w *datastorage.Write) error {
	return f.around(w, func() error { return f.Store.Commit(ctx, c, w) })
}

func (f *faultStore) CommitLocked(ctx context.Context, build func(ledger.Head) (*ledger.Commit, error), w *datastorage.Write) error {
	return f.around(w, func() error { return f.Store.CommitLocked(ctx, build, w) })
}

func (f *faultStore) Head(ctx context.Context) (ledger.Head, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.head != nil {
		return *f.head, nil
	}
	return f.Store.Head(ctx)
}

func openStore(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{Readers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var limits = ingest.Limits{
	QueueEvents: 10_000, QueueBytes: 64 << 20, CommitEvents: 500, CommitBytes: 4 << 20, WriteTimeout: 3 * time.Second,
	RetryFor: 2 * time.Second,
}

func start(t *testing.T, store ingest.Store, l ingest.Limits) (*ingest.Service, *ingest.Committer) {
	t.Helper()
	c, err := ingest.NewCommitter(t.Context(), store, l, slog.New(slog.DiscardHandler), ingest.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return ingest.NewService(c), c
}

var testRules = datastorage.Rules{AnyCategory: true, RetentionDays: 30}

// event decodes an event with the given members beside the required ones.
func event(t testing.TB, members string) datastorage.Event {
	t.Helper()
	raw := `{"version":"1.0","event_type":"a.b","event_timestamp":"2026-05-11T14:40:59.5Z","event_category":"gateway",` +
		`"event_action":"received","event_outcome":"success","correlation_id":"rr-1","event_data":{"n":1}` + members + `}`
	e, err := testRules.Decode([]byte(raw), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func withID(t testing.TB, id uuid.UUID, more string) datastorage.Event {
	return event(t, fmt.Sprintf(`,"event_id":%q%s`, id, more))
}

func writeOne(s *ingest.Service, e datastorage.Event) (ingest.Stored, error) {
	stored, err := s.Write(context.Background(), []datastorage.Event{e}, false)
	if err != nil {
		return ingest.Stored{}, err
	}
	return stored[0], nil
}

// checkStored checks that each acknowledged event stands where its receipt says, and the log holds want events.
func checkStored(t *testing.T, store ingest.Store, acked []ingest.Stored, want int64) {
	t.Helper()
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if head.Size() != want {
		t.Errorf("the log holds %d events, want %d", head.Size(), want)
	}
	seen := map[int64]uuid.UUID{}
	for _, a := range acked {
		e, err := store.Event(t.Context(), a.ID)
		if err != nil {
			t.Fatalf("event %s was acknowledged: %v", a.ID, err)
		}
		if e.LogIndex != a.Receipt.LogIndex {
			t.Errorf("event %s stands at %d, its receipt says %d", a.ID, e.LogIndex, a.Receipt.LogIndex)
		}
		if other, ok := seen[e.LogIndex]; ok && other != a.ID {
			t.Errorf("events %s and %s stand at %d", a.ID, other, e.LogIndex)
		}
		seen[e.LogIndex] = a.ID
		commit, err := store.CommitOf(t.Context(), e.LogIndex)
		if err != nil || commit == nil {
			t.Fatalf("commit of %d: %v, %v", e.LogIndex, commit, err)
		}
		if commit.Root != a.Receipt.Root || commit.NextIndex != a.Receipt.TreeSize {
			t.Errorf("the receipt of %s does not match its commit", a.ID)
		}
	}
}

// load writes n events from each of clients goroutines, trying again what was not acknowledged, under ids of its own.
func load(t *testing.T, s *ingest.Service, clients, n int) []ingest.Stored {
	t.Helper()
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		acked []ingest.Stored
	)
	for range clients {
		wg.Go(func() {
			for range n {
				e := withID(t, uuid.New(), "")
				for try := 0; ; try++ {
					stored, err := writeOne(s, e)
					if err == nil {
						mu.Lock()
						acked = append(acked, stored)
						mu.Unlock()
						break
					}
					if datastorage.CodeOf(err) != datastorage.CodeUnavailable || try > 100 {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	return acked
}

func TestService_ManyClients(t *testing.T) {
	store := openStore(t, t.TempDir())
	s, _ := start(t, store, limits)
	acked := load(t, s, 32, 20)
	checkStored(t, store, acked, 32*20)
}

// Whatever fails on either side of the transaction, what is acknowledged is stored exactly once.
func TestService_FaultsOnBothSides(t *testing.T) {
	store := &faultStore{Store: openStore(t, t.TempDir())}
	s, _ := start(t, store, limits)
	rng := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	one := func(n int, err error) error {
		mu.Lock()
		defer mu.Unlock()
		if rng.IntN(n) == 0 {
			return err
		}
		return nil
	}
	outage := datastorage.Unavailable(nil, "outage")
	store.set(
		func(*datastorage.Write) error {
			return errors.Join(one(4, outage), one(6, ledger.ErrOutcomeUnknown))
		},
		func() error { return one(3, ledger.ErrOutcomeUnknown) },
	)
	acked := load(t, s, 16, 10)
	store.set(nil, nil)
	checkStored(t, store, acked, 16*10)
}

// What an observer is told is what the store holds, in order, also when another server writes and commits fail on either side.
func TestCommitter_Observe(t *testing.T) {
	dir := t.TempDir()
	store := &faultStore{Store: openStore(t, dir)}
	s1, c := start(t, store, limits)
	s2, _ := start(t, openStore(t, dir), limits)
	var told []*datastorage.Record
	at := map[uuid.UUID]int64{}
	last := int64(0)
	c.Observe(func(first int64, _ time.Time, records []*datastorage.Record) {
		if first < last {
			t.Errorf("told of %d behind %d", first, last)
		}
		for i, r := range records {
			at[r.ID] = first + int64(i)
		}
		last = first + int64(len(records))
		told = append(told, records...)
	})
	n := 0 // only the committer's loop calls these
	store.set(nil, func() error {
		if n++; n%3 == 0 {
			return ledger.ErrOutcomeUnknown
		}
		return nil
	})
	var wg sync.WaitGroup
	wg.Go(func() { load(t, s1, 8, 25) })
	wg.Go(func() { load(t, s2, 8, 25) })
	wg.Wait()
	c.Close()
	if len(told) != 8*25 || len(at) != 8*25 {
		t.Errorf("told of %d events, %d of them different, want %d", len(told), len(at), 8*25)
	}
	for _, r := range told {
		if e, err := store.Event(t.Context(), r.ID); err != nil || e.LogIndex != at[r.ID] || !bytes.Equal(e.Body, r.Body) {
			t.Errorf("event %s is said to stand at %d: %v, %v", r.ID, at[r.ID], e.LogIndex, err)
		}
	}
}

func TestService_TwoServers(t *testing.T) {
	dir := t.TempDir()
	a, b := openStore(t, dir), openStore(t, dir)
	s1, _ := start(t, a, limits)
	s2, _ := start(t, b, limits)
	var wg sync.WaitGroup
	var first, second []ingest.Stored
	wg.Go(func() { first = load(t, s1, 8, 25) })
	wg.Go(func() { second = load(t, s2, 8, 25) })
	wg.Wait()
	checkStored(t, a, append(first, second...), 2*8*25)
}

// A request that the store refuses does not take the others of its commit with it.
func TestCommitter_RefusedRequestAlone(t *testing.T) {
	store := &faultStore{Store: openStore(t, t.TempDir())}
	s, _ := start(t, store, limits)
	store.set(func(w *datastorage.Write) error {
		for _, r := range w.Records {
			if r.Type == "poison" {
				return errors.New("this content cannot be stored")
			}
		}
		return nil
	}, nil)
	poison := event(t, "")
	poison.Type = "poison"
	var wg sync.WaitGroup
	var mu sync.Mutex
	var acked []ingest.Stored
	refused := 0
	for i := range 40 {
		wg.Go(func() {
			e := event(t, "")
			if i%10 == 3 {
				e = poison
			}
			stored, err := writeOne(s, e)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				acked = append(acked, stored)
			} else if datastorage.CodeOf(err) == datastorage.CodeInternal {
				refused++
			}
		})
	}
	wg.Wait()
	if len(acked) != 36 || refused != 4 {
		t.Errorf("%d stored and %d refused, want 36 and 4", len(acked), refused)
	}
	checkStored(t, store, acked, 36)
}

func TestCommitter_Outage(t *testing.T) {
	store := &faultStore{Store: openStore(t, t.TempDir())}
	l := limits
	l.WriteTimeout, l.RetryFor = 100*time.Millisecond, 100*time.Millisecond/2
	s, _ := start(t, store, l)
	store.set(func(*datastorage.Write) error { return datastorage.Unavailable(nil, "outage") }, nil)
	_, err := writeOne(s, event(t, ""))
	if datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Fatalf("during an outage: %v", err)
	}
	store.set(nil, nil)
	stored, err := writeOne(s, event(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	checkStored(t, store, []ingest.Stored{stored}, 1)
}

func TestCommitter_HangingStore(t *testing.T) {
	store := &faultStore{Store: openStore(t, t.TempDir())}
	l := limits
	l.WriteTimeout, l.RetryFor = 50*time.Millisecond, 50*time.Millisecond/2
	s, _ := start(t, store, l)
	release := make(chan struct{})
	entered := make(chan struct{}, 1)
	store.set(nil, func() error {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-release
		return nil
	})
	first := make(chan error, 1)
	go func() { _, err := writeOne(s, event(t, "")); first <- err }()
	<-entered
	_, queued := writeOne(s, event(t, ""))
	if err := <-first; datastorage.CodeOf(err) != datastorage.CodeUnavailable || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("the write under way: %v", err)
	}
	if datastorage.CodeOf(queued) != datastorage.CodeUnavailable || !strings.Contains(queued.Error(), "nothing was stored") {
		t.Errorf("the write behind it: %v", queued)
	}
	close(release)
	store.set(nil, nil)
	if _, err := writeOne(s, event(t, "")); err != nil {
		t.Fatal(err)
	}
	// The write under way is stored; the withdrawn one is not.
	checkStored(t, store, nil, 2)
}

// TestCommitter_AnswersBesideNextCommit has a commit wait in the store until the caller of the one before was answered.
func TestCommitter_AnswersBesideNextCommit(t *testing.T) {
	store := &faultStore{Store: openStore(t, t.TempDir())}
	s, _ := start(t, store, limits)
	entered, release, answered := make(chan struct{}), make(chan struct{}), make(chan struct{})
	commits := 0
	store.set(func(*datastorage.Write) error {
		if commits++; commits == 1 {
			close(entered)
			<-release
		} else {
			<-answered
		}
		return nil
	}, nil)
	errs := make(chan error, 2)
	go func() {
		_, err := writeOne(s, event(t, ""))
		close(answered)
		errs <- err
	}()
	<-entered
	go func() { _, err := writeOne(s, event(t, "")); errs <- err }()
	waitFor(t, "the second write waits", func() bool { return ingest.Waiting(s) == 2 })
	close(release)
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	checkStored(t, store, nil, 2)
}

func TestCommitter_QueueFull(t *testing.T) {
	store := &faultStore{Store: openStore(t, t.TempDir())}
	l := limits
	l.QueueEvents = 1
	s, _ := start(t, store, l)
	release, entered := make(chan struct{}), make(chan struct{})
	store.set(func(*datastorage.Write) error { close(entered); <-release; return nil }, nil)
	first := make(chan error, 1)
	go func() { _, err := writeOne(s, event(t, "")); first <- err }()
	<-entered
	if _, err := writeOne(s, event(t, "")); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("with a full queue: %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestCommitter_CloseAnswersEverybody(t *testing.T) {
	store := &faultStore{Store: openStore(t, t.TempDir())}
	c, err := ingest.NewCommitter(t.Context(), store, limits, slog.New(slog.DiscardHandler), ingest.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	s := ingest.NewService(c)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var acked []ingest.Stored
	started := make(chan struct{}, 50)
	for range 50 {
		wg.Go(func() {
			started <- struct{}{}
			stored, err := writeOne(s, event(t, ""))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				acked = append(acked, stored)
			case datastorage.CodeOf(err) != datastorage.CodeUnavailable:
				t.Error(err)
			}
		})
	}
	for range 50 {
		<-started
	}
	c.Close()
	wg.Wait()
	checkStored(t, store, acked, int64(len(acked)))
	if _, err := writeOne(s, event(t, "")); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("after Close: %v", err)
	}
}

// A store that lost acknowledged commits is not written to.
func TestCommitter_Diverged(t *testing.T) {
	store := &faultStore{Store: openStore(t, t.TempDir())}
	l := limits
	l.WriteTimeout, l.RetryFor = 100*time.Millisecond, 100*time.Millisecond/2
	s, c := start(t, store, l)
	if _, err := writeOne(s, event(t, "")); err != nil {
		t.Fatal(err)
	}
	store.mu.Lock()
	store.head = &ledger.Head{}
	store.mu.Unlock()
	// One lost commit makes the committer read the head again.
	lost := true
	store.set(func(*datastorage.Write) error {
		if lost {
			lost = false
			return datastorage.Unavailable(nil, "failover")
		}
		return nil
	}, nil)
	if _, err := writeOne(s, event(t, "")); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("a write to a store that lost commits: %v", err)
	}
	if c.Diverged() == nil {
		t.Error("the divergence is not reported")
	}
	store.mu.Lock()
	store.head = nil
	store.mu.Unlock()
	if _, err := writeOne(s, event(t, "")); err != nil {
		t.Errorf("the store is back: %v", err)
	}
	if err := c.Diverged(); err != nil {
		t.Errorf("still reported: %v", err)
	}
}

func TestService_Idempotency(t *testing.T) {
	store := openStore(t, t.TempDir())
	s, _ := start(t, store, limits)
	id := uuid.New()
	first, err := writeOne(s, withID(t, id, ""))
	if err != nil || first.Duplicate {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := writeOne(s, withID(t, id, ""))
	if err != nil || !again.Duplicate || again.Receipt != first.Receipt {
		t.Errorf("again: %+v, %v; first: %+v", again, err, first)
	}
	// Naming a default is the same content; naming another value is not.
	if _, err := writeOne(s, withID(t, id, `,"severity":"info"`)); err != nil {
		t.Errorf("with the default named: %v", err)
	}
	if _, err := writeOne(s, withID(t, id, `,"severity":"high"`)); datastorage.CodeOf(err) != datastorage.CodeConflict {
		t.Errorf("other content: %v", err)
	}
	checkStored(t, store, []ingest.Stored{first}, 1)
}

func TestService_SameIDAtOnce(t *testing.T) {
	store := openStore(t, t.TempDir())
	s, _ := start(t, store, limits)
	id := uuid.New()
	var wg sync.WaitGroup
	var mu sync.Mutex
	fresh := 0
	for range 32 {
		wg.Go(func() {
			stored, err := writeOne(s, withID(t, id, ""))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if !stored.Duplicate {
				fresh++
			}
			if stored.Receipt.LogIndex != 0 {
				t.Errorf("stored at %d", stored.Receipt.LogIndex)
			}
		})
	}
	wg.Wait()
	if fresh != 1 {
		t.Errorf("%d writers were told that they were first", fresh)
	}
	checkStored(t, store, nil, 1)
}

func TestService_Batch(t *testing.T) {
	store := openStore(t, t.TempDir())
	s, _ := start(t, store, limits)
	id, parent := uuid.New(), uuid.New()
	old, err := writeOne(s, withID(t, parent, ""))
	if err != nil {
		t.Fatal(err)
	}
	child := func(of uuid.UUID) datastorage.Event { return event(t, fmt.Sprintf(`,"parent_event_id":%q`, of)) }

	stored, err := s.Write(t.Context(), []datastorage.Event{
		withID(t, id, ""), withID(t, parent, ""), child(id), withID(t, id, ""), child(parent),
	}, true)
	if err != nil {
		t.Fatal(err)
	}
	if stored[3].Receipt != stored[0].Receipt || stored[1].Receipt != old.Receipt || !stored[1].Duplicate {
		t.Errorf("%+v", stored)
	}
	checkStored(t, store, append(stored, old), 4)

	for name, c := range map[string]struct {
		events []datastorage.Event
		code   datastorage.Code
		detail string
	}{
		"parent later in the batch": {[]datastorage.Event{child(uuid.MustParse("11111111-1111-4111-8111-111111111111")), withID(t, uuid.MustParse("11111111-1111-4111-8111-111111111111"), "")}, datastorage.CodeValidation, "event at index 0: "},
		"no such parent":            {[]datastorage.Event{event(t, ""), child(uuid.New())}, datastorage.CodeValidation, "event at index 1: "},
		"id twice, other content":   {[]datastorage.Event{withID(t, uuid.Max, ""), withID(t, uuid.Max, `,"severity":"low"`)}, datastorage.CodeConflict, "event at index 1: "},
		"id stored, other content":  {[]datastorage.Event{event(t, ""), withID(t, id, `,"severity":"low"`)}, datastorage.CodeConflict, "event at index 1: "},
	} {
		_, err := s.Write(t.Context(), c.events, true)
		if datastorage.CodeOf(err) != c.code || !strings.HasPrefix(err.Error(), c.detail) {
			t.Errorf("%s: %v", name, err)
		}
	}
	checkStored(t, store, nil, 4)
}
