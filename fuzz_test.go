package datastorage_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// FuzzDecode checks that whatever is accepted has a body that is read back, and that whatever is not is a validation
// error.
func FuzzDecode(f *testing.F) {
	for _, raw := range malformed {
		if len(raw) < 4096 {
			f.Add(raw)
		}
	}
	for _, m := range optional {
		f.Add(eventWith(m))
	}
	for _, line := range recordedEvents(f)[:10] {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := testRules().Decode(raw, now)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkAccepted(t, e)
		one, err := testRules().DecodeBatch(append(append([]byte{'['}, raw...), ']'), now, 1)
		if err != nil || body(one[0]) != body(e) {
			t.Fatalf("as a batch of one it is %v, %v", one, err)
		}
	})
}

// FuzzDecodeBatch checks the same for batches.
func FuzzDecodeBatch(f *testing.F) {
	for _, raw := range malformed {
		if len(raw) < 4096 {
			f.Add(append(append(append(append([]byte{'['}, eventWith()...), ','), raw...), ']'))
			f.Add(append([]byte{'['}, raw...))
		}
	}
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		events, err := testRules().DecodeBatch(raw, now, 5)
		if datastorage.CodeOf(err) == datastorage.CodeTooLarge {
			return
		}
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if len(events) == 0 || len(events) > 5 {
			t.Fatalf("%d events", len(events))
		}
		for _, e := range events {
			checkAccepted(t, e)
		}
	})
}

func checkAccepted(t *testing.T, e datastorage.Event) {
	t.Helper()
	if e.ID == uuid.Nil {
		e.ID = uuid.New()
	}
	first := datastorage.AppendBody(nil, &e)
	again, err := datastorage.ParseBody(first)
	if err != nil {
		t.Fatalf("body %q is not read back: %v", first, err)
	}
	if second := datastorage.AppendBody(nil, again); !bytes.Equal(first, second) {
		t.Fatalf("body changes from\n%q to\n%q", first, second)
	}
	if !e.SameContent(again) || !again.SameContent(&e) {
		t.Fatalf("the content of %q is not the same after it is read back", first)
	}
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*datastorage.Error](err)
	if !ok || e.Code != datastorage.CodeValidation || e.Detail == "" {
		t.Fatalf("error is %#v", err)
	}
	if len(e.Detail) > 4096 {
		t.Fatalf("the detail has %d bytes", len(e.Detail))
	}
}

// FuzzParseBody checks that only canonical bodies are bodies.
func FuzzParseBody(f *testing.F) {
	for _, m := range optional {
		e, err := testRules().Decode(eventWith(m), now)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(body(e)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := datastorage.ParseBody(raw)
		if err != nil {
			return
		}
		if again := datastorage.AppendBody(nil, e); !bytes.Equal(again, raw) {
			t.Fatalf("%q is read as\n%q", raw, again)
		}
	})
}

// FuzzCanonical compares the two ways to a canonical form.
func FuzzCanonical(f *testing.F) {
	for _, v := range vectors {
		f.Add([]byte(v.in))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkCanonical(t, raw)
		value, err := datastorage.Canonical(raw)
		if err != nil {
			return
		}
		again, err := datastorage.Canonical(value)
		if err != nil || !bytes.Equal(value, again) {
			t.Fatalf("%q becomes %q, then %q, %v", raw, value, again, err)
		}
	})
}

// FuzzParseTime compares the reading of times with the time package, which takes all of them and more.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"24h", "1.5d", "2026-05-11", "2026-05-11T14:40:59", "2026-05-11T14:40:59.5+02:00", "0001-01-01T00:00:00-23:59", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := datastorage.ParseTime(s, now)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "invalid time format: ") || len(err.Error()) > 1024 {
				t.Fatalf("error is %v", err)
			}
			return
		}
		if got.Location() != time.UTC {
			t.Fatalf("%q is not in UTC: %v", s, got)
		}
		if want, err := time.Parse(time.RFC3339, s); err == nil && !got.Equal(want) {
			t.Fatalf("%q is read as %v, want %v", s, got, want)
		}
	})
}

// FuzzDecodeNotification checks that whatever is accepted makes an event that can be stored.
func FuzzDecodeNotification(f *testing.F) {
	f.Add(object(notification))
	f.Add([]byte(`{"sent_at":"x","escalation_level":101}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		rules := testRules()
		n, err := rules.DecodeNotification(raw, now)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkAccepted(t, n.Event(rules))
	})
}
