package catalog

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/datastorage-io/datastorage"
)

// Highlight is a field in which words were found, cut to the surroundings of the first one when it is long. Its parts,
// put together, are the text (… where it is cut); there is no markup in them to escape or to mistake for text.
type Highlight struct {
	Field string
	Parts []Part
}

// Part is a piece of a text: one that was found, or what lies between.
type Part struct {
	Text  string
	Found bool
}

// How much of a long text is shown before the first word that was found, and in all, in bytes.
const (
	excerptBefore = 60
	excerptSize   = 240
	ellipsis      = "…"
)

// highlights returns the fields that hold any of the words, in the order of textFields.
func highlights(w *datastorage.Workflow, words []string) []Highlight {
	var all []Highlight
	for _, field := range textFields {
		text := field.text(w)
		if found := occurrences(text, words); len(found) > 0 {
			all = append(all, Highlight{Field: field.name, Parts: excerpt(text, found)})
		}
	}
	return all
}

// occurrences returns where words are found in a text, in order and without overlaps.
func occurrences(text string, words []string) [][2]int {
	var found [][2]int
	eachTerm(text, func(start, end int) {
		if len(found) > 0 && start < found[len(found)-1][1] {
			return // a part of a word that was found as a whole
		}
		term := strings.ToLower(text[start:end])
		if slices.ContainsFunc(words, func(w string) bool { return finds(w, term) }) {
			found = append(found, [2]int{start, end})
		}
	})
	return found
}

// excerpt cuts a text around the first thing found and parts it.
func excerpt(text string, found [][2]int) []Part {
	from, to := 0, len(text)
	if len(text) > excerptSize {
		from = wordStart(text, max(0, found[0][0]-excerptBefore), found[0][0])
		to = max(wordStart(text, min(len(text), from+excerptSize), len(text)), found[0][1])
	}
	var parts []Part
	add := func(text string, hit bool) {
		if text != "" {
			parts = append(parts, Part{text, hit})
		}
	}
	lead, at := "", from
	if from > 0 {
		lead = ellipsis
	}
	for _, f := range found {
		if f[1] > to {
			break
		}
		add(lead+text[at:f[0]], false)
		add(text[f[0]:f[1]], true)
		lead, at = "", f[1]
	}
	rest := text[at:to]
	if to < len(text) {
		rest = strings.TrimRight(rest, " ") + ellipsis
	}
	add(rest, false)
	return parts
}

// wordStart returns where the first word begins at or behind i, at most limit, on the boundary of a character.
func wordStart(text string, i, limit int) int {
	if i == 0 || i >= limit {
		return min(i, limit)
	}
	if space := strings.IndexByte(text[i-1:limit], ' '); space >= 0 {
		return i + space
	}
	for i < limit && !utf8.RuneStart(text[i]) {
		i++
	}
	return i
}
