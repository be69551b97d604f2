package remediation

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
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
	known map[string]Fact
	// OnIgnored is told of scores that are no numbers from 0 to 1; nil to tell nobody.
	OnIgnored func(Ignored)
	// storedOnly leaves out what the projection does not keep, and cuts texts.
	storedOnly bool
}

// Get returns a fact of the table; false when no event says it.
func (f *Facts) Get(name string) (Fact, bool) {
	fact, ok := f.known[name]
	return fact, ok
}

// Text returns the value of a fact as a text, "" when no event says it.
func (f *Facts) Text(name string) string { return f.known[name].Text() }

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
func (f *Facts) Add(e *project.Event) bool { return f.add(e, &members{}) }

// add is Add with room for the members of the event.
func (f *Facts) add(e *project.Event, m *members) bool {
	m.reset()
	says := false
	for _, r := range readingsOf(e.Type, e.Category, f.storedOnly) {
		says = f.take(r.rule, r.rank, e, m) || says
	}
	return says
}

// take takes the value that an event has for a fact, when it has one and it beats the one that is known.
func (f *Facts) take(r *rule, rank int, e *project.Event, m *members) bool {
	next := Fact{Rank: rank, Time: e.Time, LogIndex: e.LogIndex, EventID: e.ID, Type: e.Type}
	old, known := f.known[r.Fact]
	beaten := known && !r.beats(&next, &old)
	if beaten && f.storedOnly {
		return false // whatever the value is, nothing changes
	}
	raw := r.From[rank].value(e, m)
	if len(raw) == 0 {
		return false
	}
	value, fault := convert(r.Is, raw, m, e)
	if fault != "" && f.OnIgnored != nil {
		f.OnIgnored(Ignored{Fact: r.Fact, LogIndex: e.LogIndex, EventID: e.ID, Time: e.Time, Reason: fault})
	}
	if len(value) == 0 {
		return false
	}
	if f.storedOnly {
		if value = shortened(value); value == nil {
			return false
		}
	}
	if beaten {
		return true
	}
	if f.known == nil {
		f.known = map[string]Fact{}
	}
	next.Value = value
	f.known[r.Fact] = next
	return true
}

// beats reports whether a replaces b.
func (r *rule) beats(a, b *Fact) bool {
	if r.Prefer != "time" && a.Rank != b.Rank {
		return a.Rank < b.Rank
	}
	order := a.Time.Compare(b.Time)
	if order == 0 {
		order = int(min(1, max(-1, a.LogIndex-b.LogIndex)))
	}
	if r.Keep == "first" {
		order = -order
	}
	if order == 0 {
		return a.Rank < b.Rank // two members of one event
	}
	return order > 0
}

// at returns the member at a dotted path; nil when there is none.
func (o object) at(path string) jsontext.Value {
	name, rest, nested := strings.Cut(path, ".")
	value := o.get(name)
	if !nested || value == nil {
		return value
	}
	return objectOf(value).at(rest)
}

// value returns what a source finds in an event; nil when it finds nothing.
func (s *source) value(e *project.Event, m *members) jsontext.Value {
	switch {
	case s.Say != "":
		return quoted(s.Say)
	case strings.HasPrefix(s.Path, "@"):
		return field(e, m, s.Path[1:])
	}
	data := m.ofData(e)
	if s.Of == nil {
		return data.at(s.Path)
	}
	b := []byte{'{'}
	for _, name := range slices.Sorted(maps.Keys(s.Of)) {
		if value := data.at(s.Of[name]); value != nil {
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = append(append(append(b, quoted(name)...), ':'), value...)
		}
	}
	return append(b, '}')
}

// field returns a field of the event itself.
func field(e *project.Event, m *members, name string) jsontext.Value {
	switch name {
	case "event_timestamp":
		b := append([]byte{'"'}, datastorage.AppendTime(nil, e.Time)...)
		return append(b, '"')
	case "event_outcome":
		return quoted(e.Outcome)
	case "severity":
		return quoted(e.Severity)
	case "cluster_name":
		return quoted(e.ClusterName)
	case "correlation_id":
		return quoted(e.CorrelationID)
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
		if k := raw.Kind(); (k == '"' || k == '0' || k == 't' || k == 'f') && textOf(raw) != "" {
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
	case raw.Kind() == 'n' || m.ofData(e).at("assessed").Kind() == 'f':
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
		return slices.Clone(value)
	}
	text := stringOf(value)
	if len(text) <= maxStored {
		return slices.Clone(value)
	}
	return quoted(strings.ToValidUTF8(text[:maxStored], "") + "…")
}
