package httpapi

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
)

// incident is what the parameters of a query say of an incident.
type incident struct {
	search *datastorage.WorkflowSearch // nil when they have faults
	given  []string                    // the mandatory labels that they hold
}

// mandatoryLabels are the labels that every workflow has.
var mandatoryLabels = []string{"signal_type", "severity", "component", "environment", "priority"}

const (
	customPrefix   = "custom_labels["
	detectedPrefix = "detected_labels["
)

// incident reads the labels of an incident, by the rules of the filters of a search: the mandatory labels under their
// names, and custom_labels[key] and detected_labels[name]. A mandatory label that is not given asks for the wildcard.
func (p *params) incident(now time.Time) incident {
	var i incident
	b := []byte(`{"filters":{`)
	for _, name := range mandatoryLabels {
		value := p.text(name)
		if value == "" {
			value = datastorage.Wildcard
		} else {
			i.given = append(i.given, name)
		}
		b = append(appendText(b, `"`+name+`":`, value), ',')
	}
	b = append(b, `"custom_labels":`...)
	b = p.appendLabels(b, customPrefix, appendCustomValue)
	b = append(b, `,"detected_labels":`...)
	b = p.appendLabels(b, detectedPrefix, appendDetectedValue)
	search, _, err := datastorage.DecodeWorkflowSearch(append(b, "}}"...), now)
	if e, ok := errors.AsType[*datastorage.Error](err); ok {
		for path, sentence := range e.Fields {
			name := strings.TrimPrefix(path, "filters.")
			p.fault(parameterName(name), "%s", strings.TrimPrefix(sentence, path+" "))
		}
		return i
	}
	i.search = search
	return i
}

// parameterName is the parameter that a field of the filters comes from: custom_labels.team becomes custom_labels[team].
func parameterName(field string) string {
	if label, key, found := strings.Cut(field, "."); found {
		return label + "[" + key + "]"
	}
	return field
}

// appendLabels appends the parameters that are a prefix, a key and a bracket as a JSON object.
func (p *params) appendLabels(b []byte, prefix string, appendValue func(b []byte, key, value string) []byte) []byte {
	b = append(b, '{')
	first := true
	for _, name := range p.names(prefix) {
		value := p.text(name)
		if value == "" {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		key := strings.TrimSuffix(strings.TrimPrefix(name, prefix), "]")
		b = append(appendText(b, "", key), ':')
		b = appendValue(b, key, value)
	}
	return append(b, '}')
}

// names returns the parameters that are a prefix, a key and a closing bracket, in order.
func (p *params) names(prefix string) []string {
	var names []string
	for name := range p.values {
		if strings.HasPrefix(name, prefix) && strings.HasSuffix(name, "]") && isText(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// appendCustomValue appends values that are separated by commas as an array.
func appendCustomValue(b []byte, _, value string) []byte {
	b = append(b, '[')
	for i, s := range strings.Split(value, ",") {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, "", s)
	}
	return append(b, ']')
}

// appendDetectedValue appends true and false as such, and failed_detections as an array.
func appendDetectedValue(b []byte, key, value string) []byte {
	switch {
	case key == "failed_detections":
		return appendCustomValue(b, key, value)
	case value == "true", value == "false":
		return append(b, value...)
	}
	return appendText(b, "", value)
}

// excludes returns the problem of a workflow that is not for the incident, nil when it is.
func (i *incident) excludes(snapshot *catalog.Snapshot, id uuid.UUID) error {
	if len(i.given) == 0 {
		return nil
	}
	excluded, _ := snapshot.Excludes(i.search, id)
	var reasons []string
	for _, e := range excluded {
		if slices.Contains(i.given, e.Condition) {
			reasons = append(reasons, e.Condition+" is "+quote(e.Has)+", not "+quote(e.Asked))
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return datastorage.Errorf(datastorage.CodeNotFound, "this workflow is not for such an incident: its %s", strings.Join(reasons, "; its "))
}

// quote quotes a value for a problem, cut to 64 characters.
func quote(s string) string { return strconv.Quote(cut(s, 64)) }
