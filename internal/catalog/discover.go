package catalog

import (
	"cmp"
	"slices"
	"strings"

	"github.com/datastorage-io/datastorage"
)

// ActionOption is an action type that has candidates for an incident.
type ActionOption struct {
	Name string
	// Count is how many workflows a search with this action type finds, and Best the score of the best of them.
	Count int
	Best  Score
	// Type is the description and guidance of the action type; nil when the catalogue has none.
	Type *datastorage.ActionType
}

// Actions returns the action types that a search would find workflows of, whatever action type it asks for itself: those
// with the best workflow first, then by name. Workflows without an action type are left out; untyped counts them.
func (s *Snapshot) Actions(q *datastorage.WorkflowSearch) (options []ActionOption, untyped int) {
	open := *q
	open.ActionType = ""
	all := s.search(&open, len(s.ranked))
	at := map[string]int{}
	for _, m := range all.Matches {
		name := m.Workflow.ActionType
		if name == "" {
			untyped++
			continue
		}
		i, ok := at[name]
		if !ok {
			i = len(options)
			at[name] = i
			options = append(options, ActionOption{Name: name, Best: m.Score, Type: s.actions.described[name]})
		}
		options[i].Count++
	}
	slices.SortStableFunc(options, func(a, b ActionOption) int {
		return cmp.Or(cmp.Compare(b.Best, a.Best), strings.Compare(a.Name, b.Name))
	})
	return options, untyped
}

// ActionTypes returns the described action types, ordered by name.
func (s *Snapshot) ActionTypes() []*datastorage.ActionType {
	all := make([]*datastorage.ActionType, 0, len(s.actions.described))
	for _, a := range s.actions.described {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *datastorage.ActionType) int { return strings.Compare(a.Name, b.Name) })
	return all
}
