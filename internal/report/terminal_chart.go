package report

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// blocks are the eight heights of a column in one cell.
var blocks = []rune("▁▂▃▄▅▆▇█")

// sparkline draws values as a line of columns; the greatest is full, and 0 is the lowest block.
func sparkline(values []float64) string {
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		i := 0
		if top > 0 && v > 0 {
			i = max(1, int(math.Round(v/top*float64(len(blocks)-1))))
		}
		b.WriteRune(blocks[i])
	}
	return b.String()
}

// cells is how many of width cells a share takes; what is more than nothing takes one.
func cells(share float64, width int) int {
	n := int(math.Round(share * float64(width)))
	if share > 0 {
		n = max(1, n)
	}
	return min(width, max(0, n))
}

// track draws a bar on a track of some width, and the interval of the value on it.
func (p *painter) track(b *Bar, top float64, width int) string {
	if b.Missing {
		return p.in(dim, strings.Repeat("·", width))
	}
	if top <= 0 {
		top = 1
	}
	n := cells(b.Value/top, width)
	line := []rune(strings.Repeat("━", n) + strings.Repeat("─", width-n))
	if b.High > 0 {
		at := func(f float64) int { return min(width-1, max(0, int(f/top*float64(width)))) }
		line[at(b.Low)], line[at(b.High)], line[min(width-1, max(0, n-1))] = '├', '┤', '●'
	}
	return p.in(styleOf(b.Tone), string(line[:n])) + p.in(dim, string(line[n:]))
}

func (p *painter) bars(c *Bars) {
	label := widest(len(c.Bars), 28, func(i int) string { return c.Bars[i].Label })
	text := widest(len(c.Bars), 34, func(i int) string { return c.Bars[i].Text })
	cite := widest(len(c.Bars), 24, func(i int) string { return c.Bars[i].Cite.String() })
	width := min(40, max(8, p.width-indent-label-2-2-text-2-cite))
	for i := range c.Bars {
		b := &c.Bars[i]
		p.line("  ", pad(cut(b.Label, label), label), "  ", p.track(b, c.Max, width), "  ", pad(cut(b.Text, text), text), "  ", p.in(dim, padLeft(b.Cite.String(), cite)))
	}
}

func (p *painter) spans(c *Spans) {
	label := widest(len(c.Spans), 20, func(i int) string { return c.Spans[i].Label })
	text := widest(len(c.Spans), 24, func(i int) string { return c.Spans[i].Text })
	cite := widest(len(c.Spans), 24, func(i int) string { return c.Spans[i].Cite.String() })
	width := min(60, max(8, p.width-indent-label-2-2-text-2-cite))
	for i := range c.Spans {
		s := &c.Spans[i]
		from, to := c.place(s, width)
		mark, style := "━", ""
		if s.Quiet {
			mark, style = "╌", dim
		}
		line := p.in(dim, strings.Repeat("─", from)) + p.in(style, strings.Repeat(mark, to-from)) + p.in(dim, strings.Repeat("─", width-to))
		p.line("  ", p.in(style, pad(cut(s.Label, label), label)), "  ", line, "  ", p.in(style, pad(cut(s.Text, text), text)), "  ", p.in(dim, padLeft(s.Cite.String(), cite)))
	}
}

// place is where a span stands on a track of some width: at least one cell of it.
func (c *Spans) place(s *Span, width int) (from, to int) {
	at := func(d time.Duration) int { return int(math.Round(c.share(d) * float64(width))) }
	from = min(width-1, at(s.From))
	return from, max(from+1, at(s.To))
}

// share is how far into the whole a time is, from 0 to 1.
func (c *Spans) share(d time.Duration) float64 {
	if c.Total <= 0 {
		return 0
	}
	return min(1, max(0, float64(d)/float64(c.Total)))
}

// top is the greatest sum of a column; 1 when all are 0.
func (c *Columns) top() (top float64) {
	for _, column := range c.Columns {
		top = max(top, column.total())
	}
	return max(1, top)
}

func (c *Column) total() (sum float64) {
	for _, v := range c.Values {
		sum += v
	}
	return sum
}

// columnHeight is how many lines the columns of a terminal have.
const columnHeight = 6

// columns draws columns whose parts stand on each other, each cell in the tone of the part that it lies in.
func (p *painter) columns(c *Columns) {
	if len(c.Columns) == 0 {
		return
	}
	each := min(9, max(2, (p.width-indent-6)/len(c.Columns)))
	top := c.top()
	for line := columnHeight; line > 0; line-- {
		var b strings.Builder
		for i := range c.Columns {
			b.WriteString(p.cell(c, &c.Columns[i], top, line, each-2))
			b.WriteString("  ")
		}
		axis := ""
		if line == columnHeight {
			axis = whole(top)
		}
		p.line("  ", p.in(dim, padLeft(axis, 4)), "  ", b.String())
	}
	var labels, counts strings.Builder
	for _, column := range c.Columns {
		labels.WriteString(pad(cut(column.Label, each-1), each))
		counts.WriteString(pad(whole(column.total()), each))
	}
	p.line("  ", p.in(dim, "   0"), "  ", p.in(dim, strings.Repeat("─", each*len(c.Columns)-2)))
	p.line("        ", labels.String())
	p.line("        ", counts.String(), " ", p.in(dim, c.Cite.String()))
	var legend []string
	for _, part := range c.Parts {
		legend = append(legend, p.in(styleOf(part.Tone), "█")+" "+part.Label)
	}
	p.line("        ", strings.Join(legend, "   "))
}

// cell draws one line of a column, counted from below.
func (p *painter) cell(c *Columns, column *Column, top float64, line, width int) string {
	height := column.total() / top * columnHeight
	fill := height - float64(line-1)
	if fill <= 0 {
		return strings.Repeat(" ", width)
	}
	block := blocks[len(blocks)-1]
	if fill < 1 {
		block = blocks[max(0, int(math.Round(fill*float64(len(blocks))))-1)]
	}
	tone, below := Plain, 0.0
	for i, v := range column.Values {
		tone = c.Parts[i].Tone
		if below += v / top * columnHeight; v > 0 && below > float64(line)-0.5 {
			break
		}
	}
	return p.in(styleOf(tone), strings.Repeat(string(block), width))
}

// whole writes a number without a fraction where it has none.
func whole(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// table draws a table. Where it has no room for all columns, what is copied goes to a line of its own below each row.
func (p *painter) table(t *Table) {
	cite := widest(len(t.Rows), 24, func(i int) string { return t.Rows[i].Cite.String() })
	widths, names := make([]int, len(t.Headings)), make([]string, len(t.Headings))
	for i, h := range t.Headings {
		names[i] = h.Name
		widths[i] = max(cellWidth(h.Name), widest(len(t.Rows), 40, func(row int) string { return t.Rows[row].Cells[i] }))
	}
	n := len(widths)
	if fitted := slices.Clone(widths); t.shrink(fitted, p.width-indent-2*n-cite) || !t.Headings[n-1].Whole {
		widths = fitted
	} else {
		n--
		t.shrink(widths[:n], p.width-indent-2*n-cite)
	}
	p.line("  ", p.in(dim, strings.Join(t.cells(names, widths[:n]), "  ")))
	for i := range t.Rows {
		r := &t.Rows[i]
		row := t.cells(r.Cells, widths[:n])
		row[0] = p.in(styleOf(r.Tone), row[0])
		p.line("  ", strings.Join(row, "  "), "  ", p.in(dim, padLeft(r.Cite.String(), cite)))
		for _, below := range r.Cells[n:] {
			p.line("    ", p.in(dim, below))
		}
	}
}

// cells fits the first texts into the widths.
func (t *Table) cells(texts []string, widths []int) []string {
	row := make([]string, len(widths))
	for i, width := range widths {
		row[i] = pad(cut(texts[i], width), width)
		if t.Headings[i].Right {
			row[i] = padLeft(cut(texts[i], width), width)
		}
	}
	return row
}

// leastColumn is how narrow a column may become, in cells.
const leastColumn = 12

// shrink makes the widest columns that may be cut narrower until all fit, and reports whether they do.
func (t *Table) shrink(widths []int, room int) bool {
	for {
		sum, widestAt := 0, -1
		for i, w := range widths {
			sum += w
			if !t.Headings[i].Whole && w > leastColumn && (widestAt < 0 || w > widths[widestAt]) {
				widestAt = i
			}
		}
		if sum <= room {
			return true
		}
		if widestAt < 0 {
			return false
		}
		widths[widestAt]--
	}
}
