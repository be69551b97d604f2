package eventsql

import (
	"strings"

	"github.com/datastorage-io/datastorage"
)

// detail adds the condition that the member of event_data that path leads to is the string value, or the number or
// boolean that is written like value. Only members of objects are followed, never elements of arrays.
//
// A body is canonical, so equal values have equal text, and the text of a match holds the member's name followed by the
// value: a plain search for that goes before the search that parses.
func (b *builder) detail(path []string, value string) {
	quoted, literal := datastorage.DetailTexts(value)
	member := datastorage.QuoteJSON(path[len(path)-1]) + ":"
	contains := "instr(body, "
	if b.dialect == PostgreSQL {
		contains = "strpos(body, "
	}
	b.where()
	b.write("(", contains)
	b.bind(member + quoted)
	b.write(") > 0 OR ", contains)
	b.bind(member + literal)
	b.write(") > 0)")

	b.where()
	if b.dialect == SQLite {
		b.write("body -> ")
		b.bind(jsonPath(path))
	} else {
		b.write("(body::json -> 'event_data'")
		for _, name := range path {
			b.write(" -> ")
			b.bind(name)
			b.write("::text")
		}
		b.write(")::text")
	}
	b.write(" IN (")
	b.bind(quoted)
	b.write(", ")
	b.bind(literal)
	b.write(")")
}

// jsonPath returns the path of SQLite to a member of event_data. Quoted labels only ever name members.
func jsonPath(path []string) string {
	var s strings.Builder
	s.WriteString(`$."event_data"`)
	for _, name := range path {
		s.WriteByte('.')
		s.WriteString(datastorage.QuoteJSON(name))
	}
	return s.String()
}
