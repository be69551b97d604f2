package redisqueue

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/redistest"
)

// legacyTime is long before any time window.
const legacyTime = "2024-03-01T08:30:00.123456789Z"

// legacyEvent is an event as V1.0 queues it.
func legacyEvent(id, correlation, data string) string {
	return legacyEntry("audit_event", fmt.Sprintf(
		`{"event_id":%q,"version":"1.0","event_timestamp":%q,"event_type":"gateway.signal.received","event_category":"gateway",`+
			`"event_action":"received","event_outcome":"success","actor_type":"service","actor_id":"gateway-service",`+
			`"resource_type":"Signal","resource_id":"fp-1","resource_name":"pod","correlation_id":%q,`+
			`"parent_event_id":"0195d8f0-0000-7000-8000-000000000001","namespace":"prod","event_data":%q,"retention_days":2555,"is_sensitive":false}`,
		id, legacyTime, correlation, base64.StdEncoding.EncodeToString([]byte(data))))
}

func legacyEntry(kind, payload string) string {
	return fmt.Sprintf(`{"type":%q,"payload":%s,"timestamp":%q,"retry_count":3,"last_error":"dial tcp: connection refused"}`, kind, payload, legacyTime)
}

const legacyNotification = `{"id":0,"remediation_id":"rr-7","notification_id":"n-7","recipient":"oncall@example.org","channel":"slack",` +
	`"message_summary":"done","status":"sent","sent_at":"2024-03-01T08:29:59Z","escalation_level":1,` +
	`"created_at":"0001-01-01T00:00:00Z","updated_at":"0001-01-01T00:00:00Z"}`

// add adds an entry with one field to a stream, as V1.0 does, and returns its id.
func add(t *testing.T, client *redis.Client, stream, field, value string) string {
	t.Helper()
	id, err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: []string{field, value}}).Result()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func dial(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func oldest(t *testing.T, q *Queue) []*deadletter.Message {
	t.Helper()
	list, err := q.Oldest(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestOpen_Legacy: what V1.0 left becomes messages in its order, decoded without a time window, and letters where it
// cannot be decoded; nothing is lost.
func TestOpen_Legacy(t *testing.T) {
	t.Parallel()
	url := redistest.New(t)
	client := dial(t, url)
	named := uuid.New()
	add(t, client, EventsKey, "message", legacyEvent(named.String(), "rr-1", `{"b":1.50,"a":"é"}`))
	second := add(t, client, EventsKey, "message", legacyEvent(uuid.Nil.String(), "rr-1", `{}`))
	for _, bad := range []string{
		"no JSON \xff", `{"type":"audit_event"}`, legacyEntry("workflow", "{}"), legacyEntry("audit_event", "[]"),
		strings.Replace(legacyEvent(uuid.NewString(), "rr-bad", "{}"), `"success"`, `"maybe"`, 1),
		strings.Replace(legacyEvent(uuid.NewString(), "rr-bad", "{}"), `"event_data":"`, `"event_data":"%`, 1),
		legacyEvent(uuid.NewString(), "rr-bad", "text"), strings.Replace(legacyEvent(uuid.NewString(), "rr-bad", "{}"), "gateway\"", "elsewhere\"", 1),
	} {
		add(t, client, EventsKey, "message", bad)
	}
	add(t, client, EventsKey, "other", "field")
	add(t, client, NotificationsKey, "message", legacyEntry("notification_audit", legacyNotification))

	q := openTest(t, url)
	wantDepth(t, q, 3, 9)
	list := oldest(t, q)
	if len(list) != 3 || list[0].EventID != named || list[1].EventID != uuid.NewSHA1(datastorage.Namespace, []byte(EventsKey+"/"+second)) {
		t.Fatalf("the messages are %+v", list)
	}
	first, err := datastorage.ParseBody(list[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	if string(first.Data) != `{"a":"é","b":1.50}` || first.CorrelationID != "rr-1" || first.Time.Format(time.RFC3339Nano) != "2024-03-01T08:30:00.123456Z" ||
		first.Namespace != "prod" || first.ParentID == uuid.Nil {
		t.Errorf("the event became %+v", first)
	}
	if m := list[0]; m.Cause != "dial tcp: connection refused" || m.QueuedAt.Format(time.RFC3339Nano) != "2024-03-01T08:30:00.123456Z" || !m.Sent.Has(datastorage.FieldData) {
		t.Errorf("the message became %+v", m)
	}
	note := list[2]
	if n := note.Notification; n == nil || n.NotificationID != "n-7" || n.EscalationLevel != 1 || note.EventID != datastorage.NotificationEventID("n-7") ||
		note.CorrelationID != "rr-7" {
		t.Errorf("the notification became %+v", note)
	}
	letters, err := q.Letters(t.Context(), "", 100)
	if err != nil || len(letters) != 9 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	if l := letters[0]; string(l.Body) != "no JSON \xff" || l.Reason == "" || l.EventID == uuid.Nil {
		t.Errorf("the letter is %+v", l)
	}
	if l := letters[4]; l.CorrelationID != "rr-bad" || !strings.Contains(l.Reason, "event_outcome") || l.Cause == "" {
		t.Errorf("the letter is %+v", l)
	}
	held, err := q.HoldsCorrelations(t.Context(), []string{"rr-1", "rr-7", "rr-bad"})
	if err != nil || !held["rr-1"] || !held["rr-7"] || held["rr-bad"] {
		t.Errorf("of the correlation_ids %v wait, %v", held, err)
	}

	// What is taken over is as before for who opens the queue next.
	again := openTest(t, url)
	for i, m := range oldest(t, again) {
		if m.ID != list[i].ID || m.EventID != list[i].EventID {
			t.Errorf("message %d is %s, was %s", i, m.ID, list[i].ID)
		}
	}
}

// TestReplay_Legacy: a letter that could not be decoded is decoded anew when it is replayed, under the event_id that it
// had from the start.
func TestReplay_Legacy(t *testing.T) {
	t.Parallel()
	url := redistest.New(t)
	add(t, dial(t, url), EventsKey, "message", strings.Replace(legacyEvent(uuid.Nil.String(), "rr-1", "{}"), `"gateway"`, `"extra"`, 1))
	q := openTest(t, url)
	letters, err := q.Letters(t.Context(), "", 10)
	if err != nil || len(letters) != 1 {
		t.Fatalf("%+v, %v", letters, err)
	}
	if err := q.Replay(t.Context(), letters[0].ID); err != nil {
		t.Fatal(err)
	}
	if list := oldest(t, q); len(list) != 0 {
		t.Fatalf("%+v", list)
	}
	again, err := q.Letters(t.Context(), "", 10)
	if err != nil || len(again) != 1 || again[0].ID <= letters[0].ID || again[0].EventID != letters[0].EventID {
		t.Fatalf("%+v, %v", again, err)
	}

	// By now the category is configured.
	opts := testOptions(url, 1<<20)
	opts.Rules.Categories = append(opts.Rules.Categories[:len(opts.Rules.Categories):len(opts.Rules.Categories)], "extra")
	other, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	if err := other.Replay(t.Context(), again[0].ID); err != nil {
		t.Fatal(err)
	}
	if list := oldest(t, other); len(list) != 1 || list[0].EventID != letters[0].EventID {
		t.Fatalf("%+v", list)
	}
	wantDepth(t, other, 1, 0)
	if err := other.Remove(t.Context(), []string{oldest(t, other)[0].ID}); err != nil {
		t.Fatal(err)
	}
	if s, err := other.Stats(t.Context()); err != nil || s.Bytes != 0 {
		t.Errorf("an empty queue takes %d bytes, %v", s.Bytes, err)
	}
}

// TestOldest_Legacy: an entry that a server of V1.0 puts beside a running queue is met and taken over; one that waits
// already is dropped, one that contradicts it is set aside.
func TestOldest_Legacy(t *testing.T) {
	t.Parallel()
	url := redistest.New(t)
	client, q := dial(t, url), openTest(t, url)
	id := uuid.NewString()
	for range 2 {
		add(t, client, EventsKey, "message", legacyEvent(id, "rr-1", `{"n":1}`))
	}
	add(t, client, EventsKey, "message", legacyEvent(id, "rr-1", `{"n":2}`))
	mustPut(t, q, testMessage("c"))
	wantDepth(t, q, 4, 0)
	if list := oldest(t, q); len(list) != 2 || list[0].CorrelationID != "c" || list[1].EventID.String() != id {
		t.Errorf("%+v", list)
	}
	wantDepth(t, q, 2, 1)
}

// TestOpen_LegacyAtOnce: servers that start together take each entry over once, in order.
func TestOpen_LegacyAtOnce(t *testing.T) {
	t.Parallel()
	url := redistest.New(t)
	client := dial(t, url)
	const entries, servers = 700, 4
	for i := range entries {
		add(t, client, EventsKey, "message", legacyEvent(uuid.Nil.String(), fmt.Sprintf("rr-%03d", i), "{}"))
	}
	var wg sync.WaitGroup
	for range servers {
		wg.Go(func() {
			q, err := Open(t.Context(), testOptions(url, 64<<20))
			if err != nil {
				t.Error(err)
				return
			}
			if err := q.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list := oldest(t, openTest(t, url))
	if len(list) != entries {
		t.Fatalf("%d messages, want %d", len(list), entries)
	}
	for i, m := range list {
		if want := fmt.Sprintf("rr-%03d", i); m.CorrelationID != want {
			t.Fatalf("message %d is of %s, want %s", i, m.CorrelationID, want)
		}
	}
}

// TestOpen_LegacyCut: a connection that ends while entries are taken over loses none and repeats none.
func TestOpen_LegacyCut(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{"before": cutBefore, "after": cutAfter} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := redistest.New(t)
			client := dial(t, url)
			for range 3 {
				add(t, client, EventsKey, "message", legacyEvent(uuid.Nil.String(), "rr-1", "{}"))
			}
			add(t, client, EventsKey, "message", "{")
			p, through := startProxy(t, url)
			// The first call reads the entries; later ones take them over, more of them while the server does not know the scripts.
			for skip := 0; ; skip++ {
				p.setBehind(skip, f, maxTries)
				q, err := Open(t.Context(), testOptions(through, 1<<20))
				if err == nil {
					_ = q.Close()
				}
				if err == nil && skip == 0 {
					t.Error("Open succeeds although it could read nothing")
				}
				if err == nil {
					break
				}
				if skip == 10 {
					t.Fatalf("Open fails although the fault comes behind all that it does: %v", err)
				}
			}
			p.set(pass, 0)
			q := openTest(t, through)
			if list := oldest(t, q); len(list) != 3 {
				t.Errorf("%d messages, want 3", len(list))
			}
			wantDepth(t, q, 3, 1)
		})
	}
}

// TestOldest_ForeignDeletion: entries that somebody else deleted leave nothing behind that holds writes up.
func TestOldest_ForeignDeletion(t *testing.T) {
	t.Parallel()
	url := redistest.New(t)
	q := openTest(t, url)
	m := testMessage("c")
	mustPut(t, q, m)
	if err := dial(t, url).XTrimMaxLen(t.Context(), EventsKey, 0).Err(); err != nil {
		t.Fatal(err)
	}
	mustPut(t, q, m)
	if err := q.Remove(t.Context(), []string{m.ID}); err != nil {
		t.Fatal(err)
	}
	if list := oldest(t, q); len(list) != 0 {
		t.Fatalf("%+v", list)
	}
	held, err := q.HoldsCorrelations(t.Context(), []string{"c"})
	s, statsErr := q.Stats(t.Context())
	if err := errors.Join(err, statsErr); err != nil || held["c"] || s.Bytes != 0 {
		t.Errorf("%v, %d bytes, %v", held, s.Bytes, err)
	}
}
