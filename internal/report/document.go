// Package report turns what the HTTP API tells into a document to read: on a terminal, or as one self-contained HTML file.
// Every figure says where it comes from: the log_index of events, or the call of the API that returned it.
package report

import "time"

// Document is a report. Its texts are clean: one line each, without control characters.
type Document struct {
	Kind     string // what it is a report on: Remediation, Workflow, Week
	Title    string
	Subtitle string
	Status   Status // "" when there is none
	Lead     string // what happened, in a few sentences
	Sections []Section
	Sources  []Source
	Server   string // base URL of the server
	Made     time.Time
}

// Tone says how something is meant to look.
type Tone int

// The tones.
const (
	Plain Tone = iota
	Good
	Attention // somebody should look
	Bad
)

// String returns the tone's name, which style sheets know it by.
func (t Tone) String() string { return [...]string{"plain", "good", "attention", "bad"}[t] }

// Status is a word or two with a tone.
type Status struct {
	Text string
	Tone Tone
}

// Section is a part of a report. Blocks that are nil are left out.
type Section struct {
	Title   string
	Note    string
	Figures []Figure
	Facts   []Fact
	Bars    *Bars
	Columns *Columns
	Spans   *Spans
	Steps   []Step
	Table   *Table
}

// Source is a call of the API that the report stands on.
type Source struct {
	Mark string // what cites it: A, B, …
	Call string
	Note string // what its answer was, or why it is missing
}

// Cite is where a figure comes from: the mark of a source, the log indexes of events, or both.
type Cite struct {
	Source string // marks, with blanks between them
	// First and Last are log indexes, Last included; both are -1 when no events are named.
	First, Last int64
}

// Figure is a number that stands out.
type Figure struct {
	Label, Value, Detail string
	Tone                 Tone
	Trend                []float64 // a small line beside it; nil for none
	Cite                 Cite
}

// Fact is a line of text under a label.
type Fact struct {
	Label, Value string
	Tone         Tone
	Cite         Cite
}

// Bars compares values with each other, or with a whole.
type Bars struct {
	Max  float64
	Bars []Bar
}

// Bar is one value. Low and High are the interval that it is known to lie in; both 0 for none.
type Bar struct {
	Label     string
	Value     float64
	Low, High float64
	Text      string // the value as it is written
	Missing   bool   // nothing is known of it
	Tone      Tone
	Cite      Cite
}

// Columns is a chart over time. The parts of a column stand on each other in the order of Parts.
type Columns struct {
	Parts   []Part
	Columns []Column
	Cite    Cite
}

// Part is what the columns count.
type Part struct {
	Label string
	Tone  Tone
}

// Column is one step of time.
type Column struct {
	Label  string
	Values []float64 // one for each part
}

// Spans shows when things went on between the beginning and the end of something.
type Spans struct {
	Total time.Duration
	Spans []Span
}

// Span is one of them, from its beginning counted from that of the whole.
type Span struct {
	Label    string
	From, To time.Duration
	Text     string
	Quiet    bool // nothing happened then
	Cite     Cite
}

// Step is one of the things that happened, in order.
type Step struct {
	At      time.Time
	Elapsed time.Duration
	Text    string
	Tone    Tone
	Group   bool // it stands for several that are not shown
	Cite    Cite
}

// Table is rows under headings.
type Table struct {
	Headings []Heading
	Rows     []Row
}

// Heading is that of a column.
type Heading struct {
	Name  string
	Right bool // the column holds numbers
	Whole bool // it holds what is copied, and is never cut
}

// Row is one row of a table; Tone is that of its first cell.
type Row struct {
	Cells []string
	Tone  Tone
	Cite  Cite
}
