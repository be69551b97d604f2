package eventtype

import (
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/datastorage-io/datastorage"
)

// bound refuses a schema that a value could keep busy for long, and keywords whose faults could not be told exactly.
func bound(root *jsonschema.Schema) error {
	c := cost{memo: map[step]int{}, open: map[*jsonschema.Schema]bool{}}
	if err := c.check(root); err != nil {
		return err
	}
	for level := range datastorage.MaxEventDataDepth {
		if n := c.looks(root, level); c.endless || n > MaxCost {
			return c.refusal()
		}
	}
	return nil
}

// cost is how often a schema looks at one value: itself, through $ref, allOf, anyOf and the like, and through each of those
// that apply to the values around it. It is what a chain of references that each name two others multiplies.
type cost struct {
	memo    map[step]int
	open    map[*jsonschema.Schema]bool // those that are being worked out on this level
	endless bool
}

// step is a schema that applies so many levels above the value.
type step struct {
	schema *jsonschema.Schema
	level  int
}

func (c *cost) refusal() error {
	if c.endless {
		return fault("schema", "refers to itself for the same value, without end")
	}
	return fault("schema", "is too expensive: alternatives and references must not look at one value more than %d times", MaxCost)
}

// looks returns how often s looks at one value that lies so many levels below the one that s applies to, at most
// MaxCost + 1.
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
		return MaxCost + 1
	}
	c.open[s] = true
	n := 0
	if level == 0 {
		n = weight(s)
	}
	for _, other := range inPlace(s) {
		n += c.looks(other, level)
	}
	delete(c.open, s)
	if level > 0 {
		n += c.below(s, level-1)
	}
	c.memo[at] = min(n, MaxCost+1)
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
func (c *cost) check(root *jsonschema.Schema) error {
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
