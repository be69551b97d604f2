package httpapi_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

func TestServer_PostNotification(t *testing.T) {
	s := newServer(t)
	first := s.must(http.StatusCreated, s.send(http.MethodPost, notificationsPath, notification("delivery_status", "200 OK")))
	eventID := uuid.NewSHA1(datastorage.Namespace, []byte("notification:nr-1")).String()
	for name, want := range notification("delivery_status", "200 OK") {
		if first[name] != want {
			t.Errorf("%s is %v, want %v", name, first[name], want)
		}
	}
	if first["id"] != 1.0 || first["event_id"] != eventID || first["escalation_level"] != 0.0 || first["created_at"] != "2026-05-11T15:00:00Z" || first["updated_at"] != first["created_at"] {
		t.Errorf("the record is %v", first)
	}
	if _, ok := first["error_message"]; ok {
		t.Errorf("error_message is %v, want it left out", first["error_message"])
	}
	event := s.get(eventsPath + "/" + eventID)
	for name, want := range (object{
		"event_type": "notification.message.sent", "correlation_id": "rr-1", "event_category": "notification", "event_outcome": "success",
		"event_timestamp": "2026-05-11T14:44:47.123456Z", "log_index": 0.0,
	}) {
		if event[name] != want {
			t.Errorf("the event's %s is %v, want %v", name, event[name], want)
		}
	}
	if data := event["event_data"].(object); data["notification_id"] != "nr-1" || data["channel"] != "slack" {
		t.Errorf("event_data is %v", data)
	}
	if receipt := first["receipt"].(object); receipt["log_index"] != 0.0 || receipt["tree_size"] != 1.0 {
		t.Errorf("the receipt is %v", receipt)
	}
	// sent_at has no lower bound.
	s.must(http.StatusCreated, s.send(http.MethodPost, notificationsPath, notification("notification_id", "nr-2", "sent_at", "1999-12-31T00:00:00Z")))
}

func TestServer_PostNotification_Duplicate(t *testing.T) {
	s := newServer(t)
	long := strings.Repeat("é", 255)
	for _, id := range []string{"nr-1", long} {
		s.must(http.StatusCreated, s.send(http.MethodPost, notificationsPath, notification("notification_id", id)))
		for _, set := range [][]any{{}, {"status", "failed"}, {"recipient", "other"}, {"remediation_id", "rr-2"}} {
			p := s.problem(s.send(http.MethodPost, notificationsPath, notification(append(set, "notification_id", id)...)), http.StatusConflict, "conflict", "notification_id")
			if p["resource"] != "notification_audit" || p["field"] != "notification_id" || p["value"] != id || p["title"] != "Resource Conflict" {
				t.Errorf("the problem is %v", p)
			}
		}
	}
	if total := pagination(s.get(notificationsPath))["total"]; total != 2.0 {
		t.Errorf("%v records", total)
	}
	if total := pagination(s.get(eventsPath))["total"]; total != 2.0 {
		t.Errorf("%v events", total)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for range 10 {
		wg.Go(func() {
			a := s.send(http.MethodPost, notificationsPath, notification("notification_id", "race"))
			mu.Lock()
			defer mu.Unlock()
			statuses[a.status]++
		})
	}
	wg.Wait()
	if statuses[http.StatusCreated] != 1 || statuses[http.StatusConflict] != 9 {
		t.Errorf("ten at once are answered with %v", statuses)
	}
}

func TestServer_PostNotification_Invalid(t *testing.T) {
	s := newServer(t)
	p := s.problem(s.send(http.MethodPost, notificationsPath, "{}"), http.StatusBadRequest, "validation-error", "remediation_id is required")
	s.fieldErrors(p, "remediation_id", "notification_id", "recipient", "channel", "message_summary", "status", "sent_at")
	p = s.problem(s.send(http.MethodPost, notificationsPath, notification(
		"recipient", " \t", "channel", "fax", "status", "lost", "sent_at", "2026-05-11T15:05:00.000001Z", "escalation_level", 101,
		"message_summary", strings.Repeat("x", 1001), "delivery_status", 1, "error_message", strings.Repeat("x", 1001),
	)), http.StatusBadRequest, "validation-error", "email, slack, pagerduty, webhook, sms", "sent, failed, pending, acknowledged, escalated")
	s.fieldErrors(p, "recipient", "channel", "status", "sent_at", "escalation_level", "message_summary", "delivery_status", "error_message")
	for _, raw := range []string{"", "[]", "null", `{"a":1,"a":2}`} {
		s.problem(s.send(http.MethodPost, notificationsPath, raw), http.StatusBadRequest, "validation-error")
	}
	secret := strings.Repeat("hunter2 ", 12)
	for _, name := range []string{"channel", "status", "sent_at", "escalation_level"} {
		if a := s.send(http.MethodPost, notificationsPath, notification(name, secret)); bytes.Contains(a.body, []byte("hunter2")) {
			t.Errorf("the answer repeats what was sent: %s", a.body)
		}
	}
	if total := pagination(s.get(notificationsPath))["total"]; total != 0.0 {
		t.Errorf("%v records", total)
	}
}

func TestServer_ListNotifications(t *testing.T) {
	s := newServer(t)
	var newest []string
	for i, n := range []object{
		notification("channel", "email", "remediation_id", "rr-2"), notification("status", "failed"), notification("status", "escalated"), notification(), notification(),
	} {
		n["notification_id"] = fmt.Sprint(i)
		// The last two were sent at the same time; the later id comes first.
		n["sent_at"] = start.Add(-time.Hour + time.Duration(min(i, 3))*time.Minute).Format(time.RFC3339)
		s.must(http.StatusCreated, s.send(http.MethodPost, notificationsPath, n))
		newest = append([]string{fmt.Sprint(i)}, newest...)
	}
	list := func(query string) (found []string) {
		for _, row := range s.get(notificationsPath + "?" + query)["data"].([]any) {
			found = append(found, row.(object)["notification_id"].(string))
		}
		return found
	}
	for query, want := range map[string][]string{
		"": newest, "limit=2": newest[:2], "limit=2&offset=4": newest[4:], "channel=email": {"0"}, "remediation_id=rr-2": {"0"}, "status=failed": {"1"},
		"channel=slack&status=sent": {"4", "3"}, "channel=sms": nil, "remediation_id=": newest, "since=2026-05-11T14:02:00Z": newest[:3], "until=2026-05-11T14:00:00Z": {"0"},
		"since=58m": newest[:3], "since=59m&until=58m": {"2", "1"},
	} {
		if got := list(query); !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", query, got, want)
		}
	}
	for query, phrase := range map[string]string{
		"channel=fax": "email, slack, pagerduty, webhook, sms", "status=lost": "sent, failed, pending", "limit=0": "must be at least 1", "limit=1001": "must be at most 1000",
		"offset=-1": "must be at least 0", "since=x": "invalid time format", "cursor=x": "cursor", "count=x": "count", "remediation_id=%00": "remediation_id",
	} {
		s.problem(s.send(http.MethodGet, notificationsPath+"?"+query, nil), http.StatusBadRequest, "validation-error", phrase)
	}
	if p := pagination(s.get(notificationsPath + "?limit=2")); p["total"] != 5.0 || p["has_more"] != true {
		t.Errorf("pagination is %v", p)
	}
	// A walk does not see what comes later.
	var walked []string
	query := "limit=2"
	for n := 10; query != ""; n++ {
		page := s.get(notificationsPath + "?" + query)
		for _, row := range page["data"].([]any) {
			walked = append(walked, row.(object)["notification_id"].(string))
		}
		s.must(http.StatusCreated, s.send(http.MethodPost, notificationsPath, notification("notification_id", fmt.Sprint(n), "sent_at", "2026-05-11T13:00:00Z")))
		query = ""
		if next, ok := pagination(page)["next_cursor"].(string); ok {
			query = "limit=2&cursor=" + next
		}
	}
	if !slices.Equal(walked, newest) {
		t.Errorf("the walk is %v, want %v", walked, newest)
	}
}
