package redisqueue

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// storedLetter is a letter as the hash of letters holds it.
type storedLetter struct {
	id, text string
}

// letterDoc is the text of a letter. Its members are part of the format. Entry has the fields of an entry that this queue
// put, Foreign those of any other, names and values in turn.
type letterDoc struct {
	Reason        string            `json:"reason"`
	QuarantinedAt int64             `json:"quarantined_at"` // microseconds since 1970
	Entry         map[string]string `json:"entry,omitzero"`
	Foreign       [][]byte          `json:"foreign,omitzero"`
	Origin        string            `json:"origin,omitzero"`
}

func encodeLetter(e *entry, reason string, now time.Time) ([]byte, error) {
	doc := letterDoc{Reason: strings.ToValidUTF8(reason, "\ufffd"), QuarantinedAt: now.UnixMicro()}
	if _, err := e.message(); err == nil {
		doc.Entry = make(map[string]string, len(fieldNames))
		for _, name := range fieldNames {
			doc.Entry[name] = e.field(name)
		}
	} else {
		doc.Origin = e.origin()
		for i := 0; i+1 < len(e.fields); i += 2 {
			// What this queue counts by, or keeps itself, an entry that is put back must not bring.
			if name := e.fields[i]; name != "event_id" && name != originField {
				doc.Foreign = append(doc.Foreign, []byte(name), []byte(e.fields[i+1]))
			}
		}
	}
	return json.Marshal(&doc, json.Deterministic(true))
}

func (s *storedLetter) decode() (*letterDoc, error) {
	var doc letterDoc
	if err := json.Unmarshal([]byte(s.text), &doc); err != nil {
		return nil, s.unreadable(err)
	}
	return &doc, nil
}

// entry returns the entry that the letter was, and becomes again when it is replayed.
func (s *storedLetter) entry() (*entry, error) {
	doc, err := s.decode()
	if err != nil {
		return nil, err
	}
	return s.entryOf(doc)
}

func (s *storedLetter) entryOf(doc *letterDoc) (*entry, error) {
	place, ok := parseID(s.id)
	if !ok {
		return nil, s.unreadable(errReply)
	}
	e := &entry{place: place}
	if doc.Entry != nil {
		for _, name := range fieldNames {
			e.fields = append(e.fields, name, doc.Entry[name])
		}
		return e, nil
	}
	for _, text := range doc.Foreign {
		e.fields = append(e.fields, string(text))
	}
	e.fields = append(e.fields, originField, doc.Origin)
	return e, nil
}

// letter returns the letter as the API has it.
func (s *storedLetter) letter() (deadletter.Letter, error) {
	doc, err := s.decode()
	if err != nil {
		return deadletter.Letter{}, err
	}
	e, err := s.entryOf(doc)
	if err != nil {
		return deadletter.Letter{}, err
	}
	m := foreignMessage(e)
	if doc.Entry != nil {
		if m, err = e.message(); err != nil {
			return deadletter.Letter{}, s.unreadable(err)
		}
	}
	m.ID = s.id
	return deadletter.Letter{Message: *m, Reason: doc.Reason, QuarantinedAt: time.UnixMicro(doc.QuarantinedAt).UTC()}, nil
}
