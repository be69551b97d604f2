package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

//go:embed style.css
var styleText string

// page is the template of the HTML file.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"style":    func() template.CSS { return template.CSS(styleText) }, //nolint:gosec // a file of this package
	"stamp":    stamp,
	"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"clock":    func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"day":      func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"span":     span,
	"whole":    whole,
	"line":     line,
	"bar":      newBarShape,
	"stretch":  newStretch,
	"columns":  newColumnShapes,
	"newDay":   func(steps []Step, i int) bool { return i == 0 || !sameDay(steps[i-1].At, steps[i].At) },
	"eventsOf": func(c Cite) string { return Cite{First: c.First, Last: c.Last}.String() },
	"right":    func(t *Table, column int) bool { return t.Headings[column].Right },
	"marks":    func(c Cite) []string { return strings.Fields(c.Source) },
	"toneOfRow": func(r Row, column int) string {
		return map[bool]string{true: r.Tone.String(), false: Plain.String()}[column == 0]
	},
}).Parse(pageText))

func sameDay(a, b time.Time) bool {
	return a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly)
}

// WriteHTML writes a report as one HTML file, which refers to nothing outside itself and runs nothing.
func WriteHTML(w io.Writer, d *Document) error {
	if err := page.Execute(w, d); err != nil {
		return fmt.Errorf("write the report as HTML: %w", err)
	}
	return nil
}

// digits writes a coordinate of a drawing.
func digits(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

// The size of the line beside a figure.
const (
	lineWidth  = 120.0
	lineHeight = 28.0
)

// line returns the points of a line through values, of which the greatest is on top.
func line(values []float64) string {
	top := 1.0
	for _, v := range values {
		top = max(top, v)
	}
	points := make([]string, len(values))
	for i, v := range values {
		x := lineWidth * float64(i) / float64(max(1, len(values)-1))
		points[i] = digits(x) + "," + digits(2+(lineHeight-4)*(1-v/top))
	}
	return strings.Join(points, " ")
}

// barShape is a bar on a track that is 100 wide.
type barShape struct {
	Width, Low, High string
	Interval         bool
}

func newBarShape(b Bar, top float64) barShape {
	if top <= 0 {
		top = 1
	}
	at := func(f float64) string { return digits(100 * min(1, max(0, f/top))) }
	return barShape{Width: at(b.Value), Low: at(b.Low), High: at(b.High), Interval: b.High > 0 && !b.Missing}
}

// stretch is a span on a track that is 100 wide.
type stretch struct{ X, Width string }

func newStretch(c *Spans, s Span) stretch {
	const least = 0.6
	from, to := 100*c.share(s.From), 100*c.share(s.To)
	from = min(from, 100-least)
	return stretch{digits(from), digits(max(least, to-from))}
}

// The size of a chart of columns.
const (
	chartWidth  = 720.0
	chartHeight = 120.0
)

// chart is a chart of columns, laid out.
type chart struct {
	Top    string
	Shapes []columnShape
}

type columnShape struct {
	X, Middle, Label, Total, TotalY string
	Parts                           []partShape
}

type partShape struct {
	Y, Width, Height string
	Tone             Tone
}

func newColumnShapes(c *Columns) chart {
	top := c.top()
	each := chartWidth / float64(max(1, len(c.Columns)))
	width := min(64, each*0.6)
	out := chart{Top: whole(top)}
	for i := range c.Columns {
		column := &c.Columns[i]
		middle := each * (float64(i) + 0.5)
		shape := columnShape{X: digits(middle - width/2), Middle: digits(middle), Label: column.Label}
		if total := column.total(); total > 0 {
			shape.Total = whole(total)
		}
		y := chartHeight
		for j, v := range column.Values {
			if height := chartHeight * v / top; height > 0 {
				y -= height
				shape.Parts = append(shape.Parts, partShape{digits(y), digits(width), digits(height), c.Parts[j].Tone})
			}
		}
		shape.TotalY = digits(y - 6)
		out.Shapes = append(out.Shapes, shape)
	}
	return out
}
