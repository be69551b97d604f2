package datastorage

import (
	"errors"
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
	if len(s) == len(time.DateOnly) {
		return time.Parse(time.DateOnly, s)
	}
	if t, err := parseRFC3339(s); err == nil {
		return t, nil
	}
	return parseRFC3339(s + "Z")
}

var errNotRFC3339 = errors.New("not an RFC 3339 time")

// parseRFC3339 reads an RFC 3339 time, with capital T and Z, and returns it in UTC. The time package takes more: hours of
// one digit, a comma before the fraction, offsets of 24 hours. What is finer than a nanosecond is dropped.
func parseRFC3339[T string | []byte](s T) (time.Time, error) {
	const shape = "dddd-dd-ddTdd:dd:dd"
	if len(s) <= len(shape) || !hasShape(s[:len(shape)], shape) {
		return time.Time{}, errNotRFC3339
	}
	year, month, day := number(s[0:4]), number(s[5:7]), number(s[8:10])
	hour, minute, second := number(s[11:13]), number(s[14:16]), number(s[17:19])
	zone, nanos := s[len(shape):], 0
	if zone[0] == '.' {
		n := 1
		for scale := 100_000_000; n < len(zone) && zone[n] >= '0' && zone[n] <= '9'; n++ {
			nanos += int(zone[n]-'0') * scale
			scale /= 10
		}
		if n == 1 {
			return time.Time{}, errNotRFC3339
		}
		zone = zone[n:]
	}
	offset := time.Duration(0)
	if len(zone) != 1 || zone[0] != 'Z' {
		if !hasShape(zone, "+dd:dd") && !hasShape(zone, "-dd:dd") {
			return time.Time{}, errNotRFC3339
		}
		hours, minutes := number(zone[1:3]), number(zone[4:6])
		if hours > 23 || minutes > 59 {
			return time.Time{}, errNotRFC3339
		}
		offset = time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
		if zone[0] == '-' {
			offset = -offset
		}
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if hour > 23 || minute > 59 || second > 59 || t.Day() != day || t.Month() != time.Month(month) {
		return time.Time{}, errNotRFC3339
	}
	return t.Add(-offset), nil
}

// number reads decimal digits.
func number[T string | []byte](digits T) int {
	n := 0
	for i := range len(digits) {
		n = 10*n + int(digits[i]-'0')
	}
	return n
}

// hasShape reports whether s has a digit wherever shape has a d, and is equal to it elsewhere.
func hasShape[T string | []byte](s T, shape string) bool {
	if len(s) != len(shape) {
		return false
	}
	for i := range len(s) {
		digit := s[i] >= '0' && s[i] <= '9'
		if shape[i] == 'd' && !digit || shape[i] != 'd' && s[i] != shape[i] {
			return false
		}
	}
	return true
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
