package datastorage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage"
)

func TestParseTime(t *testing.T) {
	for s, want := range map[string]time.Time{
		"24h":                            now.Add(-24 * time.Hour),
		"30m":                            now.Add(-30 * time.Minute),
		"1h30m":                          now.Add(-90 * time.Minute),
		"7d":                             now.Add(-7 * 24 * time.Hour),
		"1.5d":                           now.Add(-36 * time.Hour),
		"0d":                             now,
		"0s":                             now,
		"90s":                            now.Add(-90 * time.Second),
		"36500d":                         now.Add(-36500 * 24 * time.Hour),
		"2026-05-11T14:40:59Z":           time.Date(2026, 5, 11, 14, 40, 59, 0, time.UTC),
		"2026-05-11T14:40:59.5+02:00":    time.Date(2026, 5, 11, 12, 40, 59, 5e8, time.UTC),
		"2026-05-11T14:40:59-23:59":      time.Date(2026, 5, 12, 14, 39, 59, 0, time.UTC),
		"2026-05-11T14:40:59":            time.Date(2026, 5, 11, 14, 40, 59, 0, time.UTC),
		"2026-05-11":                     time.Date(2026, 5, 11, 0, 0, 0, 0, time.UTC),
		"2024-02-29":                     time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
		"2026-05-11T00:00:00.123456789Z": time.Date(2026, 5, 11, 0, 0, 0, 123456789, time.UTC),
		"2026-05-11T00:00:00.1234567899": time.Date(2026, 5, 11, 0, 0, 0, 123456789, time.UTC),
	} {
		if got, err := datastorage.ParseTime(s, now); err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s is %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "yesterday", "24", "0", "-24h", "+24h", "-1d", "+1d", "d", ".d", "1..5d", "1e3d", "infd", "nand", "1h1d", "1d12h", "9999999d", "9999999h",
		strings.Repeat("9", 400) + "d", "2026-02-29", "2026-13-01", "2026-00-01", "2026-05-00", "2026-5-1", "20260511", "2026-05-11T14:40", "2026-05-11T4:40:59Z",
		"2026-05-11T14:40:59,5Z", "2026-05-11T14:40:59.Z", "2026-05-11T24:00:00Z", "2026-05-11T14:60:00Z", "2026-05-11T14:40:60Z", "2026-05-11 14:40:59",
		"2026-05-11T14:40:59+24:00", "2026-05-11T14:40:59+02:60", "2026-05-11T14:40:59+0200", "2026-05-11T14:40:59z", "2026-05-11t14:40:59Z",
		"2026-05-11T14:40:59 02:00", "2026-05-11T14:40:59ZZ", "1778510459", "\x00", "\xff",
	} {
		_, err := datastorage.ParseTime(s, now)
		if err == nil {
			t.Errorf("%q is accepted", s)
			continue
		}
		if msg := err.Error(); !strings.HasPrefix(msg, "invalid time format: ") || !strings.HasSuffix(msg, " (expected: 24h, 7d, or RFC3339 timestamp)") {
			t.Errorf("%q: error is %q", s, msg)
		}
	}
	_, err := datastorage.ParseTime(strings.Repeat("hunter2", 20), now)
	if err == nil || strings.Contains(err.Error(), strings.Repeat("hunter2", 10)) {
		t.Errorf("a long value is repeated: %v", err)
	}
}
