package story

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// What is known of a parent.
const (
	parentHere      = "here"      // it is in the timeline
	parentElsewhere = "elsewhere" // it belongs to another correlation
	parentMissing   = "missing"   // it is not stored, or was removed
	parentUnread    = "unread"    // it is none of the events that were read, and was not looked for
	parentCycle     = "cycle"     // it descends from the event itself
)

// maxLookups is how many parents outside the timeline are looked for.
const maxLookups = 50

// relate finds out how deep each event stands below its parents, and what is known of parents outside the timeline.
func (t *Timeline) relate(ctx context.Context, src Source, parents map[uuid.UUID]uuid.UUID) error {
	here := make(map[uuid.UUID]*Entry, len(t.all))
	for _, e := range t.all {
		here[e.ID] = e
	}
	inCycle := t.breakCycles(here, parents)
	depths := depthsOf(t.all, here, parents, inCycle)
	for _, e := range t.all {
		e.Depth = depths[e.ID]
		if parent := here[parents[e.ID]]; parent != nil && !inCycle[e.ID] {
			parent.Children++
		}
	}
	found := map[uuid.UUID]Parent{}
	for _, e := range t.Events {
		id, ok := parents[e.ID]
		if !ok {
			continue
		}
		switch parent := here[id]; {
		case inCycle[e.ID]:
			e.Parent = &Parent{ID: id, State: parentCycle}
		case parent != nil:
			since := e.Time.Sub(parent.Time).Milliseconds()
			e.Parent = &Parent{ID: id, State: parentHere, SinceMS: &since}
		default:
			p, err := t.outside(ctx, src, id, found)
			if err != nil {
				return err
			}
			e.Parent = &p
			if p.State == parentElsewhere {
				since := e.Time.Sub(t.elsewhere[id]).Milliseconds()
				e.Parent.SinceMS = &since
			}
		}
	}
	return nil
}

// breakCycles finds the events whose parent descends from themselves, one for each cycle: the first of it.
func (t *Timeline) breakCycles(here map[uuid.UUID]*Entry, parents map[uuid.UUID]uuid.UUID) map[uuid.UUID]bool {
	broken := map[uuid.UUID]bool{}
	walk := make(map[uuid.UUID]int, len(t.all)) // the walk that came by first
	for n, e := range t.all {
		id := e.ID
		for walk[id] == 0 && here[id] != nil {
			walk[id] = n + 1
			next, ok := parents[id]
			if !ok {
				break
			}
			if walk[next] == n+1 {
				broken[firstOf(next, here, parents)] = true
				break
			}
			id = next
		}
	}
	return broken
}

// firstOf returns the first event of a cycle, in the order of the timeline.
func firstOf(id uuid.UUID, here map[uuid.UUID]*Entry, parents map[uuid.UUID]uuid.UUID) uuid.UUID {
	first := here[id]
	for at := parents[id]; at != id; at = parents[at] {
		if e := here[at]; e.Time.Before(first.Time) || e.Time.Equal(first.Time) && e.LogIndex < first.LogIndex {
			first = e
		}
	}
	return first.ID
}

// depthsOf counts the ancestors of each event; no cycle is left.
func depthsOf(all []*Entry, here map[uuid.UUID]*Entry, parents map[uuid.UUID]uuid.UUID, roots map[uuid.UUID]bool) map[uuid.UUID]int {
	depths := make(map[uuid.UUID]int, len(all))
	var chain []uuid.UUID
	for _, e := range all {
		chain = chain[:0]
		depth := -1 // that of the parent of the last of the chain
		for id := e.ID; here[id] != nil; id = parents[id] {
			if known, ok := depths[id]; ok {
				depth = known
				break
			}
			chain = append(chain, id)
			if roots[id] {
				break
			}
		}
		for i := len(chain) - 1; i >= 0; i-- {
			depth++
			depths[chain[i]] = depth
		}
	}
	return depths
}

// outside says what is known of a parent that is not in the timeline.
func (t *Timeline) outside(ctx context.Context, src Source, id uuid.UUID, found map[uuid.UUID]Parent) (Parent, error) {
	if p, ok := found[id]; ok {
		return p, nil
	}
	p := Parent{ID: id, State: parentUnread}
	if len(found) < maxLookups {
		stored, err := src.Event(ctx, id)
		switch {
		case datastorage.CodeOf(err) == datastorage.CodeNotFound:
			p.State = parentMissing
		case err != nil:
			return p, err
		default:
			f, _, err := parse(&stored)
			if err != nil {
				return p, err
			}
			if f.CorrelationID != t.CorrelationID {
				p.State, p.CorrelationID = parentElsewhere, f.CorrelationID
				if t.elsewhere == nil {
					t.elsewhere = map[uuid.UUID]time.Time{}
				}
				t.elsewhere[id] = stored.Time
			}
		}
	}
	found[id] = p
	return p, nil
}
