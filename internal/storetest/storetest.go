// Package storetest is what every store must do, as tests.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/ledger"
)

// Store is a store of events: what the ingest and the API need of it, and settings. The comments of ingest.Store,
// httpapi.Reader and deadletter.Reports say what the methods promise.
type Store interface {
	Head(ctx context.Context) (ledger.Head, error)
	Commit(ctx context.Context, c *ledger.Commit, w *datastorage.Write) error
	CommitLocked(ctx context.Context, build func(ledger.Head) (*ledger.Commit, error), w *datastorage.Write) error
	CommitAt(ctx context.Context, firstIndex int64) (*ledger.Commit, error)
	CommitOf(ctx context.Context, logIndex int64) (*ledger.Commit, error)
	Find(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]int64, error)
	Event(ctx context.Context, id uuid.UUID) (datastorage.StoredEvent, error)

	Events(ctx context.Context, q datastorage.EventQuery) (datastorage.EventPage, error)
	Correlation(ctx context.Context, correlationID string, yield func(*datastorage.EventHeader) error) error
	Notifications(ctx context.Context, q datastorage.NotificationQuery) (datastorage.NotificationPage, error)
	QueueReports(ctx context.Context) ([]deadletter.Report, error)
	Ping(ctx context.Context) error

	PutQueueReport(ctx context.Context, r *deadletter.Report) error
	RemoveQueueReport(ctx context.Context, replica uuid.UUID) error

	// CatalogVersion and Changes read the history of the catalogue; see catalog.Store.
	CatalogVersion(ctx context.Context) (int64, error)
	Changes(ctx context.Context, after int64, limit int) ([]*datastorage.CatalogChange, error)

	project.Log
	// Projections opens the store of projections that belongs to the store.
	Projections(ctx context.Context) (project.Store, error)

	// Setting reads what PutSetting stored under a name; ok is false when there is nothing.
	Setting(ctx context.Context, name string) (value []byte, ok bool, err error)
	// PutSetting stores a value under a name that has none, and returns what is stored under it.
	PutSetting(ctx context.Context, name string, value []byte) ([]byte, error)
}

// Sharer is implemented by a Store whose data another handle, or another replica, can use at the same time.
type Sharer interface {
	// Share opens one more handle on the same data and closes it at the end of the test.
	Share(t *testing.T) Store
}

// Run runs the suite. open opens an empty store and closes it at the end of the test; tests run in parallel.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Store)
	}{
		{"Empty", testEmpty},
		{"Commit", testCommit},
		{"Commit/Sizes", testCommitSizes},
		{"Commit/HeadMoved", testHeadMoved},
		{"Commit/Again", testCommitAgain},
		{"Commit/DuplicateID", testDuplicateID},
		{"Commit/Cancelled", testCommitCancelled},
		{"Commit/Concurrent", testConcurrentCommits},
		{"Commit/LastingBytes", testBytes},
		{"CommitLocked", testCommitLocked},
		{"CommitLocked/Concurrent", testConcurrentLocked},
		{"CommitOf", testCommitOf},
		{"Find", testFind},
		{"Event", testEvent},
		{"Events/Filters", testFilters},
		{"Events/Random", testRandomQueries},
		{"Events/Order", testOrder},
		{"Events/Walk", testWalk},
		{"Events/WalkUnderCommits", testWalkUnderCommits},
		{"Events/WalkUpUnderCommits", testWalkUpUnderCommits},
		{"Events/Limits", testLimits},
		{"Events/Size", testSize},
		{"Events/Count", testCount},
		{"Events/Prefix", testPrefix},
		{"Events/Detail", testDetail},
		{"Events/Times", testTimes},
		{"Correlation", testCorrelation},
		{"Correlation/Yield", testCorrelationYield},
		{"Notifications", testNotification},
		{"Notifications/Unique", testNotificationUnique},
		{"Notifications/Random", testRandomNotifications},
		{"Notifications/Walk", testNotificationWalk},
		{"Notifications/Count", testNotificationCount},
		{"Changes", testChanges},
		{"Changes/Many", testChangesMany},
		{"Changes/CatalogMoved", testCatalogMoved},
		{"Changes/Refused", testChangesRefused},
		{"Changes/Concurrent", testConcurrentChanges},
		{"Read/Cancelled", testReadCancelled},
		{"Settings", testSettings},
		{"Settings/Concurrent", testConcurrentSettings},
		{"QueueReports", testQueueReports},
		{"Follow", testFollow},
		{"Follow/Limit", testFollowLimit},
		{"Follow/Bodies", testFollowBodies},
		{"Follow/WithinCommit", testFollowWithinCommit},
		{"Follow/Cancelled", testFollowCancelled},
		{"Projections/Values", testProjectionValues},
		{"Projections/Update", testProjectionUpdate},
		{"Projections/Concurrent", testProjectionConcurrent},
		{"Projections/Snapshot", testProjectionSnapshot},
		{"Projections/Cancelled", testProjectionCancelled},
		{"Projections/Lead", testProjectionLead},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// share returns a second handle on the data of s, or s itself where there is none.
func share(t *testing.T, s Store) Store {
	if other, ok := s.(Sharer); ok {
		return other.Share(t)
	}
	return s
}

// base is about when the events of the tests happened.
var base = time.Date(2026, 3, 31, 23, 59, 59, 999_998_000, time.UTC)

var rules = datastorage.Rules{AnyCategory: true, RetentionDays: datastorage.DefaultRetentionDays}

// build makes the record of an event as the server does: the event is written as a request and decoded. What e leaves
// out is filled in.
func build(t testing.TB, e datastorage.Event) *datastorage.Record {
	t.Helper()
	setDefault(&e.Version, "1.0")
	setDefault(&e.Type, "gateway.signal.received")
	setDefault(&e.Category, "gateway")
	setDefault(&e.Action, "received")
	setDefault(&e.Outcome, "success")
	setDefault(&e.CorrelationID, "rr-1")
	if e.Time.IsZero() {
		e.Time = base
	}
	if e.Data == nil {
		e.Data = []byte(`{}`)
	}
	if e.Retention == 0 {
		e.Retention = datastorage.DefaultRetentionDays
	}
	if e.ID == uuid.Nil {
		e.ID = uuid.New()
	}
	decoded, err := rules.Decode(datastorage.AppendBody(nil, &e), base)
	if err != nil {
		t.Fatalf("an event of the test is invalid: %v", err)
	}
	return datastorage.NewRecord(decoded, [16]byte(uuid.New()))
}

func setDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// events makes n records with nothing special.
func events(t testing.TB, n int) []*datastorage.Record {
	records := make([]*datastorage.Record, n)
	for i := range records {
		records[i] = build(t, datastorage.Event{Time: base.Add(time.Duration(i) * time.Microsecond)})
	}
	return records
}

// prepare returns the commit that appends records to the log as it is.
func prepare(t testing.TB, s Store, records []*datastorage.Record) *ledger.Commit {
	t.Helper()
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	c, _ := ledger.NewCommit(&head, records, base)
	return c
}

// commit stores records in one commit.
func commit(t testing.TB, s Store, records ...*datastorage.Record) *ledger.Commit {
	t.Helper()
	c := prepare(t, s, records)
	if err := s.Commit(t.Context(), c, &datastorage.Write{Records: records}); err != nil {
		t.Fatalf("Commit of %d events at %d: %v", len(records), c.FirstIndex, err)
	}
	return c
}

// appendRacing commits records, again and again while others are first.
func appendRacing(ctx context.Context, s Store, records []*datastorage.Record) error {
	for {
		head, err := s.Head(ctx)
		if err != nil {
			return err
		}
		c, _ := ledger.NewCommit(&head, records, base)
		err = s.Commit(ctx, c, &datastorage.Write{Records: records})
		if !errors.Is(err, ledger.ErrHeadMoved) {
			return err
		}
	}
}

// checkUnavailable checks the error of a call that could not be served.
func checkUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	if datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("%s: error %v, want one with code %s", what, err, datastorage.CodeUnavailable)
	}
}

// checkSize checks how many events the log, and every table behind it, holds.
func checkSize(t *testing.T, s Store, want int64) {
	t.Helper()
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	if head.Size() != want {
		t.Errorf("the log holds %d events, want %d", head.Size(), want)
	}
	page, err := s.Events(t.Context(), datastorage.EventQuery{Limit: 1, Count: datastorage.CountExact})
	if err != nil {
		t.Fatalf("Events: %v", err)
	}
	if page.Total != want || page.Size != want {
		t.Errorf("a query finds %d events in a log of %d, want %d", page.Total, page.Size, want)
	}
}

// checkLog checks that the log is dense and that every commit follows from the one before and from its events.
func checkLog(t *testing.T, s Store, records map[uuid.UUID]*datastorage.Record) {
	t.Helper()
	checkSize(t, s, int64(len(records)))
	ids := make([]uuid.UUID, 0, len(records))
	for id := range records {
		ids = append(ids, id)
	}
	found, err := s.Find(t.Context(), ids)
	if err != nil {
		t.Fatalf("Find: %v", err)
	}
	at := make(map[int64]*datastorage.Record, len(records))
	for id, index := range found {
		at[index] = records[id]
	}
	head := ledger.Head{}
	for head.Size() < int64(len(records)) {
		c, err := s.CommitAt(t.Context(), head.Size())
		if err != nil || c == nil {
			t.Fatalf("CommitAt(%d): %v, %v", head.Size(), c, err)
		}
		var batch []*datastorage.Record
		for i := c.FirstIndex; i < c.NextIndex; i++ {
			if at[i] == nil {
				t.Fatalf("no event has log_index %d", i)
			}
			batch = append(batch, at[i])
		}
		want, next := ledger.NewCommit(&head, batch, base)
		if c.Root != want.Root || c.NextIndex != want.NextIndex {
			t.Fatalf("the commit at %d does not follow from its events", c.FirstIndex)
		}
		head = next
	}
}

// list describes records for a failure.
func list(ids []uuid.UUID) string {
	var b strings.Builder
	for i, id := range ids {
		fmt.Fprintf(&b, "\n  %3d %s", i, id)
	}
	return b.String()
}
