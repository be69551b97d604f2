package remediation

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// storedFact is a fact in a row of the projection.
type storedFact struct {
	Value    jsontext.Value `json:"v"`
	Rank     int            `json:"r,omitzero"`
	Time     int64          `json:"t"` // microseconds since 1970
	LogIndex int64          `json:"i"`
}

// encode writes the facts for the projection, in an order that is always the same.
func (f *Facts) encode() ([]byte, error) {
	stored := make(map[string]storedFact, len(f.known))
	for name, fact := range f.known {
		stored[name] = storedFact{fact.Value, fact.Rank, fact.Time.UnixMicro(), fact.LogIndex}
	}
	b, err := json.Marshal(stored, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode the facts of a remediation: %w", err)
	}
	return b, nil
}

// decodeFacts reads facts back.
func decodeFacts(b []byte) (*Facts, error) {
	var stored map[string]storedFact
	if err := json.Unmarshal(b, &stored); err != nil {
		return nil, fmt.Errorf("decode the facts of a remediation: %w", err)
	}
	f := &Facts{known: make(map[string]Fact, len(stored)), storedOnly: true}
	for name, s := range stored {
		f.known[name] = Fact{Value: s.Value, Rank: s.Rank, Time: time.UnixMicro(s.Time).UTC(), LogIndex: s.LogIndex}
	}
	return f, nil
}

// at is when the remediation was completed, or else its latest event.
func (f *Facts) at() time.Time {
	if completed, ok := f.known["completed_at"]; ok {
		return completed.Moment()
	}
	if last, ok := f.known["last_event_at"]; ok {
		return last.Moment()
	}
	return time.UnixMicro(0).UTC()
}
