package datastorage

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// canonicalizer brings a valid JSON object into the form that Canonical describes, in one pass, and checks on the way
// what checkValue checks, and how deep it is nested. Its buffers can be used again.
type canonicalizer struct {
	src   []byte
	at    int
	dst   []byte
	depth int
	fault string // what is wrong; the pass ends there

	members []memberSpan // of the objects that are open
	sorted  []byte       // for bringing members into order
	plain   []byte       // for unescaping
}

// memberSpan is a member of an object in dst: its name with the quotes, and where its value ends.
type memberSpan struct{ start, nameEnd, end int }

// maxScratch is how much memory a canonicalizer keeps between uses, in bytes.
const maxScratch = 64 << 10

// run returns raw, which the decoder has found valid, in canonical form, or "" and what is wrong with it.
func (c *canonicalizer) run(raw jsontext.Value) (data jsontext.Value, fault string) {
	// No part of the canonical form is longer than what it stands for.
	*c = canonicalizer{src: raw, dst: make([]byte, 0, len(raw)), members: c.members[:0], sorted: c.sorted, plain: c.plain}
	c.value()
	data, fault = c.dst, c.fault
	c.src, c.dst = nil, nil
	if cap(c.sorted)+cap(c.plain) > maxScratch {
		c.sorted, c.plain = nil, nil
	}
	if fault != "" {
		return nil, fault
	}
	return data, ""
}

// value appends the next value.
func (c *canonicalizer) value() {
	switch b := c.next(); b {
	case '{':
		c.object()
	case '[':
		c.elements()
	case '"':
		c.text()
	case 't', 'n':
		c.copy(4)
	case 'f':
		c.copy(5)
	default:
		end := numberEnd(c.src, c.at)
		c.fail(checkNumber(c.src[c.at:end]))
		c.copy(end - c.at)
	}
}

// next skips white space and returns the byte behind it.
func (c *canonicalizer) next() byte {
	for {
		switch b := c.src[c.at]; b {
		case ' ', '\t', '\r', '\n':
			c.at++
		default:
			return b
		}
	}
}

func (c *canonicalizer) copy(n int) {
	c.dst = append(c.dst, c.src[c.at:c.at+n]...)
	c.at += n
}

// fail notes the first fault.
func (c *canonicalizer) fail(fault string) {
	if c.fault == "" {
		c.fault = fault
	}
}

// enter counts a level of nesting; false when it is one too many.
func (c *canonicalizer) enter() bool {
	c.depth++
	if c.depth > MaxEventDataDepth {
		c.fail("must be nested at most " + strconv.Itoa(MaxEventDataDepth) + " deep")
		return false
	}
	return true
}

func (c *canonicalizer) elements() {
	if !c.enter() {
		return
	}
	for more := c.open(']'); more; more = c.more(']') {
		if c.value(); c.fault != "" {
			return
		}
	}
	c.depth--
}

func (c *canonicalizer) object() {
	if !c.enter() {
		return
	}
	first, ordered := len(c.members), true
	for more := c.open('}'); more; more = c.more('}') {
		m := memberSpan{start: len(c.dst)}
		c.next()
		c.text()
		m.nameEnd = len(c.dst)
		c.next()
		c.copy(1)
		if c.value(); c.fault != "" {
			return
		}
		m.end = len(c.dst)
		if last := len(c.members) - 1; last >= first && ordered {
			ordered = c.compare(c.members[last], m) < 0
		}
		c.members = append(c.members, m)
	}
	if !ordered {
		c.reorder(c.members[first:])
	}
	c.members = c.members[:first]
	c.depth--
}

// open appends an opening bracket; false when its closing one follows at once.
func (c *canonicalizer) open(closing byte) bool {
	c.copy(1)
	return !c.closes(closing)
}

// more appends what follows an element: a comma, or the closing bracket, and then it is false.
func (c *canonicalizer) more(closing byte) bool {
	if c.closes(closing) {
		return false
	}
	c.copy(1)
	return true
}

func (c *canonicalizer) closes(closing byte) bool {
	if c.next() != closing {
		return false
	}
	c.copy(1)
	return true
}

// text appends a string.
func (c *canonicalizer) text() {
	end := stringEnd(c.src, c.at)
	quoted := c.src[c.at:end]
	if hasShortEscapes(quoted) {
		c.copy(len(quoted))
		return
	}
	c.fail(checkString(quoted))
	c.at = end
	var err error
	if c.plain, err = jsontext.AppendUnquote(c.plain[:0], quoted); err == nil {
		c.dst, err = jsontext.AppendQuote(c.dst, c.plain)
	}
	if err != nil {
		c.fail("is not valid JSON")
	}
}

// hasShortEscapes reports whether a quoted string has no escapes but those of two characters that RFC 8785 asks for: it
// is canonical then.
func hasShortEscapes(quoted []byte) bool {
	for i := 0; ; i += 2 {
		n := bytes.IndexByte(quoted[i:], '\\')
		if n < 0 {
			return true
		}
		i += n
		switch quoted[i+1] {
		case '"', '\\', 'b', 'f', 'n', 'r', 't':
		default:
			return false
		}
	}
}

// reorder brings the members of an object, which stand at the end of dst before the closing brace, into order.
func (c *canonicalizer) reorder(members []memberSpan) {
	start := members[0].start
	slices.SortFunc(members, c.compare)
	c.sorted = c.sorted[:0]
	for _, m := range members {
		c.sorted = append(append(c.sorted, c.dst[m.start:m.end]...), ',')
	}
	copy(c.dst[start:], c.sorted[:len(c.sorted)-1])
}

// compare orders members by the UTF-16 code units of their names, as RFC 8785 does.
func (c *canonicalizer) compare(a, b memberSpan) int {
	x, y := c.dst[a.start+1:a.nameEnd-1], c.dst[b.start+1:b.nameEnd-1]
	if bytes.IndexByte(x, '\\') >= 0 || bytes.IndexByte(y, '\\') >= 0 {
		// The names were quoted by this pass, so that unquoting them cannot fail.
		x, _ = jsontext.AppendUnquote(nil, c.dst[a.start:a.nameEnd])
		y, _ = jsontext.AppendUnquote(nil, c.dst[b.start:b.nameEnd])
	}
	return compareUTF16(x, y)
}

// compareUTF16 compares valid UTF-8 by its UTF-16 code units. That is the order of the bytes, but characters beyond
// U+FFFF, which begin with a byte from 0xF0, stand before those from U+E000, which begin with 0xEE or 0xEF: they are
// written with surrogates.
func compareUTF16(x, y []byte) int {
	for i := range min(len(x), len(y)) {
		a, b := x[i], y[i]
		if a == b {
			continue
		}
		if a >= 0xee && b >= 0xee && (a >= 0xf0) != (b >= 0xf0) {
			a, b = b, a
		}
		return int(a) - int(b)
	}
	return len(x) - len(y)
}
