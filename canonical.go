package datastorage

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Canonical returns a copy of a JSON value in canonical form: members ordered and strings escaped as RFC 8785 says, no
// white space, numbers as they were written (RFC 8785 would round them). It refuses duplicate names and invalid UTF-8.
func Canonical(raw jsontext.Value) (jsontext.Value, error) {
	v := raw.Clone()
	err := v.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
	return v, err
}

// checkValue checks what holds for every value of a body, at any depth: no U+0000, and numbers that are finite as an
// IEEE double and at most MaxNumberLength characters. raw is syntactically valid. It returns "" or what is wrong.
func checkValue(raw jsontext.Value) string {
	if raw[0] == '"' {
		return checkString(raw)
	}
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '"':
			end := stringEnd(raw, i)
			if fault := checkString(raw[i:end]); fault != "" {
				return fault
			}
			i = end
		case c == '-' || c >= '0' && c <= '9':
			end := numberEnd(raw, i)
			if fault := checkNumber(raw[i:end]); fault != "" {
				return fault
			}
			i = end
		default:
			i++
		}
	}
	return ""
}

// stringEnd returns the index behind the string that begins at start.
func stringEnd(raw []byte, start int) int {
	for i := start + 1; ; {
		n := bytes.IndexByte(raw[i:], '"')
		if n < 0 {
			return len(raw)
		}
		end := i + n
		slashes := 0
		for raw[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end + 1
		}
		i = end + 1
	}
}

func numberEnd(raw []byte, start int) int {
	i := start
	for i < len(raw) {
		switch c := raw[i]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			i++
		default:
			return i
		}
	}
	return i
}

func checkNumber(n []byte) string {
	if len(n) > MaxNumberLength {
		return "must not hold a number longer than " + strconv.Itoa(MaxNumberLength) + " characters"
	}
	// Without an exponent, 100 digits are always finite.
	if bytes.IndexByte(n, 'e') < 0 && bytes.IndexByte(n, 'E') < 0 {
		return ""
	}
	if _, err := strconv.ParseFloat(string(n), 64); err != nil {
		return "must not hold a number that is not finite as an IEEE double"
	}
	return ""
}

func checkString(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') >= 0 && hasNUL(quoted) {
		return "must not contain U+0000"
	}
	return ""
}

// hasNUL reports whether a quoted string holds U+0000, which JSON can only write as an escape.
func hasNUL(quoted []byte) bool {
	for i := 0; ; {
		n := bytes.Index(quoted[i:], []byte(`\u0000`))
		if n < 0 {
			return false
		}
		at := i + n
		slashes := 0
		for at-1-slashes > 0 && quoted[at-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return true
		}
		i = at + 1
	}
}
