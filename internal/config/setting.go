package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// envPrefix begins the name of every environment variable of ours.
const envPrefix = "DATASTORAGE_"

// setting is one leaf of Config, as its tags describe it.
type setting struct {
	key, flag, env string
	index          []int // of the field, for reflect
	typ            reflect.Type
	def            string
	min, max       string // "" is no limit
	oneOf          []string
}

// schema is what the file may hold: the settings by key, and the keys that have settings below them.
type schema struct {
	settings []setting
	byKey    map[string]*setting
	sections map[string]bool
}

// keys returns every setting's key, in the order of Config.
func (s *schema) keys() []string {
	keys := make([]string, len(s.settings))
	for i := range s.settings {
		keys[i] = s.settings[i].key
	}
	return keys
}

// didYouMean is the end of a sentence about an unknown key, or "". A setting of that name in another section is meant
// sooner than a misspelling.
func (s *schema) didYouMean(key string) string {
	name := "." + key[strings.LastIndex(key, ".")+1:]
	for _, k := range s.keys() {
		if strings.HasSuffix(k, name) {
			return didYouMean(k, []string{k})
		}
	}
	return didYouMean(key, append(s.keys(), slices.Sorted(maps.Keys(s.sections))...))
}

// known is the schema of Config.
var known = sync.OnceValue(func() *schema {
	s := &schema{byKey: map[string]*setting{}, sections: map[string]bool{}}
	s.collect(reflect.TypeFor[Config](), "", nil)
	for i := range s.settings {
		s.byKey[s.settings[i].key] = &s.settings[i]
	}
	return s
})

// collect adds the settings of struct type t, which stands under the key prefix at index.
func (s *schema) collect(t reflect.Type, prefix string, index []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		key := prefix + f.Tag.Get("key")
		at := append(append([]int(nil), index...), i)
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[Secret]() {
			s.sections[key] = true
			s.collect(f.Type, key+".", at)
			continue
		}
		s.settings = append(s.settings, setting{
			key:   key,
			flag:  f.Tag.Get("flag"),
			env:   envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_")),
			index: at,
			typ:   f.Type,
			def:   f.Tag.Get("default"),
			min:   f.Tag.Get("min"),
			max:   f.Tag.Get("max"),
			oneOf: strings.Fields(f.Tag.Get("oneof")),
		})
	}
}

// isSecret reports whether the value must not be shown.
func (s *setting) isSecret() bool { return s.typ == reflect.TypeFor[Secret]() }

// quote shows a value in a fault, cut when it is long, and not at all when it is secret.
func (s *setting) quote(text string) string {
	const limit = 64
	if s.isSecret() {
		return "the value"
	}
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

// rangeRule says the limits of a number.
func (s *setting) rangeRule() string {
	return "must be between " + s.min + " and " + s.max
}

// alternatives says what a value may be: "debug, info, warn or error".
func (s *setting) alternatives() string {
	last := len(s.oneOf) - 1
	return strings.Join(s.oneOf[:last], ", ") + " or " + s.oneOf[last]
}
