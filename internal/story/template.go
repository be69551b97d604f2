package story

import (
	"fmt"
	"strings"
)

// template is a sentence with places for values; see sentences.yaml.
type template []segment

// segment is a stretch of a template. A segment that is optional is left out when one of its values is not there.
type segment struct {
	optional bool
	pieces   []piece
}

// piece is a text, or a place for the first of several values that is there.
type piece struct {
	text  string
	paths []string
	form  string // how the value is written; "" for plain
}

// forms are the ways to write a value.
var forms = map[string]form{
	"": plain, "long": long, "object": asObject, "percent": asPercent, "count": asCount, "list": asList, "ms": asMilliseconds, "seconds": asSeconds,
}

// parseTemplate reads a template.
func parseTemplate(s string) (template, error) {
	var t template
	for s != "" {
		if rest, ok := strings.CutPrefix(s, "["); ok {
			inside, after, found := strings.Cut(rest, "]")
			if !found {
				return nil, fmt.Errorf("a [ without a ] in %q", s)
			}
			pieces, err := parsePieces(inside)
			if err != nil {
				return nil, err
			}
			t, s = append(t, segment{optional: true, pieces: pieces}), after
			continue
		}
		inside, after := s, ""
		if i := strings.IndexByte(s, '['); i >= 0 {
			inside, after = s[:i], s[i:]
		}
		pieces, err := parsePieces(inside)
		if err != nil {
			return nil, err
		}
		t, s = append(t, segment{pieces: pieces}), after
	}
	return t, nil
}

func parsePieces(s string) ([]piece, error) {
	var pieces []piece
	for s != "" {
		text, rest, found := strings.Cut(s, "{")
		if text != "" {
			pieces = append(pieces, piece{text: text})
		}
		if !found {
			break
		}
		place, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, fmt.Errorf("a { without a } in %q", s)
		}
		names, how, _ := strings.Cut(place, "|")
		if forms[how] == nil {
			return nil, fmt.Errorf("no such way to write a value: %q", how)
		}
		pieces, s = append(pieces, piece{paths: strings.Split(names, ","), form: how}), after
	}
	return pieces, nil
}

// render fills in a template; false when a value that it needs is not there.
func (t template) render(v *values) (string, bool) {
	var b strings.Builder
	for _, s := range t {
		text, ok := s.render(v)
		if !ok && !s.optional {
			return "", false
		}
		if ok {
			b.WriteString(text)
		}
	}
	return b.String(), true
}

func (s *segment) render(v *values) (string, bool) {
	var b strings.Builder
	for _, p := range s.pieces {
		if p.paths == nil {
			b.WriteString(p.text)
			continue
		}
		text := ""
		for _, path := range p.paths {
			if text = forms[p.form](v.at(path)); text != "" {
				break
			}
		}
		if text == "" {
			return "", false
		}
		b.WriteString(text)
	}
	return b.String(), true
}
