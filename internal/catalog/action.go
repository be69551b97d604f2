package catalog

import (
	"maps"

	"github.com/datastorage-io/datastorage"
)

// actionTypes are the kinds of remediation: those that workflows name, and those that are described.
type actionTypes struct {
	numbers   map[string]uint32 // by name, from 1
	names     []string          // by number
	described map[string]*datastorage.ActionType
}

func newActionTypes() *actionTypes {
	return &actionTypes{numbers: map[string]uint32{}, names: []string{""}, described: map[string]*datastorage.ActionType{}}
}

func (a *actionTypes) clone() *actionTypes {
	return &actionTypes{numbers: maps.Clone(a.numbers), names: append([]string(nil), a.names...), described: maps.Clone(a.described)}
}

// add gives a number to a name that has none.
func (a *actionTypes) add(name string) uint32 {
	n := uint32(len(a.names))
	a.numbers[name] = n
	a.names = append(a.names, name)
	return n
}

// ActionType returns the description of an action type; ok is false when there is none.
func (s *Snapshot) ActionType(name string) (a *datastorage.ActionType, ok bool) {
	a, ok = s.actions.described[name]
	return a, ok
}
