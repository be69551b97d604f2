package project

import (
	"bytes"
	"slices"
	"strings"

	"github.com/datastorage-io/datastorage"
)

// Has reports whether an event comes with its body, which Members are searched in.
func (b *Bodies) Has(e *datastorage.EventHeader, body []byte) bool {
	if slices.Contains(b.Categories, e.Category) {
		return true
	}
	for _, t := range b.Types {
		if prefix, ok := strings.CutSuffix(t, "*"); t == e.Type || ok && strings.HasPrefix(e.Type, prefix) {
			return true
		}
	}
	return slices.ContainsFunc(b.Members, func(name string) bool { return bytes.Contains(body, []byte(`"`+name+`":`)) })
}
