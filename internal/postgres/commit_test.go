package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/ledger"
)

var (
	_ ingest.Store   = (*Store)(nil)
	_ httpapi.Reader = (*Store)(nil)
)

func TestStore_Commit(t *testing.T) {
	t.Parallel()
	s := openAt(t, pgtest.New(t))
	parent := record(time.Now(), 600)
	full := record(time.Now(), 20_000)
	full.ParentID, full.TraceID, full.ClusterName = parent.ID, strings.Repeat("ab", 16), "prod-é"
	c := commit(t, s, parent, full)

	got, err := s.CommitAt(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	want := *c
	want.Entries, want.PrevRoot = nil, ledger.Hash{}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("CommitAt (-want +got):\n%s", diff)
	}
	event, err := s.Event(t.Context(), full.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantEvent := datastorage.StoredEvent{LogIndex: 1, ID: full.ID, Time: full.Time, Body: full.Body, Salt: full.Salt}
	if diff := cmp.Diff(wantEvent, event); diff != "" {
		t.Errorf("Event (-want +got):\n%s", diff)
	}
	var headers []datastorage.EventHeader
	err = s.Correlation(t.Context(), full.CorrelationID, func(h *datastorage.EventHeader) error {
		headers = append(headers, *h)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantHeader := []datastorage.EventHeader{{
		LogIndex: 1, ID: full.ID, ParentID: parent.ID, Time: full.Time, Type: full.Type, Category: full.Category,
		Outcome: full.Outcome, Severity: full.Severity, ActorType: full.ActorType, ActorID: full.ActorID,
		ResourceType: full.ResourceType, ResourceID: full.ResourceID, Namespace: full.Namespace,
		ClusterName: full.ClusterName, CorrelationID: full.CorrelationID,
	}}
	if diff := cmp.Diff(wantHeader, headers); diff != "" {
		t.Errorf("Correlation (-want +got):\n%s", diff)
	}
}

func TestStore_Commit_HeadMoved(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	s := openAt(t, url)
	rs := records(time.Now(), 3, 600)
	c := next(t, s, rs[:1])
	commit(t, s, rs[1:]...)
	if err := s.Commit(t.Context(), c, &datastorage.Write{Records: rs[:1]}); !errors.Is(err, ledger.ErrHeadMoved) {
		t.Errorf("a commit where the log has gone on: %v", err)
	}
	after := next(t, s, rs[:1])
	for name, breakIt := range map[string]func(*ledger.Commit){
		"another root before": func(c *ledger.Commit) { c.PrevRoot[0] ^= 1 },
		"no row before":       func(c *ledger.Commit) { c.PrevFirst = 1 },
		"a gap":               func(c *ledger.Commit) { c.FirstIndex, c.NextIndex = 7, 8 },
	} {
		c := *after
		breakIt(&c)
		if err := s.Commit(t.Context(), &c, &datastorage.Write{Records: rs[:1]}); !errors.Is(err, ledger.ErrHeadMoved) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := one[int](t, connect(t, url), `SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM event_ids)`); n != 4 {
		t.Errorf("refused commits left rows: %d, want 4", n)
	}
}

func TestStore_Commit_DuplicateID(t *testing.T) {
	t.Parallel()
	s := openAt(t, pgtest.New(t))
	r, other := record(time.Now(), 600), record(time.Now(), 600)
	commit(t, s, r)
	w := &datastorage.Write{Records: []*datastorage.Record{other, r}}
	if err := s.Commit(t.Context(), next(t, s, w.Records), w); !errors.Is(err, ledger.ErrDuplicateID) {
		t.Errorf("a stored event_id: %v", err)
	}
	if _, err := s.Event(t.Context(), other.ID); datastorage.CodeOf(err) != datastorage.CodeNotFound {
		t.Errorf("the other event of a refused commit: %v", err)
	}
	commit(t, s, other)
}

func TestStore_CommitLocked(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	stores := []*Store{openAt(t, url), openAt(t, url)}
	errStop := errors.New("stop")
	locked := func(s *Store, rs []*datastorage.Record) error {
		return s.CommitLocked(t.Context(), func(head ledger.Head) (*ledger.Commit, error) {
			c, _ := ledger.NewCommit(&head, rs, time.Now())
			return c, nil
		}, &datastorage.Write{Records: rs})
	}
	const each = 20
	done := make(chan error)
	for _, s := range stores {
		go func() {
			for range each {
				if err := locked(s, records(time.Now(), 2, 600)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range stores {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	head, err := stores[0].Head(t.Context())
	if err != nil || head.Size() != 2*2*each {
		t.Fatalf("the log has %d events: %v", head.Size(), err)
	}
	err = stores[0].CommitLocked(t.Context(), func(ledger.Head) (*ledger.Commit, error) { return nil, errStop },
		&datastorage.Write{})
	if !errors.Is(err, errStop) {
		t.Errorf("the error of build became %v", err)
	}
	if r := records(time.Now(), 1, 600); locked(stores[0], r) != nil || !errors.Is(locked(stores[1], r), ledger.ErrDuplicateID) {
		t.Error("a stored event_id is not told from other errors")
	}
	if err := locked(stores[1], records(time.Now(), 1, 600)); err != nil {
		t.Errorf("a refused commit keeps the lock: %v", err)
	}
}

func TestStore_Commit_Notifications(t *testing.T) {
	t.Parallel()
	s := openAt(t, pgtest.New(t))
	now := time.Now().UTC().Truncate(time.Microsecond)
	rs := records(now, 2, 600)
	notifications := []*datastorage.Notification{
		{
			RemediationID: "rr-1", NotificationID: "n-1", Recipient: "a@example.org", Channel: "email", MessageSummary: "m",
			Status: "sent", SentAt: now, DeliveryStatus: "250 OK", ErrorMessage: "none", EscalationLevel: 7,
			CreatedAt: now, UpdatedAt: now, EventID: rs[0].ID,
		},
		{
			RemediationID: "rr-1", NotificationID: "n-2", Recipient: "#ops", Channel: "slack", MessageSummary: "m",
			Status: "failed", SentAt: now.Add(-time.Hour), CreatedAt: now, UpdatedAt: now, EventID: rs[1].ID,
		},
	}
	w := &datastorage.Write{Records: rs, Notifications: notifications}
	if err := s.Commit(t.Context(), next(t, s, rs), w); err != nil {
		t.Fatal(err)
	}
	page, err := s.Notifications(t.Context(), datastorage.NotificationQuery{RemediationID: "rr-1", Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	want := datastorage.NotificationPage{
		Notifications: []datastorage.Notification{*notifications[0], *notifications[1]}, Total: 2, MaxID: notifications[1].ID,
	}
	if diff := cmp.Diff(want, page); diff != "" || want.MaxID == 0 {
		t.Errorf("Notifications (-want +got):\n%s", diff)
	}

	again := *notifications[0]
	w = &datastorage.Write{Records: records(now, 1, 600), Notifications: []*datastorage.Notification{&again}}
	err = s.Commit(t.Context(), next(t, s, w.Records), w)
	if err == nil || datastorage.CodeOf(err) == datastorage.CodeUnavailable || errors.Is(err, ledger.ErrOutcomeUnknown) {
		t.Errorf("a notification_id that is taken: %v", err)
	}
}

func TestStore_Commit_OnDemandMonths(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	conn := connect(t, url)
	// A session's time zone must not move the bounds of a month.
	exec(t, conn, `DO $$ BEGIN EXECUTE format('ALTER ROLE `+pgtest.Role+` IN DATABASE %I SET timezone = ''America/Chicago''',
		current_database()); END $$`)
	s := openAt(t, url)
	march := time.Date(2019, 3, 1, 0, 0, 0, 0, time.UTC)
	rs := []*datastorage.Record{
		record(march, 600), record(march.Add(-time.Microsecond), 600), record(march.AddDate(0, 9, 30), 600),
		record(time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), 600), record(time.Date(2199, 12, 31, 23, 59, 59, 0, time.UTC), 600),
	}
	commit(t, s, rs...)
	want := []string{"events_2019_03", "events_2019_02", "events_2019_12", "events_1970_01", "events_2199_12"}
	for i, r := range rs {
		at := one[string](t, conn, `SELECT tableoid::regclass::text FROM events WHERE event_id = $1`, [16]byte(r.ID))
		if at != want[i] {
			t.Errorf("the event of %s is in %s", r.Time, at)
		}
	}
	exec(t, conn, `SET timezone = 'UTC'`)
	bounds := one[string](t, conn, `SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'events_2019_03'`)
	if bounds != `FOR VALUES FROM ('2019-03-01 00:00:00+00') TO ('2019-04-01 00:00:00+00')` {
		t.Errorf("bounds of March: %s", bounds)
	}

	// A partition that goes away under a running server comes back.
	exec(t, conn, `DROP TABLE events_2019_03`)
	late := []*datastorage.Record{record(march, 600)}
	c := next(t, s, late)
	err := s.Commit(t.Context(), c, &datastorage.Write{Records: late})
	if datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("a partition has gone: %v", err)
	}
	if err := s.Commit(t.Context(), c, &datastorage.Write{Records: late}); err != nil {
		t.Errorf("the next try: %v", err)
	}
}

func TestStore_Commit_Canceled(t *testing.T) {
	t.Parallel()
	s := openAt(t, pgtest.New(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := record(time.Now(), 600)
	rs := []*datastorage.Record{r}
	err := s.Commit(ctx, next(t, s, rs), &datastorage.Write{Records: rs})
	if datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("a commit that was never sent: %v", err)
	}
	if found, err := s.Find(t.Context(), []uuid.UUID{r.ID}); err != nil || len(found) != 0 {
		t.Errorf("it is stored: %v, %v", found, err)
	}
}
