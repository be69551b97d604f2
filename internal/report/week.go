package report

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Week is a week of the ISO 8601 calendar, in UTC.
type Week struct{ Year, Number int }

// WeekOf returns the week that a time lies in.
func WeekOf(t time.Time) Week {
	year, number := t.UTC().ISOWeek()
	return Week{year, number}
}

// ParseWeek reads a week such as 2026-W19.
func ParseWeek(s string) (Week, error) {
	var w Week
	if n, err := fmt.Sscanf(s, "%4d-W%2d", &w.Year, &w.Number); n != 2 || err != nil || w.Year < 1 || s != w.String() || WeekOf(w.Start()) != w {
		return Week{}, fmt.Errorf("a week is written like 2026-W19, and the year must have it")
	}
	return w, nil
}

// String writes a week as ISO 8601 does.
func (w Week) String() string { return fmt.Sprintf("%04d-W%02d", w.Year, w.Number) }

// Start is the Monday that the week begins with.
func (w Week) Start() time.Time {
	fourth := time.Date(w.Year, 1, 4, 0, 0, 0, 0, time.UTC) // always in week 1
	monday := fourth.AddDate(0, 0, -(int(fourth.Weekday())+6)%7)
	return monday.AddDate(0, 0, 7*(w.Number-1))
}

const week = 7 * 24 * time.Hour

// weekly is what a report on a week is made of.
type weekly struct {
	start   time.Time
	signals []event
	ended   []event // the last of each remediation
	before  []event // those of the week before
	asked   []event
	scored  []event
	changes []event
	started map[text]time.Time // when the signal of a remediation came

	signalsFrom, endedFrom, beforeFrom, askedFrom, scoredFrom, changesFrom Cite
	complete                                                               bool
}

// OfWeek reports on the remediations that ended in a week, and on what else happened in it.
func OfWeek(ctx context.Context, api API, w Week) (*Document, error) {
	r := &reader{api: api}
	in := &weekly{start: w.Start(), started: map[text]time.Time{}, complete: true}
	if err := in.read(ctx, r); err != nil {
		return nil, err
	}
	in.ended, in.before, in.scored = latest(in.ended), latest(in.before), latest(in.scored)
	for _, e := range in.signals {
		if at, ok := in.started[e.CorrelationID]; !ok || e.Time.Before(at) {
			in.started[e.CorrelationID] = e.Time
		}
	}
	d := &Document{
		Kind: "Week", Title: w.String(), Subtitle: in.start.Format("Monday 2 January 2006") + " to " + in.start.Add(week-1).Format("Sunday 2 January 2006") + ", UTC",
		Sources: r.sources,
	}
	d.Lead = in.lead()
	d.Sections = append(d.Sections, in.figures(), in.days())
	if len(in.ended) > 0 {
		d.Sections = append(d.Sections, in.endings(), in.kinds("What it was about", incidentOf), in.kinds("Where", func(e *event) string { return string(e.Namespace) }))
	}
	for _, s := range []Section{in.open(), in.unhelpful(), in.catalogue()} {
		if s.Table != nil {
			d.Sections = append(d.Sections, s)
		}
	}
	if !in.complete {
		d.Sections[0].Note = "There were more events than a report reads; it stands on the first of them."
	}
	return d, nil
}

func (in *weekly) read(ctx context.Context, r *reader) error {
	for _, q := range []struct {
		eventType string
		from      time.Time
		into      *[]event
		cite      *Cite
	}{
		{"gateway.signal.received", in.start, &in.signals, &in.signalsFrom},
		{"orchestrator.lifecycle.completed", in.start, &in.ended, &in.endedFrom},
		{"orchestrator.lifecycle.completed", in.start.Add(-week), &in.before, &in.beforeFrom},
		{"orchestrator.approval.requested", in.start, &in.asked, &in.askedFrom},
		{"effectiveness.assessment.completed", in.start, &in.scored, &in.scoredFrom},
		{"datastorage.workflow.*", in.start, &in.changes, &in.changesFrom},
	} {
		query := url.Values{
			"event_type": {q.eventType}, "since": {q.from.Format(time.RFC3339)},
			"until": {q.from.Add(week - time.Microsecond).Format(time.RFC3339Nano)},
		}
		mark, complete, err := r.events(ctx, query, func(e *event) { *q.into = append(*q.into, *e) })
		if err != nil {
			return err
		}
		*q.cite = called(mark)
		in.complete = in.complete && complete
	}
	return nil
}

// latest keeps the last event of each correlation_id, by time, then log_index, in their order.
func latest(events []event) (kept []event) {
	last := map[text]*event{}
	for i := range events {
		e := &events[i]
		if l := last[e.CorrelationID]; l == nil || cmp.Or(e.Time.Compare(l.Time), cmp.Compare(e.LogIndex, l.LogIndex)) > 0 {
			last[e.CorrelationID] = e
		}
	}
	for i := range events {
		if last[events[i].CorrelationID] == &events[i] {
			kept = append(kept, events[i])
		}
	}
	return kept
}

func incidentOf(e *event) string { return string(e.Data.IncidentType) }

func succeeded(events []event) (n int) {
	for i := range events {
		if events[i].tone() == Good {
			n++
		}
	}
	return n
}

func (in *weekly) lead() string {
	if len(in.ended) == 0 {
		return fmt.Sprintf("No remediation ended in this week. %s came.", title(plural(len(in.signals), "signal")))
	}
	good := succeeded(in.ended)
	s := fmt.Sprintf("%s ended, and %d of them succeeded.", title(plural(len(in.ended), "remediation")), good)
	if rest := len(in.ended) - good; rest > 0 {
		s += fmt.Sprintf(" %d did not, and stand below.", rest)
	}
	return s
}

func (in *weekly) figures() Section {
	section := Section{Title: "In short"}
	add := func(f Figure) { section.Figures = append(section.Figures, f) }
	add(Figure{Label: "Signals", Value: strconv.Itoa(len(in.signals)), Detail: "by day", Trend: in.byDay(in.signals), Cite: in.signalsFrom})
	add(Figure{Label: "Remediations ended", Value: strconv.Itoa(len(in.ended)), Detail: fmt.Sprintf("%+d against the week before", len(in.ended)-len(in.before)), Cite: both(in.endedFrom, in.beforeFrom)})
	if len(in.ended) > 0 {
		rate := float64(succeeded(in.ended)) / float64(len(in.ended))
		detail := "nothing ended the week before"
		if len(in.before) > 0 {
			detail = percent(float64(succeeded(in.before))/float64(len(in.before))) + " the week before"
		}
		add(Figure{Label: "Succeeded", Value: percent(rate), Detail: detail, Tone: scoreTone(rate), Cite: both(in.endedFrom, in.beforeFrom)})
	}
	if took := in.durations(); len(took) > 0 {
		add(Figure{
			Label: "From signal to end", Value: span(took[len(took)/2]), Detail: "median; the longest took " + span(took[len(took)-1]),
			Cite: both(in.signalsFrom, in.endedFrom),
		})
	}
	add(Figure{Label: "A person was asked", Value: strconv.Itoa(len(in.asked)), Detail: "times to approve", Cite: in.askedFrom})
	if scores := in.scores(); len(scores) > 0 {
		mean := 0.0
		for _, s := range scores {
			mean += s.value / float64(len(scores))
		}
		add(Figure{Label: "Effectiveness", Value: score(mean), Detail: "mean of " + plural(len(scores), "assessment") + ", of 1", Tone: scoreTone(mean), Cite: in.scoredFrom})
	}
	return section
}

// both cites two sources.
func both(a, b Cite) Cite { return called(a.Source + " " + b.Source) }

// byDay counts events by the days of the week.
func (in *weekly) byDay(events []event) []float64 {
	days := make([]float64, 7)
	for i := range events {
		days[in.day(&events[i])]++
	}
	return days
}

func (in *weekly) day(e *event) int { return min(6, max(0, int(e.Time.Sub(in.start)/(24*time.Hour)))) }

// durations are the times from signal to end of those remediations of which both are known, sorted.
func (in *weekly) durations() (took []time.Duration) {
	for i := range in.ended {
		if at, ok := in.started[in.ended[i].CorrelationID]; ok && !in.ended[i].Time.Before(at) {
			took = append(took, in.ended[i].Time.Sub(at))
		}
	}
	slices.Sort(took)
	return took
}

// The parts of a chart of remediations, from below.
var parts = []Part{{"succeeded", Good}, {"need a look", Attention}, {"failed", Bad}}

// part is the part of a chart that a remediation belongs to.
func part(tone Tone) int {
	switch tone {
	case Good:
		return 0
	case Bad:
		return 2
	}
	return 1
}

func (in *weekly) days() Section {
	c := &Columns{Parts: parts, Cite: in.endedFrom}
	for i := range 7 {
		c.Columns = append(c.Columns, Column{Label: in.start.AddDate(0, 0, i).Format("Mon 2"), Values: make([]float64, len(parts))})
	}
	for i := range in.ended {
		e := &in.ended[i]
		c.Columns[in.day(e)].Values[part(e.tone())]++
	}
	return Section{Title: "Remediations by the day they ended", Columns: c}
}

func (in *weekly) endings() Section {
	return endings(in.ended, in.endedFrom)
}

// endings counts how remediations ended, by their own word.
func endings(ended []event, cite Cite) Section {
	counts, tones := map[string]int{}, map[string]Tone{}
	for i := range ended {
		word := spaced(ended[i].ending())
		counts[word]++
		tones[word] = ended[i].tone()
	}
	s := Section{Title: "How they ended", Bars: &Bars{Max: float64(len(ended))}}
	for word, n := range counts {
		s.Bars.Bars = append(s.Bars.Bars, Bar{
			Label: word, Value: float64(n), Text: fmt.Sprintf("%d of %d", n, len(ended)), Tone: tones[word], Cite: cite,
		})
	}
	slices.SortFunc(s.Bars.Bars, func(a, b Bar) int { return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Label, b.Label)) })
	if len(s.Bars.Bars) > maxBars {
		s.Bars.Bars = s.Bars.Bars[:maxBars]
	}
	return s
}

func (in *weekly) kinds(title string, of func(*event) string) Section {
	t := newTally()
	for i := range in.ended {
		t.add(of(&in.ended[i]), in.ended[i].tone())
	}
	return t.section(title, in.endedFrom)
}

// maxRows bounds the rows of a table.
const maxRows = 30

// limited notes how many rows a table leaves out.
func limited(s Section, total int) Section {
	if total > maxRows {
		s.Note = fmt.Sprintf("The first %d of %d.", maxRows, total)
	}
	return s
}

// open lists the remediations that did not succeed.
func (in *weekly) open() Section {
	s := Section{Title: "To look at"}
	total := 0
	for i := range in.ended {
		e := &in.ended[i]
		if e.tone() == Good {
			continue
		}
		if total++; total > maxRows {
			continue
		}
		if s.Table == nil {
			s.Table = &Table{Headings: []Heading{{Name: "ended as"}, {Name: "signal"}, {Name: "namespace"}, {Name: "at", Whole: true}, {Name: "correlation_id", Whole: true}}}
		}
		s.Table.Rows = append(s.Table.Rows, Row{
			Cells: []string{spaced(e.ending()), incidentOf(e), string(e.Namespace), e.Time.UTC().Format("Mon 15:04"), string(e.CorrelationID)}, Tone: e.tone(), Cite: e.cite(),
		})
	}
	return limited(s, total)
}

// scored is the effectiveness that an assessment says.
type scored struct {
	*event
	value float64
}

// Weights of the parts of an effectiveness; what is not known is left out, and the others fill the whole.
const (
	weightHealth  = 0.40
	weightAlert   = 0.35
	weightMetrics = 0.25
)

func (in *weekly) scores() (scores []scored) {
	for i := range in.scored {
		e := &in.scored[i]
		sum, weights := 0.0, 0.0
		for _, p := range []struct {
			score  loose
			weight float64
		}{{e.Data.Health, weightHealth}, {e.Data.Alert, weightAlert}, {e.Data.Metrics, weightMetrics}} {
			if f, ok := p.score.number(); ok && f >= 0 && f <= 1 {
				sum, weights = sum+f*p.weight, weights+p.weight
			}
		}
		if weights > 0 {
			scores = append(scores, scored{e, sum / weights})
		}
	}
	return scores
}

// littleHelp is the effectiveness below which a remediation is listed.
const littleHelp = 0.6

// unhelpful lists the assessments of remediations that helped little.
func (in *weekly) unhelpful() Section {
	s := Section{Title: "Helped little"}
	scores := in.scores()
	slices.SortStableFunc(scores, func(a, b scored) int { return cmp.Compare(a.value, b.value) })
	total := 0
	for _, sc := range scores {
		if sc.value >= littleHelp {
			break
		}
		if total++; total > maxRows {
			continue
		}
		if s.Table == nil {
			s.Table = &Table{Headings: []Heading{{Name: "score", Right: true}, {Name: "namespace"}, {Name: "at", Whole: true}, {Name: "correlation_id", Whole: true}}}
		}
		s.Table.Rows = append(s.Table.Rows, Row{
			Cells: []string{score(sc.value), string(sc.Namespace), sc.Time.UTC().Format("Mon 15:04"), string(sc.CorrelationID)}, Tone: scoreTone(sc.value), Cite: sc.cite(),
		})
	}
	return limited(s, total)
}

// catalogue lists the changes of workflows.
func (in *weekly) catalogue() Section {
	s := Section{Title: "Changes of the catalogue"}
	for i := range min(len(in.changes), maxRows) {
		if s.Table == nil {
			s.Table = changesTable()
		}
		s.Table.Rows = append(s.Table.Rows, changeRow(&in.changes[i]))
	}
	return limited(s, len(in.changes))
}

func changesTable() *Table {
	return &Table{Headings: []Heading{{Name: "change"}, {Name: "workflow"}, {Name: "version"}, {Name: "by"}, {Name: "at", Whole: true}}}
}

func changeRow(e *event) Row {
	kind := string(e.Type)
	if len(kind) > len("datastorage.workflow.") {
		kind = kind[len("datastorage.workflow."):]
	}
	return Row{
		Cells: []string{kind, string(e.Data.WorkflowName), string(e.Data.Version), string(e.Actor), e.Time.UTC().Format("2006-01-02 15:04")}, Cite: e.cite(),
	}
}
