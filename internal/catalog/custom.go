package catalog

import (
	"maps"
	"slices"

	"github.com/datastorage-io/datastorage"
)

// customLabel is a pair of key and value as a workflow has it.
type customLabel struct {
	key, value string
	// generic says that the workflow has Wildcard under the key too. What a pair adds depends on it: a search's value that
	// the workflow holds counts as held, not as covered by the wildcard.
	generic bool
}

// customLabels numbers the pairs that workflows have.
type customLabels struct {
	numbers map[customLabel]uint32
	keys    map[string]bool
}

func newCustomLabels() *customLabels {
	return &customLabels{numbers: map[customLabel]uint32{}, keys: map[string]bool{}}
}

func (c *customLabels) clone() *customLabels {
	return &customLabels{numbers: maps.Clone(c.numbers), keys: maps.Clone(c.keys)}
}

// pairs returns the pairs of a workflow, each once.
func pairs(labels map[string][]string) []customLabel {
	var all []customLabel
	for key, values := range labels {
		generic := slices.Contains(values, datastorage.Wildcard)
		for i, value := range values {
			if slices.Contains(values[:i], value) {
				continue
			}
			all = append(all, customLabel{key: key, value: value, generic: generic && value != datastorage.Wildcard})
		}
	}
	return all
}

// knows reports whether all pairs have numbers.
func (c *customLabels) knows(all []customLabel) bool {
	for _, p := range all {
		if _, ok := c.numbers[p]; !ok {
			return false
		}
	}
	return true
}

// add returns the numbers of pairs, ascending, and gives numbers to those that have none.
func (c *customLabels) add(all []customLabel) []uint32 {
	var numbers []uint32
	for _, p := range all {
		n, ok := c.numbers[p]
		if !ok {
			n = uint32(len(c.numbers))
			c.numbers[p] = n
			c.keys[p.key] = true
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers
}
