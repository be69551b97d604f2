package remediation

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// member is a member of a JSON object: its name as it stands there, without quotes, and its value.
type member struct{ name, value []byte }

// object is a JSON object, in the order of its text.
type object []member

// get returns the value of a member; nil when there is none.
func (o object) get(name string) jsontext.Value {
	for i := range o {
		if string(o[i].name) == name {
			return o[i].value
		}
	}
	return nil
}

// members are the members of an event that its sources ask for, each object read when first asked for.
type members struct {
	body, data         object
	readBody, readData bool
	// room is for the members of most event_data, so that they need no memory of their own.
	room [32]member
	time jsontext.Value // event_timestamp, when it was asked for
	// made holds the values that are no part of a body, of this event and of those before.
	made []byte
}

// reset forgets the event, but not the values that were made of it.
func (m *members) reset() {
	m.body, m.data, m.readBody, m.readData, m.time = nil, nil, false, false, nil
}

// since returns what was made from a place on.
func (m *members) since(begin int) jsontext.Value { return m.made[begin:len(m.made):len(m.made)] }

// quoted returns a text as a JSON string; nil when it is not valid UTF-8.
func (m *members) quoted(s string) jsontext.Value {
	begin := len(m.made)
	b, err := jsontext.AppendQuote(m.made, s)
	if err != nil {
		return nil
	}
	m.made = b
	return m.since(begin)
}

// timestamp returns the time of the event; nil when its year has more than four digits, with which it is none in JSON.
func (m *members) timestamp(e *project.Event) jsontext.Value {
	if year := e.Time.UTC().Year(); m.time == nil && year >= 0 && year <= 9999 {
		begin := len(m.made)
		m.made = append(datastorage.AppendTime(append(m.made, '"'), e.Time), '"')
		m.time = m.since(begin)
	}
	return m.time
}

// ofBody returns the members of the event itself.
func (m *members) ofBody(e *project.Event) object {
	if !m.readBody {
		m.readBody, m.body = true, objectOf(e.Body)
	}
	return m.body
}

// ofData returns the members of event_data.
func (m *members) ofData(e *project.Event) object {
	if !m.readData {
		m.readData, m.data = true, appendMembers(m.room[:0], fromData(e.Body))
	}
	return m.data
}

// fromData returns a body from the value of event_data on; nil when it has none. What stands behind the value need not be
// read to find its members.
func fromData(body []byte) []byte {
	for i := 1; i < len(body) && body[i] == '"'; {
		colon := endOfString(body, i)
		if colon >= len(body) || body[colon] != ':' {
			return nil
		}
		if string(body[i+1:colon-1]) == "event_data" {
			return body[colon+1:]
		}
		end := endOfValue(body, colon+1)
		if end >= len(body) || body[end] != ',' {
			return nil
		}
		i = end + 1
	}
	return nil
}

// objectOf returns the members of a JSON object in canonical form; none when it is not one.
func objectOf(raw jsontext.Value) object { return appendMembers(nil, raw) }

// appendMembers appends the members of a JSON object in canonical form, which has no white space; none when it is not one.
// It reads what it must to find where they end: every event that something may be known from passes here.
func appendMembers(to object, raw []byte) object {
	if len(raw) < 2 || raw[0] != '{' {
		return to
	}
	found := to
	for i := 1; i < len(raw) && raw[i] == '"'; {
		colon := endOfString(raw, i)
		if colon >= len(raw) || raw[colon] != ':' {
			return to
		}
		end := endOfValue(raw, colon+1)
		if end >= len(raw) || raw[end] != ',' && raw[end] != '}' {
			return to
		}
		found = append(found, member{raw[i+1 : colon-1], raw[colon+1 : end]})
		if raw[end] == '}' {
			return found
		}
		i = end + 1
	}
	return to
}

// endOfString returns the place behind a string that begins at i, len(raw) when it does not end.
func endOfString(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		n := bytes.IndexByte(raw[i:], '"')
		if n < 0 {
			return len(raw)
		}
		i += n
		slashes := 0
		for raw[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
	return len(raw)
}

// endOfValue returns the place behind a value that begins at i, len(raw) when it does not end.
func endOfValue(raw []byte, i int) int {
	depth := 0
	for i < len(raw) {
		switch raw[i] {
		case '"':
			i = endOfString(raw, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(raw)
}
