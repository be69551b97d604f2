package config

import (
	"cmp"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is what one source says about one setting: a text, or, from a file, a list or a mapping.
type value struct {
	text   string
	list   []string          // when the file has a sequence
	pairs  map[string]string // when the file has a mapping
	shape  shape
	origin Origin
}

type shape int

const (
	textShape shape = iota
	listShape
	mapShape
)

// asList is the value's elements; a text is split at commas.
func (v value) asList() ([]string, error) {
	switch v.shape {
	case listShape:
		return v.list, nil
	case mapShape:
		return nil, errors.New("must be a list")
	}
	return splitCommas(v.text), nil
}

// asPairs is the value's pairs; a text such as gateway=30,workflow=365 is split at commas and equal signs.
func (v value) asPairs() (map[string]string, error) {
	if v.shape == mapShape {
		return v.pairs, nil
	}
	if v.shape == listShape {
		return nil, errors.New("must be a mapping")
	}
	pairs := map[string]string{}
	for _, item := range splitCommas(v.text) {
		name, text, ok := strings.Cut(item, "=")
		if !ok {
			return nil, errors.New("must be name=value pairs separated by commas")
		}
		name = strings.TrimSpace(name)
		if _, twice := pairs[name]; twice {
			return nil, errors.New("names " + strconv.Quote(name) + " twice")
		}
		pairs[name] = strings.TrimSpace(text)
	}
	return pairs, nil
}

// splitCommas returns the trimmed parts of text that are not empty; nil when there are none.
func splitCommas(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// decode turns a value into the setting's type. The error is the rule that the value breaks.
func (s *setting) decode(v value) (reflect.Value, error) {
	switch s.typ {
	case reflect.TypeFor[[]string]():
		list, err := v.asList()
		return reflect.ValueOf(list), err
	case reflect.TypeFor[map[string]int]():
		return s.decodeMap(v)
	}
	if v.shape != textShape {
		return reflect.Value{}, errors.New("must be a single value")
	}
	return s.decodeText(v.text)
}

func (s *setting) decodeMap(v value) (reflect.Value, error) {
	pairs, err := v.asPairs()
	if err != nil {
		return reflect.Value{}, err
	}
	numbers := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		n, err := bounded(s, pairs[name], parseInt, strconv.Itoa)
		if err != nil {
			return reflect.Value{}, errors.New(strconv.Quote(name) + ": " + err.Error())
		}
		numbers[name] = n
	}
	if len(numbers) == 0 {
		numbers = nil
	}
	return reflect.ValueOf(numbers), nil
}

func (s *setting) decodeText(text string) (reflect.Value, error) {
	switch s.typ {
	case reflect.TypeFor[Secret]():
		return reflect.ValueOf(NewSecret(text)), nil
	case reflect.TypeFor[time.Duration]():
		return valueOf(bounded(s, text, ParseDuration, FormatDuration))
	case reflect.TypeFor[Size]():
		return valueOf(bounded(s, text, ParseSize, Size.String))
	case reflect.TypeFor[int]():
		return valueOf(bounded(s, text, parseInt, strconv.Itoa))
	case reflect.TypeFor[float64]():
		return valueOf(bounded(s, text, parseFloat, formatFloat))
	case reflect.TypeFor[bool]():
		if text != "true" && text != "false" {
			return reflect.Value{}, errors.New(s.quote(text) + " is neither true nor false")
		}
		return reflect.ValueOf(text == "true"), nil
	case reflect.TypeFor[string]():
		return reflect.ValueOf(text), s.checkOneOf(text)
	default:
		panic("config: no decoder for " + s.typ.String() + " of " + s.key)
	}
}

func valueOf[T any](x T, err error) (reflect.Value, error) { return reflect.ValueOf(x), err }

func (s *setting) checkOneOf(text string) error {
	if len(s.oneOf) == 0 {
		return nil
	}
	for _, allowed := range s.oneOf {
		if text == allowed {
			return nil
		}
	}
	return errors.New(s.quote(text) + " is not one of " + s.alternatives())
}

// bounded parses text and holds it against the setting's limits, which are written in the same form.
func bounded[T cmp.Ordered](s *setting, text string, parse func(string) (T, error), format func(T) string) (T, error) {
	n, err := parse(text)
	if err != nil {
		return n, errors.New(s.quote(text) + " " + err.Error())
	}
	low, lowErr := parse(s.min)
	high, highErr := parse(s.max)
	if lowErr != nil || highErr != nil {
		panic("config: the limits of " + s.key + " do not parse")
	}
	if n < low || n > high {
		return n, errors.New(s.rangeRule() + ", not " + format(n))
	}
	return n, nil
}

func parseInt(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, errors.New("is not a whole number")
	}
	return n, nil
}

func parseFloat(text string) (float64, error) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || x != x {
		return 0, errors.New("is not a number")
	}
	return x, nil
}

func formatFloat(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
