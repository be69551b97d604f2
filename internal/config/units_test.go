package config

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "512": 512, "512B": 512, "64KiB": 64 << 10, "64 KiB": 64 << 10, "1.5GiB": 3 << 29, "2GB": 2e9, "1kB": 1000,
		"1KB": 1000, "0.5KiB": 512, "8191PiB": -1, "9223372036854775807": math.MaxInt64, "9223372036854775808": -1,
		"8388608TiB": -1, "0.1KiB": -1, "-1": -1, "+1": -1, "1e3": -1, "": -1, "KiB": -1, "1.": -1, ".5KiB": -1, "1k": -1,
		"64kib": -1, " 1": -1, "1 ": -1, "1/2KiB": -1, "0x10": -1, "1_000": -1,
	} {
		got, err := ParseSize(text)
		if (err != nil) != (want < 0) || (err == nil && got != want) {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	const bad = time.Duration(math.MinInt64)
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "500ms": 500 * time.Millisecond, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "1.5d": 36 * time.Hour,
		"1d12h": 36 * time.Hour, "-1d": -24 * time.Hour, "36500d": 36500 * day, "106751d": 106751 * day, "106752d": bad,
		"106751d23h47m16s": 106751*day + 23*time.Hour + 47*time.Minute + 16*time.Second, "106751d23h47m17s": bad,
		"": bad, "d": bad, "10": bad, "1d-1h": bad, "1d+1h": bad, "1h1d": bad, "1dd": bad, "1d1d": bad, "1 d": bad, "soon": bad,
		"1d ": bad, "-d": bad, "--1d": bad, "1e2d": bad, "-1d1h": -25 * time.Hour,
	} {
		got, err := ParseDuration(text)
		if (err != nil) != (want == bad) || (err == nil && got != want) {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestUnits_RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := Size(rapid.Int64Min(0).Draw(t, "size"))
		if got, err := ParseSize(size.String()); err != nil || got != size {
			t.Fatalf("size %d is written %q and read as %d, %v", int64(size), size, got, err)
		}
		d := time.Duration(rapid.Int64().Draw(t, "duration"))
		if got, err := ParseDuration(FormatDuration(d)); err != nil || got != d {
			t.Fatalf("duration %d is written %q and read as %d, %v", int64(d), FormatDuration(d), got, err)
		}
	})
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		168 * time.Hour: "168h", 90 * time.Minute: "1h30m", 5 * time.Minute: "5m", 0: "0s", 10 * time.Second: "10s",
		time.Hour + time.Second: "1h0m1s", 1500 * time.Millisecond: "1.5s",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%d) = %q, want %q", d, got, want)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, seed := range []string{"64MiB", "1.5GiB", "0.000000001TB", "9223372036854775807B", "-1", "1 kB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := ParseSize(text)
		if err != nil {
			return
		}
		if again, err := ParseSize(size.String()); size < 0 || err != nil || again != size {
			t.Errorf("%q is %d, written %q, read as %d, %v", text, int64(size), size, again, err)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"7d", "1.5d", "1d12h", "-1d", "1h30m", "9223372036854775807ns", "106751d23h47m16.854775807s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if again, err := ParseDuration(FormatDuration(d)); err != nil || again != d {
			t.Errorf("%q is %d, written %q, read as %d, %v", text, int64(d), FormatDuration(d), again, err)
		}
	})
}
