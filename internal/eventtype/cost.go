package eventtype

import (
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/datastorage-io/datastorage"
)

// bound refuses a schema that a value could keep busy for long, and keywords whose faults could not be told exactly.
func bound(root *jsonschema.Schema) (*Schema, error) {
	if err := check(root); err != nil {
		return nil, err
	}
	looks := newCost(weight, MaxCost)
	s := &Schema{root: root, looks: looks.most(root)}
	if looks.endless {
		return nil, fault("schema", "refers to itself for the same value, without end")
	}
	if s.looks > MaxCost {
		return nil, fault("schema", "is too expensive: alternatives and references must not look at one value more than %d times", MaxCost)
	}
	if s.steps = newCost(steps, MaxPrograms).most(root); s.steps > MaxPrograms {
		return nil, fault("schema", "is too expensive: alternatives and references must not try so many patterns on one value")
	}
	return s, nil
}

// cost is what a schema spends on one value: itself, through $ref, allOf, anyOf and the like, and through each of those
// that apply to the values around it. It is what a chain of references that each name two others multiplies.
type cost struct {
	weight  func(*jsonschema.Schema) int // of one look
	limit   int                          // sums end at one more
	memo    map[step]int
	open    map[*jsonschema.Schema]bool // those that are being worked out on this level
	endless bool
}

func newCost(weight func(*jsonschema.Schema) int, limit int) *cost {
	return &cost{weight: weight, limit: limit, memo: map[step]int{}, open: map[*jsonschema.Schema]bool{}}
}

// step is a schema that applies so many levels above the value.
type step struct {
	schema *jsonschema.Schema
	level  int
}

// most is the greatest cost of a value on any level.
func (c *cost) most(root *jsonschema.Schema) int {
	n := 0
	for level := range datastorage.MaxEventDataDepth {
		n = max(n, c.looks(root, level))
	}
	return n
}

// looks returns what s spends on one value that lies so many levels below the one that s applies to.
func (c *cost) looks(s *jsonschema.Schema, level int) int {
	if s == nil || s.Bool != nil {
		return 0
	}
	at := step{s, level}
	if n, known := c.memo[at]; known {
		return n
	}
	if c.open[s] {
		c.endless = true
		return c.limit + 1
	}
	c.open[s] = true
	n := 0
	if level == 0 {
		n = c.weight(s)
	}
	for _, other := range inPlace(s) {
		n += c.looks(other, level)
	}
	delete(c.open, s)
	if level > 0 {
		n += c.below(s, level-1)
	}
	c.memo[at] = min(n, c.limit+1)
	return c.memo[at]
}

// below is looks for the schemas of members and elements. A member has at most one schema of properties.
func (c *cost) below(s *jsonschema.Schema, level int) int {
	// A value further down may be looked at by a schema that is being worked out further up.
	outer := c.open
	c.open = map[*jsonschema.Schema]bool{}
	defer func() { c.open = outer }()
	most := 0
	for _, p := range s.Properties {
		most = max(most, c.looks(p, level))
	}
	for _, p := range s.PrefixItems {
		most = max(most, c.looks(p, level))
	}
	for _, other := range nested(s) {
		most += c.looks(other, level)
	}
	return most
}

// weight is what a look costs by itself: numbers in an enum are compared as exact fractions, texts quickly.
func weight(s *jsonschema.Schema) int {
	n := 1 + len(s.PatternProperties)
	if s.Enum != nil {
		for _, v := range s.Enum.Values {
			if _, text := v.(string); !text {
				n++
			}
		}
		n += len(s.Enum.Values) / 64
	}
	return n
}

// steps is what the regular expressions of a look cost for each character, those for names counted as those for the value.
func steps(s *jsonschema.Schema) int {
	n := stepsOf(s.Pattern)
	for r := range s.PatternProperties {
		n += stepsOf(r)
	}
	return n
}

// inPlace are the schemas that s applies to the same value.
func inPlace(s *jsonschema.Schema) []*jsonschema.Schema {
	all := []*jsonschema.Schema{s.Ref, s.Not, s.If, s.Then, s.Else}
	all = append(all, s.AllOf...)
	all = append(all, s.AnyOf...)
	all = append(all, s.OneOf...)
	for _, d := range s.DependentSchemas {
		all = append(all, d)
	}
	for _, d := range s.Dependencies {
		if d, ok := d.(*jsonschema.Schema); ok {
			all = append(all, d)
		}
	}
	return all
}

// nested are the schemas that s applies to members and elements, those of properties and prefixItems apart.
func nested(s *jsonschema.Schema) []*jsonschema.Schema {
	all := []*jsonschema.Schema{s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems}
	if a, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		all = append(all, a)
	}
	for _, p := range s.PatternProperties {
		all = append(all, p)
	}
	return all
}

// check walks all schemas that can apply.
func check(root *jsonschema.Schema) error {
	seen := map[*jsonschema.Schema]bool{nil: true}
	for queue := []*jsonschema.Schema{root}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		if seen[s] {
			continue
		}
		seen[s] = true
		switch {
		case s.DraftVersion != jsonschemaDraft:
			return fault(place(s.Location), "must not have a $schema of its own")
		case s.DynamicRef != nil || s.RecursiveRef != nil:
			return fault(place(s.Location), "must not use $dynamicRef: $ref and $defs do")
		case s.PropertyNames != nil && s != root:
			return fault(place(s.Location), "must not use propertyNames: patternProperties and additionalProperties do")
		}
		queue = append(queue, inPlace(s)...)
		queue = append(queue, nested(s)...)
		queue = append(queue, s.PrefixItems...)
		for _, p := range s.Properties {
			queue = append(queue, p)
		}
	}
	return nil
}

// jsonschemaDraft is the draft that the compiler says a schema follows.
const jsonschemaDraft = 2020
