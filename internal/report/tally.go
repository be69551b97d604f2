package report

import (
	"cmp"
	"fmt"
	"slices"
)

// tally counts remediations by a value that they have.
type tally struct {
	counts map[string]*count
}

type count struct {
	name             string
	total, good, bad int
}

func newTally() *tally { return &tally{counts: map[string]*count{}} }

func (t *tally) add(name string, tone Tone) {
	if name == "" {
		name = "not known"
	}
	c := t.counts[name]
	if c == nil {
		c = &count{name: name}
		t.counts[name] = c
	}
	c.total++
	switch tone {
	case Good:
		c.good++
	case Bad:
		c.bad++
	}
}

// maxBars is how many values a report shows of one kind.
const maxBars = 10

// sorted returns the most frequent values first, at most maxBars, and how many others there are.
func (t *tally) sorted() (top []*count, others int) {
	for _, c := range t.counts {
		top = append(top, c)
	}
	slices.SortFunc(top, func(a, b *count) int { return cmp.Or(b.total-a.total, cmp.Compare(a.name, b.name)) })
	n := min(len(top), maxBars)
	return top[:n], len(top) - n
}

// section shows how often each value was there, and how many of these ended well.
func (t *tally) section(title string, cite Cite) Section {
	top, others := t.sorted()
	s := Section{Title: title, Bars: &Bars{}}
	for _, c := range top {
		s.Bars.Max = max(s.Bars.Max, float64(c.total))
		s.Bars.Bars = append(s.Bars.Bars, Bar{
			Label: c.name, Value: float64(c.total), Text: fmt.Sprintf("%d of %d succeeded", c.good, c.total), Tone: c.tone(), Cite: cite,
		})
	}
	if others > 0 {
		s.Note = "The most frequent; " + plural(others, "other") + " not shown."
	}
	return s
}

// tone is that of remediations of which all ended well, none, or some.
func (c *count) tone() Tone {
	switch {
	case c.good == c.total:
		return Good
	case c.good == 0 && c.bad > 0:
		return Bad
	}
	return Attention
}
