package report

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// workflow is a version in the catalogue.
type workflow struct {
	ID          string    `json:"workflow_id"`
	Name        text      `json:"workflow_name"`
	Version     text      `json:"version"`
	Title       text      `json:"name"`
	Description text      `json:"description"`
	Status      text      `json:"status"`
	ActionType  text      `json:"action_type"`
	Owner       text      `json:"owner"`
	CreatedAt   time.Time `json:"created_at"`
	Latest      bool      `json:"is_latest_version"`
	Reason      text      `json:"disabled_reason"`
	Guidance    struct {
		WhenToUse    text `json:"when_to_use"`
		WhenNotToUse text `json:"when_not_to_use"`
	} `json:"guidance"`
}

// rate is the answer of /success-rate/workflow.
type rate struct {
	Total      int64   `json:"total_executions"`
	Successful int64   `json:"successful_executions"`
	Failed     int64   `json:"failed_executions"`
	Rate       float64 `json:"success_rate"` // 0 to 100
	Confidence text    `json:"confidence"`
	Interval   struct {
		Lower float64 `json:"lower"`
		Upper float64 `json:"upper"`
	} `json:"interval"`
	Incidents []struct {
		IncidentType text    `json:"incident_type"`
		Executions   int64   `json:"executions"`
		Rate         float64 `json:"success_rate"` // 0 to 1
	} `json:"breakdown_by_incident_type"`
	Mode struct {
		Selected int64 `json:"catalog_selected"`
		Chained  int64 `json:"chained"`
		Manual   int64 `json:"manual_escalation"`
	} `json:"ai_execution_mode"`
	Citations []int64 `json:"citations"`
}

// cite cites the call and, where the executions are near each other in the log, from where to where they are.
func (s *rate) cite(mark string) Cite {
	c := called(mark)
	if len(s.Citations) > 0 {
		c.First, c.Last = slices.Min(s.Citations), slices.Max(s.Citations)
	}
	return c
}

// Range is how far back a report on a workflow looks, in the form of the API: digits and h or d.
type Range string

// Check says what is wrong with a range.
func (r Range) Check() error {
	_, err := r.duration()
	return err
}

// duration returns the length of a range.
func (r Range) duration() (time.Duration, error) {
	s := string(r)
	n, err := strconv.Atoi(strings.TrimRight(s, "hd"))
	if err != nil || n < 1 || n > 100_000 || len(s) != len(strconv.Itoa(n))+1 {
		return 0, fmt.Errorf("a range is digits followed by h or d, such as 30d, not %q", clean(s))
	}
	if s[len(s)-1] == 'd' {
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.Duration(n) * time.Hour, nil
}

// maxVersions is how many versions of a workflow are compared, and maxScores how many of its last remediations are asked
// for their effectiveness.
const (
	maxVersions = 8
	maxScores   = 20
)

// flow is what a report on a workflow is made of.
type flow struct {
	r        *reader
	id       string
	versions []workflow // of the same name, newest first; none when the catalogue does not know it
	catalog  Cite
	span     Range
	since    time.Time
	now      time.Time

	rate  *rate // nil when the server has none
	rated Cite
	runs  []event // the last of each remediation, oldest first
	ran   Cite
	score map[text]scoreOf
}

type scoreOf struct {
	value float64
	cite  Cite
}

// OfWorkflow reports on a workflow, given by its id or its name, and on what has become of the remediations that it was
// chosen for in a range before now.
func OfWorkflow(ctx context.Context, api API, idOrName string, span Range, now time.Time) (*Document, error) {
	back, err := span.duration()
	if err != nil {
		return nil, err
	}
	f := &flow{r: &reader{api: api}, span: span, since: now.Add(-back).UTC().Truncate(time.Second), now: now, score: map[text]scoreOf{}}
	for _, read := range []func(context.Context) error{
		func(ctx context.Context) error { return f.find(ctx, idOrName) }, f.readRate, f.readRuns, f.readScores,
	} {
		if err := read(ctx); err != nil {
			return nil, err
		}
	}
	versions, err := f.compare(ctx)
	if err != nil {
		return nil, err
	}
	changes, err := f.history(ctx)
	if err != nil {
		return nil, err
	}
	d := f.head()
	d.Sections = append(d.Sections, f.figures())
	for _, s := range []Section{f.incidents(), versions, f.course(), f.endings(), f.facts(), f.table(), changes} {
		if s.Bars != nil || s.Columns != nil || s.Facts != nil || s.Table != nil {
			d.Sections = append(d.Sections, s)
		}
	}
	d.Sources = f.r.sources
	return d, nil
}

// find resolves an id or a name. An id that the catalogue does not know may still be in the log.
func (f *flow) find(ctx context.Context, idOrName string) error {
	name := idOrName
	if id, err := uuid.Parse(idOrName); err == nil {
		f.id = id.String()
		var w workflow
		mark, known, err := f.r.try(ctx, "/workflows/"+f.id, &w)
		if err != nil || !known {
			return err
		}
		f.catalog = called(mark)
		f.versions = []workflow{w}
		return nil
	}
	var list struct {
		Versions []workflow `json:"versions"`
	}
	mark, _, err := f.r.try(ctx, "/workflows/by-name/"+url.PathEscape(name)+"/versions", &list)
	if err != nil {
		return err
	}
	if len(list.Versions) == 0 {
		return datastorage.Errorf(datastorage.CodeNotFound, "no workflow is named %s; \"datastorage catalog list\" lists them", clean(name))
	}
	f.catalog = called(mark)
	f.versions = list.Versions
	slices.SortStableFunc(f.versions, func(a, b workflow) int { // the latest first
		return cmp.Compare(map[bool]int{true: 0, false: 1}[a.Latest], map[bool]int{true: 0, false: 1}[b.Latest])
	})
	f.id = f.versions[0].ID
	return nil
}

func (f *flow) readRate(ctx context.Context) error {
	var s rate
	mark, known, err := f.r.try(ctx, ratePath(f.id, f.span), &s)
	if err != nil || !known {
		return err
	}
	f.rate, f.rated = &s, s.cite(mark)
	return nil
}

func ratePath(id string, span Range) string {
	return "/success-rate/workflow?citations=true&workflow_id=" + url.QueryEscape(id) + "&time_range=" + url.QueryEscape(string(span))
}

func (f *flow) readRuns(ctx context.Context) error {
	query := url.Values{
		"event_type": {"orchestrator.lifecycle.completed"}, "detail_key": {"workflow_id"}, "detail_value": {f.id}, "since": {f.since.Format(time.RFC3339)},
	}
	mark, _, err := f.r.events(ctx, query, func(e *event) { f.runs = append(f.runs, *e) })
	f.runs, f.ran = latest(f.runs), called(mark)
	return err
}

// readScores asks how much the last remediations helped.
func (f *flow) readScores(ctx context.Context) error {
	for i := range f.runs[max(0, len(f.runs)-maxScores):] {
		run := &f.runs[len(f.runs)-1-i]
		var e effectiveness
		mark, known, err := f.r.try(ctx, "/effectiveness/"+url.PathEscape(string(run.CorrelationID)), &e)
		if err != nil {
			return err
		}
		if known && e.Score != nil {
			f.score[run.CorrelationID] = scoreOf{*e.Score, called(mark)}
		}
	}
	return nil
}

func (f *flow) head() *Document {
	d := &Document{Kind: "Workflow", Title: clean(f.id), Subtitle: "not in the catalogue of this server"}
	if len(f.versions) > 0 {
		w := &f.versions[0]
		d.Title = string(w.Name)
		d.Subtitle = fmt.Sprintf("version %s · %s", w.Version, clean(w.ID))
		d.Status = Status{string(w.Status), map[bool]Tone{true: Good, false: Attention}[w.Status == "active"]}
		d.Lead = string(w.Description)
	}
	return d
}

func (f *flow) figures() Section {
	section := Section{Title: "The last " + string(f.span)}
	add := func(fig Figure) { section.Figures = append(section.Figures, fig) }
	if s := f.rate; s != nil && s.Total > 0 {
		add(Figure{Label: "Success rate", Value: percent(s.Rate / 100), Tone: s.tone(), Cite: f.rated, Detail: "confidence: " + spaced(string(s.Confidence))})
		add(Figure{Label: "Executions", Value: strconv.FormatInt(s.Total, 10), Detail: fmt.Sprintf("%d succeeded, %d failed", s.Successful, s.Failed), Cite: f.rated})
		if s.Mode.Selected+s.Mode.Chained+s.Mode.Manual > 0 {
			add(Figure{Label: "Chosen from the catalogue", Value: strconv.FormatInt(s.Mode.Selected, 10), Detail: fmt.Sprintf("%d chained, %d handed to a person", s.Mode.Chained, s.Mode.Manual), Cite: f.rated})
		}
	}
	if f.rate == nil || f.rate.Total == 0 {
		add(Figure{Label: "Remediations ended", Value: strconv.Itoa(len(f.runs)), Detail: fmt.Sprintf("%d of them succeeded", succeeded(f.runs)), Cite: f.ran})
	}
	if len(f.score) > 0 {
		mean, marks := 0.0, make([]string, 0, len(f.score))
		for i := range f.runs {
			if s, ok := f.score[f.runs[i].CorrelationID]; ok {
				mean += s.value / float64(len(f.score))
				marks = append(marks, s.cite.Source)
			}
		}
		if len(marks) > 3 {
			marks = append(marks[:1], "…", marks[len(marks)-1])
		}
		add(Figure{
			Label: "Effectiveness", Value: score(mean), Detail: "mean of the last " + plural(len(f.score), "assessment") + ", of 1", Tone: scoreTone(mean),
			Cite: called(strings.Join(marks, " ")),
		})
	}
	return section
}

// incidents compares the rates for what the workflow was chosen for.
func (f *flow) incidents() Section {
	s := Section{Title: "By incident"}
	if f.rate == nil || len(f.rate.Incidents) == 0 {
		return s
	}
	s.Bars = &Bars{Max: 1}
	for _, i := range f.rate.Incidents[:min(maxBars, len(f.rate.Incidents))] {
		s.Bars.Bars = append(s.Bars.Bars, Bar{
			Label: string(i.IncidentType), Value: i.Rate, Text: percent(i.Rate) + " of " + plural(i.Executions, "execution"), Tone: sureTone(i.Rate, i.Executions),
			Cite: called(f.rated.Source),
		})
	}
	return s
}

// compare shows the rates of the versions with the interval that each is known to lie in.
func (f *flow) compare(ctx context.Context) (Section, error) {
	s := Section{Title: "By version", Note: "Between the marks lies the true rate with a probability of 95 %."}
	if f.rate == nil {
		return s, nil
	}
	s.Bars = &Bars{Max: 100}
	if len(f.versions) == 0 {
		s.Bars.Bars = []Bar{f.rate.bar("all versions", f.rated)}
		return s, nil
	}
	for i, w := range f.versions[:min(maxVersions, len(f.versions))] {
		one, cite := f.rate, f.rated
		if i > 0 {
			one = &rate{}
			mark, _, err := f.r.try(ctx, ratePath(w.ID, f.span), one)
			if err != nil {
				return s, err
			}
			cite = one.cite(mark)
		}
		s.Bars.Bars = append(s.Bars.Bars, one.bar(string(w.Version), cite))
	}
	if len(f.versions) > maxVersions {
		s.Note += fmt.Sprintf(" The newest %d of %d versions.", maxVersions, len(f.versions))
	}
	return s, nil
}

func (s *rate) bar(label string, cite Cite) Bar {
	b := Bar{Label: label, Cite: cite}
	if s.Total == 0 {
		b.Missing, b.Text = true, "not used"
		return b
	}
	b.Value, b.Low, b.High, b.Tone = s.Rate, s.Interval.Lower, s.Interval.Upper, s.tone()
	b.Text = percent(s.Rate/100) + " of " + plural(s.Total, "execution")
	return b
}

// tone is how the rate looks.
func (s *rate) tone() Tone { return sureTone(s.Rate/100, s.Total) }

// fewSamples is the number of executions below which a rate says little.
const fewSamples = 5

// sureTone is scoreTone for a rate of so many executions.
func sureTone(f float64, executions int64) Tone {
	if executions < fewSamples {
		return Plain
	}
	return scoreTone(f)
}

// maxSteps is how many columns a chart over a range has at most.
const maxSteps = 14

// course counts the remediations over the range.
func (f *flow) course() Section {
	s := Section{Title: "Over time"}
	if len(f.runs) == 0 {
		return s
	}
	first := f.runs[0].Time.UTC().Truncate(24 * time.Hour)
	days := int(f.runs[len(f.runs)-1].Time.Sub(first)/(24*time.Hour)) + 1
	step := (days + maxSteps - 1) / maxSteps
	c := &Columns{Parts: parts, Cite: f.ran}
	for day := 0; day < days; day += step {
		c.Columns = append(c.Columns, Column{Label: first.AddDate(0, 0, day).Format("2 Jan"), Values: make([]float64, len(parts))})
	}
	for i := range f.runs {
		e := &f.runs[i]
		c.Columns[int(e.Time.Sub(first)/(24*time.Hour))/step].Values[part(e.tone())]++
	}
	if step > 1 {
		s.Note = fmt.Sprintf("Each column is %s.", plural(step, "day"))
	}
	s.Columns = c
	return s
}

func (f *flow) endings() Section {
	if len(f.runs) == 0 {
		return Section{}
	}
	return endings(f.runs, f.ran)
}

func (f *flow) facts() Section {
	s := Section{Title: "What it is"}
	if len(f.versions) == 0 {
		return s
	}
	w := &f.versions[0]
	for _, fact := range []Fact{
		{Label: "Title", Value: string(w.Title)}, {Label: "Action type", Value: string(w.ActionType)}, {Label: "Status", Value: string(w.Status)},
		{Label: "Disabled because", Value: string(w.Reason)}, {Label: "When to use", Value: string(w.Guidance.WhenToUse)},
		{Label: "When not to use", Value: string(w.Guidance.WhenNotToUse)}, {Label: "Owner", Value: string(w.Owner)}, {Label: "Published", Value: stamp(w.CreatedAt)},
	} {
		if fact.Value != "" {
			fact.Cite = f.catalog
			s.Facts = append(s.Facts, fact)
		}
	}
	return s
}

// table lists the last remediations, the newest first.
func (f *flow) table() Section {
	s := Section{Title: "Remediations"}
	for i := range min(len(f.runs), maxRows) {
		e := &f.runs[len(f.runs)-1-i]
		if s.Table == nil {
			s.Table = &Table{Headings: []Heading{
				{Name: "ended as"}, {Name: "incident"}, {Name: "namespace"}, {Name: "helped", Right: true}, {Name: "at", Whole: true}, {Name: "correlation_id", Whole: true},
			}}
		}
		helped := "–"
		if known, ok := f.score[e.CorrelationID]; ok {
			helped = score(known.value)
		}
		s.Table.Rows = append(s.Table.Rows, Row{
			Cells: []string{spaced(e.ending()), incidentOf(e), string(e.Namespace), helped, e.Time.UTC().Format(time.DateOnly), string(e.CorrelationID)}, Tone: e.tone(), Cite: e.cite(),
		})
	}
	if len(f.runs) > maxRows {
		s.Note = fmt.Sprintf("The last %d of %d.", maxRows, len(f.runs))
	}
	return s
}

// history lists the changes of the workflow in the catalogue.
func (f *flow) history(ctx context.Context) (Section, error) {
	s := Section{Title: "Changes in the catalogue"}
	var changes []event
	query := url.Values{"event_type": {"datastorage.workflow.*"}, "resource_id": {f.id}}
	if _, _, err := f.r.events(ctx, query, func(e *event) { changes = append(changes, *e) }); err != nil {
		return s, err
	}
	for i := range min(len(changes), maxRows) {
		if s.Table == nil {
			s.Table = changesTable()
		}
		s.Table.Rows = append(s.Table.Rows, changeRow(&changes[i]))
	}
	return limited(s, len(changes)), nil
}
