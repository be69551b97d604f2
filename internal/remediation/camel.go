package remediation

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Camel turns the name of a member of event_data into one of a resource: api_version into apiVersion.
func Camel(name string) string {
	first, rest, _ := strings.Cut(name, "_")
	var b strings.Builder
	b.WriteString(first)
	for part := range strings.SplitSeq(rest, "_") {
		r, n := utf8.DecodeRuneInString(part)
		if n > 0 {
			b.WriteRune(unicode.ToUpper(r))
			b.WriteString(part[n:])
		}
	}
	return b.String()
}
