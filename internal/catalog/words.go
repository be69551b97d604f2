package catalog

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWords is how many words of a text to look for count.
const maxWords = 16

// wordsOf returns the words to look for, in small letters, each once.
func wordsOf(text string) []string {
	var words []string
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return !isWordRune(r) }) {
		if w = strings.ToLower(w); !slices.Contains(words, w) && len(words) < maxWords {
			words = append(words, w)
		}
	}
	return words
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// eachTerm calls yield with where each word of a text begins and ends, and then with each of its parts where it is
// written in CamelCase: OOMKilled, OOM, Killed.
func eachTerm(text string, yield func(start, end int)) {
	start := -1
	for i, r := range text {
		switch word := isWordRune(r); {
		case word && start < 0:
			start = i
		case !word && start >= 0:
			eachPart(text, start, i, yield)
			start = -1
		}
	}
	if start >= 0 {
		eachPart(text, start, len(text), yield)
	}
}

func eachPart(text string, start, end int, yield func(start, end int)) {
	yield(start, end)
	begin := start
	before := rune(0)
	for i, r := range text[start:end] {
		at := start + i
		next, _ := utf8.DecodeRuneInString(text[at+utf8.RuneLen(r) : end])
		// A part begins with a capital behind a small letter, and with the last of several capitals before a small letter.
		if at > begin && unicode.IsUpper(r) && (!unicode.IsUpper(before) || unicode.IsLower(next)) {
			yield(begin, at)
			begin = at
		}
		before = r
	}
	if begin > start {
		yield(begin, end)
	}
}

// minPrefix is how many letters a word to look for must have to find longer ones that begin with it.
const minPrefix = 3

// finds reports whether a word to look for finds a term of a text.
func finds(word, term string) bool {
	return term == word || len(word) >= minPrefix && strings.HasPrefix(term, word)
}
