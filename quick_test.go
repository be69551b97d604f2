package datastorage_test

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
)

// TestRules_Decode_Quickly checks which events are decoded the quick way: what producers send in fact.
func TestRules_Decode_Quickly(t *testing.T) {
	lines := recordedEvents(t)
	for i, line := range lines {
		if !testRules().DecodeQuickly(line, now) {
			t.Errorf("line %d is decoded the thorough way", i+1)
		}
	}
	if !testRules().DecodeBatchQuickly(batchOf(lines...), now, len(lines)) {
		t.Error("the batch is decoded the thorough way")
	}
	spaced := strings.NewReplacer(`":`, "\"\t: ", `,"`, " ,\r\n\"", "}", " }", "{", "{ ")
	for name, raw := range map[string]string{
		"Optional":   string(eventWith(optional...)),
		"Body":       body(mustDecode(t, eventWith(optional...))),
		"WhiteSpace": " \n" + spaced.Replace(string(eventWith(optional...))) + "\t",
		"Escapes":    string(eventWith(member{"error_message", `"a\tb\n\"c\" \\ é"`}, member{"event_data", `{"b":"\u003c\/","a\n":[1.5e3,{}]}`})),
		"Unknown":    string(eventWith(member{"x", `"\n"`}, member{"é", "1e9"}, member{"", "null"}, member{"y", "false"})),
		"Absent":     string(eventWith(member{"namespace", "null"}, member{"severity", `""`}, member{"duration_ms", "null"})),
	} {
		if !testRules().DecodeQuickly([]byte(raw), now) {
			t.Errorf("%s is decoded the thorough way: %s", name, raw)
		}
	}
}

func batchOf(events ...[]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(events, []byte{','})...), ']')
}

// checkWays checks that the quick and the thorough way agree on an event, alone and in a batch, and that what is accepted
// is what jsontext reads.
func checkWays(t testing.TB, raw []byte) {
	t.Helper()
	for _, rules := range []*datastorage.Rules{testRules(), windowRules(), {AnyCategory: true, RetentionByCategory: map[string]int{"gateway": 7}}} {
		got, err := rules.Decode(raw, now)
		want, wantErr := rules.DecodeThoroughly(raw, now)
		if !reflect.DeepEqual(got, want) || !sameError(err, wantErr) {
			t.Fatalf("%q is\n%+v, %v\nthe quick way, and\n%+v, %v\nthe thorough way", raw, got, err, want, wantErr)
		}
		if err == nil {
			checkData(t, raw, got.Data)
		}
		for _, batch := range [][]byte{batchOf(raw), batchOf(eventWith(), raw), batchOf(raw, raw, eventWith())} {
			checkBatchWays(t, rules, batch)
		}
	}
}

// sameError reports whether two errors of decoding say the same, or are both nil.
func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, okX := errors.AsType[*datastorage.Error](a)
	y, okY := errors.AsType[*datastorage.Error](b)
	return okX && okY && x.Code == y.Code && x.Detail == y.Detail && maps.Equal(x.Fields, y.Fields)
}

func checkBatchWays(t testing.TB, rules *datastorage.Rules, raw []byte) {
	t.Helper()
	const limit = 3
	got, err := rules.DecodeBatch(raw, now, limit)
	want, wantErr := rules.DecodeBatchThoroughly(raw, now, limit)
	if !reflect.DeepEqual(got, want) || !sameError(err, wantErr) {
		t.Fatalf("%q is\n%+v, %v\nthe quick way, and\n%+v, %v\nthe thorough way", raw, got, err, want, wantErr)
	}
}

// checkData checks event_data of an accepted event against what jsontext makes of it.
func checkData(t testing.TB, raw []byte, data jsontext.Value) {
	t.Helper()
	if !jsontext.Value(raw).IsValid() {
		t.Fatalf("%q is accepted", raw)
	}
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.ReadToken(); err != nil {
		t.Fatal(err)
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			t.Fatal(err)
		}
		isData := name.String() == "event_data"
		value, err := dec.ReadValue()
		if err != nil {
			t.Fatal(err)
		}
		if !isData {
			continue
		}
		if want, err := datastorage.Canonical(value); err != nil || string(want) != string(data) {
			t.Fatalf("event_data of %q is\n%q, want\n%q, %v", raw, data, want, err)
		}
	}
}

// checkCanonicalObject checks the canonicalizer against jsontext, on any bytes that begin with a brace.
func checkCanonicalObject(t testing.TB, raw []byte) {
	t.Helper()
	if len(raw) == 0 || raw[0] != '{' {
		return
	}
	data, end, fault := datastorage.CanonicalObject(raw)
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	value, err := dec.ReadValue()
	switch {
	case err != nil && fault == "":
		t.Fatalf("%q is accepted as\n%q, but: %v", raw, data, err)
	case err != nil:
		return
	}
	if want := faultOf(t, value); fault != want {
		t.Fatalf("%q: fault is %q, want %q", raw, fault, want)
	}
	if fault != "" {
		return
	}
	want, err := datastorage.Canonical(value)
	if err != nil || string(data) != string(want) || int64(end) != dec.InputOffset() {
		t.Fatalf("%q becomes\n%q and ends at %d, want\n%q, %v, %d", raw, data, end, want, err, dec.InputOffset())
	}
}

// faultOf is the first fault of a value of event_data, found token by token.
func faultOf(t testing.TB, value jsontext.Value) string {
	t.Helper()
	dec := jsontext.NewDecoder(bytes.NewReader(value))
	for range len(value) {
		token, err := dec.ReadToken()
		if err != nil {
			break // the end
		}
		switch token.Kind() {
		case '{', '[':
			if dec.StackDepth() > datastorage.MaxEventDataDepth {
				return "must be nested at most 32 deep"
			}
		case '"':
			if strings.Contains(token.String(), "\x00") {
				return "must not contain U+0000"
			}
		case '0':
			number := token.String()
			if len(number) > datastorage.MaxNumberLength {
				return "must not hold a number longer than 100 characters"
			}
			if f, _ := strconv.ParseFloat(number, 64); math.IsInf(f, 0) {
				return "must not hold a number that is not finite as an IEEE double"
			}
		}
	}
	return ""
}

// FuzzDecode_Ways compares the two ways to decode an event.
func FuzzDecode_Ways(f *testing.F) {
	for _, raw := range malformed {
		if len(raw) < 4096 {
			f.Add(raw)
		}
	}
	for _, m := range optional {
		f.Add(eventWith(m))
	}
	for _, v := range vectors {
		f.Add(eventWith(member{"event_data", v.in}))
	}
	f.Add(eventWith(member{"x", `"\n"`}, member{"é", "1e9"}, member{"", "null"}, member{"y", "false"}))
	for _, line := range recordedEvents(f) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkWays(t, raw) })
}

// FuzzDecodeBatch_Ways compares the two ways to decode a batch.
func FuzzDecodeBatch_Ways(f *testing.F) {
	f.Add([]byte(`[]`))
	f.Add(batchOf(eventWith(), eventWith(optional...)))
	f.Add(append([]byte(" \n"), batchOf(recordedEvents(f)[:4]...)...))
	f.Fuzz(func(t *testing.T, raw []byte) { checkBatchWays(t, testRules(), raw) })
}

// FuzzCanonicalObject compares the canonicalizer with jsontext on whatever may stand where event_data does.
func FuzzCanonicalObject(f *testing.F) {
	for _, v := range vectors {
		f.Add([]byte(v.in))
	}
	for _, bad := range []string{
		`{"a":01}`, `{"a":1.}`, `{"a":-}`, `{"a":1e}`, `{"a":+1}`, `{"a":.5}`, `{"a":1e400}`, `{"a":tru}`, `{"a":truee}`, `{"a":1,}`, `{"a":[1,]}`,
		`{"a":1,"a":2}`, `{"b":1,"a":2,"\u0062":3}`, `{"a"}`, `{"a":}`, `{,}`, `{"a":1]`, `{"a":"\u00zz"}`, `{"a":"\ud800"}`, `{"a":"\x"}`, `{"a":"\`,
		"{\"a\":\"\x01\"}", "{\"a\":\"\xff\"}", "{\"\xc0\x80\":1}", `{"a":"\u0000"}`, `{"a":"b`, `{"a":1} {`, strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40),
	} {
		f.Add([]byte(bad))
	}
	for _, line := range recordedEvents(f) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkCanonicalObject(t, raw) })
}

// TestRules_Decode_WaysProperties compares the two ways on events with awkward values and spelling, most of which were
// damaged in a few places.
func TestRules_Decode_WaysProperties(t *testing.T) {
	lines := recordedEvents(t)
	rapid.Check(t, func(rt *rapid.T) {
		var raw []byte
		if rapid.Bool().Draw(rt, "recorded") {
			raw = bytes.Clone(rapid.SampledFrom(lines).Draw(rt, "event"))
		} else {
			raw = drawEvent(rt)
		}
		checkWays(t, raw)
		for range rapid.IntRange(0, 3).Draw(rt, "damages") {
			raw = damage(rt, raw)
			checkWays(t, raw)
		}
	})
}

// drawEvent draws an event of known and other members, in any order, some of them with odd values or names.
func drawEvent(t *rapid.T) []byte {
	members := append(append([]member{}, required...), rapid.SliceOfN(rapid.SampledFrom(optional), 0, 5).Draw(t, "optional")...)
	for range rapid.IntRange(0, 3).Draw(t, "odd") {
		odd := member{rapid.SampledFrom(members).Draw(t, "name").name, drawValue(t, 3)}
		if rapid.IntRange(0, 3).Draw(t, "other name") == 0 {
			quoted := spell(t, name().Draw(t, "text"))
			odd.name = quoted[1 : len(quoted)-1]
		}
		members = append(members, odd)
	}
	members = append(rapid.Permutation(members).Draw(t, "members"), member{"event_data", drawObject(t, 0)})
	if rapid.IntRange(0, 9).Draw(t, "duplicates") == 0 {
		return object(members)
	}
	return withMembers(nil, members)
}

// damage changes one place of a text: it takes bytes away, doubles them, or puts others in.
func damage(t *rapid.T, raw []byte) []byte {
	if len(raw) == 0 {
		return raw
	}
	at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
	end := min(len(raw), at+rapid.IntRange(0, 3).Draw(t, "length"))
	insert := rapid.OneOf(
		rapid.SampledFrom([]string{"", `"`, `\`, `\u00e9`, `\u0000`, `\ud83d\ude00`, "{", "}", "[", "]", ":", ",", " ", "0", "-", ".", "e9", "\x00", "\x1f", "\x7f", "é", "\xed\xa0\x80", "\xff", "null"}),
		rapid.Just(string(raw[at:end])+string(raw[at:end])),
	).Draw(t, "insert")
	return append(append(bytes.Clone(raw[:at]), insert...), raw[end:]...)
}

// TestCanonicalObject_Properties compares the canonicalizer with jsontext on objects, sound and damaged.
func TestCanonicalObject_Properties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		raw := []byte(jsonObject().Draw(rt, "object"))
		checkCanonicalObject(t, raw)
		for range rapid.IntRange(1, 3).Draw(rt, "damages") {
			raw = damage(rt, raw)
			checkCanonicalObject(t, raw)
		}
	})
}

// TestParseTimestamp_Truncates checks that what is finer than a microsecond is dropped downwards, before 1970 too.
func TestParseTimestamp_Truncates(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := time.Unix(rapid.Int64Range(-62135596800, 253402300799).Draw(rt, "seconds"), rapid.Int64Range(0, 999999999).Draw(rt, "nanoseconds")).UTC()
		got, err := datastorage.ParseTimestamp(want.Format(time.RFC3339Nano))
		if err != nil || !got.Equal(want.Truncate(time.Microsecond)) {
			t.Fatalf("%s is read as %s, %v", want, got, err)
		}
	})
}
