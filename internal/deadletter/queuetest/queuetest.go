// Package queuetest is what every dead-letter queue must do: one suite that each backend's tests run.
package queuetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// Backend is a place for one queue, which is empty at first.
type Backend interface {
	// Open opens the queue, bounded to a capacity in bytes. What was put through an earlier Open is there. A queue that is
	// shared may be open several times at once, with the same capacity; any other is closed before it is opened again.
	Open(t testing.TB, capacity int64) deadletter.Queue
}

// Capacities that the suite opens queues with.
const (
	roomy = 256 << 20
	tight = 2 << 20
)

// deadline is how long anything may take that must happen.
const deadline = 20 * time.Second

// Run runs the suite. open makes a new backend; what it needs must last until t ends.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, b Backend)
	}{
		{"Empty", testEmpty},
		{"Put/order", testOrder},
		{"Put/all or none", testAllOrNone},
		{"Put/duplicates", testDuplicates},
		{"Put/duplicates in one call", testDuplicatesInOneCall},
		{"Put/round trip", testRoundTrip},
		{"Put/large bodies", testLargeBodies},
		{"Put/full", testFull},
		{"Put/concurrent", testConcurrent},
		{"Put/duplicates at once", testDuplicatesAtOnce},
		{"Remove", testRemove},
		{"Holds and Waiting", testHoldsAndWaiting},
		{"Quarantine", testQuarantine},
		{"Letters/pages", testLetterPages},
		{"Replay", testReplay},
		{"Replay/event waits again", testReplayWaiting},
		{"Discard", testDiscard},
		{"Stats", testStats},
		{"Reopen", testReopen},
		{"Close", testClose},
		{"Cancelled", testCancelled},
		{"Lead", testLead},
		{"Lead/passes on at Close", testLeadAtClose},
		{"Shared", testShared},
		{"Model", testModel},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// event returns an event that is complete but for what tests vary.
func event(correlation, action string) datastorage.Event {
	return datastorage.Event{
		ID: uuid.Must(uuid.NewV7()), Version: "1.0", Type: "gateway.signal.received", Category: "gateway", Action: action,
		Time: time.Now().UTC().Truncate(time.Microsecond), Outcome: "success", CorrelationID: correlation, Data: []byte(`{"pod":"a-1"}`),
		ActorType: "service", ActorID: "gateway", ResourceType: "Signal", ResourceID: "s-1", Severity: "info", Retention: 2555,
		Sent: sentFields,
	}
}

// sentFields is what the producer of a test's event sent; event_timestamp is not among it.
const sentFields = datastorage.FieldSet(datastorage.FieldVersion | datastorage.FieldType | datastorage.FieldCategory |
	datastorage.FieldAction | datastorage.FieldOutcome | datastorage.FieldCorrelationID | datastorage.FieldData |
	datastorage.FieldID)

// message returns the message of an event, with a salt of its own.
func message(e datastorage.Event) *deadletter.Message {
	m := &deadletter.Message{
		EventID: e.ID, CorrelationID: e.CorrelationID, Body: datastorage.AppendBody(nil, &e), Sent: e.Sent,
		QueuedAt: time.Now().UTC().Truncate(time.Microsecond), Cause: "the store cannot be reached",
	}
	_, _ = rand.Read(m.Salt[:])
	return m
}

// messages returns n messages of one correlation_id.
func messages(n int, correlation string) []*deadletter.Message {
	list := make([]*deadletter.Message, n)
	for i := range list {
		list[i] = message(event(correlation, fmt.Sprintf("step-%d", i)))
	}
	return list
}

// snapshot copies messages, so that a queue that changes its argument later is found out.
func snapshot(list []*deadletter.Message) []*deadletter.Message {
	copies := make([]*deadletter.Message, len(list))
	for i, m := range list {
		c := *m
		c.Body = slices.Clone(m.Body)
		if m.Notification != nil {
			n := *m.Notification
			c.Notification = &n
		}
		copies[i] = &c
	}
	return copies
}

// open opens the backend's queue until the test ends.
func open(t testing.TB, b Backend) deadletter.Queue {
	t.Helper()
	q := b.Open(t, roomy)
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// put puts messages of which none waits, and checks their ids.
func put(t testing.TB, q deadletter.Queue, list ...*deadletter.Message) {
	t.Helper()
	if err := q.Put(t.Context(), list); err != nil {
		t.Fatalf("Put: %v", err)
	}
	before := ""
	for i, m := range list {
		if m.ID == "" {
			t.Fatalf("message %d of the Put has no id", i)
		}
		if m.ID <= before {
			t.Fatalf("id %q does not sort behind %q, which was put before", m.ID, before)
		}
		before = m.ID
	}
}

// wantWaiting checks what waits, in order.
func wantWaiting(t testing.TB, q deadletter.Queue, want ...*deadletter.Message) {
	t.Helper()
	got, err := q.Oldest(t.Context(), len(want)+10)
	if err != nil {
		t.Fatalf("Oldest: %v", err)
	}
	if diff := diffMessages(want, got); diff != "" {
		t.Fatalf("what waits differs (-want +got):\n%s", diff)
	}
	wantDepth(t, q, len(want), -1)
}

func diffMessages(want, got []*deadletter.Message) string {
	if len(want) == 0 && len(got) == 0 {
		return ""
	}
	return cmp.Diff(want, got, asText)
}

// asText compares bodies as texts: byte by byte is slow.
var asText = cmp.Transformer("text", func(b []byte) string { return string(b) })

// wantDepth checks the numbers of waiting messages and of letters; -1 is any number.
func wantDepth(t testing.TB, q deadletter.Queue, depth, quarantined int) {
	t.Helper()
	s := stats(t, q)
	if depth >= 0 && s.Depth != int64(depth) || quarantined >= 0 && s.Quarantined != int64(quarantined) {
		t.Fatalf("%d wait and %d are quarantined, want %d and %d", s.Depth, s.Quarantined, depth, quarantined)
	}
}

func stats(t testing.TB, q deadletter.Queue) deadletter.Stats {
	t.Helper()
	s, err := q.Stats(t.Context())
	if err != nil {
		t.Fatalf("Stats: %v", err)
	}
	return s
}

// wantLetters checks the quarantine, in order of id.
func wantLetters(t testing.TB, q deadletter.Queue, want ...deadletter.Letter) {
	t.Helper()
	got, err := q.Letters(t.Context(), "", len(want)+10)
	if err != nil {
		t.Fatalf("Letters: %v", err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d letters, want %d", len(got), len(want))
	}
	for i := range got {
		wantLetter(t, want[i], got[i])
	}
	wantDepth(t, q, -1, len(want))
}

// wantLetter compares letters; when they were set aside may differ by a minute.
func wantLetter(t testing.TB, want, got deadletter.Letter) {
	t.Helper()
	if d := got.QuarantinedAt.Sub(want.QuarantinedAt).Abs(); d > time.Minute || got.QuarantinedAt.Location() != time.UTC {
		t.Fatalf("quarantined at %v, want about %v", got.QuarantinedAt, want.QuarantinedAt)
	}
	got.QuarantinedAt = want.QuarantinedAt
	if diff := cmp.Diff(want, got, asText); diff != "" {
		t.Fatalf("the letter differs (-want +got):\n%s", diff)
	}
}

func letter(m *deadletter.Message, reason string) deadletter.Letter {
	return deadletter.Letter{Message: *m, Reason: reason, QuarantinedAt: time.Now().UTC()}
}

func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s returned %v, want %v", what, err, want)
	}
}

func testEmpty(t *testing.T, b Backend) {
	q := open(t, b)
	put(t, q)
	wantWaiting(t, q)
	wantLetters(t, q)
	if err := q.Remove(t.Context(), nil); err != nil {
		t.Errorf("Remove of nothing: %v", err)
	}
	held, err := q.Holds(t.Context(), nil)
	if err != nil || len(held) != 0 {
		t.Errorf("Holds of nothing: %v, %v", held, err)
	}
	waits, err := q.HoldsCorrelations(t.Context(), nil)
	if err != nil || len(waits) != 0 {
		t.Errorf("HoldsCorrelations of nothing: %v, %v", waits, err)
	}
	if s := stats(t, q); !s.Oldest.IsZero() || s.Capacity != roomy {
		t.Errorf("an empty queue has %+v", s)
	}
}

func testOrder(t *testing.T, b Backend) {
	q := open(t, b)
	var all []*deadletter.Message
	for i := range 12 {
		list := messages(1+i%4, fmt.Sprintf("c-%d", i%3))
		put(t, q, list...)
		if len(all) > 0 && list[0].ID <= all[len(all)-1].ID {
			t.Fatalf("id %q does not sort behind %q", list[0].ID, all[len(all)-1].ID)
		}
		all = append(all, list...)
	}
	wantWaiting(t, q, all...)
	got, err := q.Oldest(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	if diff := diffMessages(all[:5], got); diff != "" {
		t.Errorf("the oldest 5 differ (-want +got):\n%s", diff)
	}
}

func testAllOrNone(t *testing.T, b Backend) {
	q := open(t, b)
	first := message(event("c", "first"))
	put(t, q, first)
	other := event("c", "other")
	other.ID = first.EventID
	list := append(messages(3, "c"), message(other))
	list = append(list, messages(2, "c")...)
	wantError(t, "Put", q.Put(t.Context(), list), deadletter.ErrConflict)
	wantWaiting(t, q, first)
	// What was refused can be put without the fault.
	list = append(list[:3:3], list[4:]...)
	put(t, q, list...)
	wantWaiting(t, q, append([]*deadletter.Message{first}, list...)...)
}

func testDuplicates(t *testing.T, b Backend) {
	q := open(t, b)
	e := event("c", "first")
	first := message(e)
	put(t, q, first)
	waiting := snapshot([]*deadletter.Message{first})[0]

	// The producer sent the same; what the server filled in, and the salt, differ.
	again := e
	again.Time = e.Time.Add(time.Second)
	dup := message(again)
	other := message(event("c", "second"))
	if err := q.Put(t.Context(), []*deadletter.Message{dup, other}); err != nil {
		t.Fatalf("Put of a duplicate: %v", err)
	}
	if dup.ID != "" || other.ID <= first.ID {
		t.Fatalf("ids %q and %q, want none and one behind %q", dup.ID, other.ID, first.ID)
	}
	wantWaiting(t, q, waiting, other)

	// The field that differs was sent this time.
	again.Sent |= datastorage.FieldSet(datastorage.FieldTime)
	wantError(t, "Put", q.Put(t.Context(), []*deadletter.Message{message(again)}), deadletter.ErrConflict)
	changed := e
	changed.Data = []byte(`{"pod":"a-2"}`)
	wantError(t, "Put", q.Put(t.Context(), []*deadletter.Message{message(changed)}), deadletter.ErrConflict)
	wantWaiting(t, q, waiting, other)

	// Once it is stored and removed, the queue knows nothing of it.
	if err := q.Remove(t.Context(), []string{first.ID}); err != nil {
		t.Fatal(err)
	}
	back := message(changed)
	put(t, q, back)
	wantWaiting(t, q, other, back)
}

func testDuplicatesInOneCall(t *testing.T, b Backend) {
	q := open(t, b)
	e := event("c", "first")
	first, dup := message(e), message(e)
	if err := q.Put(t.Context(), []*deadletter.Message{first, dup}); err != nil {
		t.Fatalf("Put: %v", err)
	}
	if first.ID == "" || dup.ID != "" {
		t.Fatalf("ids %q and %q, want one for the first alone", first.ID, dup.ID)
	}
	wantWaiting(t, q, first)

	e = event("c", "second")
	other := e
	other.Outcome = "failure"
	wantError(t, "Put", q.Put(t.Context(), []*deadletter.Message{message(e), message(other)}), deadletter.ErrConflict)
	wantWaiting(t, q, first)
}

func testRoundTrip(t *testing.T, b Backend) {
	q := open(t, b)
	var list []*deadletter.Message
	for i := range 20 {
		e := event(strings.Repeat("ü", 1+i*12), "a")
		e.Data = []byte(`{"number":1.50e+300,"text":"\u0001\n \"日本\" ` + strings.Repeat("x", i*211) + `"}`)
		e.Sent = datastorage.FieldSet(uint32(1)<<26 - 1 - uint32(i))
		m := message(e)
		m.Cause = strings.Repeat("'; \x01\u2028 ", i)
		m.QueuedAt = time.Date(1970+10*i, 1, 2, 3, 4, 5, 999999000, time.UTC)
		if i%2 == 0 {
			m.Salt[i%16] = 0
			m.Notification = notification(e, i)
		}
		list = append(list, m)
	}
	want := snapshot(list)
	put(t, q, list...)
	for i, m := range list {
		want[i].ID = m.ID
	}
	wantWaiting(t, q, want...)
	got, err := q.Oldest(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range got {
		r, err := m.Record()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if r.Commitment != datastorage.Commitment(list[i].Salt, list[i].Body) || r.ID != list[i].EventID {
			t.Errorf("message %d became another record", i)
		}
	}
	for _, m := range want {
		if err := q.Quarantine(t.Context(), m.ID, "reason "+m.Cause); err != nil {
			t.Fatal(err)
		}
		got, err := q.Letter(t.Context(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		wantLetter(t, letter(m, "reason "+m.Cause), got)
	}
}

// notification returns the record of an event; for some i, fields that may be absent are.
func notification(e datastorage.Event, i int) *datastorage.Notification {
	n := &datastorage.Notification{
		RemediationID: "rr-" + fmt.Sprint(i), NotificationID: e.ID.String(), Recipient: "a@example.org", Channel: "email",
		MessageSummary: "the pod \u2028 \x7f \\ 日本", Status: "sent", SentAt: e.Time.Add(-time.Hour), EscalationLevel: i,
		CreatedAt: e.Time, UpdatedAt: e.Time.Add(time.Microsecond), EventID: e.ID,
	}
	if i%4 == 0 {
		n.DeliveryStatus, n.ErrorMessage = "550 refused", strings.Repeat("é", 100)
	}
	return n
}

func testLargeBodies(t *testing.T, b Backend) {
	q := open(t, b)
	var list []*deadletter.Message
	for i := range 8 {
		e := event("c", "large")
		noise := make([]byte, 128<<10)
		_, _ = rand.Read(noise)
		e.Data = fmt.Appendf(nil, `{"n":%d,"noise":"%x"}`, i, noise)
		list = append(list, message(e), message(event("c", "small")))
	}
	put(t, q, list[:2]...)
	put(t, q, list[2:]...)
	wantWaiting(t, q, list...)
	if s := stats(t, q); s.Bytes < 8*256<<10 {
		t.Errorf("8 bodies of 256 KiB take %d bytes", s.Bytes)
	}
}

func ids(list []*deadletter.Message) []string {
	var out []string
	for _, m := range list {
		out = append(out, m.ID)
	}
	return out
}

// background is a context of a test that its end does not cancel.
func background(t testing.TB) context.Context { return context.WithoutCancel(t.Context()) }

func eventIDs(list []*deadletter.Message) []uuid.UUID {
	var out []uuid.UUID
	for _, m := range list {
		out = append(out, m.EventID)
	}
	return out
}
