package catalog

import (
	"encoding/binary"
	"maps"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/datastorage-io/datastorage"
)

// The mandatory labels, in the order in which a search narrows the catalogue: those with many values first.
const (
	labelSignalType = iota
	labelComponent
	labelEnvironment
	labelSeverity
	labelPriority
	numLabels
)

var labelNames = [numLabels]string{"signal_type", "component", "environment", "severity", "priority"}

// labelValues returns the values that a workflow matches.
func labelValues(l *datastorage.Labels, label int) []string {
	return [numLabels][]string{l.SignalType, l.Component, l.Environment, l.Severity, l.Priority}[label]
}

// askedValue returns the value that a search asks for.
func askedValue(q *datastorage.WorkflowSearch, label int) string {
	return [numLabels]string{q.SignalType, q.Component, q.Environment, q.Severity, q.Priority}[label]
}

// ignoresCase reports whether a label is compared without regard to case.
func ignoresCase(label int) bool { return label >= labelEnvironment }

// anySet is the set of every label that holds Wildcard: what else is in it does not matter.
const anySet = 0

// vocabulary numbers the values of one label, and the sets of values that workflows have.
type vocabulary struct {
	fold   bool
	values map[string]uint32
	sets   map[string]uint32 // by the numbers of their values, ascending
	// having are the sets with each value, ascending; anySet is in none of them.
	having [][]uint32
}

func newVocabulary(label int) *vocabulary {
	return &vocabulary{fold: ignoresCase(label), values: map[string]uint32{}, sets: map[string]uint32{"": anySet}}
}

func (v *vocabulary) clone() *vocabulary {
	c := &vocabulary{fold: v.fold, values: maps.Clone(v.values), sets: maps.Clone(v.sets), having: slices.Clone(v.having)}
	for i := range c.having {
		c.having[i] = slices.Clip(c.having[i])
	}
	return c
}

// find returns the number of a set of values, false when the vocabulary does not know it.
func (v *vocabulary) find(values []string) (set uint32, ok bool) {
	if slices.Contains(values, datastorage.Wildcard) {
		return anySet, true
	}
	numbers := make([]uint32, 0, len(values))
	for _, value := range values {
		n, ok := v.number(value)
		if !ok {
			return 0, false
		}
		numbers = append(numbers, n)
	}
	set, ok = v.sets[setKey(numbers)]
	return set, ok
}

// add takes up a set of values that find does not know.
func (v *vocabulary) add(values []string) uint32 {
	numbers := make([]uint32, 0, len(values))
	for _, value := range values {
		n, ok := v.number(value)
		if !ok {
			n = uint32(len(v.having))
			v.values[v.spell(value)] = n
			v.having = append(v.having, nil)
		}
		numbers = append(numbers, n)
	}
	key := setKey(numbers) // sorts numbers
	set := uint32(len(v.sets))
	v.sets[key] = set
	for _, n := range slices.Compact(numbers) {
		v.having[n] = append(v.having[n], set)
	}
	return set
}

// matching returns the sets but anySet that match a value, ascending.
func (v *vocabulary) matching(value string) []uint32 {
	if n, ok := v.number(value); ok {
		return v.having[n]
	}
	return nil
}

// number returns the number of a value. It does not allocate for values of usual length.
func (v *vocabulary) number(value string) (n uint32, ok bool) {
	if !v.fold {
		n, ok = v.values[value]
		return n, ok
	}
	var buf [64]byte
	n, ok = v.values[string(appendFolded(buf[:0], value))]
	return n, ok
}

func (v *vocabulary) spell(value string) string {
	if v.fold {
		return string(appendFolded(nil, value))
	}
	return value
}

// setKey sorts the numbers of values and returns the text that stands for the set of them.
func setKey(numbers []uint32) string {
	slices.Sort(numbers)
	var key []byte
	for i, n := range numbers {
		if i == 0 || n != numbers[i-1] {
			key = binary.BigEndian.AppendUint32(key, n)
		}
	}
	return string(key)
}

// appendFolded appends one spelling for all texts that strings.EqualFold calls equal.
func appendFolded(b []byte, s string) []byte {
	for _, r := range s {
		switch {
		case 'A' <= r && r <= 'Z':
			b = append(b, byte(r)+'a'-'A')
		case r < utf8.RuneSelf:
			b = append(b, byte(r))
		default:
			b = utf8.AppendRune(b, foldRune(r))
		}
	}
	return b
}

// foldRune returns the lowest of the characters that differ from r in case alone, or a small letter of ASCII among them.
func foldRune(r rune) rune {
	lowest := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		lowest = min(lowest, next)
	}
	return unicode.ToLower(lowest)
}
