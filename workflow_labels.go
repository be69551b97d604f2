package datastorage

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// The limits of custom labels.
const (
	MaxCustomLabels      = 10
	MaxCustomLabelKey    = 63  // characters
	MaxCustomLabelValues = 5   // of each key
	MaxCustomLabelValue  = 100 // characters
)

// maxOtherLabels is the largest object of detected labels that the contract does not know, in canonical bytes.
const maxOtherLabels = 16 << 10

// FailableDetections are the values of failed_detections.
var FailableDetections = []string{
	"gitOpsManaged", "pdbProtected", "hpaEnabled", "stateful", "helmManaged", "networkIsolated", "serviceMesh",
}

// gitOpsTools and serviceMeshes are the values of those detected labels.
var (
	gitOpsTools   = []string{"argocd", "flux", Wildcard}
	serviceMeshes = []string{"istio", "linkerd", Wildcard}
)

// labelValues are what some mandatory labels may hold beside Wildcard; the others may hold any text.
var labelValues = map[string][]string{"severity": Severities, "priority": Priorities}

// members are the mandatory labels by name, in the order of the contract.
func (l *Labels) members() iter.Seq2[string, *[]string] {
	return func(yield func(string, *[]string) bool) {
		_ = yield("signal_type", &l.SignalType) && yield("severity", &l.Severity) && yield("component", &l.Component) &&
			yield("environment", &l.Environment) && yield("priority", &l.Priority)
	}
}

func (l *Labels) decode(o *object) {
	o.object("labels", true, func(o *object) {
		for name, target := range l.members() {
			o.take(name, func(raw jsontext.Value) string { return decodeLabel(name, raw, target) })
		}
	})
}

// decodeLabel decodes a string or an array of strings. What is there twice is kept once.
func decodeLabel(name string, raw jsontext.Value, target *[]string) string {
	if raw == nil {
		return "is required"
	}
	values := []jsontext.Value{raw}
	if raw[0] == '[' {
		values = elements(raw)
	}
	switch {
	case len(values) == 0:
		return "is required and must not be empty"
	case len(values) > MaxLabelValues:
		return "must have at most " + strconv.Itoa(MaxLabelValues) + " values"
	}
	for _, raw := range values {
		s, fault := decodeLabelValue(name, raw)
		if fault != "" {
			return fault
		}
		if !slices.Contains(*target, s) {
			*target = append(*target, s)
		}
	}
	return ""
}

// decodeLabelValue decodes one value of a mandatory label. Those with few values may be written in any case.
func decodeLabelValue(name string, raw jsontext.Value) (s, fault string) {
	s, ok := unquote(raw)
	allowed := labelValues[name]
	switch {
	case !ok && allowed != nil:
		return "", mustBeOneOf(allowed)
	case !ok:
		return "", "must be a string or an array of strings"
	case strings.TrimSpace(s) == "":
		return "", "is required and must not be blank"
	case s == Wildcard:
		return s, ""
	case allowed == nil && utf8.RuneCountInString(s) > MaxLabelLength:
		return "", "must be at most " + strconv.Itoa(MaxLabelLength) + " characters"
	case allowed == nil:
		return s, ""
	}
	i := slices.IndexFunc(allowed, func(a string) bool { return strings.EqualFold(a, s) })
	if i < 0 {
		return "", mustBeOneOf(allowed)
	}
	return allowed[i], ""
}

// mustBeOneOf is the fault of a label that may hold one of allowed or Wildcard.
func mustBeOneOf(allowed []string) string {
	return "must be one of: " + strings.Join(allowed, ", ") + ", " + Wildcard
}

// elements returns the elements of a valid JSON array.
func elements(raw jsontext.Value) []jsontext.Value {
	d := borrowDecoder(raw)
	defer d.giveBack()
	var values []jsontext.Value
	if _, err := d.dec.ReadToken(); err != nil {
		return nil
	}
	for d.dec.PeekKind() != ']' {
		v, err := d.dec.ReadValue()
		if err != nil {
			return nil
		}
		values = append(values, v.Clone())
	}
	return values
}

// customLabels decodes custom_labels, an object of arrays. A key without values is left out.
func (o *object) customLabels(target *map[string][]string) {
	o.object("custom_labels", false, func(o *object) {
		labels := map[string][]string{}
		keys := sortedKeys(o.members)
		if len(keys) > MaxCustomLabels {
			o.faults[strings.TrimSuffix(o.path, ".")] = strings.TrimSuffix(o.path, ".") + " must have at most " +
				strconv.Itoa(MaxCustomLabels) + " keys"
			return
		}
		for _, key := range keys {
			o.customLabel(key, labels)
		}
		if len(labels) > 0 {
			*target = labels
		}
	})
}

func (o *object) customLabel(key string, labels map[string][]string) {
	raw := o.members[key]
	delete(o.members, key)
	var fault string
	switch {
	case key == "":
		fault = "must have a key"
	case utf8.RuneCountInString(key) > MaxCustomLabelKey:
		fault = "must have a key of at most " + strconv.Itoa(MaxCustomLabelKey) + " characters"
	case raw[0] != '[':
		fault = "must be an array of strings"
	default:
		labels[key], fault = decodeCustomValues(elements(raw))
	}
	if fault != "" {
		o.fault(shorten(key), fault)
	} else if len(labels[key]) == 0 {
		delete(labels, key)
	}
}

func decodeCustomValues(elements []jsontext.Value) (values []string, fault string) {
	if len(elements) > MaxCustomLabelValues {
		return nil, "must have at most " + strconv.Itoa(MaxCustomLabelValues) + " values"
	}
	for _, raw := range elements {
		s, ok := unquote(raw)
		switch {
		case !ok:
			return nil, "must be an array of strings"
		case strings.TrimSpace(s) == "":
			return nil, "must not hold a blank value"
		case utf8.RuneCountInString(s) > MaxCustomLabelValue:
			return nil, "must have values of at most " + strconv.Itoa(MaxCustomLabelValue) + " characters"
		}
		values = append(values, s)
	}
	return values, ""
}

// booleans are the labels that are true, false or absent, by name.
func (d *DetectedLabels) booleans() iter.Seq2[string, **bool] {
	return func(yield func(string, **bool) bool) {
		_ = yield("gitOpsManaged", &d.GitOpsManaged) && yield("pdbProtected", &d.PDBProtected) && yield("hpaEnabled", &d.HPAEnabled) &&
			yield("stateful", &d.Stateful) && yield("helmManaged", &d.HelmManaged) && yield("networkIsolated", &d.NetworkIsolated)
	}
}

// isEmpty reports whether nothing was detected.
func (d *DetectedLabels) isEmpty() bool {
	for _, value := range d.booleans() {
		if *value != nil {
			return false
		}
	}
	return d.GitOpsTool == "" && d.ServiceMesh == "" && len(d.Failed) == 0 && d.Other == nil
}

func (d *DetectedLabels) decode(o *object) {
	o.object("detected_labels", false, func(o *object) {
		for name, target := range d.booleans() {
			o.boolean(name, func(b bool) { *target = &b })
		}
		o.text(&textRule{"gitOpsTool", 0, false, gitOpsTools}, &d.GitOpsTool)
		o.text(&textRule{"serviceMesh", 0, false, serviceMeshes}, &d.ServiceMesh)
		o.take("failed_detections", d.decodeFailed)
		d.decodeOther(o)
	})
}

func (d *DetectedLabels) decodeFailed(raw jsontext.Value) string {
	fault := "must be an array of: " + strings.Join(FailableDetections, ", ")
	if raw == nil {
		return ""
	}
	if raw[0] != '[' {
		return fault
	}
	for _, element := range elements(raw) {
		name, ok := unquote(element)
		if !ok || !slices.Contains(FailableDetections, name) {
			return fault
		}
		if !slices.Contains(d.Failed, name) {
			d.Failed = append(d.Failed, name)
		}
	}
	return ""
}

// decodeOther keeps the members that the others have left.
func (d *DetectedLabels) decodeOther(o *object) {
	if len(o.members) == 0 {
		return
	}
	var raw jsontext.Value
	for _, name := range sortedKeys(o.members) {
		raw = append(raw, ',')
		raw = appendString(raw, "", name)
		raw = append(raw, ':')
		raw = append(raw, o.members[name]...)
	}
	var fault string
	if d.Other, fault = canonicalObject(closeObject(raw, 0), maxOtherLabels); fault != "" {
		o.faults[strings.TrimSuffix(o.path, ".")] = "a label of " + strings.TrimSuffix(o.path, ".") + " that is not known " + fault
	}
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
