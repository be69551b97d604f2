package story

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/remediation"
)

// Limits of what a sentence shows, in characters.
const (
	maxValue    = 100
	maxLong     = 240
	maxSentence = 400
)

// values are what an event holds, by path.
type values struct {
	event *datastorage.Event
	data  map[string]jsontext.Value
}

func valuesOf(e *datastorage.Event) *values {
	v := &values{event: e}
	if json.Unmarshal(e.Data, &v.data) != nil {
		v.data = nil
	}
	return v
}

// at returns the value at a path, nil when there is none.
func (v *values) at(path string) jsontext.Value {
	if name, ok := strings.CutPrefix(path, "@"); ok {
		return v.field(name)
	}
	members := v.data
	for {
		name, rest, nested := strings.Cut(path, ".")
		value := members[name]
		if !nested || value == nil {
			return value
		}
		members = nil
		if value.Kind() != '{' || json.Unmarshal(value, &members) != nil {
			return nil
		}
		path = rest
	}
}

// field returns a field of the event itself.
func (v *values) field(name string) jsontext.Value {
	e := v.event
	switch name {
	case "actor_id":
		return text(e.ActorID)
	case "event_outcome":
		return text(e.Outcome)
	case "namespace":
		return text(e.Namespace)
	case "resource_type":
		return text(e.ResourceType)
	case "resource_id":
		return text(e.ResourceID)
	case "error_message":
		return text(e.ErrorMessage)
	case "duration_ms":
		if e.DurationMS != nil {
			return strconv.AppendInt(nil, *e.DurationMS, 10)
		}
	}
	return nil
}

func text(s string) jsontext.Value {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		return nil
	}
	return b
}

// form writes a value in words; "" when it is not there or cannot be written so.
type form func(jsontext.Value) string

func plain(v jsontext.Value) string { return scalar(v, maxValue) }

func long(v jsontext.Value) string { return scalar(v, maxLong) }

// scalar writes a string, number or boolean, cut to limit characters.
func scalar(v jsontext.Value, limit int) string {
	switch v.Kind() {
	case '"':
		b, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return ""
		}
		return oneLine(string(b), limit)
	case '0':
		return oneLine(rounded(string(v)), limit)
	case 't', 'f':
		return string(v)
	}
	return ""
}

// rounded writes a number with many digits behind its point with three that count.
func rounded(s string) string {
	_, behind, _ := strings.Cut(s, ".")
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || len(behind) <= 4 {
		return s
	}
	return strconv.FormatFloat(n, 'g', 3, 64)
}

// oneLine makes one line of a text: what is not printed, such as line breaks and marks that turn the direction of
// writing, becomes a space, runs of spaces become one, and more than limit characters end in an ellipsis.
func oneLine(s string, limit int) string {
	var b strings.Builder
	space, n := false, 0
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) || r == ' ' {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
			n++
		}
		if n >= limit {
			return strings.TrimRight(b.String(), " ") + "…"
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// asObject writes an object in a cluster: Deployment worker in demo.
func asObject(v jsontext.Value) string {
	t, ok := remediation.ParseTarget(v)
	if !ok {
		return ""
	}
	return oneLine(t.String(), 2*maxValue)
}

// asPercent writes a share from 0 to 1: 97 %.
func asPercent(v jsontext.Value) string {
	n, ok := number(v)
	if !ok || n < 0 || n > 1 {
		return ""
	}
	return strconv.FormatFloat(n*100, 'f', 0, 64) + " %"
}

func number(v jsontext.Value) (float64, bool) {
	if v.Kind() != '0' {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(v), 64)
	return n, err == nil
}

func asCount(v jsontext.Value) string {
	var elements []jsontext.Value
	if v.Kind() != '[' || json.Unmarshal(v, &elements) != nil {
		return ""
	}
	return strconv.Itoa(len(elements))
}

// maxListed is how many elements of a list a sentence names.
const maxListed = 5

// asList writes the first elements of a list, or what is true or has a text among the members of an object.
func asList(v jsontext.Value) string {
	var names []string
	switch v.Kind() {
	case '[':
		var elements []jsontext.Value
		if json.Unmarshal(v, &elements) != nil {
			return ""
		}
		for _, e := range elements {
			names = append(names, plain(e))
		}
	case '{':
		var members map[string]jsontext.Value
		if json.Unmarshal(v, &members) != nil {
			return ""
		}
		for name, value := range members {
			switch shown := plain(value); {
			case shown == "true":
				names = append(names, oneLine(name, maxValue))
			case value.Kind() == '"' && shown != "":
				names = append(names, oneLine(name, maxValue)+" "+shown)
			}
		}
		slices.Sort(names)
	}
	names = slices.DeleteFunc(names, func(s string) bool { return s == "" })
	if len(names) > maxListed {
		names = append(names[:maxListed], strconv.Itoa(len(names)-maxListed)+" more")
	}
	return oneLine(strings.Join(names, ", "), maxLong)
}

func asMilliseconds(v jsontext.Value) string { return duration(v, time.Millisecond) }

func asSeconds(v jsontext.Value) string { return duration(v, time.Second) }

// duration writes a number of units: 3m47s.
func duration(v jsontext.Value, unit time.Duration) string {
	n, ok := number(v)
	if !ok || n < 0 || n > 1e12 {
		return ""
	}
	return span(time.Duration(n * float64(unit)))
}

// span writes a duration: 250ms, 3.2s, 3m47s, 26h3m.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return strings.TrimSuffix(d.Round(time.Second).String(), "m0s") + suffix(d.Round(time.Second)%time.Minute == 0, "m")
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

func suffix(yes bool, s string) string {
	if yes {
		return s
	}
	return ""
}
