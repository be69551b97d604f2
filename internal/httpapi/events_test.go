package httpapi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

func TestServer_PostEvent(t *testing.T) {
	s := newServer(t)
	created := s.write("duration_ms", 0, "event_timestamp", "2026-05-11T16:40:59.123456789+02:00")
	id := created["event_id"].(string)
	if v := uuid.MustParse(id).Version(); v != 7 {
		t.Errorf("the server's id has version %d", v)
	}
	receipt := created["receipt"].(object)
	if created["event_timestamp"] != "2026-05-11T14:40:59.123456Z" || receipt["log_index"] != 0.0 || receipt["tree_size"] != 1.0 || created["duplicate"] != nil {
		t.Errorf("the answer is %v", created)
	}
	row := s.get(eventsPath + "/" + id)
	want := object{
		"event_id": id, "version": "1.0", "event_timestamp": "2026-05-11T14:40:59.123456Z", "event_date": "2026-05-11", "duration_ms": 0.0,
		"actor_type": "service", "actor_id": "gateway-service", "resource_type": "gateway", "resource_id": "rr-1", "severity": "info",
		"retention_days": 2555.0, "is_sensitive": false, "log_index": 0.0,
	}
	for name, want := range want {
		if row[name] != want {
			t.Errorf("%s is %v, want %v", name, row[name], want)
		}
	}
	for _, absent := range []string{"parent_event_id", "namespace", "cluster_name", "error_code", "error_message", "trace_id", "span_id", "producer_id", "producer_seq"} {
		if v, ok := row[absent]; ok {
			t.Errorf("%s is %v, want it left out", absent, v)
		}
	}
	if page := s.get(eventsPath + "?correlation_id=rr-1"); !slices.Equal(ids(page), []string{id}) {
		t.Errorf("the event is not visible to the next query: %v", page)
	}
}

// TestServer_PostEvent_ExactBody checks the bytes that the ledger commits to.
func TestServer_PostEvent_ExactBody(t *testing.T) {
	s := newServer(t)
	const raw = `{"version":"1.0","event_type":"t","event_timestamp":"2026-05-11T14:40:59Z","event_category":"gateway","event_action":"a",
		"event_outcome":"pending","correlation_id":"c","unknown":[1],"namespace":null,"severity":"","event_id":"019E1780-45D8-7944-916F-C1DBE36A146D",
		"event_data":{"n":1.10,"big":123456789012345678901234567890,"e":1E+2,"z":-0,"\u0061":"\u00e9\/"}}`
	const want = `{"actor_id":"gateway-service","actor_type":"service","correlation_id":"c","event_action":"a","event_category":"gateway",` +
		`"event_data":{"a":"é/","big":123456789012345678901234567890,"e":1E+2,"n":1.10,"z":-0},"event_id":"019e1780-45d8-7944-916f-c1dbe36a146d",` +
		`"event_outcome":"pending","event_timestamp":"2026-05-11T14:40:59.000000Z","event_type":"t","is_sensitive":false,"resource_id":"c",` +
		`"resource_type":"gateway","retention_days":2555,"severity":"info","version":"1.0"}`
	s.must(http.StatusCreated, s.send(http.MethodPost, eventsPath, raw))
	const path = eventsPath + "/019e1780-45d8-7944-916f-c1dbe36a146d"
	a := s.send(http.MethodGet, path+"/body", nil)
	if string(a.body) != want {
		t.Errorf("body is\n%s, want\n%s", a.body, want)
	}
	salt, err := base64.StdEncoding.DecodeString(a.header.Get("X-Ledger-Salt"))
	if err != nil || len(salt) != datastorage.SaltSize || bytes.Equal(salt, make([]byte, len(salt))) {
		t.Fatalf("salt is %q", a.header.Get("X-Ledger-Salt"))
	}
	// The log of one event has its leaf as root.
	commitment := sha256.Sum256(append(salt, a.body...))
	entry := append(append([]byte{0, 1}, uuidBytes("019e1780-45d8-7944-916f-c1dbe36a146d")...), commitment[:]...)
	leaf := sha256.Sum256(entry)
	again := s.must(http.StatusCreated, s.send(http.MethodPost, eventsPath, raw))
	if root := again["receipt"].(object)["root_hash"]; root != base64.StdEncoding.EncodeToString(leaf[:]) {
		t.Errorf("root is %v, want the leaf hash of the body", root)
	}
	row := s.send(http.MethodGet, path, nil)
	if wantRow := strings.TrimSuffix(want, "}") + `,"event_date":"2026-05-11","log_index":0}`; string(row.body) != wantRow {
		t.Errorf("row is\n%s, want\n%s", row.body, wantRow)
	}
}

func uuidBytes(s string) []byte { id := uuid.MustParse(s); return id[:] }

func TestServer_PostEvent_Invalid(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		set    []any
		fields []string
		phrase string
	}{
		{[]any{"event_type", nil}, []string{"event_type"}, "event_type is required"},
		{[]any{"correlation_id", ""}, []string{"correlation_id"}, "correlation_id"},
		{[]any{"event_outcome", "successful"}, []string{"event_outcome"}, "success, failure, pending"},
		{[]any{"event_category", "billing"}, []string{"event_category"}, "gateway, notification, analysis, signalprocessing, workflow, execution, orchestration"},
		{[]any{"event_data", []int{1}}, []string{"event_data"}, "event_data"},
		{[]any{"parent_event_id", uuid.NewString()}, []string{"parent_event_id"}, "parent event does not exist"},
		{[]any{"parent_event_id", uuid.Nil.String()}, []string{"parent_event_id"}, "parent event does not exist"},
		{[]any{"event_timestamp", "2026-05-04T14:59:59.999999Z"}, []string{"event_timestamp"}, "past"},
		{[]any{"event_timestamp", "2026-05-11T15:05:00.000001Z"}, []string{"event_timestamp"}, "future"},
		{[]any{"version", nil, "event_action", 1, "duration_ms", -1, "producer_id", "p"}, []string{"version", "event_action", "duration_ms", "producer_seq"}, "version is required"},
	} {
		p := s.problem(s.send(http.MethodPost, eventsPath, event(c.set...)), http.StatusBadRequest, "validation-error", c.phrase)
		s.fieldErrors(p, c.fields...)
	}
	for _, raw := range []string{"", "[]", "null", "{", `{"a":1,"a":2}`, "\xff", `{}{}`} {
		s.problem(s.send(http.MethodPost, eventsPath, raw), http.StatusBadRequest, "validation-error")
	}
	for _, good := range []string{"2026-05-04T15:00:00Z", "2026-05-11T15:05:00Z"} {
		s.write("event_timestamp", good)
	}
	if page := s.get(eventsPath); pagination(page)["total"] != 2.0 {
		t.Errorf("%v events are stored, want the two good ones", pagination(page)["total"])
	}
}

func TestServer_PostEvent_NoEcho(t *testing.T) {
	s := newServer(t)
	secret := strings.Repeat("hunter2 ", 12)
	for _, body := range []any{
		event("event_data", secret), event("event_outcome", secret), event("event_timestamp", secret), event("severity", secret),
		event("parent_event_id", secret), event("event_data", object{"a": secret}, "version", nil),
		`{"event_data":{"a":"` + secret + `","a":1}}`, `{"event_data":{"a":` + secret + `}}`, `{"` + secret + `":1e400}`,
	} {
		if a := s.send(http.MethodPost, eventsPath, body); a.status != http.StatusBadRequest || bytes.Contains(a.body, []byte("hunter2")) {
			t.Errorf("%d: the answer repeats what was sent: %s", a.status, a.body)
		}
	}
	for _, query := range []string{"since=", "limit=", "event_outcome=", "parent_event_id=", "cursor=", "order=", "count="} {
		value := strings.ReplaceAll(secret, " ", "+")
		if a := s.send(http.MethodGet, eventsPath+"?"+query+value, nil); a.status != http.StatusBadRequest || strings.Contains(string(a.body), strings.Repeat("hunter2 ", 9)) {
			t.Errorf("%d: the answer repeats what was sent: %s", a.status, a.body)
		}
	}
	if strings.Contains(s.logs.String(), strings.Repeat("hunter2 ", 9)) {
		t.Error("the log repeats what was sent")
	}
}

func TestServer_PostEvent_Idempotency(t *testing.T) {
	const id = "019e1780-45d8-7944-916f-c1dbe36a146d"
	t.Run("Body", func(t *testing.T) {
		s := newServer(t)
		s.write()
		first := s.write("event_id", id, "namespace", "demo", "duration_ms", 5)
		s.write()
		for range 2 {
			again := s.write("event_id", id, "namespace", "demo", "duration_ms", 5)
			if again["duplicate"] != true {
				t.Errorf("the answer is %v", again)
			}
			delete(again, "duplicate")
			if fmt.Sprint(again) != fmt.Sprint(first) {
				t.Errorf("the second answer is %v, want %v", again, first)
			}
		}
		if total := pagination(s.get(eventsPath))["total"]; total != 3.0 {
			t.Errorf("%v events are stored", total)
		}
	})
	t.Run("OnlySentMembersCount", func(t *testing.T) {
		s := newServer(t)
		s.write("event_id", id, "severity", "critical", "actor_id", "me", "retention_days", 30, "namespace", "demo")
		// What is left out is not compared; what differs in spelling alone is the same.
		for _, set := range [][]any{
			{}, {"severity", "critical"}, {"namespace", nil}, {"event_timestamp", "2026-05-11T16:40:59.0000009+02:00"}, {"severity", ""},
		} {
			if again := s.write(append(set, "event_id", strings.ToUpper(id))...); again["duplicate"] != true {
				t.Errorf("%v: the answer is %v", set, again)
			}
		}
		for _, set := range [][]any{
			{"severity", "info"}, {"actor_id", "you"}, {"retention_days", 31}, {"namespace", "other"}, {"duration_ms", 0}, {"is_sensitive", true},
			{"event_data", object{"signal": "x"}}, {"event_timestamp", "2026-05-11T14:40:59.000001Z"}, {"version", "1.1"}, {"event_action", "x"},
			{"trace_id", strings.Repeat("a", 32)}, {"error_code", "E"}, {"producer_id", "p", "producer_seq", 0}, {"correlation_id", "rr-2"},
		} {
			a := s.send(http.MethodPost, eventsPath, event(append(set, "event_id", id)...))
			p := s.problem(a, http.StatusConflict, "conflict", "event_id", id)
			if p["title"] != "Resource Conflict" || p["field"] != "event_id" || p["value"] != id {
				t.Errorf("the problem is %v", p)
			}
		}
		// The same members in another order and with other white space.
		same := `{"event_id":"` + id + `","event_data":{ "signal" : "\u004bubePodCrashLooping" },"version":"1.0","correlation_id":"rr-1","event_type":"gateway.signal.received",
			"event_timestamp":"2026-05-11T14:40:59Z","event_category":"gateway","event_action":"received","event_outcome":"success"}`
		if again := s.must(http.StatusCreated, s.send(http.MethodPost, eventsPath, same)); again["duplicate"] != true {
			t.Errorf("the answer is %v", again)
		}
	})
	t.Run("Header", func(t *testing.T) {
		s := newServer(t)
		post := func(key string, set ...any) answer {
			return s.send(http.MethodPost, eventsPath, event(set...), "Idempotency-Key", key)
		}
		if got := s.must(http.StatusCreated, post(id)); got["event_id"] != id {
			t.Errorf("the answer is %v", got)
		}
		for _, a := range []answer{post(id), post(strings.ToUpper(id)), post(`"` + id + `"`), post(id, "event_id", id), s.send(http.MethodPost, eventsPath, event("event_id", id))} {
			if got := s.must(http.StatusCreated, a); got["event_id"] != id || got["duplicate"] != true {
				t.Errorf("the answer is %v", got)
			}
		}
		p := s.problem(post(id, "event_id", uuid.NewString()), http.StatusBadRequest, "validation-error", "event_id", "Idempotency-Key")
		s.fieldErrors(p, "event_id")
		for _, bad := range []string{"x", "00000000-0000-0000-0000-000000000000", strings.ReplaceAll(id, "-", ""), id + "0"} {
			s.problem(post(bad), http.StatusBadRequest, "validation-error", "Idempotency-Key")
		}
		s.problem(s.send(http.MethodPost, eventsPath, event(), "Idempotency-Key", id, "Idempotency-Key", id), http.StatusBadRequest, "validation-error", "Idempotency-Key")
		if got := s.must(http.StatusCreated, post("")); got["event_id"] == id {
			t.Errorf("an empty key counts: %v", got)
		}
		s.problem(post(id, "event_action", "other"), http.StatusConflict, "conflict")
	})
	t.Run("Concurrent", func(t *testing.T) {
		s := newServer(t)
		var wg sync.WaitGroup
		var mu sync.Mutex
		fresh, answers := 0, map[string]int{}
		for range 16 {
			wg.Go(func() {
				a := s.send(http.MethodPost, eventsPath, event("event_id", id))
				mu.Lock()
				defer mu.Unlock()
				if !bytes.Contains(a.body, []byte("duplicate")) {
					fresh++
				}
				answers[strings.Replace(string(a.body), `,"duplicate":true`, "", 1)]++
			})
		}
		wg.Wait()
		if fresh != 1 || len(answers) != 1 {
			t.Errorf("%d are not duplicates; answers are %v", fresh, answers)
		}
	})
}

func TestServer_PostEvent_Parent(t *testing.T) {
	s := newServer(t)
	parent := s.write()["event_id"].(string)
	child := s.write("parent_event_id", strings.ToUpper(parent))["event_id"].(string)
	if row := s.get(eventsPath + "/" + child); row["parent_event_id"] != parent {
		t.Errorf("the parent is %v", row["parent_event_id"])
	}
	self := uuid.NewString()
	p := s.problem(s.send(http.MethodPost, eventsPath, event("event_id", self, "parent_event_id", self)), http.StatusBadRequest, "validation-error", "parent event does not exist")
	s.fieldErrors(p, "parent_event_id")
}

func TestServer_PostEvent_Traceparent(t *testing.T) {
	s := newServer(t)
	const trace, span = "ca978112ca1bbdcafac231b39a23dc4d", "a786eff8147c4e72"
	for _, c := range []struct {
		header      string
		set         []any
		trace, span any
	}{
		{"00-" + trace + "-" + span + "-01", nil, trace, span},
		{"cc-" + trace + "-" + span + "-01-later", nil, trace, span},
		{"00-" + trace + "-" + span + "-01", []any{"trace_id", strings.Repeat("b", 32)}, strings.Repeat("b", 32), nil},
		{"00-" + trace + "-" + span + "-01", []any{"span_id", strings.Repeat("b", 16)}, nil, strings.Repeat("b", 16)},
		{"00-" + trace + "-" + span + "-01", []any{"trace_id", ""}, trace, span},
		{"00-" + trace + "-" + span + "-01-x", nil, nil, nil},
		{"ff-" + trace + "-" + span + "-01", nil, nil, nil},
		{"00-" + strings.Repeat("0", 32) + "-" + span + "-01", nil, nil, nil},
		{"00-" + trace + "-" + strings.Repeat("0", 16) + "-01", nil, nil, nil},
		{"00-" + strings.ToUpper(trace) + "-" + span + "-01", nil, nil, nil},
		{"00-" + trace + "-" + span, nil, nil, nil},
		{"nonsense", nil, nil, nil},
		{"", nil, nil, nil},
	} {
		a := s.send(http.MethodPost, eventsPath, event(c.set...), "traceparent", c.header)
		row := s.get(eventsPath + "/" + s.must(http.StatusCreated, a)["event_id"].(string))
		if row["trace_id"] != c.trace || row["span_id"] != c.span {
			t.Errorf("%q with %v: trace %v, span %v", c.header, c.set, row["trace_id"], row["span_id"])
		}
	}
	// What the header filled in is not content.
	id := uuid.NewString()
	for i, header := range []string{"00-" + trace + "-" + span + "-01", "00-" + trace + "-" + strings.Repeat("c", 16) + "-01", ""} {
		got := s.must(http.StatusCreated, s.send(http.MethodPost, eventsPath, event("event_id", id), "traceparent", header))
		if (got["duplicate"] == true) != (i > 0) {
			t.Errorf("%q: the answer is %v", header, got)
		}
	}
}

func TestServer_PostBatch(t *testing.T) {
	s := newServer(t)
	got := s.must(http.StatusCreated, s.send(http.MethodPost, batchPath, []object{
		event("event_action", "0"), event("event_action", "1", "duration_ms", 0), event("event_action", "2"),
	}))
	created := got["event_ids"].([]any)
	if got["message"] != "3 audit events created successfully" || len(created) != 3 || got["duplicates"] != nil {
		t.Errorf("the answer is %v", got)
	}
	for i, id := range created {
		if row := s.get(eventsPath + "/" + id.(string)); row["event_action"] != strconv.Itoa(i) || row["log_index"] != float64(i) {
			t.Errorf("event %d is %v", i, row)
		}
		if r := got["receipts"].([]any)[i].(object); r["log_index"] != float64(i) || r["tree_size"] != 3.0 {
			t.Errorf("receipt %d is %v", i, r)
		}
	}
}

func TestServer_PostBatch_Invalid(t *testing.T) {
	s := newServer(t, func(c *configuration) { c.MaxBatch = 3 })
	good, missing := event(), uuid.NewString()
	for _, c := range []struct {
		body   any
		detail string
		fields []string
	}{
		{"[]", "batch cannot be empty", nil},
		{good, "array", nil},
		{"null", "array", nil},
		{"", "empty", nil},
		{[]object{good, event("event_type", nil)}, "event at index 1: event_type is required", []string{"1.event_type"}},
		{[]object{event("event_outcome", "x", "version", ""), good, event("duration_ms", -1)}, "event at index 0: event_outcome must be one of: success, failure, pending",
			[]string{"0.event_outcome", "0.version", "2.duration_ms"}},
		{[]any{good, 1}, "event at index 1: ", []string{"1"}},
		{[]object{good, event("parent_event_id", missing)}, "event at index 1: ", []string{"1.parent_event_id"}},
		{[]object{good, good, event("event_timestamp", "2020-01-01T00:00:00Z")}, "event at index 2: event_timestamp", []string{"2.event_timestamp"}},
	} {
		p := s.problem(s.send(http.MethodPost, batchPath, c.body), http.StatusBadRequest, "validation-error", c.detail)
		s.fieldErrors(p, c.fields...)
		if strings.HasPrefix(c.detail, "event at") && !strings.HasPrefix(p["detail"].(string), c.detail) {
			t.Errorf("the detail is %q, want %q…", p["detail"], c.detail)
		}
	}
	s.problem(s.send(http.MethodPost, batchPath, []object{good, good, good, good}), http.StatusRequestEntityTooLarge, "payload-too-large", "3")
	if total := pagination(s.get(eventsPath))["total"]; total != 0.0 {
		t.Errorf("%v events are stored", total)
	}
	s.must(http.StatusCreated, s.send(http.MethodPost, batchPath, []object{good, good, good}))
}

func TestServer_PostBatch_Full(t *testing.T) {
	s := newServer(t)
	var events []object
	for range 1000 {
		events = append(events, event("correlation_id", "full"))
	}
	got := s.must(http.StatusCreated, s.send(http.MethodPost, batchPath, events))
	if len(got["event_ids"].([]any)) != 1000 || got["message"] != "1000 audit events created successfully" {
		t.Errorf("%d ids, %v", len(got["event_ids"].([]any)), got["message"])
	}
	s.problem(s.send(http.MethodPost, batchPath, append(events, event())), http.StatusRequestEntityTooLarge, "payload-too-large", "1000")
}

func TestServer_PostBatch_Parents(t *testing.T) {
	s := newServer(t)
	stored := s.write()["event_id"].(string)
	a, b := uuid.NewString(), uuid.NewString()
	s.must(http.StatusCreated, s.send(http.MethodPost, batchPath, []object{
		event("event_id", a, "parent_event_id", stored), event("event_id", b, "parent_event_id", a), event("parent_event_id", b),
	}))
	later := uuid.NewString()
	for _, c := range []struct {
		events []object
		index  int
	}{
		{[]object{event("parent_event_id", later), event("event_id", later)}, 0},
		{[]object{event(), event("event_id", later, "parent_event_id", later)}, 1},
		{[]object{event("parent_event_id", a), event("parent_event_id", uuid.NewString())}, 1},
	} {
		p := s.problem(s.send(http.MethodPost, batchPath, c.events), http.StatusBadRequest, "validation-error",
			fmt.Sprintf("event at index %d: ", c.index), "parent event does not exist")
		s.fieldErrors(p, fmt.Sprintf("%d.parent_event_id", c.index))
	}
	if total := pagination(s.get(eventsPath))["total"]; total != 4.0 {
		t.Errorf("%v events are stored", total)
	}
}

func TestServer_PostBatch_Idempotency(t *testing.T) {
	const id, other = "019e1780-45d8-7944-916f-c1dbe36a146d", "019e1780-45d8-7944-916f-c1dbe36a146e"
	t.Run("Stored", func(t *testing.T) {
		s := newServer(t)
		first := s.write("event_id", id)
		got := s.must(http.StatusCreated, s.send(http.MethodPost, batchPath, []object{event(), event("event_id", id), event("event_id", other)}))
		if fmt.Sprint(got["duplicates"]) != "[1]" || got["event_ids"].([]any)[1] != id {
			t.Errorf("the answer is %v", got)
		}
		if r := got["receipts"].([]any)[1]; fmt.Sprint(r) != fmt.Sprint(first["receipt"]) {
			t.Errorf("the receipt is %v, want %v", r, first["receipt"])
		}
		p := s.problem(s.send(http.MethodPost, batchPath, []object{event(), event("event_id", id, "event_action", "x")}), http.StatusConflict, "conflict", "event at index 1", id)
		if p["value"] != id {
			t.Errorf("the problem is %v", p)
		}
		if total := pagination(s.get(eventsPath))["total"]; total != 3.0 {
			t.Errorf("%v events are stored", total)
		}
	})
	t.Run("Within", func(t *testing.T) {
		s := newServer(t)
		got := s.must(http.StatusCreated, s.send(http.MethodPost, batchPath, []object{event("event_id", id), event(), event("event_id", id)}))
		receipts := got["receipts"].([]any)
		if got["duplicates"] != nil || fmt.Sprint(receipts[0]) != fmt.Sprint(receipts[2]) || receipts[1].(object)["tree_size"] != 2.0 {
			t.Errorf("the answer is %v", got)
		}
		s.problem(s.send(http.MethodPost, batchPath, []object{event("event_id", other), event(), event("event_id", other, "event_action", "x")}),
			http.StatusConflict, "conflict", "event at index 2")
		if total := pagination(s.get(eventsPath))["total"]; total != 2.0 {
			t.Errorf("%v events are stored", total)
		}
	})
	t.Run("Header", func(t *testing.T) {
		s := newServer(t)
		post := func(events ...object) answer {
			return s.send(http.MethodPost, batchPath, events, "Idempotency-Key", id)
		}
		first := s.must(http.StatusCreated, post(event(), event("event_action", "x")))
		for i, got := range first["event_ids"].([]any) {
			if want := uuid.NewSHA1(uuid.MustParse(id), []byte(strconv.Itoa(i))).String(); got != want {
				t.Errorf("id %d is %v, want %s", i, got, want)
			}
		}
		again := s.must(http.StatusCreated, post(event(), event("event_action", "x")))
		if fmt.Sprint(again["duplicates"]) != "[0 1]" || fmt.Sprint(again["receipts"]) != fmt.Sprint(first["receipts"]) {
			t.Errorf("the second answer is %v, want that of %v", again, first)
		}
		s.problem(post(event("event_action", "y")), http.StatusConflict, "conflict", "event at index 0")
		p := s.problem(post(event(), event("event_id", other)), http.StatusBadRequest, "validation-error", "event at index 1: ")
		s.fieldErrors(p, "1.event_id")
		s.problem(s.send(http.MethodPost, batchPath, []object{event()}, "Idempotency-Key", "x"), http.StatusBadRequest, "validation-error", "Idempotency-Key")
	})
}

func TestServer_GetEvent_NotFound(t *testing.T) {
	s := newServer(t)
	for _, id := range []string{uuid.NewString(), "x", "019e178045d87944916fc1dbe36a146d", "00000000-0000-0000-0000-000000000000", "%00", "%ff", "{019e1780-45d8-7944-916f-c1dbe36a14}"} {
		s.problem(s.send(http.MethodGet, eventsPath+"/"+id, nil), http.StatusNotFound, "not-found")
		s.problem(s.send(http.MethodGet, eventsPath+"/"+id+"/body", nil), http.StatusNotFound, "not-found")
	}
}
