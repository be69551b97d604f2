package story

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/remediation"
)

const (
	// DefaultPage is how many events a page of a timeline has when nobody says otherwise.
	DefaultPage = 500
	// MaxPage is the largest page of a timeline, in events.
	MaxPage = 1000
	// largeGap is the time without an event from which a gap is called large.
	largeGap = time.Minute
	// maxGaps is how many large gaps the answer lists, the longest ones.
	maxGaps = 10
)

// Timeline is what happened under one correlation_id, in order.
type Timeline struct {
	CorrelationID string           `json:"correlation_id"`
	Summary       Summary          `json:"summary"`
	FirstEventAt  time.Time        `json:"first_event_at"`
	LastEventAt   time.Time        `json:"last_event_at"`
	DurationMS    int64            `json:"duration_ms"`
	EventCount    int              `json:"event_count"`
	Categories    map[string]int64 `json:"categories"`
	Outcomes      map[string]int64 `json:"outcomes"`
	Phases        []*Phase         `json:"phases"`
	LargeGaps     []Gap            `json:"large_gaps"`
	// Events are those of the page, by event_timestamp, then log_index.
	Events []*Entry `json:"events"`
	// Truncated says that there are more than MaxEvents events: the later ones are not told.
	Truncated  bool       `json:"events_truncated,omitzero"`
	Pagination Pagination `json:"pagination"`

	// Size is the size of the log that was told.
	Size int64 `json:"-"`
	// all are the events of all pages.
	all []*Entry
	// elsewhere are the times of parents of other correlations.
	elsewhere map[uuid.UUID]time.Time
}

// Pagination says where the page stands.
type Pagination struct {
	Limit      int    `json:"limit"`
	HasMore    bool   `json:"has_more"`
	NextCursor string `json:"next_cursor,omitzero"`
}

// Phase is one phase of the remediation: the events of one kind, which those of others may stand between.
type Phase struct {
	Name         string    `json:"phase"`
	FirstEventAt time.Time `json:"first_event_at"`
	LastEventAt  time.Time `json:"last_event_at"`
	DurationMS   int64     `json:"duration_ms"`
	EventCount   int       `json:"event_count"`
}

// Gap is a time without an event.
type Gap struct {
	GapMS  int64     `json:"gap_ms"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Before uuid.UUID `json:"before_event_id"`
	After  uuid.UUID `json:"after_event_id"`
}

// Entry is one event of a timeline.
type Entry struct {
	ID       uuid.UUID `json:"event_id"`
	LogIndex int64     `json:"log_index"`
	Time     time.Time `json:"event_timestamp"`
	Type     string    `json:"event_type"`
	Category string    `json:"event_category"`
	Outcome  string    `json:"event_outcome"`
	ActorID  string    `json:"actor_id"`
	Phase    string    `json:"phase"`
	Sentence string    `json:"sentence"`
	// ElapsedMS is the time since the first event, GapMS since the one before.
	ElapsedMS int64  `json:"elapsed_ms"`
	GapMS     int64  `json:"gap_ms"`
	LargeGap  bool   `json:"large_gap,omitzero"`
	TookMS    *int64 `json:"duration_ms,omitzero"`
	// Depth is how many ancestors the event has in the timeline.
	Depth    int     `json:"depth"`
	Children int     `json:"child_count"`
	Parent   *Parent `json:"parent,omitzero"`
}

// Parent is what is known of the parent that an event names.
type Parent struct {
	ID uuid.UUID `json:"event_id"`
	// State is one of the parent states.
	State string `json:"state"`
	// CorrelationID is that of a parent elsewhere.
	CorrelationID string `json:"correlation_id,omitzero"`
	// SinceMS is the time from the parent to the event; negative when the parent's clock was ahead.
	SinceMS *int64 `json:"since_ms,omitzero"`
}

// Page says which events of a timeline are asked for.
type Page struct {
	Limit int // 1 to MaxPage
	// After is the id of the last event of the page before, the nil UUID at the beginning.
	After uuid.UUID
	// Size restricts the timeline to events with log_index < Size; 0 means the log as it is.
	Size int64
}

// Tell returns one page of the timeline of a correlation. A correlation_id that no event has is CodeNotFound.
func Tell(ctx context.Context, src Source, correlationID string, page Page) (*Timeline, error) {
	t := &Timeline{
		CorrelationID: correlationID, Categories: map[string]int64{}, Outcomes: map[string]int64{}, Phases: []*Phase{}, LargeGaps: []Gap{},
	}
	for _, outcome := range datastorage.Outcomes {
		t.Outcomes[outcome] = 0
	}
	var facts remediation.Facts
	parents := map[uuid.UUID]uuid.UUID{}
	r, err := readAll(ctx, src, correlationID, "", page.Size, func(f *datastorage.Event, e *project.Event) error {
		facts.Add(e)
		t.add(f, e)
		if e.ParentID != uuid.Nil {
			parents[e.ID] = e.ParentID
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if r.count == 0 {
		return nil, NotFound()
	}
	t.Size, t.Truncated = r.size, r.truncated
	t.order()
	t.cut(page)
	if err := t.relate(ctx, src, parents); err != nil {
		return nil, err
	}
	t.Summary = summarize(&facts, t)
	return t, nil
}

// add adds an event.
func (t *Timeline) add(f *datastorage.Event, e *project.Event) {
	sentence, phase := phrases().say(f)
	t.Categories[e.Category]++
	t.Outcomes[e.Outcome]++
	t.Events = append(t.Events, &Entry{
		ID: e.ID, LogIndex: e.LogIndex, Time: e.Time, Type: e.Type, Category: e.Category, Outcome: e.Outcome, ActorID: e.ActorID,
		Phase: phase, Sentence: sentence, TookMS: f.DurationMS,
	})
}

// order puts the events in order and measures the times between them.
func (t *Timeline) order() {
	slices.SortFunc(t.Events, func(a, b *Entry) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.LogIndex, b.LogIndex))
	})
	first, last := t.Events[0], t.Events[len(t.Events)-1]
	t.FirstEventAt, t.LastEventAt, t.EventCount = first.Time, last.Time, len(t.Events)
	t.DurationMS = last.Time.Sub(first.Time).Milliseconds()
	phases := map[string]*Phase{}
	for i, e := range t.Events {
		e.ElapsedMS = e.Time.Sub(first.Time).Milliseconds()
		if i > 0 {
			t.gap(t.Events[i-1], e)
		}
		p := phases[e.Phase]
		if p == nil {
			p = &Phase{Name: e.Phase, FirstEventAt: e.Time}
			phases[e.Phase] = p
			t.Phases = append(t.Phases, p)
		}
		p.LastEventAt = e.Time
		p.DurationMS = p.LastEventAt.Sub(p.FirstEventAt).Milliseconds()
		p.EventCount++
	}
	slices.SortStableFunc(t.LargeGaps, func(a, b Gap) int { return cmp.Compare(b.GapMS, a.GapMS) })
	t.LargeGaps = t.LargeGaps[:min(len(t.LargeGaps), maxGaps)]
}

func (t *Timeline) gap(before, e *Entry) {
	gap := e.Time.Sub(before.Time)
	e.GapMS = gap.Milliseconds()
	if e.LargeGap = gap >= largeGap; e.LargeGap {
		t.LargeGaps = append(t.LargeGaps, Gap{GapMS: e.GapMS, From: before.Time, Until: e.Time, After: before.ID, Before: e.ID})
	}
}

// cut leaves the events of the page, and keeps the others in all.
func (t *Timeline) cut(page Page) {
	t.Pagination.Limit = page.Limit
	begin := 0
	if page.After != uuid.Nil {
		begin = 1 + slices.IndexFunc(t.Events, func(e *Entry) bool { return e.ID == page.After })
	}
	end := min(begin+page.Limit, len(t.Events))
	t.Pagination.HasMore = end < len(t.Events)
	t.all, t.Events = t.Events, t.Events[begin:end]
}
