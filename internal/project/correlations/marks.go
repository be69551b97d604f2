package correlations

import (
	"bytes"
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

// vocabulary numbers the marks of a batch: most of its events have the same few.
type vocabulary struct {
	numbers  map[byte]map[string]int // by kind and value
	enclosed []string                // by number: each between two markEnd
}

func newVocabulary() *vocabulary {
	return &vocabulary{numbers: map[byte]map[string]int{markType: {}, markNamespace: {}}}
}

func (v *vocabulary) number(kind byte, value string) int {
	n, ok := v.numbers[kind][value]
	if !ok {
		n = len(v.enclosed)
		v.numbers[kind][value] = n
		v.enclosed = append(v.enclosed, markEnd+mark(kind, value)+markEnd)
	}
	return n
}

// add adds marks by number, in this order, unless they are there.
func (m *marks) add(v *vocabulary, numbers []int) {
	inline := []byte(m.inline)
	for _, n := range numbers {
		enclosed := v.enclosed[n]
		text := enclosed[len(markEnd):]
		switch {
		case bytes.Contains(inline, []byte(enclosed)):
		case len(inline) == 0:
			inline = append(inline, enclosed...)
		case bytes.Count(inline, []byte(markEnd)) <= maxMarks:
			inline = append(inline, text...)
		default:
			m.spilled = 1
			m.more = append(m.more, text[:len(text)-len(markEnd)])
		}
	}
	m.inline = string(inline)
}
