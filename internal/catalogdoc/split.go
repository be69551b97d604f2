package catalogdoc

import (
	"bytes"
	"strings"
)

// part is one document of a stream.
type part struct {
	line int    // of its first byte in the stream, from 1
	text []byte // with a line break at its end
}

// split cuts a stream at the lines that begin with "---", which YAML allows nowhere inside a document. Parts with
// nothing but comments and blank lines are left out. What follows "---" or "..." on its line is returned as a fault.
func split(stream []byte) (parts []part, faults []Fault) {
	stream = bytes.TrimPrefix(stream, []byte("\ufeff"))
	current := part{line: 1}
	number := 0
	add := func() {
		if holdsSomething(current.text) {
			parts = append(parts, current)
		}
	}
	for line := range bytes.Lines(stream) {
		number++
		separator := bytes.HasPrefix(line, []byte("---"))
		if !separator && !bytes.HasPrefix(line, []byte("...")) || !endsWord(line[3:]) {
			current.text = append(current.text, line...)
			continue
		}
		if rest := bytes.TrimSpace(line[3:]); len(rest) > 0 && rest[0] != '#' {
			faults = append(faults, Fault{Line: number, Text: "a line that separates documents must hold nothing else"})
		}
		add()
		current = part{line: number + 1}
	}
	if n := len(current.text); n > 0 && current.text[n-1] != '\n' {
		current.text = append(current.text, '\n')
	}
	add()
	return parts, faults
}

// endsWord reports whether what follows a marker separates it from the next word.
func endsWord(rest []byte) bool { return len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0 }

// holdsSomething reports whether a document has a line that is neither blank nor a comment.
func holdsSomething(text []byte) bool {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return true
		}
	}
	return false
}
