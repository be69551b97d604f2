package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// checkCreated looks at the answer to a single event.
func checkCreated(body []byte) error {
	var answer struct {
		EventID        uuid.UUID `json:"event_id"`
		EventTimestamp time.Time `json:"event_timestamp"`
		Message        string    `json:"message"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("answer to an event: %w: %.200s", err, body)
	}
	if answer.EventID == uuid.Nil || answer.EventTimestamp.IsZero() || answer.Message == "" {
		return fmt.Errorf("answer to an event lacks event_id, event_timestamp or message: %.200s", body)
	}
	return nil
}

// checkBatch looks at the answer to a batch of n events.
func checkBatch(body []byte, n int) error {
	var answer struct {
		EventIDs []uuid.UUID `json:"event_ids"`
		Message  string      `json:"message"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("answer to a batch: %w: %.200s", err, body)
	}
	if len(answer.EventIDs) != n || answer.Message == "" {
		return fmt.Errorf("answer to a batch of %d events has %d event_ids: %.200s", n, len(answer.EventIDs), body)
	}
	return nil
}

// page is what is needed of an answer to a query.
type page struct {
	Data []struct {
		EventID        uuid.UUID `json:"event_id"`
		EventTimestamp time.Time `json:"event_timestamp"`
		EventType      string    `json:"event_type"`
		CorrelationID  string    `json:"correlation_id"`
	} `json:"data"`
	Pagination *struct {
		HasMore    bool   `json:"has_more"`
		NextCursor string `json:"next_cursor"`
	} `json:"pagination"`
}

func parsePage(body []byte) (page, error) {
	var p page
	if err := json.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("answer to a query: %w: %.200s", err, body)
	}
	if p.Data == nil || p.Pagination == nil {
		return p, fmt.Errorf("answer to a query lacks data or pagination: %.200s", body)
	}
	return p, nil
}

// countEvents counts the events of a page without parsing it: event_date is a
// member of each and of nothing else, since a string within an event has its
// quotes escaped.
func countEvents(body []byte) int { return bytes.Count(body, []byte(`"event_date":`)) }
