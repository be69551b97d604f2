package redisqueue_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/deadletter/redisqueue"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/redistest"
	"github.com/datastorage-io/datastorage/internal/sqlite"
	"github.com/datastorage-io/datastorage/ledger"
)

var (
	rules  = datastorage.Rules{AnyCategory: true, RetentionDays: datastorage.DefaultRetentionDays}
	limits = ingest.Limits{
		QueueEvents: 10_000, QueueBytes: 64 << 20, CommitEvents: 500, CommitBytes: 4 << 20,
		WriteTimeout: 5 * time.Second, RetryFor: 20 * time.Millisecond,
	}
)

// cutStore is a store that one replica can be cut off from.
type cutStore struct {
	ingest.Store
	cut atomic.Bool
	// stored, when it is set, runs behind each commit that succeeded.
	stored func()
}

func (s *cutStore) err() error {
	if s.cut.Load() {
		return datastorage.Unavailable(nil, "cut off from the store")
	}
	return nil
}

func (s *cutStore) Head(ctx context.Context) (ledger.Head, error) {
	if err := s.err(); err != nil {
		return ledger.Head{}, err
	}
	return s.Store.Head(ctx)
}

func (s *cutStore) Find(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]int64, error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	return s.Store.Find(ctx, ids)
}

func (s *cutStore) Commit(ctx context.Context, c *ledger.Commit, w *datastorage.Write) error {
	return s.around(func() error { return s.Store.Commit(ctx, c, w) })
}

func (s *cutStore) CommitLocked(ctx context.Context, build func(ledger.Head) (*ledger.Commit, error), w *datastorage.Write) error {
	return s.around(func() error { return s.Store.CommitLocked(ctx, build, w) })
}

func (s *cutStore) around(commit func() error) error {
	if err := s.err(); err != nil {
		return err
	}
	err := commit()
	if err == nil && s.stored != nil {
		s.stored()
	}
	return err
}

// replica is the write path of one server.
type replica struct {
	*ingest.Service
	store    *cutStore
	queue    *redisqueue.Queue
	fallback *ingest.Fallback
}

func openStore(t *testing.T) ingest.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Readers: 2})
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

// startReplica starts a server's write path on a store and a queue that others use too.
func startReplica(t *testing.T, store *cutStore, url string) *replica {
	t.Helper()
	log, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	q, err := redisqueue.Open(t.Context(), redisqueue.Options{URL: url, MaxBytes: 64 << 20, Rules: rules, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	c, err := ingest.NewCommitter(t.Context(), store, limits, log, ingest.NewMetrics(registry))
	if err != nil {
		t.Fatal(err)
	}
	stats := func() (deadletter.Stats, error) { return q.Stats(context.Background()) }
	f, err := ingest.NewFallback(t.Context(), q, log, ingest.NewFallbackMetrics(registry, stats))
	if err != nil {
		t.Fatal(err)
	}
	r := ingest.NewRedriver(f, c, log)
	t.Cleanup(func() {
		r.Close()
		c.Close()
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return &replica{ingest.NewServiceWithFallback(c, f), store, q, f}
}

func (r *replica) write(t *testing.T, correlation string, id uuid.UUID) ingest.Stored {
	t.Helper()
	raw := fmt.Sprintf(`{"version":"1.0","event_type":"a.b","event_timestamp":"2026-05-11T14:40:59.5Z","event_category":"gateway",`+
		`"event_action":"received","event_outcome":"success","correlation_id":%q,"event_data":{"n":1},"event_id":%q}`, correlation, id)
	e, err := rules.Decode([]byte(raw), time.Now())
	if err != nil {
		t.Error(err)
		return ingest.Stored{}
	}
	stored, err := r.Write(context.Background(), []datastorage.Event{e}, false)
	if err != nil {
		t.Errorf("Write: %v", err)
		return ingest.Stored{}
	}
	return stored[0]
}

// drained waits until nothing waits.
func (r *replica) drained(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		s, err := r.queue.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Depth == 0 && s.Quarantined == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages still wait, %d are quarantined", s.Depth, s.Quarantined)
		}
	}
}

// wantOrder checks that events stand in the log in an order.
func wantOrder(t *testing.T, store ingest.Store, ids []uuid.UUID) {
	t.Helper()
	last := int64(-1)
	for n, id := range ids {
		e, err := store.Event(t.Context(), id)
		if err != nil {
			t.Fatalf("event %d was acknowledged: %v", n, err)
		}
		if e.LogIndex <= last {
			t.Fatalf("event %d stands at %d, the one before at %d", n, e.LogIndex, last)
		}
		last = e.LogIndex
	}
}

// TestReplicas_Order: two servers share the queue and the store, and one is cut off from the store again and again.
// Clients write each event to the other server than the one before: those of a correlation keep their order.
func TestReplicas_Order(t *testing.T) {
	t.Parallel()
	store, url := openStore(t), redistest.New(t)
	a := startReplica(t, &cutStore{Store: store}, url)
	b := startReplica(t, &cutStore{Store: store}, url)
	a.store.cut.Store(true)

	// The first event waits in Redis; the other server, which reaches the store, must not overtake it.
	first, second := uuid.New(), uuid.New()
	if got := a.write(t, "first", first); !got.Queued {
		t.Errorf("%+v", got)
	}
	b.write(t, "first", second)

	const clients, events = 8, 40
	order := make([][]uuid.UUID, clients)
	var wg sync.WaitGroup
	var written atomic.Int64
	for c := range clients {
		wg.Go(func() {
			for n := range events {
				id := uuid.New()
				[]*replica{a, b}[n%2].write(t, fmt.Sprintf("client-%d", c), id)
				order[c] = append(order[c], id)
				// Cut and mended in the middle of what clients do.
				if written.Add(1)%50 == 0 {
					a.store.cut.Store(!a.store.cut.Load())
				}
			}
		})
	}
	wg.Wait()
	a.store.cut.Store(false)
	b.drained(t)
	wantOrder(t, store, []uuid.UUID{first, second})
	for _, ids := range order {
		wantOrder(t, store, ids)
	}
	head, err := store.Head(t.Context())
	if err != nil || head.Size() != clients*events+2 {
		t.Errorf("the log holds %d events, %v, want %d", head.Size(), err, clients*events+2)
	}
}

// TestReplicas_LeaderGone: a leader that stored what waits and then is cut off from everything leaves messages that are
// stored in the queue; the next leader finds them stored and takes them out.
func TestReplicas_LeaderGone(t *testing.T) {
	t.Parallel()
	store, url := openStore(t), redistest.New(t)
	proxy, through := redisqueue.StartProxy(t, url)
	stored := make(chan struct{})
	leading := &cutStore{Store: store, stored: sync.OnceFunc(func() {
		proxy.Refuse()
		close(stored)
	})}
	gone := startReplica(t, leading, through)
	leading.cut.Store(true)
	ids := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	for _, id := range ids {
		if got := gone.write(t, "c", id); !got.Queued {
			t.Errorf("%+v", got)
		}
	}
	leading.cut.Store(false)
	<-stored
	next := startReplica(t, &cutStore{Store: store}, url)
	next.drained(t)
	next.write(t, "c", uuid.New())
	wantOrder(t, store, ids)
	if head, err := store.Head(t.Context()); err != nil || head.Size() != 4 {
		t.Errorf("the log holds %d events, %v, want 4", head.Size(), err)
	}
}
