package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// Screen says how a terminal shows a report.
type Screen struct {
	Width  int // in cells; what lies outside minWidth to maxWidth counts as the nearer of them
	Colour bool
}

const (
	minWidth = 48
	maxWidth = 110
	indent   = 2
)

// WriteText writes a report for a terminal, or for a file when there is no colour.
func WriteText(w io.Writer, d *Document, screen Screen) error {
	p := &painter{width: min(maxWidth, max(minWidth, screen.Width)), colour: screen.Colour}
	p.head(d)
	for i := range d.Sections {
		p.section(&d.Sections[i])
	}
	p.sources(d)
	_, err := io.WriteString(w, p.out.String())
	return err
}

// painter draws on a screen of some width.
type painter struct {
	out    strings.Builder
	width  int
	colour bool
}

// The styles that a report uses, as parameters of the terminal sequence that selects graphics.
const (
	bold = "1"
	dim  = "2"
)

// styleOf is the style of a tone.
func styleOf(t Tone) string {
	return [...]string{Plain: "", Good: "32", Attention: "33", Bad: "31"}[t]
}

// in returns s in a style, where there is colour.
func (p *painter) in(style, s string) string {
	if !p.colour || style == "" || s == "" {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}

// line writes a line without blanks at its end.
func (p *painter) line(parts ...string) {
	p.out.WriteString(strings.TrimRight(strings.Join(parts, ""), " "))
	p.out.WriteByte('\n')
}

// cellWidth is how many cells s takes.
func cellWidth(s string) int { return lipgloss.Width(s) }

// pad fills s with blanks up to a width.
func pad(s string, width int) string { return s + strings.Repeat(" ", max(0, width-cellWidth(s))) }

// padLeft is pad with the blanks before s.
func padLeft(s string, width int) string { return strings.Repeat(" ", max(0, width-cellWidth(s))) + s }

// cut returns what of s goes into a width.
func cut(s string, width int) string {
	if cellWidth(s) <= width {
		return s
	}
	return prefix(s, width-1) + "…"
}

// prefix returns the beginning of s that goes into a width, of at least one character.
func prefix(s string, width int) string {
	n := 0
	for i, r := range s {
		if n += cellWidth(string(r)); n > width && i > 0 {
			return s[:i]
		}
	}
	return s
}

// wrap breaks s into lines of a width, between words where it can.
func wrap(s string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(s) {
		for cellWidth(word) > width { // longer than a line
			if line != "" {
				lines, line = append(lines, line), ""
			}
			head := prefix(word, width)
			lines, word = append(lines, head), word[len(head):]
		}
		switch {
		case line == "":
			line = word
		case cellWidth(line)+1+cellWidth(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

func (p *painter) head(d *Document) {
	kind := strings.ToUpper(d.Kind)
	status := ""
	if d.Status.Text != "" {
		status = "● " + d.Status.Text
	}
	p.line(p.in(dim, pad(kind, p.width-cellWidth(status))), p.in(styleOf(d.Status.Tone), status))
	for _, l := range wrap(d.Title, p.width) {
		p.line(p.in(bold, l))
	}
	for _, l := range wrap(d.Subtitle, p.width) {
		p.line(p.in(dim, l))
	}
	if d.Lead == "" {
		return
	}
	p.line()
	for _, l := range wrap(d.Lead, min(p.width, 88)) {
		p.line(l)
	}
}

func (p *painter) section(s *Section) {
	p.line()
	p.line(p.in(bold, s.Title), " ", p.in(dim, strings.Repeat("─", max(0, p.width-cellWidth(s.Title)-1))))
	if s.Note != "" {
		for _, l := range wrap(s.Note, p.width-indent) {
			p.line("  ", p.in(dim, l))
		}
	}
	p.figures(s.Figures)
	if s.Columns != nil {
		p.columns(s.Columns)
	}
	p.facts(s.Facts)
	if s.Bars != nil {
		p.bars(s.Bars)
	}
	if s.Spans != nil {
		p.spans(s.Spans)
	}
	p.steps(s.Steps)
	if s.Table != nil {
		p.table(s.Table)
	}
}

// widest is the width of the widest of n texts, at most limit.
func widest(n, limit int, at func(int) string) (w int) {
	for i := range n {
		w = max(w, cellWidth(at(i)))
	}
	return min(w, limit)
}

func (p *painter) figures(figures []Figure) {
	value := widest(len(figures), 16, func(i int) string { return figures[i].Value })
	label := widest(len(figures), 24, func(i int) string { return figures[i].Label })
	for i := range figures {
		f := &figures[i]
		rest := f.Detail
		if f.Trend != nil {
			rest = sparkline(f.Trend) + "  " + rest
		}
		cite := f.Cite.String()
		rest = cut(rest, p.width-indent-value-label-4-cellWidth(cite)-2)
		p.line("  ", p.in(joined(bold, styleOf(f.Tone)), padLeft(f.Value, value)), "  ", pad(cut(f.Label, label), label), "  ", rest, "  ", p.in(dim, cite))
	}
}

// joined joins two styles.
func joined(a, b string) string {
	if b == "" {
		return a
	}
	return a + ";" + b
}

// fact writes lines of text between a label and a citation.
func (p *painter) fact(label string, labelWidth int, text, style, cite string, citeWidth int) {
	width := max(10, p.width-indent-labelWidth-2-citeWidth-2)
	for i, l := range wrap(text, width) {
		if i > 0 {
			label, cite = "", ""
		}
		p.line("  ", p.in(dim, pad(label, labelWidth)), "  ", p.in(style, l), strings.Repeat(" ", max(0, width-cellWidth(l))), "  ", p.in(dim, padLeft(cite, citeWidth)))
	}
}

func (p *painter) facts(facts []Fact) {
	label := widest(len(facts), 20, func(i int) string { return facts[i].Label })
	cite := widest(len(facts), 24, func(i int) string { return facts[i].Cite.String() })
	for i := range facts {
		f := &facts[i]
		p.fact(cut(f.Label, label), label, f.Value, styleOf(f.Tone), f.Cite.String(), cite)
	}
}

func (p *painter) steps(steps []Step) {
	cite := widest(len(steps), 24, func(i int) string { return steps[i].Cite.String() })
	elapsed := widest(len(steps), 10, func(i int) string { return "+" + span(steps[i].Elapsed) })
	day := ""
	for i := range steps {
		s := &steps[i]
		if d := s.At.UTC().Format(time.DateOnly); d != day {
			day = d
			p.line("  ", p.in(dim, day))
		}
		style := styleOf(s.Tone)
		if s.Group {
			style = dim
		}
		label := s.At.UTC().Format("15:04:05") + " " + padLeft("+"+span(s.Elapsed), elapsed)
		p.fact(label, cellWidth(label), s.Text, style, s.Cite.String(), cite)
	}
}

func (p *painter) sources(d *Document) {
	p.line()
	p.line(p.in(bold, "Sources"), " ", p.in(dim, strings.Repeat("─", max(0, p.width-8))))
	for _, s := range d.Sources {
		room, mark, note := p.width-indent-4, s.Mark, s.Note
		for text := s.Call; text != "" || note != ""; mark = "" {
			l := prefix(text, room)
			text = text[len(l):]
			if text == "" && note != "" && cellWidth(l)+4+cellWidth(note) <= room {
				l, note = strings.TrimPrefix(l+"  ("+note+")", "  "), ""
			}
			p.line("  ", pad(mark, 2), "  ", p.in(dim, l))
		}
	}
	note := fmt.Sprintf("#N is the log_index of an event. Made %s from %s.", stamp(d.Made), d.Server)
	for _, l := range wrap(note, p.width-indent) {
		p.line("  ", p.in(dim, l))
	}
}
