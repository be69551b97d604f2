package datastorage

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxBack is how far a relative time may reach back.
const maxBack = 200 * 365 * 24 * time.Hour

// ParseTime reads the value of since or until: a span back from now (24h, 30m, 1h30m, 7d, 1.5d), an RFC 3339 time,
// YYYY-MM-DDTHH:MM:SS (UTC), or YYYY-MM-DD (UTC midnight). The result is in UTC, not truncated.
func ParseTime(s string, now time.Time) (time.Time, error) {
	invalid := fmt.Errorf("invalid time format: %q (expected: 24h, 7d, or RFC3339 timestamp)", shorten(s))
	if t, err := parseAbsolute(s); err == nil {
		if t.Year() < 0 || t.Year() > 9999 {
			return time.Time{}, invalid
		}
		return t.UTC(), nil
	}
	back, err := parseSpan(s)
	if err != nil || back < 0 || back > maxBack {
		return time.Time{}, invalid
	}
	return now.Add(-back).UTC(), nil
}

func parseAbsolute(s string) (time.Time, error) {
	var t time.Time
	if err := t.UnmarshalText([]byte(s)); err == nil {
		return t, nil
	}
	if len(s) == len(time.DateOnly) {
		return time.Parse(time.DateOnly, s)
	}
	if strings.ContainsRune(s, ',') {
		return t, fmt.Errorf("a comma is not part of a time")
	}
	return time.Parse("2006-01-02T15:04:05", s)
}

// parseSpan reads a Go duration, or a number of days with an optional fraction.
func parseSpan(s string) (time.Duration, error) {
	number, days := strings.CutSuffix(s, "d")
	if !days {
		if s == "" || s[0] == '+' || s == "0" {
			return 0, strconv.ErrSyntax
		}
		return time.ParseDuration(s)
	}
	for _, c := range number {
		if (c < '0' || c > '9') && c != '.' {
			return 0, strconv.ErrSyntax
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, err
	}
	if n > float64(maxBack/(24*time.Hour)) {
		return 0, strconv.ErrRange
	}
	return time.Duration(n * float64(24*time.Hour)), nil
}

// shorten cuts what a caller sent to at most 64 characters, so that an error never repeats a long value.
func shorten(s string) string {
	const limit = 64
	n := 0
	for i := range s {
		if n == limit {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
