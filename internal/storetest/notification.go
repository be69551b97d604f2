package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// notify stores notifications in one commit, each with its event, and returns them as they are to be read.
func notify(t testing.TB, s Store, notifications ...datastorage.Notification) []datastorage.Notification {
	t.Helper()
	w := notificationWrite(t, notifications)
	if err := s.Commit(t.Context(), prepare(t, s, w.Records), w); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	stored := make([]datastorage.Notification, len(notifications))
	for i, n := range w.Notifications {
		stored[i] = *n
	}
	return stored
}

func notificationWrite(t testing.TB, notifications []datastorage.Notification) *datastorage.Write {
	w := &datastorage.Write{}
	for i := range notifications {
		n := notifications[i]
		if n.SentAt.IsZero() {
			n.SentAt = base
		}
		setDefault(&n.RemediationID, "rr-1")
		setDefault(&n.NotificationID, uuid.NewString())
		setDefault(&n.Recipient, "someone@example.org")
		setDefault(&n.Channel, "email")
		setDefault(&n.MessageSummary, "done")
		setDefault(&n.Status, "sent")
		n.CreatedAt, n.UpdatedAt = base.Add(time.Second), base.Add(time.Second)
		n.EventID = uuid.NewSHA1(datastorage.Namespace, []byte(n.NotificationID))
		w.Notifications = append(w.Notifications, &n)
		w.Records = append(w.Records, build(t, datastorage.Event{ID: n.EventID, Time: n.SentAt, CorrelationID: n.RemediationID}))
	}
	return w
}

func testNotification(t *testing.T, s Store) {
	want := notify(t, s,
		datastorage.Notification{
			RemediationID: "é", NotificationID: "n-1", Recipient: "r", Channel: "slack", MessageSummary: "'\"\\ 😀", Status: "failed",
			SentAt: base, DeliveryStatus: "bounced", ErrorMessage: "no such box", EscalationLevel: 100,
		},
		datastorage.Notification{SentAt: base.Add(-time.Microsecond)})
	if want[0].ID <= 0 || want[1].ID <= want[0].ID {
		t.Errorf("ids %d and %d do not rise from 1", want[0].ID, want[1].ID)
	}
	page, err := s.Notifications(t.Context(), datastorage.NotificationQuery{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, page.Notifications); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if page.Total != 2 || page.HasMore || page.MaxID != want[1].ID {
		t.Errorf("total %d, more %v, largest id %d", page.Total, page.HasMore, page.MaxID)
	}
	if _, err := s.Event(t.Context(), want[0].EventID); err != nil {
		t.Errorf("the event of a notification: %v", err)
	}
	checkSize(t, s, 2)
}

func testNotificationUnique(t *testing.T, s Store) {
	first := notify(t, s, datastorage.Notification{NotificationID: "taken"})[0]
	w := notificationWrite(t, []datastorage.Notification{{NotificationID: "free"}, {NotificationID: "taken"}})
	// With an event of another id: the event of a stored notification is refused as an event already.
	w.Records[1] = build(t, datastorage.Event{})
	w.Notifications[1].EventID = w.Records[1].ID
	err := s.Commit(t.Context(), prepare(t, s, w.Records), w)
	for _, other := range []error{nil, ledger.ErrHeadMoved, ledger.ErrDuplicateID, ledger.ErrOutcomeUnknown} {
		if errors.Is(err, other) {
			t.Errorf("error %v, want one that blames the content", err)
		}
	}
	if datastorage.CodeOf(err) == datastorage.CodeUnavailable {
		t.Errorf("error %v, want one that blames the content", err)
	}
	if w.Notifications[0].ID != 0 || w.Notifications[1].ID != 0 {
		t.Errorf("a refused commit gives ids %d and %d", w.Notifications[0].ID, w.Notifications[1].ID)
	}
	page, err := s.Notifications(t.Context(), datastorage.NotificationQuery{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]datastorage.Notification{first}, page.Notifications); diff != "" {
		t.Errorf("after a refused commit (-want +got):\n%s", diff)
	}
	checkSize(t, s, 1)
}

// fillNotifications stores random notifications and returns them in the order of their ids.
func fillNotifications(t *testing.T, s Store, n int) []datastorage.Notification {
	rng := rand.New(rand.NewPCG(3, 4))
	var all []datastorage.Notification
	for len(all) < n {
		batch := make([]datastorage.Notification, 1+rng.IntN(10))
		for i := range batch {
			batch[i] = datastorage.Notification{
				RemediationID: pick(rng, words[:6]), Channel: pick(rng, []string{"email", "slack", "sms"}),
				Status: pick(rng, []string{"sent", "failed", "pending"}), SentAt: base.Add(time.Duration(rng.IntN(5)) * time.Microsecond),
				DeliveryStatus: maybe(rng, words[:4]), ErrorMessage: maybe(rng, words[:4]), EscalationLevel: rng.IntN(101),
				NotificationID: fmt.Sprintf("n-%d-%d", len(all), i),
			}
		}
		all = append(all, notify(t, s, batch...)...)
	}
	return all
}

func evaluateNotifications(all []datastorage.Notification, q *datastorage.NotificationQuery) []datastorage.Notification {
	var found []datastorage.Notification
	for _, n := range all {
		if (q.RemediationID == "" || n.RemediationID == q.RemediationID) &&
			(q.Channel == "" || n.Channel == q.Channel) &&
			(q.Status == "" || n.Status == q.Status) &&
			(q.Since.IsZero() || !n.SentAt.Before(q.Since)) &&
			(q.Until.IsZero() || !n.SentAt.After(q.Until)) &&
			(q.MaxID == 0 || n.ID <= q.MaxID) {
			found = append(found, n)
		}
	}
	slices.SortFunc(found, func(a, b datastorage.Notification) int {
		return cmp.Or(b.SentAt.Compare(a.SentAt), cmp.Compare(b.ID, a.ID))
	})
	return found
}

func testRandomNotifications(t *testing.T, s Store) {
	all := fillNotifications(t, s, 100)
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.SampledFrom(all).Draw(rt, "notification")
		q := datastorage.NotificationQuery{
			Limit: rapid.IntRange(1, 20).Draw(rt, "limit"),
			Count: rapid.SampledFrom([]datastorage.CountMode{datastorage.CountBounded, datastorage.CountExact, datastorage.CountNone}).Draw(rt, "count"),
		}
		for name, set := range map[string]func(){
			"remediation": func() { q.RemediationID = n.RemediationID },
			"channel":     func() { q.Channel = n.Channel },
			"status":      func() { q.Status = n.Status },
			"since":       func() { q.Since = n.SentAt },
			"until":       func() { q.Until = n.SentAt },
			"max id":      func() { q.MaxID = rapid.SampledFrom(all).Draw(rt, "max").ID },
			"after":       func() { q.AfterTime, q.AfterID = n.SentAt, n.ID },
		} {
			if rapid.Bool().Draw(rt, name) {
				set()
			}
		}
		if q.AfterTime.IsZero() && rapid.Bool().Draw(rt, "skip") {
			q.Offset = rapid.Int64Range(0, 30).Draw(rt, "offset")
		}
		page, err := s.Notifications(t.Context(), q)
		if err != nil {
			rt.Fatalf("%+v: %v", q, err)
		}
		found := evaluateNotifications(all, &q)
		want := found
		if !q.AfterTime.IsZero() {
			want = nil
			for _, f := range found {
				if order := cmp.Or(f.SentAt.Compare(q.AfterTime), cmp.Compare(f.ID, q.AfterID)); order < 0 {
					want = append(want, f)
				}
			}
		}
		want = want[min(int(q.Offset), len(want)):]
		if page.HasMore != (len(want) > q.Limit) {
			rt.Errorf("%+v: has more %v of %d", q, page.HasMore, len(want))
		}
		want = want[:min(q.Limit, len(want))]
		if len(want) == 0 {
			want = nil
		}
		if diff := gocmp.Diff(want, page.Notifications); diff != "" {
			rt.Errorf("%+v (-want +got):\n%s", q, diff)
		}
		if q.Count != datastorage.CountNone && q.AfterTime.IsZero() && page.Total != int64(len(found)) {
			rt.Errorf("%+v: total %d, want %d", q, page.Total, len(found))
		}
		if q.MaxID != 0 && page.MaxID != q.MaxID || q.MaxID == 0 && page.MaxID != all[len(all)-1].ID {
			rt.Errorf("%+v: largest id %d", q, page.MaxID)
		}
	})
}

// testNotificationWalk stores more while a walk goes on.
func testNotificationWalk(t *testing.T, s Store) {
	all := fillNotifications(t, s, 50)
	q := datastorage.NotificationQuery{Limit: 7}
	var got []datastorage.Notification
	for more := true; more; {
		page, err := s.Notifications(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page.Notifications...)
		if more = page.HasMore; more {
			last := page.Notifications[len(page.Notifications)-1]
			q.AfterTime, q.AfterID, q.MaxID = last.SentAt, last.ID, page.MaxID
			notify(t, s, datastorage.Notification{SentAt: last.SentAt}, datastorage.Notification{SentAt: base.Add(-time.Hour)})
		}
	}
	want := evaluateNotifications(all, &datastorage.NotificationQuery{})
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func testNotificationCount(t *testing.T, s Store) {
	const bound = datastorage.CountBound
	for left := bound + 1; left > 0; {
		batch := make([]datastorage.Notification, min(left, 1000))
		notify(t, s, batch...)
		left -= len(batch)
	}
	for _, c := range []struct {
		name  string
		query datastorage.NotificationQuery
		total int64
		lower bool
	}{
		{"beyond the bound", datastorage.NotificationQuery{}, bound, true},
		{"exact", datastorage.NotificationQuery{Count: datastorage.CountExact}, bound + 1, false},
		{"none", datastorage.NotificationQuery{Status: "failed"}, 0, false},
	} {
		c.query.Limit = 1
		page, err := s.Notifications(t.Context(), c.query)
		if err != nil {
			t.Fatal(err)
		}
		if page.Total != c.total || page.TotalIsLowerBound != c.lower {
			t.Errorf("%s: %d, lower bound %v; want %d, %v", c.name, page.Total, page.TotalIsLowerBound, c.total, c.lower)
		}
	}
}
