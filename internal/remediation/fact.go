package remediation

import (
	"bytes"
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/project"
)

// Fact is one thing that is known of a remediation, and the event that says it.
type Fact struct {
	// Value is the JSON value, in canonical form; a target and a reference are objects.
	Value jsontext.Value
	// Rank is the place of the source in the fact's list, 0 for the best.
	Rank     int
	Time     time.Time // event_timestamp
	LogIndex int64
	EventID  uuid.UUID
	Type     string // event_type
}

// Text is the value as a text: that of a string, or the literal of anything else.
func (f Fact) Text() string { return textOf(f.Value) }

// Number is the value as a number; false when it is none.
func (f Fact) Number() (float64, bool) { return numberOf(f.Value) }

// Target is the value as a target; the zero Target when it is none.
func (f Fact) Target() Target {
	t, _ := targetOf(f.Value)
	return t
}

// Moment is the value as a time; zero when it is none.
func (f Fact) Moment() time.Time {
	t, _ := timeOf(f.Value)
	return t
}

// Ignored is a value that an event states and that cannot count.
type Ignored struct {
	Fact     string
	LogIndex int64
	EventID  uuid.UUID
	Time     time.Time
	Reason   string
}

// Facts are what the events of one remediation say. The zero value knows nothing.
type Facts struct {
	known []Fact // by slot, see slots; one without a value is not known
	// OnIgnored is told of scores that are no numbers from 0 to 1; nil to tell nobody.
	OnIgnored func(Ignored)
	// storedOnly leaves out what the projection does not keep, and cuts texts.
	storedOnly bool
}

// Get returns a fact of the table; false when no event says it.
func (f *Facts) Get(name string) (Fact, bool) {
	slot, ok := slots()[name]
	if !ok || !f.knows(slot) {
		return Fact{}, false
	}
	return f.known[slot], true
}

// knows reports whether an event says the fact of a slot.
func (f *Facts) knows(slot int) bool { return slot < len(f.known) && f.known[slot].Value != nil }

// learn sets the fact of a slot.
func (f *Facts) learn(slot int, fact Fact) {
	if f.known == nil {
		f.known = make([]Fact, len(slots()))
	}
	f.known[slot] = fact
}

// forget makes f know nothing.
func (f *Facts) forget() { clear(f.known) }

// Text returns the value of a fact as a text, "" when no event says it.
func (f *Facts) Text(name string) string {
	fact, _ := f.Get(name)
	return fact.Text()
}

// statuses are what an event_outcome stands for where no event says how the run of the workflow ended.
var statuses = map[string]string{"success": "completed", "failure": "failed", "pending": "pending"}

// Status returns how the remediation ended: completed, failed, pending, executing, rolled-back, or another word of an event;
// "" when no event says.
func (f *Facts) Status() string {
	if status := f.Text("status"); status != "" {
		return status
	}
	return statuses[f.Text("event_outcome")]
}

// Add adds an event, in any order; of two values of a fact the table decides. It reports whether the event says anything;
// with storedOnly, whether it may have changed what is known.
func (f *Facts) Add(e *project.Event) bool {
	return f.add(e, readingsOf(e.Type, e.Category, f.storedOnly), &members{})
}

// add is Add with what may be read of the event, and room for its members and for values that are made of them.
func (f *Facts) add(e *project.Event, readings []reading, m *members) bool {
	m.reset()
	says := false
	for i := range readings {
		says = f.take(&readings[i], e, m) || says
	}
	return says
}

// take takes the value that an event has for a fact, when it has one and it beats the one that is known.
func (f *Facts) take(r *reading, e *project.Event, m *members) bool {
	beaten := f.knows(r.slot) && !r.beats(e, &f.known[r.slot])
	if beaten && f.storedOnly {
		return false // whatever the value is, nothing changes
	}
	raw := r.value(e, m)
	if len(raw) == 0 {
		return false
	}
	value, fault := raw, ""
	if !r.timestamp {
		value, fault = convert(r.rule.Is, raw, m, e)
	}
	if fault != "" && f.OnIgnored != nil {
		f.OnIgnored(Ignored{Fact: r.rule.Fact, LogIndex: e.LogIndex, EventID: e.ID, Time: e.Time, Reason: fault})
	}
	if len(value) == 0 {
		return false
	}
	if f.storedOnly {
		if value = shortened(value); value == nil {
			return false
		}
	}
	if !beaten {
		f.learn(r.slot, Fact{Value: value, Rank: r.rank, Time: e.Time, LogIndex: e.LogIndex, EventID: e.ID, Type: e.Type})
	}
	return true
}

// beats reports whether what an event says replaces what is known.
func (r *reading) beats(e *project.Event, known *Fact) bool {
	if r.rule.Prefer != "time" && r.rank != known.Rank {
		return r.rank < known.Rank
	}
	order := cmp.Or(e.Time.Compare(known.Time), cmp.Compare(e.LogIndex, known.LogIndex))
	if r.rule.Keep == "first" {
		order = -order
	}
	if order == 0 {
		return r.rank < known.Rank // two members of one event
	}
	return order > 0
}

// at returns the member at a path; nil when there is none.
func (o object) at(path []string) jsontext.Value {
	value := o.get(path[0])
	for _, name := range path[1:] {
		if value == nil {
			return nil
		}
		value = objectOf(value).get(name)
	}
	return value
}

// value returns what a source finds in an event; nil when it finds nothing.
func (r *reading) value(e *project.Event, m *members) jsontext.Value {
	switch {
	case r.say != nil:
		return r.say
	case r.field != "":
		return field(e, m, r.field)
	}
	data := m.ofData(e)
	if r.of == nil {
		return data.at(r.path)
	}
	begin := len(m.made)
	m.made = append(m.made, '{')
	for i := range r.of {
		if value := data.at(r.of[i].path); value != nil {
			if len(m.made) > begin+1 {
				m.made = append(m.made, ',')
			}
			m.made = append(append(append(m.made, r.of[i].name...), ':'), value...)
		}
	}
	m.made = append(m.made, '}')
	return m.since(begin)
}

// field returns a field of the event itself.
func field(e *project.Event, m *members, name string) jsontext.Value {
	switch name {
	case "event_timestamp":
		return m.timestamp(e)
	case "event_outcome":
		return m.quoted(e.Outcome)
	case "severity":
		return m.quoted(e.Severity)
	case "cluster_name":
		return m.quoted(e.ClusterName)
	case "correlation_id":
		return m.quoted(e.CorrelationID)
	}
	return m.ofBody(e).get(name)
}

func quoted(s string) jsontext.Value {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		return nil
	}
	return b
}

// convert returns a value as the table says it is; nil when it is not, with the fault of a score.
func convert(is string, raw jsontext.Value, m *members, e *project.Event) (value jsontext.Value, fault string) {
	switch is {
	case "anything":
		if raw.Kind() != 'n' && string(raw) != `""` {
			return raw, ""
		}
	case "text":
		if k := raw.Kind(); k == '"' && len(raw) > len(`""`) || k == '0' || k == 't' || k == 'f' {
			return raw, ""
		}
	case "number":
		if _, ok := numberOf(raw); ok {
			return raw, ""
		}
	case "time":
		if _, ok := timeOf(raw); ok {
			return raw, ""
		}
	case "object":
		if raw.Kind() == '{' && len(objectOf(raw)) > 0 {
			return raw, ""
		}
	case "score":
		return score(raw, m, e)
	case "target":
		if t, ok := targetOf(raw); ok {
			return t.value(), ""
		}
	case "reference":
		return reference(raw), ""
	}
	return nil, ""
}

// score returns a number from 0 to 1. A component that was not assessed has no score, whatever stands there.
func score(raw jsontext.Value, m *members, e *project.Event) (value jsontext.Value, fault string) {
	n, ok := numberOf(raw)
	switch {
	case raw.Kind() == 'n' || m.ofData(e).get("assessed").Kind() == 'f':
		return nil, ""
	case raw.Kind() != '0':
		return nil, "is not a number"
	case !ok || n < 0 || n > 1:
		return nil, "is not from 0 to 1"
	}
	return raw, ""
}

// reference returns a text namespace/name, or an object with a name, as an object with name and namespace.
func reference(raw jsontext.Value) jsontext.Value {
	var name, namespace string
	if raw.Kind() == '{' {
		o := objectOf(raw)
		name, namespace = stringOf(o.get("name")), stringOf(o.get("namespace"))
	} else {
		name = stringOf(raw)
		if before, after, found := strings.Cut(name, "/"); found {
			namespace, name = before, after
		}
	}
	if name == "" {
		return nil
	}
	b := append([]byte(`{"name":`), quoted(name)...)
	if namespace != "" {
		b = append(append(b, `,"namespace":`...), quoted(namespace)...)
	}
	return append(b, '}')
}

// stringOf returns the text of a JSON string, "" for anything else.
func stringOf(raw jsontext.Value) string {
	if raw.Kind() != '"' {
		return ""
	}
	return textOf(raw)
}

func textOf(raw jsontext.Value) string {
	if raw.Kind() != '"' {
		return string(bytes.TrimSpace(raw))
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return ""
	}
	return string(b)
}

func numberOf(raw jsontext.Value) (float64, bool) {
	if raw.Kind() != '0' {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	return n, err == nil && !math.IsInf(n, 0)
}

func timeOf(raw jsontext.Value) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, stringOf(raw))
	return t.UTC(), err == nil
}

// Limits of what the projection keeps, in bytes: a text is cut, an object is kept whole or not at all.
const (
	maxStored       = 600
	maxStoredObject = 2000
)

// shortened returns what the projection keeps of a value; nil when it keeps nothing.
func shortened(value jsontext.Value) jsontext.Value {
	if value.Kind() != '"' {
		if len(value) > maxStoredObject {
			return nil
		}
		return value
	}
	if len(value) <= maxStored { // no text is longer than its JSON
		return value
	}
	text := stringOf(value)
	if len(text) <= maxStored {
		return value
	}
	return quoted(strings.ToValidUTF8(text[:maxStored], "") + "…")
}
