package ledger

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// unplain returns a mask whose lowest bit stands in the first of the eight bytes of w that is a quote, a backslash, a
// control character or not ASCII; 0 when there is none.
func unplain(w uint64) uint64 {
	quote := w ^ eachByte*'"'
	slash := w ^ eachByte*'\\'
	// A byte borrows from the next one only when it is such a byte itself, so the lowest bit is never wrong.
	return (w | (w - eachByte*0x20) | (quote - eachByte) | (slash - eachByte)) & highBits
}

// text reads a canonical JSON string: valid UTF-8, escaped no more than RFC 8785 asks for, without U+0000.
func (s *bodyScanner) text() (escaped, ok bool) {
	b, i := s.body, s.at
	if i == len(b) || b[i] != '"' {
		return false, false
	}
	i++
	for {
		for i+8 <= len(b) {
			mask := unplain(binary.LittleEndian.Uint64(b[i:]))
			if mask != 0 {
				i += bits.TrailingZeros64(mask) / 8
				break
			}
			i += 8
		}
		if i == len(b) {
			return false, false
		}
		switch c := b[i]; {
		case c == '"':
			s.at = i + 1
			return escaped, true
		case c == '\\':
			n := escapeLength(b[i:])
			if n == 0 {
				return false, false
			}
			escaped = true
			i += n
		case c < 0x20:
			return false, false
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return false, false
			}
			i += n
		}
	}
}

// escapeLength returns the length of the canonical escape that b begins with, 0 when there is none.
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 || b[2] != '0' || b[3] != '0' || b[4] != '0' && b[4] != '1' {
			return 0
		}
		if !isHex(b[5:6], 1) {
			return 0
		}
		switch (b[4]-'0')<<4 | hexDigit(b[5]) {
		case 0, '\b', '\f', '\n', '\r', '\t':
			return 0
		}
		return 6
	}
	return 0
}

func hexDigit(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c - 'a' + 10
}

// unescape returns the value of the content of a string. It is valid until the next call.
func (s *bodyScanner) unescape(raw []byte) []byte {
	s.buf = appendUnescaped(s.buf[:0], raw)
	return s.buf
}

// appendUnescaped appends the value of the content of a string that text has accepted.
func appendUnescaped(b, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c != '\\' {
			b = append(b, c)
			continue
		}
		i++
		switch raw[i] {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			c = (raw[i+3]-'0')<<4 | hexDigit(raw[i+4])
			i += 4
		default:
			c = raw[i]
		}
		b = append(b, c)
	}
	return b
}
