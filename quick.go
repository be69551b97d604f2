package datastorage

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Almost every event is good, and written in a plain way. The functions here decode those in one pass over the bytes, and
// leave all others, which may be good as well, to the thorough way: it alone says what is wrong with an event.

// quickly decodes the one event of a body into e; false when it must be done thoroughly.
func (r *Rules) quickly(raw []byte, e *Event, now time.Time) bool {
	canon := canonicalizers.Get().(*canonicalizer)
	defer canonicalizers.Put(canon)
	s := scanner{src: raw}
	return r.quickEvent(&s, canon, e, now) && s.atEnd()
}

// canonicalizers keep their buffers between uses.
var canonicalizers = sync.Pool{New: func() any { return &canonicalizer{} }}

// quicklyAll decodes a batch; nil when it must be done thoroughly.
func (r *Rules) quicklyAll(raw []byte, now time.Time, limit int) []Event {
	canon := canonicalizers.Get().(*canonicalizer)
	defer canonicalizers.Put(canon)
	s := scanner{src: raw}
	if s.next() != '[' {
		return nil
	}
	var events []Event
	for len(events) < limit {
		s.at++
		events = append(events, Event{})
		if !r.quickEvent(&s, canon, &events[len(events)-1], now) {
			return nil
		}
		if len(events) == 1 {
			events = slices.Grow(events, min(limit, len(raw)/s.at)) // most events of a batch are of one size
		}
		switch s.next() {
		case ',':
		case ']':
			s.at++
			if !s.atEnd() {
				return nil
			}
			return events
		default:
			return nil
		}
	}
	return nil
}

// atEnd reports whether nothing but white space is left.
func (s *scanner) atEnd() bool {
	s.next()
	return s.at == len(s.src)
}

// quickEvent reads the next value into e when it is a good event in which every member stands once, has a name without
// escapes and, but for event_data, a value that is no object and no array and has no escapes but those of two characters;
// few members may be unknown. False says nothing about the value.
func (r *Rules) quickEvent(s *scanner, canon *canonicalizer, e *Event, now time.Time) bool {
	if s.next() != '{' {
		return false
	}
	v := eventDecoder{rules: r, now: now, canon: canon}
	var others names
	for seen := FieldSet(0); ; {
		s.at++
		if s.next() != '"' {
			return false
		}
		start := s.at
		if s.text() != plain {
			return false
		}
		name := s.src[start+1 : s.at-1]
		f := fieldOf(name)
		switch {
		case f == nil && others.add(name):
		case f == nil, seen.Has(f.bit):
			return false
		default:
			seen |= FieldSet(f.bit)
		}
		if s.next() != ':' {
			return false
		}
		s.at++
		if !v.quickMember(s, f) {
			return false
		}
		switch s.next() {
		case ',':
		case '}':
			s.at++
			v.finish()
			*e = v.event
			return v.faults == nil
		default:
			return false
		}
	}
}

// names are the unknown members of an event.
type names struct {
	list [4][]byte
	n    int
}

// add is false when there is no room, or the name is there already.
func (s *names) add(name []byte) bool {
	if s.n == len(s.list) {
		return false
	}
	for _, other := range s.list[:s.n] {
		if bytes.Equal(other, name) {
			return false
		}
	}
	s.list[s.n] = name
	s.n++
	return true
}

// quickMember reads the value of a member; f is nil for one that the contract does not know.
func (v *eventDecoder) quickMember(s *scanner, f *field) bool {
	b := s.next()
	start := s.at
	switch b {
	case '{':
		return f != nil && f.bit == FieldData && v.quickData(s)
	case '"':
		if how := s.text(); how != plain && how != short {
			return false
		}
	case 't', 'f', 'n':
		if !s.word() {
			return false
		}
	default:
		if !s.number() || checkNumber(s.src[start:s.at]) != "" {
			return false
		}
	}
	raw := jsontext.Value(s.src[start:s.at])
	if f != nil && string(raw) != "null" && string(raw) != `""` {
		v.set(f, raw)
	}
	return true
}

// quickData reads event_data.
func (v *eventDecoder) quickData(s *scanner) bool {
	data, end, fault := v.canon.run(s.src, s.at)
	s.at = end
	v.event.Data = data
	v.event.Sent |= FieldSet(FieldData)
	return fault == "" && len(data) <= MaxEventDataBytes
}
