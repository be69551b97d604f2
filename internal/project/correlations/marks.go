package correlations

import (
	"slices"
	"strings"
)

// Kinds of marks: what an event of a correlation may be looked for by.
const (
	markType      = 'T'
	markNamespace = 'N'
)

// maxMarks is how many marks a row holds.
const maxMarks = 64

// marks are those of one correlation, in the order in which they came.
type marks struct {
	inline  string   // as a row holds them: each behind markEnd, and one markEnd at the end; "" for none
	spilled int64    // 1 when there are others
	more    []string // those others of a batch, without repetition
}

// markEnd stands between marks; escape keeps it out of them.
const markEnd = "\n"

var escape = strings.NewReplacer("%", "%25", markEnd, "%0A")

// mark returns the text of a mark: its kind and its value.
func mark(kind byte, value string) string { return string(kind) + escape.Replace(value) }

// add adds a mark unless it is there.
func (m *marks) add(kind byte, value string) {
	enclosed := markEnd + mark(kind, value) + markEnd
	text := enclosed[len(markEnd) : len(enclosed)-len(markEnd)]
	if strings.Contains(m.inline, enclosed) || slices.Contains(m.more, text) {
		return
	}
	switch {
	case m.inline == "":
		m.inline = enclosed
	case strings.Count(m.inline, markEnd) <= maxMarks:
		m.inline += text + markEnd
	default:
		m.spilled = 1
		m.more = append(m.more, text)
	}
}
