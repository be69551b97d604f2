package datastorage_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// sampleTime is when the recorded events count as present.
var sampleTime = time.Date(2026, 5, 12, 0, 0, 0, 0, time.UTC)

// kilobyteEvent is a recorded event of about 1 KB.
func kilobyteEvent(tb testing.TB) []byte {
	tb.Helper()
	var best []byte
	for _, line := range recordedEvents(tb) {
		if len(line) <= 1100 && len(line) > len(best) {
			best = line
		}
	}
	return best
}

func BenchmarkDecode(b *testing.B) {
	raw, rules := kilobyteEvent(b), testRules()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rules.Decode(raw, sampleTime); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewRecord(b *testing.B) {
	raw, rules := kilobyteEvent(b), testRules()
	e, err := rules.Decode(raw, sampleTime)
	if err != nil {
		b.Fatal(err)
	}
	e.ID = uuid.MustParse("019e177b-f078-7934-ab60-48404a4f721f")
	b.ReportAllocs()
	for b.Loop() {
		datastorage.NewRecord(e, [datastorage.SaltSize]byte{1})
	}
}

func BenchmarkDecodeBatch100(b *testing.B) {
	one, rules := kilobyteEvent(b), testRules()
	raw := append([]byte{'['}, bytes.Repeat(append(one, ','), 100)...)
	raw[len(raw)-1] = ']'
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rules.DecodeBatch(raw, sampleTime, 100); err != nil {
			b.Fatal(err)
		}
	}
}
