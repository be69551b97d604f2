// Package audittest damages a store in every way that an audit must notice, and checks what it names. Both stores run
// it.
package audittest

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// Store is what commits events.
type Store interface {
	Head(ctx context.Context) (ledger.Head, error)
	Commit(ctx context.Context, c *ledger.Commit, w *datastorage.Write) error
}

// Target is an empty store of one test, and what it takes to damage it.
type Target struct {
	Store Store
	// Source reads the store as the command does.
	Source ledger.Source
	// Exec runs one statement behind the store's back, with nothing in its way, and returns the number of rows it changed.
	Exec func(t testing.TB, statement string) int64
	// ID, Blob and Time write literals; Time takes microseconds since 1970.
	ID   func(uuid.UUID) string
	Blob func([]byte) string
	Time func(int64) string
	// Columns are the columns of events that only this store has, each with a comma behind it.
	Columns string
	// Twins says that the schema allows two rows with one log_index.
	Twins bool
}

// fixture is a small log of every kind of event, in commits of several sizes.
type fixture struct {
	*Target
	records  []*datastorage.Record
	commits  []*ledger.Commit
	receipts []ledger.Anchor // one for each event
}

// commitSizes are the numbers of events in the commits of a fixture; the events of the last one stand for notifications.
var commitSizes = [...]int{1, 3, 5, 1, 2}

// size is the number of events of a fixture.
const size = 12

// whole is the log_index of an event with every field, bare that of one with none that is optional. They stand in the
// commit of the log_indexes 4 to 8.
const (
	whole = 7
	bare  = 6
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fill stores the log in the empty store.
func (f *fixture) fill(t testing.TB) {
	t.Helper()
	f.records = nil
	for i := range size {
		f.records = append(f.records, Record(i))
	}
	f.store(t, f.records)
}

// store commits records to the empty store.
func (f *fixture) store(t testing.TB, records []*datastorage.Record) {
	t.Helper()
	f.commits, f.receipts = nil, nil
	next := 0
	for _, n := range commitSizes {
		head, err := f.Store.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w := &datastorage.Write{Records: records[next : next+n]}
		if next += n; next == size {
			w.Notifications = []*datastorage.Notification{note(size - 2), note(size - 1)}
		}
		c, _ := ledger.NewCommit(&head, w.Records, start)
		if err := f.Store.Commit(t.Context(), c, w); err != nil {
			t.Fatal(err)
		}
		f.commits = append(f.commits, c)
		for i, r := range w.Records {
			f.receipts = append(f.receipts, ledger.Anchor{
				TreeSize: c.NextIndex, Root: c.Root, LogIndex: c.FirstIndex + int64(i), EventID: r.ID,
			})
		}
	}
}

// note returns the notification whose event stands at log_index i.
func note(i int) *datastorage.Notification {
	n := &datastorage.Notification{
		RemediationID: "rr-1", NotificationID: fmt.Sprintf("n-%d", i), Recipient: "on-call", Channel: "slack",
		MessageSummary: "restarted", Status: "sent", SentAt: start.Add(time.Duration(i) * time.Second),
		CreatedAt: start, UpdatedAt: start,
	}
	if i == size-1 {
		n.Status, n.DeliveryStatus, n.ErrorMessage, n.EscalationLevel = "failed", "bounced", "mailbox \"full\"", 3
	}
	n.EventID = datastorage.NotificationEventID(n.NotificationID)
	return n
}

// Record returns the i-th record of a log that is the same in every run.
func Record(i int) *datastorage.Record {
	var salt [datastorage.SaltSize]byte
	binary.BigEndian.PutUint64(salt[:], uint64(i)+1)
	if i == size-2 || i == size-1 {
		n := note(i)
		return datastorage.NewRecord(n.Event(&datastorage.Rules{RetentionDays: 2555}), salt)
	}
	e := datastorage.Event{
		ID: ID(i), Version: "1.0", Type: "gateway.signal.received", Time: start.Add(-time.Duration(i) * time.Second),
		Category: "gateway", Action: "received", Outcome: "success", CorrelationID: "rr-1", Data: []byte(`{"n":` + fmt.Sprint(i) + `}`),
		ActorType: "service", ActorID: "gateway", ResourceType: "Deployment", ResourceID: "shop/web", Severity: "info", Retention: 2555,
	}
	if i == whole {
		e.Namespace, e.ClusterName, e.ParentID = "shop \"one\"\n", "europe-wést", ID(0)
		e.TraceID, e.SpanID = strings.Repeat("0af7", 8), strings.Repeat("0af7", 4)
	}
	return datastorage.NewRecord(e, salt)
}

// ID returns the event_id of the i-th record that is no notification's.
func ID(i int) uuid.UUID {
	id := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a0000")
	binary.BigEndian.PutUint32(id[12:], uint32(i)*0x9e3779b1) // not in the order of the log
	return id
}

// exec runs a statement that must change as many rows.
func (f *fixture) exec(t testing.TB, rows int64, format string, args ...any) {
	t.Helper()
	statement := fmt.Sprintf(format, args...)
	if n := f.Exec(t, statement); n != rows {
		t.Fatalf("%s: %d rows changed, not %d", statement, n, rows)
	}
}

func (f *fixture) audit(t testing.TB, anchors ...ledger.Anchor) *ledger.AuditResult {
	t.Helper()
	r, err := ledger.Audit(t.Context(), f.Source, ledger.AuditOptions{Anchors: anchors, MaxFaults: ledger.DefaultMaxFaults})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
