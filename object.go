package datastorage

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// object gathers what is wrong with the members of one JSON object while they are decoded, one after the other.
type object struct {
	path    string // "" for the body, else the member that holds the object, with a dot behind it
	members map[string]jsontext.Value
	bad     map[string]string // members that could not even be read, with what is wrong with them
	faults  faults
}

// readObject reads the JSON object of a request body.
func readObject(raw []byte) (*object, error) {
	members, bad, err := decodeObject(raw)
	return &object{members: members, bad: bad, faults: faults{}}, err
}

// take decodes one member, nil when it is absent. decode returns what is wrong with it, as a predicate.
func (o *object) take(name string, decode func(raw jsontext.Value) string) {
	fault := o.bad[name]
	delete(o.bad, name)
	if fault == "" {
		fault = decode(o.members[name])
	}
	delete(o.members, name)
	if fault != "" {
		o.fault(name, fault)
	}
}

func (o *object) fault(name, fault string) { o.faults[o.path+name] = o.path + name + " " + fault }

// text decodes a member into target.
func (o *object) text(rule *textRule, target *string) {
	o.take(rule.name, func(raw jsontext.Value) string { return rule.decode(raw, target) })
}

// boolean decodes a member that is true, false or absent.
func (o *object) boolean(name string, set func(bool)) {
	o.take(name, func(raw jsontext.Value) string {
		if raw == nil {
			return ""
		}
		if k := raw.Kind(); k != 't' && k != 'f' {
			return "must be true or false"
		}
		set(raw.Kind() == 't')
		return ""
	})
}

// time decodes a member that is a time or absent.
func (o *object) time(name string, target *time.Time) {
	o.take(name, func(raw jsontext.Value) string {
		if raw == nil {
			return ""
		}
		t, ok := unquoteTime(raw)
		switch {
		case !ok:
			return "must be an RFC 3339 time such as 2026-01-31T12:00:00Z"
		case t.Before(minTime) || !t.Before(maxTime):
			return "must lie between the years 1970 and 2199"
		}
		*target = t
		return ""
	})
}

// id decodes a member that is a UUID or absent.
func (o *object) id(name string, target *uuid.UUID) {
	o.take(name, func(raw jsontext.Value) string {
		if raw == nil {
			return ""
		}
		id, ok := unquoteUUID(raw)
		if !ok {
			return "must be a UUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
		}
		*target = id
		return ""
	})
}

// object decodes a member that is itself an object, or absent. An absent one is decoded as an empty one when it is
// required, so that each member that it lacks is named.
func (o *object) object(name string, required bool, decode func(*object)) {
	o.take(name, func(raw jsontext.Value) string {
		switch {
		case raw == nil && !required:
			return ""
		case raw == nil:
			raw = jsontext.Value("{}")
		case raw[0] != '{':
			return "must be a JSON object"
		}
		members, bad, err := decodeObject(raw)
		if err != nil {
			return "must be a JSON object"
		}
		decode(&object{path: o.path + name + ".", members: members, bad: bad, faults: o.faults})
		return ""
	})
}

// finish returns the faults as one error, nil when there are none. Members that were not taken are ignored unless they
// could not be read.
func (o *object) finish() error {
	for _, fault := range o.bad {
		o.faults[wholeObject] = "an unknown member of the body " + fault
	}
	if len(o.faults) > 0 {
		return o.faults.err()
	}
	return nil
}

// decodeObject reads a JSON object into its members; null and "" are left out. What is wrong with a value is returned by
// name.
func decodeObject(raw []byte) (members map[string]jsontext.Value, bad map[string]string, err error) {
	d := borrowDecoder(raw)
	defer d.giveBack()
	if kind := d.dec.PeekKind(); kind != '{' {
		if kind == jsontext.KindInvalid {
			return nil, nil, d.syntaxError(d.invalid())
		}
		return nil, nil, Errorf(CodeValidation, "the body must be a JSON object")
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, nil, d.syntaxError(err)
	}
	members, bad = map[string]jsontext.Value{}, map[string]string{}
	for d.dec.PeekKind() != '}' {
		name, err := d.dec.ReadToken()
		if err != nil {
			return nil, nil, d.syntaxError(err)
		}
		key := name.String()
		value, err := d.dec.ReadValue()
		if err != nil {
			return nil, nil, d.syntaxError(err)
		}
		fault := checkValue(value)
		if strings.ContainsRune(key, 0) {
			fault = "must not contain U+0000"
		}
		switch {
		case fault != "":
			bad[key] = fault
		case string(value) != "null" && string(value) != `""`:
			members[key] = value.Clone()
		}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, nil, d.syntaxError(err)
	}
	return members, bad, d.end()
}

// textRule says what a text member may hold.
type textRule struct {
	name     string
	max      int // characters; 0 when it is not a free text
	required bool
	allowed  []string
}

// decode reads a text into target, or says what is wrong with it; raw is nil when there is none.
func (f *textRule) decode(raw jsontext.Value, target *string) string {
	if raw == nil {
		if f.required {
			return "is required"
		}
		return ""
	}
	s, ok := unquote(raw)
	*target = s
	switch {
	case f.allowed != nil && (!ok || !slices.Contains(f.allowed, s)):
		return "must be one of: " + strings.Join(f.allowed, ", ")
	case !ok:
		return "must be a string"
	case f.required && strings.TrimSpace(s) == "":
		return "is required and must not be blank"
	case f.max > 0 && utf8.RuneCountInString(s) > f.max:
		return "must be at most " + strconv.Itoa(f.max) + " characters"
	}
	return ""
}
