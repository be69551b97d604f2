package eventtype

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/datastorage-io/datastorage"
)

// MaxTypes is how many event types may be stored.
const MaxTypes = 1000

// Registry is all event types at one version of the catalogue. It is immutable: all its methods may be called at the same
// time, and what they return must not be changed.
type Registry struct {
	stored  map[string]*history
	checked map[string]*version // the newest versions whose mode is not off
}

// version is a version of an event type, whose schema is compiled when it is needed.
type version struct {
	*datastorage.EventType
	schema func() (*Schema, error)
}

// history is all versions of an event type, the newest first in the list.
type history struct {
	version *datastorage.EventType
	before  *history
}

// New returns the registry of a new store: it knows the types that are built in.
func New() *Registry { return &Registry{} }

// Len returns the number of event types that are stored.
func (r *Registry) Len() int { return len(r.stored) }

// Get returns the newest version of an event type; ok is false when there is none.
func (r *Registry) Get(name string) (t *datastorage.EventType, ok bool) {
	if h, ok := r.stored[name]; ok {
		return h.version, true
	}
	t, ok = builtin()[name]
	return t, ok
}

// Versions returns all versions of an event type, the newest first; none when it is not known.
func (r *Registry) Versions(name string) []*datastorage.EventType {
	var versions []*datastorage.EventType
	for h := r.stored[name]; h != nil; h = h.before {
		versions = append(versions, h.version)
	}
	if t, ok := builtin()[name]; ok {
		versions = append(versions, t)
	}
	return versions
}

// All returns the newest version of every event type, by name.
func (r *Registry) All() []*datastorage.EventType {
	all := maps.Clone(builtin())
	for name, h := range r.stored {
		all[name] = h.version
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *datastorage.EventType) int { return strings.Compare(a.Name, b.Name) })
}

// Add returns the registry with one version more, which must follow the newest one of its type that is stored.
func (r *Registry) Add(t *datastorage.EventType) (*Registry, error) {
	before, last := r.stored[t.Name], int64(0)
	if before != nil {
		last = before.version.Version
	}
	if t.Version != last+1 {
		return nil, fmt.Errorf("version %d of event type %q does not follow version %d", t.Version, t.Name, last)
	}
	next := &Registry{stored: maps.Clone(r.stored), checked: maps.Clone(r.checked)}
	if next.stored == nil {
		next.stored, next.checked = map[string]*history{}, map[string]*version{}
	}
	next.stored[t.Name] = &history{t, before}
	delete(next.checked, t.Name)
	if t.Mode != datastorage.ModeOff {
		next.checked[t.Name] = &version{t, sync.OnceValues(func() (*Schema, error) { return Compile(t.Schema) })}
	}
	return next, nil
}

// Finding says that a value breaks the schema of its type.
type Finding struct {
	// Type is the version of the event type that was checked against.
	Type *datastorage.EventType
	// Violations are what is wrong, at most MaxViolations of Total.
	Violations []Violation
	Total      int
}

// Checks reports whether the events of any type are checked.
func (r *Registry) Checks() bool { return len(r.checked) > 0 }

// Check checks a value of event_data, nil when nothing is wrong or nothing is to be checked: an event type that is not
// known, or whose mode is off, costs one look into a map. An error says that the stored schema cannot be compiled.
func (r *Registry) Check(name string, data jsontext.Value) (*Finding, error) {
	v, ok := r.checked[name]
	if !ok {
		return nil, nil
	}
	schema, err := v.schema()
	if err != nil {
		return nil, fmt.Errorf("version %d of event type %q: %w", v.Version, v.Name, err)
	}
	found, total := schema.Check(data)
	if total == 0 {
		return nil, nil
	}
	return &Finding{v.EventType, found, total}, nil
}
