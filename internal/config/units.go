package config

import (
	"errors"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written as 512, 64KiB, 1.5MiB or 2GB.
type Size int64

// sizeUnits are in the order in which String tries them, then the decimal ones.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

var (
	errSize     = errors.New("is not a size such as 512, 64KiB or 1.5GiB")
	errDuration = errors.New("is not a duration such as 500ms, 10s, 1h30m or 7d")
)

// ParseSize reads a size: digits, optionally with a decimal fraction, and optionally one of the units B, kB (or KB), MB,
// GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of 1024). A size that is negative, not a whole number of bytes, or
// larger than an int64 is an error.
func ParseSize(text string) (Size, error) {
	number, factor := text, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			number, factor = strings.TrimRight(rest, " "), u.bytes
			break
		}
	}
	n, ok := scaled(number, factor)
	if !ok {
		return 0, errSize
	}
	return Size(n), nil
}

// String writes the size with the largest binary unit that leaves a whole number, so that ParseSize reads it back.
func (s Size) String() string {
	for _, u := range sizeUnits[:4] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText is String; encoding/json and YAML use it.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var decimal = regexp.MustCompile(`^[0-9]{1,19}(\.[0-9]{1,9})?$`)

// scaled returns number × factor, exactly; ok is false when number is no unsigned decimal or the product is no int64.
func scaled(number string, factor int64) (product int64, ok bool) {
	if !decimal.MatchString(number) {
		return 0, false
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, false
	}
	r.Mul(r, new(big.Rat).SetInt64(factor))
	if !r.IsInt() || !r.Num().IsInt64() {
		return 0, false
	}
	return r.Num().Int64(), true
}

const day = 24 * time.Hour

// ParseDuration reads what time.ParseDuration reads, and a leading number of days of 24 hours: 7d, 1.5d, 1d12h. Without a
// unit only 0 is a duration.
func ParseDuration(text string) (time.Duration, error) {
	unsigned, negative := strings.CutPrefix(text, "-")
	days, rest, hasDays := strings.Cut(unsigned, "d")
	if !hasDays {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, errDuration
		}
		return d, nil
	}
	n, ok := scaled(days, int64(day))
	if !ok {
		return 0, errDuration
	}
	d := time.Duration(n)
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil || rest[0] == '-' || rest[0] == '+' || d > math.MaxInt64-more {
			return 0, errDuration
		}
		d += more
	}
	if negative {
		d = -d
	}
	return d, nil
}

// FormatDuration writes a duration without units that are zero, 168h instead of 168h0m0s; ParseDuration reads it back.
func FormatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
