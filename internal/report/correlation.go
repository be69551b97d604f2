package report

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// timeline is the answer of /audit/correlations/{id}/timeline.
type timeline struct {
	Summary    summary          `json:"summary"`
	First      time.Time        `json:"first_event_at"`
	DurationMS int64            `json:"duration_ms"`
	Events     []moment         `json:"events"`
	Count      int64            `json:"event_count"`
	Outcomes   map[string]int64 `json:"outcomes"`
	Phases     []phase          `json:"phases"`
	Gaps       []gap            `json:"large_gaps"`
	Pagination struct {
		Next string `json:"next_cursor"`
	} `json:"pagination"`
}

type summary struct {
	Text        text      `json:"text"`
	Signal      statement `json:"signal"`
	Severity    statement `json:"severity"`
	Target      target    `json:"target"`
	RootCause   statement `json:"root_cause"`
	Remediation target    `json:"remediation_target"`
	Chosen      choice    `json:"chosen"`
	Approval    statement `json:"approval"`
	Outcome     statement `json:"outcome"`
	Phase       statement `json:"phase"`
	ReviewFor   statement `json:"human_review_reason"`
}

// statement is a value and the event that says it; without a value nothing says it.
type statement struct {
	Value    text  `json:"value"`
	LogIndex int64 `json:"log_index"`
}

func (s statement) cite() Cite { return eventAt(s.LogIndex) }

type target struct {
	Kind      text  `json:"kind"`
	Name      text  `json:"name"`
	Namespace text  `json:"namespace"`
	Cluster   text  `json:"cluster_name"`
	LogIndex  int64 `json:"log_index"`
}

func (t target) statement() statement {
	if t.Kind == "" && t.Name == "" {
		return statement{}
	}
	value := strings.TrimSpace(string(t.Kind) + " " + string(t.Name))
	if t.Namespace != "" {
		value += " in " + string(t.Namespace)
	}
	if t.Cluster != "" {
		value += ", " + string(t.Cluster)
	}
	return statement{text(value), t.LogIndex}
}

type choice struct {
	Workflow   text     `json:"workflow_id"`
	Version    text     `json:"workflow_version"`
	Confidence *float64 `json:"confidence"`
	Rationale  text     `json:"rationale"`
	LogIndex   int64    `json:"log_index"`
}

type moment struct {
	LogIndex  int64     `json:"log_index"`
	Time      time.Time `json:"event_timestamp"`
	Type      text      `json:"event_type"`
	Outcome   text      `json:"event_outcome"`
	Phase     text      `json:"phase"`
	Sentence  text      `json:"sentence"`
	ElapsedMS int64     `json:"elapsed_ms"`
}

type phase struct {
	Name  text      `json:"phase"`
	First time.Time `json:"first_event_at"`
	Last  time.Time `json:"last_event_at"`
	Count int64     `json:"event_count"`
}

type gap struct {
	MS   int64     `json:"gap_ms"`
	From time.Time `json:"from"`
}

// Correlation reports on one remediation: all events of a correlation_id.
func Correlation(ctx context.Context, api API, id string) (*Document, error) {
	r := &reader{api: api}
	path := url.PathEscape(id)
	t, mark, err := readTimeline(ctx, r, "/audit/correlations/"+path+"/timeline?limit=1000")
	if err != nil {
		return nil, err
	}
	var e effectiveness
	effect, known, err := r.try(ctx, "/effectiveness/"+path, &e)
	if err != nil {
		return nil, err
	}
	d := &Document{
		Kind: "Remediation", Title: clean(id), Subtitle: fmt.Sprintf("%s · %s · %s", stamp(t.First), span(millis(t.DurationMS)), plural(t.Count, "event")),
		Status: t.status(), Lead: string(t.Summary.Text),
	}
	if signal := t.Summary.Signal.Value; signal != "" {
		d.Title = string(signal)
		d.Subtitle = clean(id) + " · " + d.Subtitle
	}
	var w workflow
	if chosen := t.Summary.Chosen.Workflow; chosen != "" {
		if _, _, err = r.try(ctx, "/workflows/"+url.PathEscape(string(chosen)), &w); err != nil {
			return nil, err
		}
	}
	others, err := history(ctx, r, t.Summary.Target, id)
	if err != nil {
		return nil, err
	}
	d.Sections = append(d.Sections, t.facts(w.Name), t.course(mark))
	if known {
		d.Sections = append(d.Sections, e.section(effect))
	}
	if others.Table != nil || others.Facts != nil {
		d.Sections = append(d.Sections, others)
	}
	d.Sections = append(d.Sections, t.steps())
	d.Sources = r.sources
	return d, nil
}

// readTimeline reads a timeline with as many pages as events are read of any question.
func readTimeline(ctx context.Context, r *reader, path string) (*timeline, string, error) {
	var t timeline
	mark, err := r.get(ctx, path, &t)
	for page := 1; err == nil && t.Pagination.Next != "" && page < maxPages; page++ {
		var more timeline
		if _, err = r.get(ctx, path+"&cursor="+url.QueryEscape(t.Pagination.Next), &more); err == nil {
			t.Events, t.Pagination = append(t.Events, more.Events...), more.Pagination
		}
	}
	return &t, mark, err
}

// status is how it ended. The tone is that of the event that says so.
func (t *timeline) status() Status {
	s := t.Summary.Outcome
	if s.Value == "" {
		return Status{"under way", Plain}
	}
	i := slices.IndexFunc(t.Events, func(m moment) bool { return m.LogIndex == s.LogIndex })
	if i < 0 {
		return Status{spaced(string(s.Value)), Plain}
	}
	return Status{spaced(string(s.Value)), outcomeTone(string(t.Events[i].Outcome))}
}

// facts tells the remediation in short; name is that of the workflow, "" when the catalogue does not know it.
func (t *timeline) facts(name text) Section {
	s := &t.Summary
	section := Section{Title: "In short"}
	add := func(label string, st statement) {
		if st.Value != "" {
			section.Facts = append(section.Facts, Fact{Label: label, Value: string(st.Value), Cite: st.cite()})
		}
	}
	add("Severity", s.Severity)
	add("Target", s.Target.statement())
	add("Root cause", s.RootCause)
	add("Remedied on", s.Remediation.statement())
	if c := s.Chosen; c.Workflow != "" {
		workflow := string(c.Workflow)
		if name != "" {
			workflow = string(name) + ", " + workflow
		}
		if c.Version != "" {
			workflow += ", version " + string(c.Version)
		}
		if c.Confidence != nil {
			workflow += ", confidence " + score(*c.Confidence)
		}
		add("Workflow", statement{text(workflow), c.LogIndex})
		add("Chosen because", statement{c.Rationale, c.LogIndex})
	}
	add("Approval", s.Approval)
	add("A person is asked", s.ReviewFor)
	add("Outcome", s.Outcome)
	add("Phase", s.Phase)
	return section
}

// course shows the phases and the long times without an event.
func (t *timeline) course(mark string) Section {
	spans := &Spans{Total: millis(t.DurationMS)}
	for _, p := range t.Phases {
		from, to := p.First.Sub(t.First), p.Last.Sub(t.First)
		text := plural(p.Count, "event")
		if to > from {
			text = span(to-from) + ", " + text
		}
		spans.Spans = append(spans.Spans, Span{Label: string(p.Name), From: from, To: to, Text: text, Cite: t.phaseCite(p.Name, mark)})
	}
	for _, g := range t.Gaps {
		from := g.From.Sub(t.First)
		spans.Spans = append(spans.Spans, Span{
			Label: "nothing", From: from, To: from + millis(g.MS), Text: span(millis(g.MS)), Quiet: true, Cite: called(mark),
		})
	}
	slices.SortStableFunc(spans.Spans, func(a, b Span) int { return int(a.From - b.From) })
	return Section{Title: "Course", Spans: spans}
}

// phaseCite cites the events of a phase that were read, from the first to the last in the log.
func (t *timeline) phaseCite(name text, mark string) Cite {
	c := called(mark)
	for _, m := range t.Events {
		if m.Phase != name {
			continue
		}
		if c.First < 0 || m.LogIndex < c.First {
			c.First = m.LogIndex
		}
		c.Last = max(c.Last, m.LogIndex)
	}
	return c
}

// shownOfRun is how many events of one phase in a row are shown before the others are counted.
const shownOfRun = 4

// steps tells what happened. Of many events of one phase in a row the first and the last are shown, and those that did not
// succeed; the others are counted by type.
func (t *timeline) steps() Section {
	section := Section{Title: "What happened"}
	for start := 0; start < len(t.Events); {
		end := start + 1
		for end < len(t.Events) && t.Events[end].Phase == t.Events[start].Phase {
			end++
		}
		section.Steps = append(section.Steps, runSteps(t.Events[start:end])...)
		start = end
	}
	if shown := int64(len(t.Events)); shown < t.Count {
		section.Note = fmt.Sprintf("The first %d of %d events.", shown, t.Count)
	}
	return section
}

func runSteps(run []moment) (steps []Step) {
	if len(run) <= shownOfRun+2 {
		for i := range run {
			steps = append(steps, run[i].step())
		}
		return steps
	}
	var hidden []moment
	flush := func() {
		if len(hidden) > 0 {
			steps = append(steps, groupStep(hidden))
			hidden = nil
		}
	}
	for i := range run {
		if i < shownOfRun/2 || i >= len(run)-shownOfRun/2 || run[i].Outcome != "success" {
			flush()
			steps = append(steps, run[i].step())
		} else {
			hidden = append(hidden, run[i])
		}
	}
	flush()
	return steps
}

func (m *moment) step() Step {
	tone := outcomeTone(string(m.Outcome))
	if tone == Good {
		tone = Plain
	}
	return Step{At: m.Time, Elapsed: millis(m.ElapsedMS), Text: string(m.Sentence), Tone: tone, Cite: eventAt(m.LogIndex)}
}

func groupStep(hidden []moment) Step {
	counts := map[text]int{}
	var types []text
	c := Cite{First: hidden[0].LogIndex, Last: hidden[0].LogIndex}
	for _, m := range hidden {
		if counts[m.Type]++; counts[m.Type] == 1 {
			types = append(types, m.Type)
		}
		c.First, c.Last = min(c.First, m.LogIndex), max(c.Last, m.LogIndex)
	}
	slices.SortStableFunc(types, func(a, b text) int { return counts[b] - counts[a] })
	parts := make([]string, 0, len(types))
	for _, t := range types {
		parts = append(parts, fmt.Sprintf("%d × %s", counts[t], t))
	}
	return Step{
		At: hidden[0].Time, Elapsed: millis(hidden[0].ElapsedMS), Text: plural(len(hidden), "more step") + ": " + strings.Join(parts, ", "), Group: true, Cite: c,
	}
}

// effectiveness is the answer of /effectiveness/{correlation_id}.
type effectiveness struct {
	Score *float64 `json:"score"`
	Parts []struct {
		Name   text    `json:"name"`
		Score  float64 `json:"score"`
		Share  float64 `json:"share"`
		Source struct {
			LogIndex int64 `json:"log_index"`
		} `json:"source"`
	} `json:"parts"`
	Missing []text `json:"missing"`
}

func (e *effectiveness) section(mark string) Section {
	section := Section{Title: "Did it help"}
	if e.Score == nil {
		section.Note = "Nobody has assessed it."
		section.Facts = []Fact{{Label: "Score", Value: "not known", Cite: called(mark)}}
		return section
	}
	section.Figures = []Figure{{
		Label: "Effectiveness", Value: score(*e.Score), Detail: "of 1, weighted over what was assessed", Tone: scoreTone(*e.Score),
		Cite: called(mark),
	}}
	bars := &Bars{Max: 1}
	for _, p := range e.Parts {
		bars.Bars = append(bars.Bars, Bar{
			Label: title(string(p.Name)), Value: p.Score, Text: score(p.Score) + ", counts " + percent(p.Share), Tone: scoreTone(p.Score),
			Cite: eventAt(p.Source.LogIndex),
		})
	}
	for _, name := range e.Missing {
		bars.Bars = append(bars.Bars, Bar{Label: title(string(name)), Text: "not assessed", Missing: true, Cite: called(mark)})
	}
	section.Bars = bars
	return section
}
