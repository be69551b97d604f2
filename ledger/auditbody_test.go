package ledger

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// FuzzBodyScanner compares the audit's scanner with the parser that the rest of the program uses.
func FuzzBodyScanner(f *testing.F) {
	for _, body := range sampleBodies() {
		f.Add(body)
	}
	for _, data := range awkwardData {
		f.Add(withData(data))
	}
	f.Fuzz(func(t *testing.T, body []byte) { compareWithParser(t, body) })
}

// FuzzBodyScannerData is FuzzBodyScanner with an event_data that needs no frame of its own.
func FuzzBodyScannerData(f *testing.F) {
	for _, data := range awkwardData {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) { compareWithParser(t, withData(string(data))) })
}

func compareWithParser(t *testing.T, body []byte) {
	t.Helper()
	var s bodyScanner
	fault := s.scan(body)
	e, err := datastorage.ParseBody(body)
	if (fault == nil) != (err == nil) {
		t.Fatalf("scanner says %v, parser says %v, of\n%q", fault, err, body)
	}
	if err != nil {
		return
	}
	if s.id != e.ID || s.parent != e.ParentID || s.time != e.Time.UnixMicro() || !bytes.Equal(s.data, e.Data) {
		t.Errorf("scanner read id %v, parent %v, time %d of\n%q", s.id, s.parent, s.time, body)
	}
	for c, want := range columnsOf(e) {
		if got := s.texts[c]; (got.raw == nil) != (want == "") || !s.equal(got, []byte(want)) {
			t.Errorf("scanner read %v as %q, parser as %q", Column(c), got.raw, want)
		}
	}
}

// columnsOf returns the values of the text columns of an event.
func columnsOf(e *datastorage.Event) [Columns]string {
	return [Columns]string{
		e.ActorID, e.ActorType, e.ClusterName, e.CorrelationID, e.Category, e.Outcome, e.Type,
		e.Namespace, e.ResourceID, e.ResourceType, e.Severity, e.TraceID,
	}
}

var awkwardData = []string{
	`{}`, `{"a":[]}`, `{"a":[1,2.50,-3e-7,1E+2,0,-0.0,0e5,123456789012345678901234567890]}`, `{"a":-0}`, `{"a":01}`, `{"a":1.}`,
	`{"a":1e400}`, `{"a":1e-400}`, `{"a":` + strings.Repeat("9", 100) + `}`, `{"a":` + strings.Repeat("9", 101) + `}`,
	`{"b":1,"a":2}`, `{"a":1,"a":2}`, `{"a":1,"\"":2}`, `{"\"":1,"a":2}`, `{"":0,"\\":1,"a":2}`,
	"{\"\U0001f600\":1,\"\ufb33\":2}", "{\"\ufb33\":1,\"\U0001f600\":2}", "{\"\u00f6\":1,\"\u20ac\":2}", "{\"\\r\":1,\"1\":2,\"\u0080\":3}",
	`{"a":"\u0000"}`, `{"\u0000":1}`, `{"a":"\u001f\u000b"}`, `{"a":"\u001F"}`, `{"a":"\u0008"}`, `{"a":"\b\f\n\r\t\"\\"}`, `{"a":"\/"}`,
	`{"a":"\ud83d\ude00"}`, "{\"a\":\"\u2028\u007f<>&\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\x01\"}",
	`{"a":true,"b":false,"c":null}`, `{"a":tru}`, `{"a": 1}`, `{"a":1,}`, `[]`, `{"a":[1,]}`, `{"a":1`, `"a"`,
	`{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`,
	`{"a":"` + strings.Repeat("x", datastorage.MaxEventDataBytes-8) + `"}`, `{"a":"` + strings.Repeat("x", datastorage.MaxEventDataBytes-7) + `"}`,
}

func sampleBodies() [][]byte {
	number := func(n int64) *int64 { return &n }
	at := time.Date(2026, 1, 31, 12, 0, 0, 123456000, time.UTC)
	plain := datastorage.Event{
		ID: uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057"), Version: "1.0", Type: "gateway.signal.received", Time: at,
		Category: "gateway", Action: "received", Outcome: "success", CorrelationID: "rr-1", Data: []byte(`{"a":1}`),
		ActorType: "service", ActorID: "gateway-service", ResourceType: "gateway", ResourceID: "rr-1", Severity: "info", Retention: 2555,
	}
	full := plain
	full.ParentID, full.Namespace, full.ClusterName = uuid.MustParse("0F890a5d-ac96-774b-bcce-b302099a8057"), "näme\tspace\"", "\u2028\U0001f600\u0001"
	full.DurationMS, full.ErrorCode, full.ErrorMessage = number(0), "E1", strings.Repeat("€", 4096)
	full.TraceID, full.SpanID, full.Sensitive = strings.Repeat("0af7", 8), strings.Repeat("0af7", 4), true
	full.ProducerID, full.ProducerSeq, full.Outcome = "p", number(1<<63-1), "pending"
	return [][]byte{datastorage.AppendBody(nil, &plain), datastorage.AppendBody(nil, &full)}
}

func withData(data string) []byte {
	return bytes.Replace(sampleBodies()[0], []byte(`{"a":1}`), []byte(data), 1)
}

func TestBodyScanner_OneByte(t *testing.T) {
	for _, body := range sampleBodies() {
		body = bytes.Replace(body, []byte(strings.Repeat("€", 4000)), nil, 1)
		for i := range body {
			for _, c := range []byte("\x00\x1f \"\\,:09azAZ{}\x80\xff") {
				changed := bytes.Clone(body)
				changed[i] = c
				compareWithParser(t, changed)
			}
			compareWithParser(t, body[:i])
			compareWithParser(t, append(bytes.Clone(body[:i]), body[i+1:]...))
			compareWithParser(t, append(append(bytes.Clone(body[:i]), '0'), body[i:]...))
		}
	}
}

func TestBodyScanner_Members(t *testing.T) {
	full := sampleBodies()[1]
	for i := range members {
		at := bytes.Index(full, []byte(members[i].prefix))
		end := len(full) - 1
		if i+1 < len(members) {
			end = bytes.Index(full, []byte(members[i+1].prefix))
		}
		value := full[at+len(members[i].prefix) : end]
		without := append(bytes.Clone(full[:at]), full[end:]...)
		compareWithParser(t, without)
		for _, other := range []string{`""`, `null`, `"x"`, `0`, `1`, `-1`, `-0`, `1.0`, `9007199254740991`, `9007199254740992`, `36500`, `36501`,
			`9223372036854775807`, `9223372036854775808`, `true`, `{}`, `"00000000-0000-0000-0000-000000000000"`, `"failure"`, `"\u0041"`, `"` + strings.Repeat("€", 255) + `"`,
			`"` + strings.Repeat(`\n`, 253) + `"`, `"` + strings.Repeat(`\n`, 256) + `"`, strings.ToUpper(string(value))} {
			compareWithParser(t, append(append(bytes.Clone(full[:at+len(members[i].prefix)]), other...), full[end:]...))
		}
	}
}

func TestBodyScanner_Times(t *testing.T) {
	body := sampleBodies()[0]
	old := []byte("2026-01-31T12:00:00.123456Z")
	for _, text := range []string{
		"1970-01-01T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z", "2199-12-31T23:59:59.999999Z", "2200-01-01T00:00:00.000000Z",
		"2000-02-29T00:00:00.000000Z", "2100-02-29T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z", "2023-02-29T00:00:00.000000Z",
		"2026-04-31T00:00:00.000000Z", "2026-13-01T00:00:00.000000Z", "2026-00-01T00:00:00.000000Z", "2026-01-00T00:00:00.000000Z",
		"2026-01-01T24:00:00.000000Z", "2026-01-01T00:60:00.000000Z", "2026-01-01T00:00:60.000000Z", "2026-01-01t00:00:00.000000Z",
		"2026-01-01T00:00:00.00000Z", "2026-01-01T00:00:00.0000000Z", "2026-01-01T00:00:00.000000+00:00", "2026-01-01T00:00:00,000000Z",
	} {
		compareWithParser(t, bytes.Replace(body, old, []byte(text), 1))
	}
	for at := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2200; at = at.Add(25*time.Hour + 61*time.Second + time.Microsecond) {
		text := datastorage.AppendTime(nil, at)
		if got, ok := parseMicros(text); !ok || got != at.UnixMicro() {
			t.Fatalf("%s is read as %d, %v", text, got, ok)
		}
	}
}

func TestUnplain(t *testing.T) {
	for c := range 256 {
		for at := range 8 {
			word := []byte(" aZ~!#[]")
			word[at] = byte(c)
			special := c == '"' || c == '\\' || c < 0x20 || c >= 0x80
			mask := unplain(binary.LittleEndian.Uint64(word))
			if (mask != 0) != special || special && mask&(1<<(8*at+8)-1)>>(8*at) == 0 {
				t.Fatalf("byte %#x at %d: mask %#x", c, at, mask)
			}
		}
	}
}

func BenchmarkBodyScanner(b *testing.B) {
	body := withData(`{"alert":"` + strings.Repeat("KubePodCrashLooping ", 25) + `","score":0.25}`)
	var s bodyScanner
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := s.scan(body); err != nil {
			b.Fatal(err)
		}
	}
}
