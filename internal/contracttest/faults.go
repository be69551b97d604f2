package contracttest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// schemaFaults turns what the validator reports into one fault for each place in the value. A member that is not
// documented is only reported when its object is otherwise right: a fault in an object makes the validator take every
// member of it for undocumented.
func schemaFaults(err error) []error {
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		if err != nil {
			return []error{err}
		}
		return nil
	}
	all := leaves(invalid, nil)
	printer := message.NewPrinter(language.English)
	var faults []error
	for _, leaf := range all {
		at := "/" + strings.Join(leaf.InstanceLocation, "/")
		switch {
		case !isUndocumented(leaf):
			faults = append(faults, fmt.Errorf("at %s: %s", at, leaf.ErrorKind.LocalizedString(printer)))
		case !otherFaultWithin(leaf, all):
			faults = append(faults, fmt.Errorf("at %s: the member is not documented", at))
		}
	}
	return faults
}

// leaves appends the errors that have no further cause.
func leaves(err *jsonschema.ValidationError, list []*jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(err.Causes) == 0 {
		return append(list, err)
	}
	for _, cause := range err.Causes {
		list = leaves(cause, list)
	}
	return list
}

func isUndocumented(err *jsonschema.ValidationError) bool {
	_, ok := err.ErrorKind.(*kind.FalseSchema)
	return ok
}

// otherFaultWithin reports whether the object whose member err is about has a fault of another kind, or one further
// down.
func otherFaultWithin(err *jsonschema.ValidationError, all []*jsonschema.ValidationError) bool {
	object := err.InstanceLocation[:max(len(err.InstanceLocation)-1, 0)]
	for _, other := range all {
		deeper := len(other.InstanceLocation) > len(err.InstanceLocation)
		if within(other.InstanceLocation, object) && (deeper || !isUndocumented(other)) {
			return true
		}
	}
	return false
}

// within reports whether a location is that of the object, or lies below it.
func within(location, object []string) bool {
	return len(location) >= len(object) && slices.Equal(location[:len(object)], object)
}
