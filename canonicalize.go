package datastorage

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// canonicalizer brings a JSON object into the form that Canonical describes, in one pass, and refuses on the way what
// Canonical refuses, what checkValue finds, and what is nested too deep. Its buffers can be used again.
type canonicalizer struct {
	scanner
	// dst holds the canonical form of what was read before from. What was read since then is canonical as it stands.
	dst   []byte
	from  int
	depth int
	fault string // what is wrong; the pass ends there

	members []memberSpan // of the objects that are open
	sorted  []byte       // for bringing members into order
	plain   []byte       // for unescaping
}

// memberSpan is a member of an object in the canonical form: its name with the quotes, and where its value ends.
type memberSpan struct{ start, nameEnd, end int }

// maxScratch is how much memory a canonicalizer keeps between uses, in bytes.
const maxScratch = 64 << 10

// notJSON is the fault of what the canonicalizer cannot read, or Canonical refuses.
const notJSON = "is not valid JSON"

// run reads the object that begins at src[at]. It returns a copy of it in canonical form and the index behind it, or what
// is wrong with it.
func (c *canonicalizer) run(src []byte, at int) (data jsontext.Value, end int, fault string) {
	c.scanner, c.dst, c.from, c.depth, c.fault, c.members = scanner{src, at}, c.dst[:0], at, 0, "", c.members[:0]
	switch {
	case !c.object():
		fault = c.fault
	case len(c.dst) == 0:
		data = bytes.Clone(c.src[at:c.at])
	default:
		c.flush(c.at)
		data = bytes.Clone(c.dst)
	}
	c.src = nil
	if cap(c.dst)+cap(c.sorted)+cap(c.plain) > maxScratch {
		c.dst, c.sorted, c.plain = nil, nil, nil
	}
	return data, c.at, fault
}

// fail notes what is wrong, and is false when something is.
func (c *canonicalizer) fail(fault string) bool {
	c.fault = fault
	return fault == ""
}

// flush puts into dst what was read up to end and is not there yet.
func (c *canonicalizer) flush(end int) {
	c.dst = append(c.dst, c.src[c.from:end]...)
	c.from = end
}

// length is how long the canonical form of what was read is.
func (c *canonicalizer) length() int { return len(c.dst) + c.at - c.from }

// span returns a part of the canonical form that lies between two flushes.
func (c *canonicalizer) span(start, end int) []byte {
	if start < len(c.dst) {
		return c.dst[start:end]
	}
	shift := c.from - len(c.dst)
	return c.src[start+shift : end+shift]
}

// next leaves out white space and returns the byte behind it, 0 at the end.
func (c *canonicalizer) next() byte {
	if c.at < len(c.src) && c.src[c.at] > ' ' {
		return c.src[c.at]
	}
	end := c.at
	b := c.scanner.next()
	if c.at > end {
		c.flush(end)
		c.from = c.at
	}
	return b
}

// value reads the next value; like the methods below, it is false when something is wrong.
func (c *canonicalizer) value() bool {
	switch c.next() {
	case '{':
		return c.object()
	case '[':
		return c.elements()
	case '"':
		return c.text()
	case 't', 'f', 'n':
		return c.word() || c.fail(notJSON)
	default:
		start := c.at
		if !c.number() {
			return c.fail(notJSON)
		}
		return c.fail(checkNumber(c.src[start:c.at]))
	}
}

// enter reads an opening bracket, which is a level of nesting.
func (c *canonicalizer) enter() bool {
	c.at++
	c.depth++
	return c.depth <= MaxEventDataDepth || c.fail("must be nested at most "+strconv.Itoa(MaxEventDataDepth)+" deep")
}

// leave reads a closing bracket.
func (c *canonicalizer) leave() bool {
	c.at++
	c.depth--
	return true
}

func (c *canonicalizer) elements() bool {
	if !c.enter() {
		return false
	}
	if c.next() == ']' {
		return c.leave()
	}
	for c.value() {
		switch c.next() {
		case ',':
			c.at++
		case ']':
			return c.leave()
		default:
			return c.fail(notJSON)
		}
	}
	return false
}

func (c *canonicalizer) object() bool {
	if !c.enter() {
		return false
	}
	if c.next() == '}' {
		return c.leave()
	}
	first, ordered := len(c.members), true
	var last []byte
	for c.member(&last, &ordered) {
		switch c.next() {
		case ',':
			c.at++
		case '}':
			if !ordered && !c.reorder(first) {
				return false
			}
			c.members = c.members[:first]
			return c.leave()
		default:
			return c.fail(notJSON)
		}
	}
	return false
}

// member reads a name and its value.
func (c *canonicalizer) member(last *[]byte, ordered *bool) bool {
	if c.next() != '"' {
		return c.fail(notJSON)
	}
	m := memberSpan{start: c.length()}
	if !c.text() {
		return false
	}
	m.nameEnd = c.length()
	name := c.span(m.start, m.nameEnd)
	*ordered = *ordered && (*last == nil || compareNames(*last, name) < 0)
	*last = name
	if c.next() != ':' {
		return c.fail(notJSON)
	}
	c.at++
	if !c.value() {
		return false
	}
	m.end = c.length()
	c.members = append(c.members, m)
	return true
}

// text reads a string.
func (c *canonicalizer) text() bool {
	start := c.at
	switch c.scanner.text() {
	case malformed:
		return c.fail(notJSON)
	case other:
		quoted := c.src[start:c.at]
		c.flush(start)
		c.from = c.at
		var err error
		if c.plain, err = jsontext.AppendUnquote(c.plain[:0], quoted); err == nil {
			c.dst, err = jsontext.AppendQuote(c.dst, c.plain)
		}
		if err != nil {
			return c.fail(notJSON)
		}
		return c.fail(checkString(quoted))
	}
	return true
}

// reorder brings the members from the first on, which end what was read, into order.
func (c *canonicalizer) reorder(first int) bool {
	c.flush(c.at)
	members := c.members[first:]
	start := members[0].start
	slices.SortFunc(members, c.compare)
	c.sorted = c.sorted[:0]
	for i, m := range members {
		if i > 0 && c.compare(members[i-1], m) == 0 {
			return c.fail(notJSON) // a name stands twice
		}
		c.sorted = append(append(c.sorted, c.dst[m.start:m.end]...), ',')
	}
	copy(c.dst[start:], c.sorted[:len(c.sorted)-1])
	return true
}

// compare orders members, all of which are in dst, by their names.
func (c *canonicalizer) compare(a, b memberSpan) int {
	return compareNames(c.dst[a.start:a.nameEnd], c.dst[b.start:b.nameEnd])
}

// compareNames orders quoted names, which are in canonical form, by their UTF-16 code units, as RFC 8785 does.
func compareNames(x, y []byte) int {
	c, escape := compareUTF16(x[1:len(x)-1], y[1:len(y)-1])
	if escape {
		// Names in canonical form can be unquoted.
		x, _ = jsontext.AppendUnquote(nil, x)
		y, _ = jsontext.AppendUnquote(nil, y)
		c, _ = compareUTF16(x, y)
	}
	return c
}

// compareUTF16 compares valid UTF-8 by its UTF-16 code units. That is the order of the bytes, but characters beyond
// U+FFFF, which begin with a byte from 0xF0, stand before those from U+E000, which begin with 0xEE or 0xEF: they are
// written with surrogates. It also reports whether a backslash stands in what decides.
func compareUTF16(x, y []byte) (c int, backslash bool) {
	for i := range min(len(x), len(y)) {
		a, b := x[i], y[i]
		backslash = backslash || a == '\\' || b == '\\'
		if a == b {
			continue
		}
		if a >= 0xee && b >= 0xee && (a >= 0xf0) != (b >= 0xf0) {
			a, b = b, a
		}
		return int(a) - int(b), backslash
	}
	return len(x) - len(y), backslash
}
