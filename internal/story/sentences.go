package story

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/datastorage-io/datastorage"
)

//go:embed sentences.yaml
var sentencesYAML []byte

// phrasebook is sentences.yaml, ready for use.
type phrasebook struct {
	categories map[string]string
	exact      map[string]*entry
	prefixes   []*entry
}

type entry struct {
	prefix    string
	phase     string
	templates []template
}

// phrases is part of the program, so that a fault in it is one of the program.
var phrases = sync.OnceValue(func() *phrasebook {
	b, err := readPhrasebook(sentencesYAML)
	if err != nil {
		panic(fmt.Sprintf("sentences.yaml: %v", err))
	}
	return b
})

func readPhrasebook(source []byte) (*phrasebook, error) {
	var file struct {
		Categories map[string]string `yaml:"categories"`
		Events     []struct {
			Event string   `yaml:"event"`
			Phase string   `yaml:"phase"`
			Say   []string `yaml:"say"`
		} `yaml:"events"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	b := &phrasebook{categories: file.Categories, exact: map[string]*entry{}}
	for _, f := range file.Events {
		e := &entry{phase: f.Phase}
		for _, say := range f.Say {
			t, err := parseTemplate(say)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Event, err)
			}
			e.templates = append(e.templates, t)
		}
		if prefix, ok := strings.CutSuffix(f.Event, "*"); ok {
			e.prefix = prefix
			b.prefixes = append(b.prefixes, e)
			continue
		}
		if b.exact[f.Event] != nil {
			return nil, fmt.Errorf("%s is there twice", f.Event)
		}
		b.exact[f.Event] = e
	}
	return b, nil
}

// find returns the entry of an event type, nil when there is none.
func (b *phrasebook) find(eventType string) *entry {
	if e := b.exact[eventType]; e != nil {
		return e
	}
	for _, e := range b.prefixes {
		if strings.HasPrefix(eventType, e.prefix) {
			return e
		}
	}
	return nil
}

// say returns the sentence of an event and the phase that it belongs to.
func (b *phrasebook) say(e *datastorage.Event) (sentence, phase string) {
	v := valuesOf(e)
	phase = b.categories[e.Category]
	if found := b.find(e.Type); found != nil {
		phase = found.phase
		for _, t := range found.templates {
			if s, ok := t.render(v); ok {
				return finished(s), phase
			}
		}
	}
	if phase == "" {
		phase = "other"
	}
	return finished(generic(v)), phase
}

// finished makes one sentence of a text: bounded, and with one mark at its end.
func finished(s string) string {
	s = oneLine(s, maxSentence)
	for _, mark := range []string{".", "…", "!", "?"} {
		if bare, ok := strings.CutSuffix(s, mark+"."); ok {
			return bare + mark
		}
		if strings.HasSuffix(s, mark) {
			return s
		}
	}
	return s + "."
}

// generic is the sentence of a type that no entry names: what happened, who did it to what, how it ended, and the first
// simple values.
func generic(v *values) string {
	e := v.event
	var b strings.Builder
	fmt.Fprintf(&b, "%s by %s", strings.ReplaceAll(e.Type, "_", " "), e.ActorID)
	if e.ResourceID != e.CorrelationID || e.ResourceType != e.Category {
		fmt.Fprintf(&b, " on %s %s", e.ResourceType, e.ResourceID)
	}
	switch e.Outcome {
	case "failure":
		b.WriteString(" failed")
		if e.ErrorMessage != "" {
			b.WriteString(": " + oneLine(e.ErrorMessage, maxLong))
		}
	case "pending":
		b.WriteString(" is pending")
	}
	if details := v.details(); details != "" {
		b.WriteString(" (" + details + ")")
	}
	return b.String() + "."
}

// maxDetails is how many members a generic sentence shows.
const maxDetails = 4

// details writes the first simple members of event_data, in order of their names.
func (v *values) details() string {
	names := make([]string, 0, len(v.data))
	for name := range v.data {
		names = append(names, name)
	}
	slices.Sort(names)
	var shown []string
	for _, name := range names {
		if value := plain(v.data[name]); value != "" && len(shown) < maxDetails {
			shown = append(shown, oneLine(strings.ReplaceAll(name, "_", " "), maxValue)+" "+value)
		}
	}
	return strings.Join(shown, ", ")
}
