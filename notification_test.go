package datastorage_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// notification is a notification with every required member.
var notification = []member{
	{"remediation_id", `"rr-1"`}, {"notification_id", `"nr-1"`}, {"recipient", `"#sre-oncall"`}, {"channel", `"slack"`},
	{"message_summary", `"Approval needed"`}, {"status", `"sent"`}, {"sent_at", `"2026-05-11T14:44:47.1234567Z"`},
}

func notificationWith(set ...member) []byte { return withMembers(notification, set) }

func TestRules_DecodeNotification(t *testing.T) {
	n, err := windowRules().DecodeNotification(notificationWith(
		member{"delivery_status", `"200 OK"`}, member{"error_message", `"none"`}, member{"escalation_level", "100"}, member{"x", "1"},
	), now)
	if err != nil {
		t.Fatal(err)
	}
	at := now.Truncate(1000)
	want := datastorage.Notification{
		RemediationID: "rr-1", NotificationID: "nr-1", Recipient: "#sre-oncall", Channel: "slack", MessageSummary: "Approval needed",
		Status: "sent", SentAt: n.SentAt, DeliveryStatus: "200 OK", ErrorMessage: "none", EscalationLevel: 100,
		CreatedAt: at, UpdatedAt: at, EventID: uuid.NewSHA1(datastorage.Namespace, []byte("notification:nr-1")),
	}
	if *n != want || string(datastorage.AppendTime(nil, n.SentAt)) != "2026-05-11T14:44:47.123456Z" {
		t.Errorf("notification is %+v, want %+v", *n, want)
	}
	e := n.Event(windowRules())
	const data = `{"channel":"slack","delivery_status":"200 OK","error_message":"none","escalation_level":100,` +
		`"message_summary":"Approval needed","notification_id":"nr-1","recipient":"#sre-oncall","remediation_id":"rr-1","status":"sent"}`
	if e.Type != "notification.message.sent" || e.CorrelationID != "rr-1" || e.ID != n.EventID || string(e.Data) != data || !e.Time.Equal(n.SentAt) {
		t.Errorf("event is %+v", e)
	}
	if _, err := datastorage.ParseBody(datastorage.AppendBody(nil, &e)); err != nil {
		t.Errorf("the event has no body: %v", err)
	}
}

func TestNotification_Event(t *testing.T) {
	for status, outcome := range map[string]string{
		"sent": "success", "acknowledged": "success", "failed": "failure", "pending": "pending", "escalated": "pending",
	} {
		n, err := windowRules().DecodeNotification(notificationWith(member{"status", strconv.Quote(status)}), now)
		if err != nil {
			t.Fatal(err)
		}
		rules := windowRules()
		rules.RetentionByCategory = map[string]int{"notification": 30}
		if e := n.Event(rules); e.Outcome != outcome || e.Type != "notification.message."+status || e.Retention != 30 {
			t.Errorf("%s: event is %+v", status, e)
		}
	}
}

func TestRules_DecodeNotification_Limits(t *testing.T) {
	for name, limit := range map[string]int{
		"remediation_id": 255, "notification_id": 255, "recipient": 500, "message_summary": 1000, "delivery_status": 255, "error_message": 1000,
	} {
		for _, c := range []string{"x", "€", "😀", `\ud83d\ude00`} {
			if _, err := windowRules().DecodeNotification(notificationWith(member{name, `"` + strings.Repeat(c, limit) + `"`}), now); err != nil {
				t.Errorf("%s of %d %s: %v", name, limit, c, err)
			}
			refusedNotification(t, member{name, `"` + strings.Repeat(c, limit+1) + `"`}, "at most "+strconv.Itoa(limit)+" characters")
		}
		refusedNotification(t, member{name, "1"}, "must be a string")
		refusedNotification(t, member{name, `"\u0000"`}, "must not contain U+0000")
		refusedNotification(t, member{name, `1e400`}, "not finite")
	}
	for _, m := range notification {
		refusedNotification(t, member{m.name, "null"}, "is required")
		refusedNotification(t, member{m.name, `""`}, "is required")
	}
	for _, name := range []string{"remediation_id", "notification_id", "recipient", "message_summary"} {
		refusedNotification(t, member{name, `" \t\n\u00a0"`}, "must not be blank")
	}
	for _, value := range []string{`"fax"`, `"Email"`, "1", "[]"} {
		refusedNotification(t, member{"channel", value}, "must be one of: email, slack, pagerduty, webhook, sms")
		refusedNotification(t, member{"status", value}, "must be one of: sent, failed, pending, acknowledged, escalated")
	}
	for _, value := range []string{"-1", "-" + strings.Repeat("9", 99)} {
		refusedNotification(t, member{"escalation_level", value}, "at least 0")
	}
	for _, value := range []string{"101", strings.Repeat("9", 100)} {
		refusedNotification(t, member{"escalation_level", value}, "at most 100")
	}
	for _, value := range []string{"1.0", `"1"`, "true", "1e1"} {
		refusedNotification(t, member{"escalation_level", value}, "must be an integer")
	}
	for value, phrase := range map[string]string{
		`"2026-05-11T14:50:00.123457Z"`: "5 minutes in the future", `"2026-05-11"`: "RFC 3339", "1": "RFC 3339", `"1969-12-31T00:00:00Z"`: "between the years",
	} {
		refusedNotification(t, member{"sent_at", value}, phrase)
	}
	for _, value := range []string{`"2026-05-11T14:50:00.123456Z"`, `"1970-01-01T00:00:00Z"`, `"2020-01-01T00:00:00\u005a"`} {
		if _, err := windowRules().DecodeNotification(notificationWith(member{"sent_at", value}), now); err != nil {
			t.Errorf("sent_at %s: %v", value, err)
		}
	}
}

// refusedNotification checks that a notification is refused because of one member alone.
func refusedNotification(t *testing.T, m member, phrase string) {
	t.Helper()
	_, err := windowRules().DecodeNotification(notificationWith(m), now)
	if err == nil {
		t.Errorf("%s %.80s is accepted", m.name, m.value)
		return
	}
	e := validation(t, err)
	if len(e.Fields) != 1 || !strings.Contains(e.Fields[m.name], phrase) || !strings.Contains(e.Detail, m.name) {
		t.Errorf("%s %.80s: fields are %v, want %q", m.name, m.value, e.Fields, phrase)
	}
}

func TestRules_DecodeNotification_Malformed(t *testing.T) {
	for name, raw := range map[string][]byte{
		"Empty": nil, "Array": []byte("[]"), "Null": []byte("null"), "Open": []byte(`{"recipient":"x"`), "OpenName": []byte(`{"recip`),
		"Trailing": append(notificationWith(), '1'), "Duplicate": notificationWith(member{"x", `1,"x":2`}), "UTF8": notificationWith(member{"x", "\"\xff\""}),
		"UnknownNUL": notificationWith(member{"x", `"\u0000"`}), "UnknownNULName": notificationWith(member{`\u0000`, "1"}), "UnknownInfinite": notificationWith(member{"x", `[1e400]`}),
		"NoComma": []byte(`{"recipient" "x"}`),
	} {
		_, err := windowRules().DecodeNotification(raw, now)
		if e := validation(t, err); len(e.Fields) != 0 {
			t.Errorf("%s: fields are %v", name, e.Fields)
		}
	}
	_, err := windowRules().DecodeNotification([]byte(`{}`), now)
	if e := validation(t, err); len(e.Fields) != len(notification) {
		t.Errorf("an empty object has faults %v", e.Fields)
	}
}
