package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/google/uuid"
)

// storedEvent is what a walk through the store finds of an event.
type storedEvent struct {
	ID       uuid.UUID `json:"event_id"`
	LogIndex int64     `json:"log_index"`
	Data     struct {
		Client int `json:"client"`
		Seq    int `json:"seq"`
	} `json:"event_data"`
}

// walk yields every stored event of the type, by cursor.
func (s *server) walk(ctx context.Context, eventType string, yield func(storedEvent)) error {
	cursor := ""
	for {
		query := url.Values{"event_type": {eventType}, "limit": {"1000"}, "count": {"none"}, "cursor": {cursor}}
		text, err := s.get(ctx, eventsPath+"?"+query.Encode())
		if err != nil {
			return fmt.Errorf("read what is stored: %w", err)
		}
		var page struct {
			Data       []storedEvent
			Pagination struct {
				NextCursor string `json:"next_cursor"`
			}
		}
		if err := json.Unmarshal(text, &page); err != nil {
			return fmt.Errorf("read what is stored: %w", err)
		}
		for _, e := range page.Data {
			yield(e)
		}
		if cursor = page.Pagination.NextCursor; cursor == "" {
			return nil
		}
	}
}

// maxExamples is how many of the events that are wrong are named.
const maxExamples = 5

// comparison is what was acknowledged beside what is stored.
type comparison struct {
	acknowledged, stored    int
	lost, twice, outOfOrder int
	examples                []string
}

func (c *comparison) example(format string, args ...any) {
	if len(c.examples) < maxExamples {
		c.examples = append(c.examples, fmt.Sprintf(format, args...))
	}
}

// compare says what became of the clients' events. An event that nobody acknowledged may be stored or not, once. The log
// order of the events of one client must be the order in which they were sent, since each waited for the one before.
func compare(clients []*writer, stored []storedEvent) comparison {
	var c comparison
	type number struct{ client, seq int }
	found := map[number]storedEvent{}
	for _, e := range stored {
		c.stored++
		n := number{e.Data.Client, e.Data.Seq}
		if first, again := found[n]; again {
			c.twice++
			c.example("client %d, event %d is stored as %s at log_index %d and as %s at %d", n.client, n.seq, first.ID, first.LogIndex, e.ID, e.LogIndex)
			continue
		}
		found[n] = e
	}
	for _, w := range clients {
		furthest := int64(-1)
		for i, a := range w.acked {
			c.acknowledged++
			e, ok := found[number{w.number, i + 1}]
			switch {
			case !ok || e.ID != a.id:
				c.lost++
				c.example("client %d, event %d (%s) was acknowledged with %d and is not stored", w.number, i+1, a.id, a.status)
			case e.LogIndex < furthest:
				c.outOfOrder++
				c.example("client %d, event %d (%s, %d) stands at log_index %d, behind a later one at %d", w.number, i+1, a.id, a.status, e.LogIndex, furthest)
			default:
				furthest = e.LogIndex
			}
		}
	}
	return c
}
