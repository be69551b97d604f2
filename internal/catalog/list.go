package catalog

import (
	"cmp"
	"slices"
	"strings"
)

// Filter selects workflows of a list. Every filter that is set must match; of several values in one, any may.
type Filter struct {
	Status, WorkflowName, ActionType []string
	// The five mandatory labels hold the value itself: production does not select a workflow that says Wildcard, which
	// matches any search. They are compared as a search compares them.
	SignalType, Severity, Component, Environment, Priority []string
	// CustomLabels are values of custom labels; a key without values asks for the key.
	CustomLabels map[string][]string
	// Latest selects the latest version of each name alone.
	Latest bool
	// Text is words that must all occur in the names, the description or the guidance of a workflow, each as a word, a part
	// of a word in CamelCase, or its beginning; case does not matter. At most 16 words count.
	Text string

	// Facets asks for the counts of values among all workflows that match.
	Facets bool
	// Limit is how many workflows are returned, at most; 0 for none, to count alone. Offset skips as many matches.
	Limit, Offset int
}

// Page is a part of a list.
type Page struct {
	Items []ListItem
	// Total is how many workflows match.
	Total int
	// Facets are the values of the workflows that match; nil unless they were asked for.
	Facets []Facet
}

// ListItem is a workflow in a list.
type ListItem struct {
	Item
	// Relevance orders the list when there are words to look for, in 1/1000; 0 otherwise.
	Relevance int
	// Highlights are the fields in which words were found; nil when there are none to look for.
	Highlights []Highlight
}

// Facet is the values that workflows have in one field.
type Facet struct {
	Field  string
	Values []FacetValue // those of most workflows first, then by value
}

// FacetValue is how many workflows have a value.
type FacetValue struct {
	Value string
	Count int
}

// List returns the workflows that a filter selects, all versions: those in which the words are most relevant first when
// there are words, else the newest first, by created_at, then workflow_id.
func (s *Snapshot) List(f *Filter) Page {
	selected, relevance := s.selected(f)
	p := Page{Total: len(selected), Items: []ListItem{}}
	from := min(f.Offset, len(selected))
	to := min(from+f.Limit, len(selected))
	words := wordsOf(f.Text)
	for i, n := range selected[from:to] {
		item := ListItem{Item: s.item(n)}
		if relevance != nil {
			item.Relevance = relevance[from+i]
			item.Highlights = highlights(item.Workflow, words)
		}
		p.Items = append(p.Items, item)
	}
	if f.Facets {
		p.Facets = s.facets(selected)
	}
	return p
}

// selected returns the workflows that match in the order of the list, and with words their relevance.
func (s *Snapshot) selected(f *Filter) (selected []uint32, relevance []int) {
	if words := wordsOf(f.Text); len(words) > 0 {
		return s.relevant(f, words)
	}
	for _, n := range s.newest {
		if s.selects(f, n) {
			selected = append(selected, n)
		}
	}
	return selected, nil
}

// relevant returns the workflows that hold all words, the most relevant first, then the newest.
func (s *Snapshot) relevant(f *Filter, words []string) (selected []uint32, relevance []int) {
	type hit struct {
		number    uint32
		relevance int
	}
	var hits []hit
	for n, r := range s.text.find(words) {
		if s.selects(f, n) {
			hits = append(hits, hit{n, r})
		}
	}
	slices.SortFunc(hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(b.relevance, a.relevance), compareNewest(s.entries[a.number], s.entries[b.number]))
	})
	for _, h := range hits {
		selected, relevance = append(selected, h.number), append(relevance, h.relevance)
	}
	return selected, relevance
}

// selects reports whether a filter selects a workflow, its words apart.
func (s *Snapshot) selects(f *Filter, n uint32) bool {
	w := s.entries[n].workflow
	for label, wanted := range [numLabels][]string{f.SignalType, f.Component, f.Environment, f.Severity, f.Priority} {
		if !holdsLabel(label, labelValues(&w.Labels, label), wanted) {
			return false
		}
	}
	return oneOf(w.Status, f.Status) && oneOf(w.Name, f.WorkflowName) && oneOf(w.ActionType, f.ActionType) &&
		holdsCustom(w.CustomLabels, f.CustomLabels) && (!f.Latest || s.family(w.Name).latest == n)
}

// oneOf reports whether a value is wanted; all are when none is named.
func oneOf(value string, wanted []string) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

func holdsLabel(label int, have, wanted []string) bool {
	if len(wanted) == 0 {
		return true
	}
	return slices.ContainsFunc(wanted, func(value string) bool {
		if !ignoresCase(label) {
			return slices.Contains(have, value)
		}
		return slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, value) })
	})
}

func holdsCustom(have, wanted map[string][]string) bool {
	for key, values := range wanted {
		held, ok := have[key]
		if !ok || len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return slices.Contains(held, v) }) {
			return false
		}
	}
	return true
}

// facets counts the values of workflows: of their status, action type, the mandatory labels, and every key of their
// custom labels, fields without values left out.
func (s *Snapshot) facets(selected []uint32) []Facet {
	var status, action counts
	var labels [numLabels]counts
	custom := map[string]*counts{}
	for _, n := range selected {
		w := s.entries[n].workflow
		status.add(w.Status)
		if w.ActionType != "" {
			action.add(w.ActionType)
		}
		for label := range labels {
			for _, value := range labelValues(&w.Labels, label) {
				if label == labelEnvironment {
					value = strings.ToLower(value) // the other two that ignore case have one spelling
				}
				labels[label].add(value)
			}
		}
		for key, values := range w.CustomLabels {
			if custom[key] == nil {
				custom[key] = &counts{}
			}
			for _, value := range values {
				custom[key].add(value)
			}
		}
	}
	facets := []Facet{{conditionStatus, status.values()}, {conditionActionType, action.values()}}
	for label, name := range labelNames {
		facets = append(facets, Facet{name, labels[label].values()})
	}
	keys := make([]string, 0, len(custom))
	for key := range custom {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		facets = append(facets, Facet{customTerm + key, custom[key].values()})
	}
	return slices.DeleteFunc(facets, func(f Facet) bool { return len(f.Values) == 0 })
}

// counts are how often values occur.
type counts map[string]int

func (c *counts) add(value string) {
	if *c == nil {
		*c = counts{}
	}
	(*c)[value]++
}

func (c *counts) values() []FacetValue {
	all := make([]FacetValue, 0, len(*c))
	for value, n := range *c {
		all = append(all, FacetValue{value, n})
	}
	slices.SortFunc(all, func(a, b FacetValue) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	})
	return all
}
