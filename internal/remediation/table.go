package remediation

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

//go:embed facts.yaml
var factsYAML []byte

// rule is one fact of the table: how its value is found.
type rule struct {
	Fact   string   `yaml:"fact"`
	Is     string   `yaml:"is"`
	Keep   string   `yaml:"keep"`
	Prefer string   `yaml:"prefer"`
	Stored bool     `yaml:"stored"`
	From   []source `yaml:"from"`
}

// source is one place that a value comes from.
type source struct {
	Event    string            `yaml:"event"`
	Category string            `yaml:"category"`
	Path     string            `yaml:"path"`
	Of       map[string]string `yaml:"of"`
	Say      string            `yaml:"say"`
}

func (s *source) reads(eventType, category string) bool {
	if s.Event == "" {
		return s.Category == category
	}
	if prefix, ok := strings.CutSuffix(s.Event, "*"); ok {
		return strings.HasPrefix(eventType, prefix)
	}
	return s.Event == eventType
}

// table is facts.yaml. It is part of the program, so that a fault in it is one of the program.
var table = sync.OnceValue(func() []rule {
	var rules []rule
	decoder := yaml.NewDecoder(bytes.NewReader(factsYAML))
	decoder.KnownFields(true)
	if err := decoder.Decode(&rules); err != nil {
		panic(fmt.Sprintf("facts.yaml: %v", err))
	}
	for i := range rules {
		if r := &rules[i]; r.Is == "" {
			r.Is = "text"
		}
	}
	return rules
})

// names are those of the facts, in order; slots says where each stands.
var (
	names = sync.OnceValue(func() []string { return slices.Sorted(maps.Keys(byFact())) })
	slots = sync.OnceValue(func() map[string]int {
		places := map[string]int{}
		for slot, name := range names() {
			places[name] = slot
		}
		return places
	})
)

// reading is a source of a fact, made ready to be read.
type reading struct {
	rule *rule
	slot int // of the fact
	rank int // the place of the source among those of the fact
	// One of these says where the value is.
	say   jsontext.Value
	field string   // of the event itself
	path  []string // of a member of event_data
	of    []part   // of an object

	timestamp bool // the value is a time as it stands
}

// part is a member of an object that a source makes: its name in quotes, and the path of its value.
type part struct {
	name jsontext.Value
	path []string
}

func newReading(r *rule, rank int) reading {
	s := &r.From[rank]
	made := reading{rule: r, slot: slots()[r.Fact], rank: rank}
	field, isField := strings.CutPrefix(s.Path, "@")
	switch {
	case s.Say != "":
		made.say = quoted(s.Say)
	case isField:
		made.field = field
		made.timestamp = r.Is == "time" && field == "event_timestamp"
	case s.Of == nil:
		made.path = strings.Split(s.Path, ".")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Of)) {
		made.of = append(made.of, part{quoted(name), strings.Split(s.Of[name], ".")})
	}
	return made
}

// eventKind is what decides which facts an event may tell.
type eventKind struct {
	eventType, category string
	stored              bool
}

// maxKinds is how many kinds of events are remembered; anybody can send new ones.
const maxKinds = 1000

// kinds remembers what is read of events, an eventKind each.
var (
	kinds    sync.Map
	kindsNow atomic.Int64
)

// readingsOf returns what may be read of an event; with stored, only for facts that the projection keeps.
func readingsOf(eventType, category string, stored bool) []reading {
	kind := eventKind{eventType, category, stored}
	if known, ok := kinds.Load(kind); ok {
		return known.([]reading)
	}
	var found []reading
	rules := table()
	for i := range rules {
		r := &rules[i]
		if stored && !r.Stored {
			continue
		}
		for rank := range r.From {
			if r.From[rank].reads(eventType, category) {
				found = append(found, newReading(r, rank))
			}
		}
	}
	if kindsNow.Load() < maxKinds {
		kind.eventType, kind.category = strings.Clone(eventType), strings.Clone(category)
		kinds.Store(kind, found)
		kindsNow.Add(1)
	}
	return found
}

// byFact is the table by the names of its facts.
var byFact = sync.OnceValue(func() map[string]*rule {
	rules := table()
	m := make(map[string]*rule, len(rules))
	for i := range rules {
		m[rules[i].Fact] = &rules[i]
	}
	return m
})

// Known reports whether the table has a fact.
func Known(fact string) bool { return byFact()[fact] != nil }

// Sources lists what a fact comes from, the best source first: event types, where * matches a prefix, and categories as
// "category NAME".
func Sources(fact string) []string {
	r := byFact()[fact]
	if r == nil {
		return nil
	}
	var names []string
	for _, s := range r.From {
		name := s.Event
		if name == "" {
			name = "category " + s.Category
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
