package eventtype

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/datastorage-io/datastorage"
)

// Draft is the only draft of JSON Schema that is taken, as $schema names it.
const Draft = "https://json-schema.org/draft/2020-12/schema"

// Limits of a schema, beside those of its text.
const (
	// MaxParts is the number of objects and arrays in the text of a schema.
	MaxParts = 2000
	// MaxPattern is the length of a regular expression in bytes.
	MaxPattern = 512
	// MaxProgram is how many instructions one regular expression may compile to, and MaxPrograms all of a schema together.
	// Matching takes time in proportion to instructions times characters.
	MaxProgram  = 512
	MaxPrograms = 4096
	// MaxCost is how often a schema may look at one value of event_data; see cost.
	MaxCost = 256
	// MaxWork is how much work one event may be, in looks: values times looks at each, and a look for so many steps of a
	// regular expression. It is less than a second on one core.
	MaxWork      = 500_000
	stepsPerLook = 128
)

// Schema is a compiled JSON Schema. Its methods may be called concurrently.
type Schema struct {
	root *jsonschema.Schema
	// looks is how often one value may be looked at, steps how many steps of regular expressions one character may take.
	looks, steps int
}

// work bounds how long a check takes, in looks.
func (s *Schema) work(values, size int) int { return s.looks*values + s.steps*size/stepsPerLook }

// url is what the compiler calls the one document that there is.
const url = "schema://schema"

// Compile compiles a JSON Schema, which must be a valid JSON object within the limits of datastorage.DecodeEventType. The
// error is a *datastorage.Error with CodeValidation, whose fields are paths that begin with "schema".
func Compile(text jsontext.Value) (*Schema, error) {
	doc, count, err := decode(text)
	if err != nil {
		return nil, fault("schema", "must be a JSON object")
	}
	if count.parts > MaxParts {
		return nil, fault("schema", "must be at most %d objects and arrays", MaxParts)
	}
	if draft, given := doc.(map[string]any)["$schema"]; given && draft != Draft {
		return nil, fault("schema.$schema", "must be %s, or left out", Draft)
	}
	programs := programs{}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(noLoader{})
	c.UseRegexpEngine(programs.compile)
	if err := c.AddResource(url, doc); err != nil {
		return nil, fault("schema", "cannot be compiled")
	}
	root, err := c.Compile(url)
	if err != nil {
		return nil, compileFault(err)
	}
	return bound(root)
}

// CompileType compiles the schema of an event type and checks the examples against it. The error is a *datastorage.Error
// with CodeValidation that names every bad field.
func CompileType(t *datastorage.EventType) (*Schema, error) {
	s, err := Compile(t.Schema)
	if err != nil {
		return nil, err
	}
	for i, example := range t.Examples {
		if found, n := s.Check(example); n > 0 {
			return nil, datastorage.Invalid(map[string]string{
				"examples": fmt.Sprintf("examples break the schema: at index %d, %s (%s)", i, found[0], found[0].Rule),
			})
		}
	}
	return s, nil
}

// fault is the error for one place in a schema.
func fault(path, format string, args ...any) *datastorage.Error {
	return datastorage.Invalid(map[string]string{path: path + " " + fmt.Sprintf(format, args...)})
}

// noLoader refuses every document but the schema itself.
type noLoader struct{}

var errOtherDocument = errors.New("other documents are not read")

func (noLoader) Load(string) (any, error) { return nil, errOtherDocument }

// programs compiles the regular expressions of a schema.
type programs map[string]int

var (
	errPatternSyntax = errors.New("is not a regular expression that this server takes (RE2 syntax)")
	errPatternLength = fmt.Errorf("must be at most %d bytes", MaxPattern)
	errPatternCost   = errors.New("is too expensive: let it repeat less")
	errPatternTotal  = errors.New("is too expensive together with the others of the schema")
)

// isPatternFault reports whether err says what is wrong with a regular expression, without the expression.
func isPatternFault(err error) bool {
	return errors.Is(err, errPatternSyntax) || errors.Is(err, errPatternLength) || errors.Is(err, errPatternCost) || errors.Is(err, errPatternTotal)
}

func (p programs) compile(pattern string) (jsonschema.Regexp, error) {
	if len(pattern) > MaxPattern {
		return nil, errPatternLength
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, errPatternSyntax
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > MaxProgram {
		return nil, errPatternCost
	}
	p[pattern] = len(program.Inst)
	total := 0
	for _, n := range p {
		total += n
	}
	if total > MaxPrograms {
		return nil, errPatternTotal
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, errPatternSyntax
	}
	return &expression{compiled, len(program.Inst)}, nil
}

// expression is a regular expression that knows what it costs.
type expression struct {
	*regexp.Regexp
	steps int // for each character, at most
}

// stepsOf returns what a regular expression of a schema costs; nil is none.
func stepsOf(r jsonschema.Regexp) int {
	if e, ok := r.(*expression); ok {
		return e.steps
	}
	return 0
}

// compileFault says what the compiler found, and where.
func compileFault(err error) *datastorage.Error {
	if e, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if v, ok := errors.AsType[*jsonschema.ValidationError](e.Err); ok {
			fields := map[string]string{}
			for _, violation := range violations("schema", v) {
				fields[violation.Path] = violation.String()
			}
			return datastorage.Invalid(fields)
		}
	}
	if e, ok := errors.AsType[*jsonschema.InvalidRegexError](err); ok {
		return fault(place(e.URL), "%v", e.Err)
	}
	if _, ok := errors.AsType[*jsonschema.LoadURLError](err); ok {
		return fault("schema", "must not refer to other documents: each $ref begins with #, and there is no other $schema than %s", Draft)
	}
	if e, ok := errors.AsType[*jsonschema.JSONPointerNotFoundError](err); ok {
		return fault("schema", "has a $ref to %s, which is not there", pointer(e.URL))
	}
	if e, ok := errors.AsType[*jsonschema.AnchorNotFoundError](err); ok {
		return fault("schema", "has a $ref to the anchor %s, which is not there", pointer(e.Reference))
	}
	return fault("schema", "cannot be compiled: %s", clip(strings.ReplaceAll(err.Error(), url, "")))
}

// pointer returns the fragment of a location.
func pointer(location string) string {
	if _, fragment, ok := strings.Cut(location, "#"); ok {
		return clip("#" + fragment)
	}
	return clip(location)
}

// place turns a location in the schema into a path.
func place(location string) string {
	path := "schema"
	_, fragment, _ := strings.Cut(location, "#")
	for token := range jsontext.Pointer(fragment).Tokens() {
		path += "." + clip(token)
	}
	return path
}
