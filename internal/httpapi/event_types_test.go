package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/httpapi"
)

const eventTypesPath = "/api/v1/event-types"

const typePath = eventTypesPath + "/my.type"

// eventType is a request to describe an event type, changed by set; a nil value leaves a member out.
func eventType(set ...any) object {
	e := object{"schema": object{"required": []string{"a"}, "properties": object{"a": object{"type": "string"}}}}
	for i := 0; i < len(set); i += 2 {
		if set[i+1] == nil {
			delete(e, set[i].(string))
		} else {
			e[set[i].(string)] = set[i+1]
		}
	}
	return e
}

// local lets the clients of a test server administrate.
func local(c *configuration) { c.Access.Local = true }

func (s *server) put(path string, body any, headers ...string) answer {
	s.t.Helper()
	return s.send(http.MethodPut, path, body, headers...)
}

// describe stores a version of an event type.
func (s *server) describe(path string, set ...any) object {
	s.t.Helper()
	return s.must(http.StatusCreated, s.put(path, eventType(set...)))
}

func TestServer_EventTypes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	list := s.get(eventTypesPath)
	builtIn := int(list["total"].(float64))
	if builtIn < 43 {
		t.Errorf("%d types are built in", builtIn)
	}
	known := s.get(eventTypesPath + "/gateway.signal.received")
	if known["version"] != 0.0 || known["mode"] != "off" || known["owner"] != "datastorage" || known["schema"] == nil {
		t.Errorf("what is built in is %v", known)
	}
	first := s.describe(typePath, "owner", "payments", "description", "a refund", "examples", []object{{"a": "x"}})
	if first["version"] != 1.0 || first["changed"] != true {
		t.Errorf("the first answer is %v", first)
	}
	s.clock.add(time.Second)
	s.describe(typePath, "mode", "warn")
	got := s.get(typePath)
	if got["version"] != 2.0 || got["mode"] != "warn" || got["owner"] != nil || len(got["versions"].([]any)) != 2 || got["versions_total"] != 2.0 {
		t.Errorf("the event type is %v", got)
	}
	old := s.get(typePath + "?version=1")
	if old["version"] != 1.0 || old["owner"] != "payments" || old["updated_by"] != "127.0.0.1" || old["examples"] == nil {
		t.Errorf("version 1 is %v", old)
	}
	if total := s.get(eventTypesPath)["total"]; total != float64(builtIn+1) {
		t.Errorf("the list has %v types", total)
	}
	s.problem(s.send(http.MethodGet, typePath+"?version=3", nil), http.StatusNotFound, "not-found", "the newest is 2")
	s.problem(s.send(http.MethodGet, eventTypesPath+"/unknown", nil), http.StatusNotFound, "not-found")
	s.problem(s.send(http.MethodGet, typePath+"?version=x", nil), http.StatusBadRequest, "validation-error", "version")
	// What GET answers can be put back.
	if again := s.must(http.StatusOK, s.put(typePath, got)); again["version"] != 2.0 || again["changed"] != false {
		t.Errorf("put back, it is %v", again)
	}
	// A name is what a path can say.
	s.describe(eventTypesPath+"/a%2Fb%20%C3%BC", "event_type", "a/b ü")
	if got := s.get(eventTypesPath + "/a%2Fb%20%C3%BC"); got["event_type"] != "a/b ü" {
		t.Errorf("the event type is %v", got)
	}
}

func TestServer_PutEventType_Refused(t *testing.T) {
	t.Parallel()
	s := newServer(t, local)
	for _, c := range []struct {
		name   string
		body   any
		fields []string
		phrase string
	}{
		{"no schema", object{}, []string{"schema"}, "schema is required"},
		{"a misspelt mode", eventType("moed", "enforce"), nil, "moed is not a known field"},
		{"no mode", eventType("mode", "strict"), []string{"mode"}, "must be one of: off, warn, enforce"},
		{"another name", eventType("event_type", "other"), []string{"event_type"}, "the event type of the path"},
		{"long texts", eventType("owner", strings.Repeat("x", 256), "description", strings.Repeat("x", 4097)), []string{"owner", "description"}, "owner must be at most 255"},
		{"no schema at all", eventType("schema", []int{1}), []string{"schema"}, "schema must be a JSON object"},
		{"a bad schema", eventType("schema", object{"properties": object{"a": object{"minimum": "1"}}}), []string{"schema.properties.a.minimum"}, "must be of type number"},
		{"a remote reference", eventType("schema", object{"$ref": "http://127.0.0.1:1/x"}), []string{"schema"}, "must not refer to other documents"},
		{"a large schema", eventType("schema", object{"description": strings.Repeat("x", 64<<10)}), []string{"schema"}, "at most 65536 bytes"},
		{"a bad example", eventType("examples", []object{{"a": "x"}, {"a": 1}}), []string{"examples"}, "at index 1, event_data.a must be of type string"},
		{"no example", eventType("examples", []int{1}), []string{"examples"}, "index 0"},
		{"many examples", eventType("examples", make([]object, 11)), []string{"examples"}, "at most 10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			p := s.problem(s.put(typePath, c.body), http.StatusBadRequest, "validation-error", c.phrase)
			if c.fields != nil {
				s.fieldErrors(p, c.fields...)
			}
		})
	}
	s.problem(s.put(eventTypesPath+"/"+strings.Repeat("x", 101), eventType()), http.StatusBadRequest, "validation-error", "event_type")
	s.problem(s.put(eventTypesPath+"/a%00b", eventType()), http.StatusBadRequest, "validation-error", "event_type")
	s.problem(s.put(typePath, eventType(), "If-Match", "x"), http.StatusBadRequest, "validation-error", "If-Match")
	s.problem(s.put(typePath+"?force=yes", eventType()), http.StatusBadRequest, "validation-error", "force")
	s.problem(s.put(typePath, strings.Repeat(" ", 257<<10)), http.StatusRequestEntityTooLarge, "payload-too-large")
	s.problem(s.put(typePath, eventType(), "If-Match", `"1"`), http.StatusPreconditionFailed, "precondition-failed", "is 0, not 1")
	s.problem(s.put(typePath+"?dry_run=true", eventType(), "If-Match", `"1"`), http.StatusPreconditionFailed, "precondition-failed", "is 0, not 1")
	s.problem(s.send(http.MethodGet, typePath, nil), http.StatusNotFound, "not-found")
	if a := s.put(typePath, eventType(), "If-Match", `"0"`); a.status != http.StatusCreated || a.header.Get("ETag") != `"1"` {
		t.Errorf("with the right version: %d, ETag %s", a.status, a.header.Get("ETag"))
	}
}

// TestServer_PutEventType_StoredEvents refuses a schema that stored events break.
func TestServer_PutEventType_StoredEvents(t *testing.T) {
	t.Parallel()
	s := newServer(t, local)
	for i := range 120 {
		data := object{"a": "x"}
		if i%10 == 0 {
			data = object{"a": "x", "b": "secret"}
		}
		s.write("event_type", "my.type", "event_data", data, "event_id", uuid.NewString())
	}
	s.write("event_type", "my.types", "event_data", object{"b": 1}) // another type
	closed := []any{"mode", "enforce", "schema", object{"properties": object{"a": object{}}, "additionalProperties": false}}
	p := s.problem(s.put(typePath, eventType(closed...)), http.StatusConflict, "conflict", "12 of the newest 120 stored events")
	check := p["check"].(object)
	failures := check["failures"].([]any)
	if check["checked"] != 120.0 || check["failed"] != 12.0 || check["complete"] != true || len(failures) != 10 {
		t.Errorf("the check is %v", check)
	}
	failure := failures[0].(object)
	stored := s.get(eventsPath + "/" + failure["event_id"].(string))
	if stored["log_index"] != failure["log_index"] || failure["path"] != "event_data.b" || failure["rule"] != "additionalProperties" {
		t.Errorf("the failure is %v, the event %v", failure, stored)
	}
	if strings.Contains(fmt.Sprint(p), "secret") {
		t.Error("the problem holds a value")
	}
	dry := s.must(http.StatusOK, s.put(typePath+"?dry_run=true", eventType(closed...)))
	if dry["check"].(object)["failed"] != 12.0 || dry["version"] != 1.0 || dry["dry_run"] != true {
		t.Errorf("the dry run is %v", dry)
	}
	off := s.must(http.StatusOK, s.put(typePath+"?dry_run=true", eventType(append(closed, "mode", "off")...)))
	if off["check"].(object)["failed"] != 12.0 {
		t.Errorf("the dry run with mode off is %v", off)
	}
	s.problem(s.send(http.MethodGet, typePath, nil), http.StatusNotFound, "not-found")
	if forced := s.must(http.StatusCreated, s.put(typePath+"?force=true", eventType(closed...))); forced["check"] != nil {
		t.Errorf("with force: %v", forced)
	}
	if body := fmt.Sprint(s.get(eventsPath + "?event_type=datastorage.event_type.created")); !strings.Contains(body, "forced:true") {
		t.Errorf("the event is %s", body)
	}
	// What is as it was is not checked again.
	if again := s.must(http.StatusOK, s.put(typePath, eventType(closed...))); again["check"] != nil || again["changed"] != false {
		t.Errorf("the same again: %v", again)
	}
	s.describe(typePath, "mode", "enforce")
}

// slowReader is a store whose queries end with the caller's patience, after some pages.
type slowReader struct {
	httpapi.Reader
	pages int
}

func (r *slowReader) Events(ctx context.Context, q datastorage.EventQuery) (datastorage.EventPage, error) {
	if r.pages--; r.pages < 0 {
		<-ctx.Done()
		return datastorage.EventPage{}, datastorage.Unavailable(ctx.Err(), "the store is slow")
	}
	return r.Reader.Events(ctx, q)
}

func TestServer_PutEventType_SlowStore(t *testing.T) {
	t.Parallel()
	for pages, status := range map[int]int{0: http.StatusServiceUnavailable, 1: http.StatusCreated} {
		s := newServer(t, func(c *configuration) { c.Reader = &slowReader{c.Reader, pages} })
		for range 60 {
			s.write("event_type", "my.type", "event_data", object{"a": "x"})
		}
		a := s.put(typePath, eventType("mode", "warn"))
		if a.status != status {
			t.Errorf("%d pages: status %d: %s", pages, a.status, a.body)
		}
		if status == http.StatusCreated {
			check := s.must(status, a)["check"].(object)
			if check["checked"] != 50.0 || check["complete"] != false {
				t.Errorf("the check is %v", check)
			}
		}
	}
}

func TestServer_PutEventType_Roles(t *testing.T) {
	t.Parallel()
	h := &holders{}
	s := newServer(t, withTokens(t, h))
	writer, admin := s.bearing(h.token["write"]), s.bearing(h.token["admin"])
	writer.describe(typePath)
	writer.problem(writer.put(typePath, eventType("mode", "warn")), http.StatusForbidden, "permission-denied", "read")
	writer.problem(writer.put(typePath+"?dry_run=true", eventType()), http.StatusForbidden, "permission-denied", "read")
	writer.problem(writer.put(typePath, eventType("mode", "enforce")), http.StatusForbidden, "permission-denied", "admin")
	writer.problem(writer.put(typePath+"?force=true", eventType()), http.StatusForbidden, "permission-denied", "admin")
	admin.describe(typePath, "mode", "enforce")
	writer.problem(writer.put(typePath, eventType("mode", "off")), http.StatusForbidden, "permission-denied", "admin")
	if got := admin.get(typePath); got["updated_by"] != "admin-client" || got["version"] != 2.0 {
		t.Errorf("it is %v", got)
	}
	nobody := newServer(t)
	nobody.problem(nobody.put(typePath, eventType("mode", "enforce")), http.StatusForbidden, "permission-denied", "admin")
	nobody.describe(typePath, "mode", "warn")
}

func TestServer_Enforce(t *testing.T) {
	t.Parallel()
	s := newServer(t, local)
	ok := object{"a": "x"}
	kept := uuid.NewString()
	s.write("event_type", "my.type", "event_id", kept, "event_data", object{"a": 1})
	s.must(http.StatusCreated, s.put(typePath+"?force=true", eventType("mode", "enforce")))

	bad := event("event_type", "my.type", "event_data", object{"a": 7, "secret": "secret"})
	p := s.problem(s.send(http.MethodPost, eventsPath, bad), http.StatusBadRequest, "validation-error",
		"event_data.a must be of type string, not number", "rule type", "version 1 of my.type")
	s.fieldErrors(p, "event_data.a")
	if v := p["violations"].([]any)[0].(object); v["path"] != "event_data.a" || v["rule"] != "type" || v["version"] != 1.0 || p["violations_total"] != 1.0 {
		t.Errorf("the violations are %v", p["violations"])
	}
	if strings.Contains(fmt.Sprint(p), "secret") {
		t.Error("the problem holds what was sent")
	}
	missing := event("event_type", "my.type", "event_data", object{})
	p = s.problem(s.send(http.MethodPost, batchPath, []object{event(), event("event_type", "my.type", "event_data", ok), bad, missing}),
		http.StatusBadRequest, "validation-error", "event at index 2: event_data.a must be of type string")
	s.fieldErrors(p, "2.event_data.a", "3.event_data.a")
	// What is stored is still a duplicate, and a conflict when it differs.
	again := s.must(http.StatusCreated, s.send(http.MethodPost, eventsPath, event("event_type", "my.type", "event_id", kept, "event_data", object{"a": 1})))
	if again["duplicate"] != true {
		t.Errorf("sent again: %v", again)
	}
	s.problem(s.send(http.MethodPost, eventsPath, event("event_type", "my.type", "event_id", kept, "event_data", object{"a": 2})), http.StatusConflict, "conflict")
	s.write("event_type", "my.type", "event_data", ok)
	s.write("event_type", "my.type.other", "event_data", object{})
	if got := s.series()["datastorage_event_type_violations_total{mode=enforce}"]; got != 3 {
		t.Errorf("counted %v", got)
	}
	if got := s.series()["datastorage_validation_failures_total{field=event_data,reason=schema}"]; got != 3 {
		t.Errorf("counted %v validation failures", got)
	}
	if logs := s.logs.String(); strings.Count(logs, "breaks the schema") != 3 || strings.Contains(logs, "secret") {
		t.Errorf("the log is %s", logs)
	}
}

// TestServer_Enforce_Outage refuses what can never be stored while the store is away, too.
func TestServer_Enforce_Outage(t *testing.T) {
	t.Parallel()
	s := newServer(t, local, func(c *configuration) { c.Reader = readerAway{c.Reader}; c.Writer = queuedWriter{} })
	s.must(http.StatusCreated, s.put(typePath+"?force=true", eventType("mode", "enforce")))
	bad := event("event_type", "my.type", "event_data", object{}, "event_id", uuid.NewString())
	s.problem(s.send(http.MethodPost, eventsPath, bad), http.StatusBadRequest, "validation-error", "event_data.a is required")
	s.problem(s.send(http.MethodPost, batchPath, []object{bad}), http.StatusBadRequest, "validation-error", "event at index 0: event_data.a is required")
	s.must(http.StatusAccepted, s.send(http.MethodPost, eventsPath, event("event_type", "my.type", "event_data", object{"a": "x"})))
}

// TestServer_Enforce_Slow answers a batch whose check takes too long with 503: another client's events must not wait.
func TestServer_Enforce_Slow(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	s := newServer(t, local, func(c *configuration) {
		now := c.Now
		c.Now = func() time.Time { return now().Add(time.Duration(calls.Add(1)) * 3 * time.Second) }
	})
	s.describe(typePath, "mode", "enforce")
	e := event("event_type", "my.type", "event_data", object{"a": "x"})
	s.must(http.StatusCreated, s.send(http.MethodPost, batchPath, []object{e}))
	s.problem(s.send(http.MethodPost, batchPath, []object{e, e}), http.StatusServiceUnavailable, "service-unavailable", "send fewer at once")
}

// readerAway is a store that cannot be read.
type readerAway struct{ httpapi.Reader }

func (readerAway) Event(context.Context, uuid.UUID) (datastorage.StoredEvent, error) {
	return datastorage.StoredEvent{}, datastorage.Unavailable(errors.New("away"), "the store cannot be reached")
}

func TestServer_Warn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.describe(typePath, "mode", "warn")
	bad := event("event_type", "my.type", "event_data", object{"a": 7})
	a := s.must(http.StatusCreated, s.send(http.MethodPost, eventsPath, bad))
	w := a["warnings"].([]any)[0].(object)
	if w["path"] != "event_data.a" || w["rule"] != "type" || w["event_type"] != "my.type" || w["index"] != nil || a["warnings_total"] != 1.0 || a["receipt"] == nil {
		t.Errorf("the answer is %v", a)
	}
	a = s.must(http.StatusCreated, s.send(http.MethodPost, batchPath, []object{event(), bad}))
	if w := a["warnings"].([]any)[0].(object); w["index"] != 1.0 || len(a["event_ids"].([]any)) != 2 {
		t.Errorf("the answer is %v", a)
	}
	many := make([]object, 150)
	for i := range many {
		many[i] = bad
	}
	a = s.must(http.StatusCreated, s.send(http.MethodPost, batchPath, many))
	if len(a["warnings"].([]any)) != 100 || a["warnings_total"] != 150.0 {
		t.Errorf("%d warnings of %v", len(a["warnings"].([]any)), a["warnings_total"])
	}
	if got := s.series()["datastorage_event_type_violations_total{mode=warn}"]; got != 152 {
		t.Errorf("counted %v", got)
	}
	if n := strings.Count(s.logs.String(), "breaks the schema"); n != 10 {
		t.Errorf("%d lines in the log, want a sample of 10", n)
	}
	if a := s.write("event_type", "my.type", "event_data", object{"a": "x"}); a["warnings"] != nil {
		t.Errorf("the answer is %v", a)
	}
	queued := newServer(t, func(c *configuration) { c.Writer = queuedWriter{} })
	queued.describe(typePath, "mode", "warn")
	a = queued.must(http.StatusAccepted, queued.send(http.MethodPost, eventsPath, bad))
	if a["warnings_total"] != 1.0 {
		t.Errorf("the answer is %v", a)
	}
	a = queued.must(http.StatusAccepted, queued.send(http.MethodPost, batchPath, []object{bad}))
	if a["warnings_total"] != 1.0 {
		t.Errorf("the answer is %v", a)
	}
	// The server's own events are not checked.
	own := eventTypesPath + "/datastorage.event_type.created"
	s.must(http.StatusCreated, s.put(own, eventType("mode", "warn", "schema", object{"required": []string{"version"}})))
	s.describe(eventTypesPath + "/another.type")
}
