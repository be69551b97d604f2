package datastorage

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// scanner reads the tokens of a JSON text. What it takes is exactly what RFC 8259 takes, in valid UTF-8.
type scanner struct {
	src []byte
	at  int // index of the next byte
}

// spelling says how a string is written.
type spelling int

const (
	malformed spelling = iota
	plain              // without escapes
	short              // with escapes, all of two characters and as RFC 8785 asks for them
	// other has escapes that RFC 8785 writes otherwise, or may do so. Those with \u are not checked.
	other
)

// next skips white space and returns the byte behind it, 0 at the end.
func (s *scanner) next() byte {
	for ; s.at < len(s.src); s.at++ {
		switch b := s.src[s.at]; b {
		case ' ', '\t', '\r', '\n':
		default:
			return b
		}
	}
	return 0
}

// text reads a string, which begins at the next byte with its opening quote.
func (s *scanner) text() spelling {
	how, ascii := plain, true
	for i := s.at + 1; ; {
		end, alsoASCII := plainEnd(s.src, i)
		ascii = ascii && alsoASCII
		if end == len(s.src) {
			return malformed
		}
		switch s.src[end] {
		case '"':
			if !ascii && !utf8.Valid(s.src[s.at:end]) {
				return malformed
			}
			s.at = end + 1
			return how
		case '\\':
			if end+1 == len(s.src) {
				return malformed
			}
			switch s.src[end+1] {
			case '"', '\\', 'b', 'f', 'n', 'r', 't':
				how = max(how, short)
			case '/', 'u':
				how = other
			default:
				return malformed
			}
			i = end + 2
		default:
			return malformed
		}
	}
}

// plainEnd returns the index of the first byte from i that a JSON string must escape or that ends one: a quote, a
// backslash or a control character; len(b) when there is none. When ascii is true, all before it is ASCII.
func plainEnd(b []byte, i int) (end int, ascii bool) {
	const each, high = 0x0101010101010101, 0x8080808080808080
	seen := uint64(0)
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		seen |= w
		// A byte below 0x80 is one of those exactly when a subtraction sets its highest bit. What a subtraction borrows
		// disturbs only bytes behind the first of them.
		if found := ((w - ' '*each) | ((w ^ '"'*each) - each) | ((w ^ '\\'*each) - each)) &^ w & high; found != 0 {
			return i + bits.TrailingZeros64(found)/8, seen&high == 0
		}
	}
	for ; i < len(b); i++ {
		c := b[i]
		if c < ' ' || c == '"' || c == '\\' {
			break
		}
		seen |= uint64(c)
	}
	return i, seen&high == 0
}

// number reads a number, which begins at the next byte; false when there is none.
func (s *scanner) number() bool {
	if s.is('-') {
		s.at++
	}
	if s.is('0') {
		s.at++
	} else if !s.digits() {
		return false
	}
	if s.is('.') {
		s.at++
		if !s.digits() {
			return false
		}
	}
	if s.is('e') || s.is('E') {
		s.at++
		if s.is('-') || s.is('+') {
			s.at++
		}
		return s.digits()
	}
	return true
}

// digits reads one digit or more.
func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.src) && s.src[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at > start
}

func (s *scanner) is(b byte) bool { return s.at < len(s.src) && s.src[s.at] == b }

// word reads true, false or null, which begins at the next byte; false when there is none.
func (s *scanner) word() bool {
	for _, word := range [...]string{"true", "false", "null"} {
		if len(s.src)-s.at >= len(word) && string(s.src[s.at:s.at+len(word)]) == word {
			s.at += len(word)
			return true
		}
	}
	return false
}
