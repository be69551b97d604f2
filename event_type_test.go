package datastorage_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
)

func TestDecodeEventType(t *testing.T) {
	t.Parallel()
	got, err := datastorage.DecodeEventType([]byte(`{"mode":"warn","owner":"sre","description":"d","version":7,"updated_at":"x","versions":[],
		"schema":{"type":"object","maximum":1.50},"examples":[{"b":1,"a":2}]}`), "my.type")
	want := &datastorage.EventType{
		Name: "my.type", Mode: "warn", Owner: "sre", Description: "d", Schema: jsontext.Value(`{"maximum":1.50,"type":"object"}`),
		Examples: []jsontext.Value{jsontext.Value(`{"a":2,"b":1}`)},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := datastorage.DecodeEventType([]byte(`{"event_type":"ü","schema":{}}`), ""); err != nil || got.Name != "ü" || got.Mode != "off" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDecodeEventType_Fault(t *testing.T) {
	t.Parallel()
	for body, phrase := range map[string]string{
		`{`:                                 "the body",
		`[]`:                                "must be a JSON object",
		`{"schema":{}}`:                     "event_type is required",
		`{"event_type":"a\nb","schema":{}}`: "event_type must be valid UTF-8 without control characters",
		`{"event_type":"` + strings.Repeat("ü", 101) + `","schema":{}}`: "event_type must be 1 to 100 characters",
		`{"event_type":"a"}`:                         "schema is required",
		`{"event_type":"a","schema":true}`:           "schema must be a JSON object",
		`{"event_type":"a","schema":{"a":"\u0000"}}`: "schema must not contain U+0000",
		`{"event_type":"a","schema":{"a":1e999}}`:    "schema must not hold a number that is not finite",
		`{"event_type":"a","schema":` + strings.Repeat(`{"a":`, 33) + `1` + strings.Repeat(`}`, 33) + `}`: "schema",
		`{"event_type":"a","schema":{},"mode":1}`:                                                         "mode must be one of: off, warn, enforce",
		`{"event_type":"a","schema":{},"owner":1}`:                                                        "owner must be a string",
		`{"event_type":"a","schema":{},"examples":{}}`:                                                    "examples must be an array",
		`{"event_type":"a","schema":{},"examples":[{},1]}`:                                                "examples has an example at index 1 that must be a JSON object",
		`{"event_type":"a","schema":{},"schemas":{}}`:                                                     "schemas is not a known field",
		`{"event_type":"a","schema":{},"schema":{}}`:                                                      "duplicate member name",
	} {
		_, err := datastorage.DecodeEventType([]byte(body), "")
		e, ok := errors.AsType[*datastorage.Error](err)
		if !ok || e.Code != datastorage.CodeValidation || !strings.Contains(e.Detail, phrase) {
			t.Errorf("%.60s: %v, want %q", body, err, phrase)
		}
	}
	if _, err := datastorage.DecodeEventType([]byte(`{"event_type":"b","schema":{}}`), "a"); err == nil {
		t.Error("another name than that of the path is taken")
	}
}

func TestParseEventType(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := &datastorage.EventType{
			Name: rapid.StringMatching(`[a-zü." ]{0,20}[a-z]`).Draw(t, "name"), Version: rapid.Int64Range(1, 1<<53-1).Draw(t, "version"),
			Mode: rapid.SampledFrom(datastorage.EventTypeModes).Draw(t, "mode"), Owner: rapid.StringMatching(`[a-z]{0,9}`).Draw(t, "owner"),
			Description: rapid.StringMatching(`[a-z"ü]{0,9}`).Draw(t, "description"), Schema: jsontext.Value(`{"a":[1.0]}`),
			UpdatedAt: time.UnixMicro(rapid.Int64Range(0, 1<<50).Draw(t, "at")).UTC(), UpdatedBy: rapid.StringMatching(`[a-z]{0,9}`).Draw(t, "by"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "examples") {
			e.Examples = append(e.Examples, jsontext.Value(`{"x":"y"}`))
		}
		document := datastorage.AppendEventType(nil, e)
		got, err := datastorage.ParseEventType(document)
		if diff := cmp.Diff(e, got); err != nil || diff != "" || !e.SameContent(got) {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if _, err := datastorage.ParseEventType(append(document, ' ')); err == nil {
			t.Error("other bytes are taken")
		}
	})
	if _, err := datastorage.ParseEventType([]byte(`{"event_type":"a","version":0,"mode":"off","schema":{}}`)); err == nil {
		t.Error("version 0 is taken")
	}
}

func TestEventTypeKey(t *testing.T) {
	t.Parallel()
	if a, b := datastorage.EventTypeKey("a", 1), datastorage.EventTypeKey("a", 2); a == b || !strings.HasPrefix(a, "\x00") {
		t.Errorf("%q, %q", a, b)
	}
}

func FuzzDecodeEventType(f *testing.F) {
	f.Add([]byte(`{"event_type":"a","mode":"warn","schema":{"type":"object"},"examples":[{}]}`))
	f.Add([]byte(`{"schema":{"properties":{"a":{"$ref":"#"}}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := datastorage.DecodeEventType(body, "")
		if err != nil {
			return
		}
		// What is taken can be stored and read back.
		e.Version = 1
		document := datastorage.AppendEventType(nil, e)
		got, err := datastorage.ParseEventType(document)
		if err != nil || !got.SameContent(e) {
			t.Errorf("%q becomes %q: %v", body, document, err)
		}
	})
}
