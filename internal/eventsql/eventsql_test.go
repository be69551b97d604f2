package eventsql

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
)

var (
	since = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	id    = uuid.MustParse("01020304-0506-0708-090a-0b0c0d0e0f10")
)

func TestPage(t *testing.T) {
	query := datastorage.EventQuery{
		EventType: "gateway.", EventTypePrefix: true, Outcome: "failure", ParentID: id,
		Since: since, Until: since, Limit: 50, Size: 7, After: &datastorage.Position{Time: since, ID: id},
		DetailPath: []string{"a", "b"}, DetailValue: "1.0",
	}
	micros := since.UnixMicro()
	got := Page(SQLite, &query)
	want := Statement{
		SQL: `WITH page AS MATERIALIZED (SELECT hit.log_index, hit.event_id, hit.event_timestamp, events.body ` +
			`FROM (SELECT log_index, event_id, event_timestamp FROM events INDEXED BY events_by_type ` +
			`WHERE event_type >= ? AND event_type < ? AND event_outcome = ? AND parent_event_id = ? ` +
			`AND event_timestamp >= ? AND +event_timestamp <= ? AND log_index < ? ` +
			`AND (instr(body, ?) > 0 OR instr(body, ?) > 0) AND body -> ? IN (?, ?) ` +
			`AND (event_timestamp, event_id) < (?, ?) ORDER BY event_timestamp DESC, event_id DESC LIMIT ?) ` +
			`AS hit CROSS JOIN events ON events.log_index = hit.log_index) ` +
			`SELECT head.size, page.log_index, page.event_id, page.event_timestamp, page.body FROM ` +
			`(SELECT (SELECT next_index FROM ledger_commits ORDER BY first_index DESC LIMIT 1) AS size) AS head ` +
			`LEFT JOIN page ON true`,
		Args: []any{
			"gateway.", "gateway/", "failure", id[:], micros, micros, int64(7), `"b":"1.0"`, `"b":1.0`,
			`$."event_data"."a"."b"`, `"1.0"`, `1.0`, micros, id[:], int64(51),
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("SQLite (-want +got):\n%s", diff)
	}

	got = Page(PostgreSQL, &query)
	want = Statement{
		SQL: `SELECT head.size, page.log_index, page.event_id, page.event_timestamp, page.body FROM ` +
			`(SELECT (SELECT next_index FROM ledger_commits ORDER BY first_index DESC LIMIT 1) AS size) AS head ` +
			`LEFT JOIN (SELECT log_index, event_id, event_timestamp, body FROM events ` +
			`WHERE event_type >= $1 AND event_type < $2 AND event_outcome = $3 AND parent_event_id = $4 ` +
			`AND event_timestamp >= $5 AND event_timestamp <= $6 AND log_index < $7 ` +
			`AND (strpos(body, $8) > 0 OR strpos(body, $9) > 0) ` +
			`AND (body::json -> 'event_data' -> $10::text -> $11::text)::text IN ($12, $13) ` +
			`AND (event_timestamp, event_id) < ($14, $15) AND event_timestamp <= $16 ` +
			`ORDER BY event_timestamp DESC, event_id DESC LIMIT $17) AS page ON true ` +
			`ORDER BY page.event_timestamp DESC, page.event_id DESC`,
		Args: []any{
			"gateway.", "gateway/", "failure", [16]byte(id), since, since, int64(7), `"b":"1.0"`, `"b":1.0`,
			"a", "b", `"1.0"`, `1.0`, since, [16]byte(id), since, int64(51),
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("PostgreSQL (-want +got):\n%s", diff)
	}
}

func TestCount(t *testing.T) {
	query := datastorage.EventQuery{
		CorrelationID: "c", Limit: 50, Offset: 100, After: &datastorage.Position{Time: since, ID: id},
	}
	got := Count(PostgreSQL, &query)
	want := Statement{
		SQL:  `SELECT count(*) FROM (SELECT 1 FROM events WHERE correlation_id = $1 LIMIT $2) AS matches`,
		Args: []any{"c", int64(datastorage.CountBound + 1)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bounded (-want +got):\n%s", diff)
	}
	query.Count = datastorage.CountExact
	got = Count(SQLite, &query)
	want = Statement{
		SQL: `SELECT count(*) FROM events INDEXED BY events_by_correlation ` +
			`WHERE correlation_first = (SELECT first_index FROM correlations WHERE correlation_id = ?)`,
		Args: []any{"c"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exact (-want +got):\n%s", diff)
	}
}

func TestNotifications(t *testing.T) {
	query := datastorage.NotificationQuery{
		RemediationID: "r", Channel: "email", Status: "sent", Since: since, Until: since, Limit: 10, Offset: 20,
		AfterTime: since, AfterID: 5, MaxID: 9,
	}
	got := Notifications(PostgreSQL, &query)
	want := Statement{
		SQL: `SELECT ` + NotificationColumns + ` FROM notifications ` +
			`WHERE remediation_id = $1 AND channel = $2 AND status = $3 AND sent_at >= $4 AND sent_at <= $5 AND id <= $6 ` +
			`AND (sent_at, id) < ($7, $8) AND sent_at <= $9 ORDER BY sent_at DESC, id DESC LIMIT $10 OFFSET $11`,
		Args: []any{"r", "email", "sent", since, since, int64(9), since, int64(5), since, int64(11), int64(20)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
	count := CountNotifications(SQLite, &datastorage.NotificationQuery{Status: "sent", MaxID: 3, Count: datastorage.CountExact})
	want = Statement{
		SQL:  `SELECT count(*) FROM notifications WHERE status = ? AND id <= ?`,
		Args: []any{"sent", int64(3)},
	}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("count (-want +got):\n%s", diff)
	}
}

func TestTotal(t *testing.T) {
	page := func(n int, more bool) *datastorage.EventPage {
		return &datastorage.EventPage{Events: make([]datastorage.StoredEvent, n), HasMore: more}
	}
	for _, c := range []struct {
		name  string
		query datastorage.EventQuery
		page  *datastorage.EventPage
		total int64
		known bool
	}{
		{"whole", datastorage.EventQuery{}, page(3, false), 3, true},
		{"nothing", datastorage.EventQuery{}, page(0, false), 0, true},
		{"more", datastorage.EventQuery{}, page(3, true), 0, false},
		{"last page by offset", datastorage.EventQuery{Offset: 10}, page(3, false), 13, true},
		{"behind the end", datastorage.EventQuery{Offset: 10}, page(0, false), 0, false},
		{"resumed", datastorage.EventQuery{After: &datastorage.Position{}}, page(3, false), 0, false},
	} {
		if total, known := Total(&c.query, c.page); total != c.total || known != c.known {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, total, known, c.total, c.known)
		}
	}
}

func TestBound(t *testing.T) {
	const bound = datastorage.CountBound
	if total, lower := Bound(datastorage.CountBounded, bound+1); total != bound || !lower {
		t.Errorf("beyond the bound: %d, %v", total, lower)
	}
	if total, lower := Bound(datastorage.CountBounded, bound); total != bound || lower {
		t.Errorf("at the bound: %d, %v", total, lower)
	}
	if total, lower := Bound(datastorage.CountExact, bound+1); total != bound+1 || lower {
		t.Errorf("exact: %d, %v", total, lower)
	}
}

func TestSuccessor(t *testing.T) {
	for prefix, want := range map[string]string{
		"a":             "b",
		"a\U0010FFFF":   "b",
		"\uD7FF":        "\uE000",
		"z\U0010FFFE":   "z\U0010FFFF",
		"\U0010FFFF":    strings.Repeat("\U0010FFFF", 101),
		"gateway.":      "gateway/",
		"100%":          "100&",
		"back\\":        "back]",
		"é":             "ê",
		"\x7F":          "\u0080",
		"x\uFFFF":       "x\U00010000",
		"y\uD7FF\u07FF": "y\uD7FF\u0800",
	} {
		if got := successor(prefix); got != want {
			t.Errorf("successor(%q) = %q, want %q", prefix, got, want)
		}
	}
}

func TestSuccessor_Properties(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune{'a', 'b', 0x7F, 0x80, 0xD7FF, 0xE000, 0xFFFF, utf8.MaxRune - 1, utf8.MaxRune}), 1, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		prefix, s := text.Draw(t, "prefix"), text.Draw(t, "string")
		inRange := s >= prefix && s < successor(prefix)
		if inRange != strings.HasPrefix(s, prefix) {
			t.Fatalf("prefix %q, string %q, successor %q: in range %v", prefix, s, successor(prefix), inRange)
		}
	})
}
