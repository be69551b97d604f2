package httpapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/deadletter/disk"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/ingest"
)

const lettersPath = "/api/v1/dead-letters"

// quarantine is a queue with letters alone, of which tests may break any part.
type quarantine struct {
	mu       sync.Mutex
	letters  []deadletter.Letter // by ID
	replayed []string
	held     map[uuid.UUID]bool
	broken   map[string]error // by method
	late     error            // what a change that was made says
}

func (q *quarantine) fault(method string) error { return q.broken[method] }

func (q *quarantine) Stats(context.Context) (deadletter.Stats, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return deadletter.Stats{
		Depth: 3, Bytes: 4096, Capacity: 1 << 30, Oldest: start.Add(-time.Minute).Local(), Quarantined: int64(len(q.letters)),
	}, q.fault("Stats")
}

func (q *quarantine) Letters(_ context.Context, after string, limit int) ([]deadletter.Letter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var page []deadletter.Letter
	for _, l := range q.letters {
		if l.ID > after && len(page) < limit {
			page = append(page, l)
		}
	}
	return page, q.fault("Letters")
}

func (q *quarantine) find(id string) int {
	return slices.IndexFunc(q.letters, func(l deadletter.Letter) bool { return l.ID == id })
}

func (q *quarantine) Letter(_ context.Context, id string) (deadletter.Letter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.fault("Letter"); err != nil {
		return deadletter.Letter{}, err
	}
	if n := q.find(id); n >= 0 {
		return q.letters[n], nil
	}
	return deadletter.Letter{}, deadletter.ErrNotFound
}

func (q *quarantine) Holds(_ context.Context, ids []uuid.UUID) (map[uuid.UUID]bool, error) {
	return q.held, q.fault("Holds")
}

func (q *quarantine) Replay(ctx context.Context, id string) error {
	err := q.take(ctx, "Replay", id)
	if err == nil {
		q.replayed = append(q.replayed, id)
	}
	return err
}

func (q *quarantine) Discard(ctx context.Context, id string) error { return q.take(ctx, "Discard", id) }

func (q *quarantine) take(ctx context.Context, method, id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := errors.Join(q.fault(method), ctx.Err()); err != nil {
		return err
	}
	n := q.find(id)
	if n < 0 {
		return deadletter.ErrNotFound
	}
	q.letters = slices.Delete(q.letters, n, n+1)
	return q.late
}

// newQuarantine returns n letters with the ids L01, L02 and so on.
func newQuarantine(t testing.TB, n int) *quarantine {
	t.Helper()
	q := &quarantine{broken: map[string]error{}}
	rules := datastorage.Rules{Categories: datastorage.Categories, RetentionDays: 30}
	for i := range n {
		e, err := rules.Decode(fmt.Appendf(nil, `{"version":"1.0","event_type":"t","event_timestamp":"2026-05-11T14:40:59Z","event_category":"gateway",
			"event_action":"a","event_outcome":"success","correlation_id":"rr-%d","event_data":{"n":1.10}}`, i+1), start)
		if err != nil {
			t.Fatal(err)
		}
		e.ID = uuid.New()
		r := datastorage.NewRecord(e, [16]byte{1})
		q.letters = append(q.letters, deadletter.Letter{
			Message: deadletter.Message{
				ID: fmt.Sprintf("L%02d", i+1), EventID: e.ID, CorrelationID: e.CorrelationID, Body: r.Body, Salt: r.Salt,
				QueuedAt: start.Add(-time.Hour).Local(), Cause: "the store cannot be reached",
			},
			Reason: "event_id belongs to a stored event with other content", QuarantinedAt: start.Add(-30 * time.Minute),
		})
	}
	return q
}

// withLetters serves dead letters, and lets this machine administrate.
func withLetters(q httpapi.DeadLetters) func(*configuration) {
	return func(c *configuration) { c.DeadLetters, c.Access.Local = q, true }
}

func letterIDs(page object) (ids []string) {
	for _, row := range page["data"].([]any) {
		ids = append(ids, row.(object)["id"].(string))
	}
	return ids
}

func TestServer_DeadLetters_List(t *testing.T) {
	q := newQuarantine(t, 5)
	s := newServer(t, withLetters(q))
	page := s.get(lettersPath + "?limit=2")
	if got := letterIDs(page); !slices.Equal(got, []string{"L01", "L02"}) {
		t.Errorf("the first page is %v", got)
	}
	want := object{"limit": 2.0, "has_more": true, "next_after": "L02"}
	if fmt.Sprint(page["pagination"]) != fmt.Sprint(want) || page["quarantined"] != 5.0 {
		t.Errorf("pagination is %v, quarantined %v", page["pagination"], page["quarantined"])
	}
	want = object{"depth": 3.0, "bytes": 4096.0, "capacity_bytes": float64(1 << 30), "oldest_queued_at": "2026-05-11T14:59:00Z"}
	if fmt.Sprint(page["waiting"]) != fmt.Sprint(want) {
		t.Errorf("waiting is %v", page["waiting"])
	}
	sum := sha256.Sum256(q.letters[0].Body)
	row := page["data"].([]any)[0].(object)
	for name, want := range (object{
		"event_id": q.letters[0].EventID.String(), "correlation_id": "rr-1", "reason": q.letters[0].Reason, "cause": "the store cannot be reached",
		"queued_at": "2026-05-11T14:00:00Z", "quarantined_at": "2026-05-11T14:30:00Z", "body_sha256": hex.EncodeToString(sum[:]),
		"body_bytes": float64(len(q.letters[0].Body)), "event": nil,
	}) {
		if row[name] != want {
			t.Errorf("%s is %v, want %v", name, row[name], want)
		}
	}
	last := s.get(lettersPath + "?limit=3&after=L02")
	if got := letterIDs(last); !slices.Equal(got, []string{"L03", "L04", "L05"}) || pagination(last)["has_more"] != false {
		t.Errorf("the last page is %v, %v", got, pagination(last))
	}
	for query, field := range map[string]string{"limit=0": "limit", "limit=101": "limit", "limit=x": "limit", "after=" + strings.Repeat("x", 256): "after", "after=a&after=b": "after"} {
		s.fieldErrors(s.problem(s.send(http.MethodGet, lettersPath+"?"+query, nil), http.StatusBadRequest, "validation-error"), field)
	}
	empty := newServer(t, withLetters(newQuarantine(t, 0)))
	if a := empty.send(http.MethodGet, lettersPath, nil); !strings.Contains(string(a.body), `"data":[]`) {
		t.Errorf("an empty quarantine is %s", a.body)
	}
}

func TestServer_DeadLetters_Show(t *testing.T) {
	q := newQuarantine(t, 3)
	q.letters[1].Body = []byte("\xff{")
	q.letters[1].Reason, q.letters[1].CorrelationID = "bad \xff byte", "a\x00b"
	q.letters[2].Notification = &datastorage.Notification{
		RemediationID: "rr-3", NotificationID: "nr-3", Recipient: "#sre", Channel: "slack", MessageSummary: "m", Status: "sent", SentAt: start,
	}
	s := newServer(t, withLetters(q))
	a := s.send(http.MethodGet, lettersPath+"/L01", nil)
	if !strings.Contains(string(a.body), `"event":`+string(q.letters[0].Body)) {
		t.Errorf("the letter does not show its body as it is: %s", a.body)
	}
	broken := s.get(lettersPath + "/L02")
	if broken["event"] != nil || broken["body_base64"] != "/3s=" || broken["reason"] != "bad \ufffd byte" {
		t.Errorf("a broken letter is %v", broken)
	}
	if n := s.get(lettersPath + "/L03"); n["notification_id"] != "nr-3" || n["notification"].(object)["recipient"] != "#sre" {
		t.Errorf("a notification is %v", n)
	}
	for _, id := range []string{"L04", "%20", "a%00", "%ff", strings.Repeat("x", 256), uuid.NewString()} {
		s.problem(s.send(http.MethodGet, lettersPath+"/"+id, nil), http.StatusNotFound, "not-found")
		s.problem(s.send(http.MethodPost, lettersPath+"/"+id+"/replay", nil), http.StatusNotFound, "not-found")
		s.problem(s.send(http.MethodDelete, lettersPath+"/"+id, object{"reason": "x"}), http.StatusNotFound, "not-found")
	}
	if total := pagination(s.get(eventsPath))["total"]; total != 0.0 {
		t.Errorf("%v events record what was not done", total)
	}
}

// acts are the audit events of changes of dead letters, oldest first.
func (s *server) acts() []object {
	s.t.Helper()
	var rows []object
	for _, row := range s.get(eventsPath + "?event_type=datastorage.deadletter.*&order=asc")["data"].([]any) {
		rows = append(rows, row.(object))
	}
	return rows
}

func TestServer_DeadLetters_Discard(t *testing.T) {
	q := newQuarantine(t, 2)
	letter := q.letters[0]
	s := newServer(t, withLetters(q))
	for _, body := range []string{`{}`, `{"reason":" "}`, `{"reason":"` + strings.Repeat("x", 501) + `"}`, `{"reason":1}`} {
		s.fieldErrors(s.problem(s.send(http.MethodDelete, lettersPath+"/L01", body), http.StatusBadRequest, "validation-error", "reason"), "reason")
	}
	s.problem(s.send(http.MethodDelete, lettersPath+"/L01", nil), http.StatusBadRequest, "validation-error")
	s.problem(s.send(http.MethodDelete, lettersPath+"/L01", strings.Repeat(" ", 16<<10+1)), http.StatusRequestEntityTooLarge, "payload-too-large")
	if len(q.letters) != 2 || len(s.acts()) != 0 {
		t.Fatal("a refused request changed something")
	}
	answer := s.must(http.StatusOK, s.send(http.MethodDelete, lettersPath+"/L01", object{"reason": "sent again as rr-9", "unknown": 1}))
	if answer["id"] != "L01" || answer["event_id"] != letter.EventID.String() || answer["status"] != "discarded" || q.find("L01") >= 0 {
		t.Errorf("the answer is %v, and the letters are %v", answer, q.letters)
	}
	acts := s.acts()
	if len(acts) != 1 || acts[0]["event_id"] != answer["audit_event_id"] {
		t.Fatalf("the audit events are %v, the answer %v", acts, answer)
	}
	sum := sha256.Sum256(letter.Body)
	for name, want := range (object{
		"event_type": "datastorage.deadletter.discarded", "event_category": "orchestration", "event_action": "discarded", "event_outcome": "success",
		"correlation_id": "rr-1", "resource_type": "dead_letter", "resource_id": "L01", "actor_type": "address", "actor_id": "127.0.0.1",
		"severity": "warning", "retention_days": 2555.0, "event_timestamp": "2026-05-11T15:00:00.000000Z",
	}) {
		if acts[0][name] != want {
			t.Errorf("%s is %v, want %v", name, acts[0][name], want)
		}
	}
	want := object{
		"letter_id": "L01", "event_id": letter.EventID.String(), "reason": "sent again as rr-9", "who": "127.0.0.1", "queued_at": "2026-05-11T14:00:00Z",
		"quarantined_at": "2026-05-11T14:30:00Z", "quarantine_reason": letter.Reason, "body_sha256": hex.EncodeToString(sum[:]),
	}
	if fmt.Sprint(acts[0]["event_data"]) != fmt.Sprint(want) {
		t.Errorf("event_data is %v, want %v", acts[0]["event_data"], want)
	}
	s.problem(s.send(http.MethodDelete, lettersPath+"/L01", object{"reason": "x"}), http.StatusNotFound, "not-found")
}

func TestServer_DeadLetters_Replay(t *testing.T) {
	q := newQuarantine(t, 2)
	q.letters[1].CorrelationID = ""
	s := newServer(t, withLetters(q))
	answer := s.must(http.StatusOK, s.send(http.MethodPost, lettersPath+"/L02/replay", nil))
	acts := s.acts()
	if answer["status"] != "replayed" || !slices.Equal(q.replayed, []string{"L02"}) || len(acts) != 1 || acts[0]["event_id"] != answer["audit_event_id"] {
		t.Fatalf("the answer is %v, replayed %v, the audit events are %v", answer, q.replayed, acts)
	}
	data := acts[0]["event_data"].(object)
	if _, ok := data["reason"]; ok || acts[0]["correlation_id"] != "dead-letters" || acts[0]["event_type"] != "datastorage.deadletter.replayed" || acts[0]["severity"] != "info" {
		t.Errorf("the audit event is %v", acts[0])
	}
	q.held = map[uuid.UUID]bool{q.letters[0].EventID: true}
	p := s.problem(s.send(http.MethodPost, lettersPath+"/L01/replay", nil), http.StatusConflict, "conflict", "same event_id waits")
	if p["field"] != "event_id" || p["value"] != q.letters[0].EventID.String() || len(s.acts()) != 1 {
		t.Errorf("the problem is %v, the audit events are %v", p, s.acts())
	}
}

// TestServer_DeadLetters_Faults: a change that fails after it was recorded can be repeated without a second record, and
// one that cannot be recorded is not made.
func TestServer_DeadLetters_Faults(t *testing.T) {
	secret := errors.New("dial tcp 10.1.2.3:6379: connection refused")
	for _, c := range []struct {
		method, path, fault string
		body                any
	}{
		{http.MethodDelete, lettersPath + "/L01", "Discard", object{"reason": "x"}},
		{http.MethodPost, lettersPath + "/L01/replay", "Replay", nil},
	} {
		q := newQuarantine(t, 1)
		s := newServer(t, withLetters(q))
		q.broken["Letter"] = secret
		s.problem(s.send(c.method, c.path, c.body), http.StatusServiceUnavailable, "service-unavailable")
		delete(q.broken, "Letter")
		if len(s.acts()) != 0 {
			t.Errorf("%s was recorded without a letter", c.fault)
		}
		for range 2 {
			q.broken[c.fault] = secret
			a := s.send(c.method, c.path, c.body)
			s.problem(a, http.StatusServiceUnavailable, "service-unavailable")
			if strings.Contains(string(a.body), "10.1.2.3") || !strings.Contains(s.logs.String(), "10.1.2.3") {
				t.Errorf("the cause belongs into the log: %s", a.body)
			}
			s.clock.add(time.Second)
		}
		delete(q.broken, c.fault)
		answer := s.must(http.StatusOK, s.send(c.method, c.path, c.body))
		if acts := s.acts(); len(acts) != 1 || acts[0]["event_id"] != answer["audit_event_id"] {
			t.Errorf("%s, repeated, was recorded as %v", c.fault, acts)
		}
	}
	q := newQuarantine(t, 1)
	for err, status := range map[error]int{datastorage.Unavailable(secret, "the store cannot be reached"): 503, datastorage.Errorf(datastorage.CodeConflict, "taken"): 500} {
		s := newServer(t, withLetters(q), func(cfg *configuration) { cfg.Writer = failingWriter{err} })
		if a := s.send(http.MethodDelete, lettersPath+"/L01", object{"reason": "x"}); a.status != status || len(q.letters) != 1 {
			t.Errorf("without a record: %d, %d letters", a.status, len(q.letters))
		}
	}
	for fault, err := range map[string]error{"Stats": secret, "Letters": secret} {
		q.broken = map[string]error{fault: err}
		s := newServer(t, withLetters(q))
		s.problem(s.send(http.MethodGet, lettersPath, nil), http.StatusServiceUnavailable, "service-unavailable")
	}
	for fault, kind := range map[error]string{deadletter.ErrConflict: "conflict", deadletter.ErrFull: "service-unavailable", deadletter.ErrNotFound: "not-found"} {
		q.broken = map[string]error{"Replay": fault}
		a := newServer(t, withLetters(q)).send(http.MethodPost, lettersPath+"/L01/replay", nil)
		if !strings.Contains(string(a.body), "/"+kind+`"`) {
			t.Errorf("%v is answered with %s", fault, a.body)
		}
	}
	none := newServer(t, func(c *configuration) { c.Access.Local = true })
	for path, method := range map[string]string{lettersPath: "GET", lettersPath + "/x": "GET", lettersPath + "/x/replay": "POST", lettersPath + "/y": "DELETE"} {
		none.problem(none.send(method, path, nil), http.StatusNotFound, "not-found", "dead_letters.backend is none")
	}
}

// TestServer_DeadLetters_DoneAfterAll: a change that is made although the queue says that it failed is recorded once, and
// the request repeated finds nothing left to do.
func TestServer_DeadLetters_DoneAfterAll(t *testing.T) {
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{http.MethodPost, lettersPath + "/L01/replay", nil}, {http.MethodDelete, lettersPath + "/L01", object{"reason": "x"}},
	} {
		q := newQuarantine(t, 1)
		s := newServer(t, withLetters(q))
		q.late = errors.New("the disk failed behind the change")
		s.problem(s.send(c.method, c.path, c.body), http.StatusServiceUnavailable, "service-unavailable")
		q.late = nil
		s.problem(s.send(c.method, c.path, c.body), http.StatusNotFound, "not-found")
		if acts := s.acts(); len(acts) != 1 || len(q.letters) != 0 {
			t.Errorf("%s %s: recorded as %v, %d letters are left", c.method, c.path, acts, len(q.letters))
		}
	}
}

// slowWriter lets a test hold a write.
type slowWriter struct {
	failingWriter
	entered, leave chan struct{}
}

func (w slowWriter) Write(ctx context.Context, events []datastorage.Event, _ bool) ([]ingest.Stored, error) {
	w.entered <- struct{}{}
	<-w.leave
	return []ingest.Stored{{ID: events[0].ID, Queued: true}}, ctx.Err()
}

// TestServer_DeadLetters_HangUp: a change that was recorded is made although the client is gone, also when the record
// itself went to the queue.
func TestServer_DeadLetters_HangUp(t *testing.T) {
	q := newQuarantine(t, 1)
	w := slowWriter{entered: make(chan struct{}), leave: make(chan struct{})}
	s := newServer(t, withLetters(q), func(c *configuration) { c.Writer = w })
	ctx, cancel := context.WithCancel(t.Context())
	req := s.request(http.MethodDelete, lettersPath+"/L01", object{"reason": "x"}).WithContext(ctx)
	failed := make(chan error, 1)
	go func() {
		resp, err := s.client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		failed <- err
	}()
	<-w.entered
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the client sees %v", err)
	}
	close(w.leave)
	// The next change waits for the first one to end.
	s.problem(s.send(http.MethodDelete, lettersPath+"/L01", object{"reason": "x"}), http.StatusNotFound, "not-found")
	if len(q.letters) != 0 {
		t.Error("the letter is still there")
	}
}

// TestServer_DeadLetters_Disk replays and discards what a real queue holds.
func TestServer_DeadLetters_Disk(t *testing.T) {
	queue, err := disk.Open(t.Context(), t.TempDir(), disk.Options{MaxBytes: disk.MinBytes})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, withLetters(queue))
	t.Cleanup(func() { queue.Close() })
	var messages []*deadletter.Message
	for _, l := range newQuarantine(t, 3).letters {
		messages = append(messages, &l.Message)
	}
	if err := queue.Put(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	for _, m := range messages[:2] {
		if err := queue.Quarantine(t.Context(), m.ID, "refused"); err != nil {
			t.Fatal(err)
		}
	}
	page := s.get(lettersPath)
	if got := letterIDs(page); !slices.Equal(got, []string{messages[0].ID, messages[1].ID}) || page["waiting"].(object)["depth"] != 1.0 {
		t.Fatalf("the page is %v", page)
	}
	if a := s.send(http.MethodGet, lettersPath+"/"+messages[0].ID, nil); !strings.Contains(string(a.body), string(messages[0].Body)) {
		t.Errorf("the letter is %s", a.body)
	}
	s.must(http.StatusOK, s.send(http.MethodPost, lettersPath+"/"+messages[0].ID+"/replay", nil))
	s.must(http.StatusOK, s.send(http.MethodDelete, lettersPath+"/"+messages[1].ID, object{"reason": "x"}))
	page = s.get(lettersPath)
	if len(letterIDs(page)) != 0 || page["waiting"].(object)["depth"] != 2.0 || page["quarantined"] != 0.0 || len(s.acts()) != 2 {
		t.Errorf("the page is %v, the audit events are %v", page, s.acts())
	}
}
