package catalog

import (
	"fmt"
	"strconv"
	"strings"
)

// Score is a final score in units of 1/10 000: 5400 is 0.54. Its JSON form is the exact decimal, at most four places.
type Score int32

// Points are the contribution of a term in units of 1/1000 of a point: 100 is 0.1. The JSON form is the exact decimal, at
// most three places.
type Points int32

const (
	scoreDigits = 4
	pointDigits = 3
	// maxScore is the score 1.
	maxScore = 10_000
)

// String returns the decimal, for example 0.54.
func (s Score) String() string { return string(appendDecimal(nil, int64(s), scoreDigits)) }

// MarshalJSON returns the decimal as a JSON number.
func (s Score) MarshalJSON() ([]byte, error) { return appendDecimal(nil, int64(s), scoreDigits), nil }

// UnmarshalJSON reads a JSON number with at most four decimal places.
func (s *Score) UnmarshalJSON(raw []byte) error {
	n, err := parseDecimal(string(raw), scoreDigits)
	*s = Score(n)
	return err
}

// String returns the decimal, for example -0.1.
func (p Points) String() string { return string(appendDecimal(nil, int64(p), pointDigits)) }

// MarshalJSON returns the decimal as a JSON number.
func (p Points) MarshalJSON() ([]byte, error) { return appendDecimal(nil, int64(p), pointDigits), nil }

// UnmarshalJSON reads a JSON number with at most three decimal places.
func (p *Points) UnmarshalJSON(raw []byte) error {
	n, err := parseDecimal(string(raw), pointDigits)
	*p = Points(n)
	return err
}

// appendDecimal appends n / 10^digits without trailing zeros.
func appendDecimal(b []byte, n int64, digits int) []byte {
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	text := strconv.FormatInt(n, 10)
	if len(text) <= digits {
		text = strings.Repeat("0", digits-len(text)+1) + text
	}
	whole, part := text[:len(text)-digits], strings.TrimRight(text[len(text)-digits:], "0")
	b = append(b, whole...)
	if part != "" {
		b = append(append(b, '.'), part...)
	}
	return b
}

// parseDecimal reads what appendDecimal writes.
func parseDecimal(text string, digits int) (int32, error) {
	whole, part, _ := strings.Cut(text, ".")
	if len(part) > digits {
		return 0, fmt.Errorf("%.32q has more than %d decimal places", text, digits)
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", digits-len(part)), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%.32q is not a decimal number that fits", text)
	}
	return int32(n), nil
}
