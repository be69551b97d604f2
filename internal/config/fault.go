package config

import (
	"fmt"
	"strings"
)

// Kind is a source of values; a greater one takes precedence.
type Kind int

// The sources, in ascending precedence.
const (
	FromDefault Kind = iota
	FromFile
	FromEnvironment
	FromFlag
)

// Origin says where a value comes from. The zero Origin is the default.
type Origin struct {
	Kind Kind
	// Name of the flag with its dashes, of the environment variable, or of the file.
	Name string
	// Line in the file, from 1; 0 when it is not known.
	Line int
}

// String says the origin as a person would look for it: --listen, DATASTORAGE_LISTEN, server.yaml:3, default.
func (o Origin) String() string {
	switch {
	case o.Kind == FromDefault:
		return "default"
	case o.Line > 0:
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	default:
		return o.Name
	}
}

// Fault is one thing that is wrong with the configuration. It never holds a secret.
type Fault struct {
	// Key of the setting, such as ingest.window_past; empty when the fault is no one setting's.
	Key string
	// Origin of the value that breaks the rule.
	Origin Origin
	// Rule that is broken: the rest of a sentence that begins with the key.
	Rule string
}

// String is one line: ingest.window_past (server.yaml:7): "soon" is not a duration such as 10s.
func (f Fault) String() string {
	if f.Key == "" {
		return f.Origin.String() + ": " + f.Rule
	}
	return f.Key + " (" + f.Origin.String() + "): " + f.Rule
}

// Faults is the error of Load and Check: everything that is wrong, the file's faults first, in the order of its lines.
type Faults []Fault

// Error is one line for one fault; for more, a line with their number and one line each.
func (fs Faults) Error() string {
	if len(fs) == 1 {
		return fs[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the configuration has %d faults:", len(fs))
	for _, f := range fs {
		b.WriteString("\n  " + f.String())
	}
	return b.String()
}

// OnCommandLine reports whether flags alone are to blame.
func (fs Faults) OnCommandLine() bool {
	for _, f := range fs {
		if f.Origin.Kind != FromFlag {
			return false
		}
	}
	return len(fs) > 0
}
