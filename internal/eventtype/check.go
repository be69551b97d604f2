package eventtype

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// MaxViolations is how many violations of one value are told.
const MaxViolations = 20

// Violation is one rule of a schema that a value breaks. It never holds the value.
type Violation struct {
	// Path is where: "event_data" and the names and indexes that lead to the place, with dots between them. Names are cut
	// after 64 characters.
	Path string `json:"path"`
	// Rule is the keyword of JSON Schema that is broken, for example "required".
	Rule string `json:"rule"`
	// Message says what is wrong, as a predicate of Path.
	Message string `json:"message"`
}

// String is a sentence.
func (v Violation) String() string { return v.Path + " " + v.Message }

// Check returns what is wrong with a value of event_data, by path; none when it is as the schema says. total counts those
// that are left out, too. The value must be valid JSON; it is at most as large and deep as event_data may be.
func (s *Schema) Check(data jsontext.Value) (found []Violation, total int) {
	v, count, err := decode(data)
	if err != nil {
		return []Violation{{dataPath, "type", "must be a JSON object"}}, 1
	}
	if s.work(count.values, len(data)) > MaxWork {
		return []Violation{{dataPath, workRule, "is too large for its schema to be checked in reasonable time: send less, or simplify the schema"}}, 1
	}
	err = s.root.Validate(v)
	if err == nil {
		return nil, 0
	}
	broken, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return []Violation{{dataPath, "schema", "breaks the schema"}}, 1
	}
	found = violations(dataPath, broken)
	return found[:min(len(found), MaxViolations)], len(found)
}

const (
	dataPath = "event_data"
	// workRule is the rule of a value that is too much work; no keyword of JSON Schema has that name.
	workRule = "work"
)

// violations returns the faults of a value in the order of their paths, each once. Paths begin with root.
func violations(root string, e *jsonschema.ValidationError) []Violation {
	found := flatten(nil, root, e)
	slices.SortFunc(found, func(a, b Violation) int {
		return strings.Compare(a.Path+"\x00"+a.Rule+"\x00"+a.Message, b.Path+"\x00"+b.Rule+"\x00"+b.Message)
	})
	return slices.Compact(found)
}

func flatten(found []Violation, root string, e *jsonschema.ValidationError) []Violation {
	path := pathOf(root, e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		for _, cause := range e.Causes {
			found = flatten(found, root, cause)
		}
		return found
	case *kind.Required:
		return missing(found, path, "required", "is required", k.Missing)
	case *kind.DependentRequired:
		return missing(found, path, "dependentRequired", "is required together with "+clip(k.Prop), k.Missing)
	case *kind.Dependency:
		return missing(found, path, "dependencies", "is required together with "+clip(k.Prop), k.Missing)
	case *kind.AdditionalProperties:
		return missing(found, path, "additionalProperties", "is not allowed", k.Properties)
	case *kind.AnyOf:
		return append(found, Violation{path, "anyOf", "matches none of the alternatives of anyOf" + first(root, e)})
	case *kind.OneOf:
		if k.Subschemas == nil {
			return append(found, Violation{path, "oneOf", "matches none of the alternatives of oneOf" + first(root, e)})
		}
	case *kind.PropertyNames:
		return append(found, Violation{path, "propertyNames", "has a member whose name is not allowed: " + clip(k.Property) + first("the name", e)})
	}
	rule, message := describe(e.ErrorKind)
	return append(found, Violation{path, rule, message})
}

func missing(found []Violation, path, rule, message string, names []string) []Violation {
	for _, name := range names {
		found = append(found, Violation{path + "." + clip(name), rule, message})
	}
	return found
}

// first is the first cause of a fault, behind a semicolon.
func first(root string, e *jsonschema.ValidationError) string {
	if len(e.Causes) == 0 {
		return ""
	}
	causes := violations(root, &jsonschema.ValidationError{ErrorKind: &kind.Group{}, Causes: e.Causes[:1]})
	if len(causes) == 0 {
		return ""
	}
	return "; " + causes[0].String()
}

func pathOf(root string, tokens []string) string {
	var b strings.Builder
	b.WriteString(root)
	for _, token := range tokens {
		b.WriteByte('.')
		b.WriteString(clip(token))
	}
	return b.String()
}

// clip shortens a text that a client chose to 64 characters.
func clip(s string) string {
	const most = 64
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// describe says which keyword is broken and how, without the value.
func describe(k jsonschema.ErrorKind) (rule, message string) {
	count := func(rule, least string, n int, what string) (string, string) {
		return rule, "must have at " + least + " " + strconv.Itoa(n) + " " + what
	}
	switch k := k.(type) {
	case *kind.Type:
		return "type", "must be of type " + strings.Join(k.Want, " or ") + ", not " + k.Got
	case *kind.Enum:
		return "enum", "must be one of: " + list(k.Want)
	case *kind.Const:
		return "const", "must be " + list([]any{k.Want})
	case *kind.Format:
		if isPatternFault(k.Err) {
			return "pattern", k.Err.Error()
		}
		return "format", "must have the format " + clip(k.Want)
	case *kind.Pattern:
		return "pattern", "must match the pattern " + k.Want
	case *kind.MinLength:
		return count("minLength", "least", k.Want, "characters")
	case *kind.MaxLength:
		return count("maxLength", "most", k.Want, "characters")
	case *kind.MinItems:
		return count("minItems", "least", k.Want, "elements")
	case *kind.MaxItems:
		return count("maxItems", "most", k.Want, "elements")
	case *kind.MinProperties:
		return count("minProperties", "least", k.Want, "members")
	case *kind.MaxProperties:
		return count("maxProperties", "most", k.Want, "members")
	case *kind.Minimum:
		return "minimum", "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		return "maximum", "must be at most " + k.Want.RatString()
	case *kind.ExclusiveMinimum:
		return "exclusiveMinimum", "must be greater than " + k.Want.RatString()
	case *kind.ExclusiveMaximum:
		return "exclusiveMaximum", "must be less than " + k.Want.RatString()
	case *kind.MultipleOf:
		return "multipleOf", "must be a multiple of " + k.Want.RatString()
	case *kind.OneOf:
		return "oneOf", "matches more than one of the alternatives of oneOf"
	case *kind.Not:
		return "not", "must not be as the schema of not says"
	case *kind.FalseSchema:
		return "false", "is not allowed"
	case *kind.UniqueItems:
		return "uniqueItems", "must not hold the same element twice"
	}
	rule = strings.Join(k.KeywordPath(), ".")
	return rule, "breaks the rule " + rule
}

// list joins values of a schema.
func list(values []any) string {
	const most = 20
	var texts []string
	for i, v := range values {
		if i == most {
			texts = append(texts, "…")
			break
		}
		texts = append(texts, literal(v))
	}
	return strings.Join(texts, ", ")
}

// literal is a value of a schema as JSON.
func literal(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return strconv.Quote(clip(v))
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	}
	return fmt.Sprint(v)
}
