package eventtype

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/datastorage-io/datastorage"
)

func compile(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Compile(jsontext.Value(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchema_Check(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, schema, data string
		want               []string // rule, then sentence
	}{
		{"valid", `{"type":"object","properties":{"a":{"type":"integer"}}}`, `{"a":1.0,"b":[]}`, nil},
		{"required", `{"required":["a","b"]}`, `{"b":1}`, []string{"required: event_data.a is required"}},
		{
			"type", `{"properties":{"a":{"properties":{"b":{"items":{"type":["integer","null"]}}}}}}`, `{"a":{"b":[1,null,"secret"]}}`,
			[]string{"type: event_data.a.b.2 must be of type null or integer, not string"},
		},
		{"enum", `{"properties":{"a":{"enum":["x",1,null,true,[],{}]}}}`, `{"a":"secret"}`, []string{`enum: event_data.a must be one of: "x", 1, null, true, an array, an object`}},
		{"const", `{"properties":{"a":{"const":"x"}}}`, `{"a":"secret"}`, []string{`const: event_data.a must be "x"`}},
		{"pattern", `{"properties":{"a":{"pattern":"^a+$"}}}`, `{"a":"secret"}`, []string{"pattern: event_data.a must match the pattern ^a+$"}},
		{"format", `{"properties":{"a":{"format":"date-time"}}}`, `{"a":"secret"}`, []string{"format: event_data.a must have the format date-time"}},
		{
			"lengths", `{"properties":{"a":{"minLength":7},"b":{"maxLength":2},"c":{"minItems":1},"d":{"maxItems":0},"e":{"minProperties":1},"f":{"maxProperties":0}}}`,
			`{"a":"secret","b":"secret","c":[],"d":[1],"e":{},"f":{"x":1}}`,
			[]string{
				"minLength: event_data.a must have at least 7 characters", "maxLength: event_data.b must have at most 2 characters",
				"minItems: event_data.c must have at least 1 elements", "maxItems: event_data.d must have at most 0 elements",
				"minProperties: event_data.e must have at least 1 members", "maxProperties: event_data.f must have at most 0 members",
			},
		},
		{
			"numbers", `{"properties":{"a":{"minimum":2},"b":{"maximum":2.5},"c":{"exclusiveMinimum":3},"d":{"exclusiveMaximum":3},"e":{"multipleOf":0.01}}}`,
			`{"a":1,"b":3,"c":3,"d":3,"e":0.015}`,
			[]string{
				"minimum: event_data.a must be at least 2", "maximum: event_data.b must be at most 5/2",
				"exclusiveMinimum: event_data.c must be greater than 3", "exclusiveMaximum: event_data.d must be less than 3",
				"multipleOf: event_data.e must be a multiple of 1/100",
			},
		},
		{"exact integers", `{"properties":{"a":{"maximum":9007199254740993}}}`, `{"a":9007199254740994}`, []string{"maximum: event_data.a must be at most 9007199254740993"}},
		{"an exponent without end", `{"properties":{"a":{"type":"number","minimum":0,"maximum":1}}}`, `{"a":1e-999999999}`, nil},
		{"a zero with one", `{"properties":{"a":{"exclusiveMinimum":0}}}`, `{"a":0e999999999}`, []string{"exclusiveMinimum: event_data.a must be greater than 0"}},
		{"additional", `{"properties":{"a":{}},"additionalProperties":false}`, `{"a":1,"b":"secret"}`, []string{"additionalProperties: event_data.b is not allowed"}},
		{"unevaluated", `{"allOf":[{"properties":{"a":{}}}],"unevaluatedProperties":false}`, `{"a":1,"b":"secret"}`, []string{"false: event_data.b is not allowed"}},
		{"dependent", `{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, []string{"dependentRequired: event_data.b is required together with a"}},
		{
			"anyOf", `{"anyOf":[{"required":["a"]},{"required":["b"]}]}`, `{}`,
			[]string{"anyOf: event_data matches none of the alternatives of anyOf; event_data.a is required"},
		},
		{"oneOf none", `{"oneOf":[{"required":["a"]}]}`, `{}`, []string{"oneOf: event_data matches none of the alternatives of oneOf; event_data.a is required"}},
		{"oneOf two", `{"oneOf":[{},{"required":["a"]}]}`, `{"a":1}`, []string{"oneOf: event_data matches more than one of the alternatives of oneOf"}},
		{"not", `{"not":{"required":["a"]}}`, `{"a":1}`, []string{"not: event_data must not be as the schema of not says"}},
		{"allOf and $ref", `{"allOf":[{"$ref":"#/$defs/x"}],"$defs":{"x":{"required":["a"]}}}`, `{}`, []string{"required: event_data.a is required"}},
		{"said twice", `{"allOf":[{"required":["a"]},{"required":["a"]}]}`, `{}`, []string{"required: event_data.a is required"}},
		{"names", `{"propertyNames":{"pattern":"^[a-z]*$"}}`, `{"A":1}`, []string{"propertyNames: event_data has a member whose name is not allowed: A; the name must match the pattern ^[a-z]*$"}},
		{"unique", `{"properties":{"a":{"uniqueItems":true}}}`, `{"a":[1,1.0]}`, []string{"uniqueItems: event_data.a must not hold the same element twice"}},
		{"contains", `{"properties":{"a":{"contains":{"type":"string"}}}}`, `{"a":[1]}`, []string{"contains: event_data.a breaks the rule contains"}},
		{
			"long names", `{"additionalProperties":false}`, `{"` + strings.Repeat("n", 80) + `":1}`,
			[]string{"additionalProperties: event_data." + strings.Repeat("n", 64) + "… is not allowed"},
		},
		{"a tree", `{"properties":{"child":{"$ref":"#"},"name":{"type":"string"}}}`, `{"child":{"child":{"name":1}}}`, []string{"type: event_data.child.child.name must be of type string, not number"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			found, total := compile(t, c.schema).Check(jsontext.Value(c.data))
			var got []string
			for _, v := range found {
				got = append(got, v.Rule+": "+v.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" || total != len(c.want) {
				t.Errorf("total %d (-want +got):\n%s", total, diff)
			}
		})
	}
}

func TestSchema_Check_Many(t *testing.T) {
	t.Parallel()
	data := `{"a":[` + strings.Repeat(`"x",`, 99) + `"x"]}`
	found, total := compile(t, `{"properties":{"a":{"items":{"type":"integer"}}}}`).Check(jsontext.Value(data))
	if len(found) != MaxViolations || total != 100 {
		t.Errorf("%d of %d", len(found), total)
	}
}

// TestSchema_Check_Work refuses a value that would take long, by its size and by what the schema does with it.
func TestSchema_Check_Work(t *testing.T) {
	t.Parallel()
	var branches []string
	for i := range 200 {
		branches = append(branches, fmt.Sprintf(`{"minLength":%d}`, i+10))
	}
	many := `{"properties":{"a":{"items":{"anyOf":[` + strings.Join(branches, ",") + `]}}}}`
	values := `{"a":[` + strings.Repeat(`"x",`, 10_000) + `"x"]}`
	text := `{"a":"` + strings.Repeat("a", 250_000) + `"}`
	for _, c := range []struct{ schema, data, rule string }{
		{many, values, "work"},
		{many, `{"a":["x"]}`, "anyOf"},
		{`{"properties":{"a":{"items":{"type":"integer"}}}}`, values, "type"},
		{`{"properties":{"a":{"pattern":"(?:a?){200}b$"}}}`, text, "work"},
		{`{"properties":{"a":{"pattern":"(?:a?){200}b$"}}}`, `{"a":"a"}`, "pattern"},
		{`{"properties":{"a":{"pattern":"b$"}}}`, text, "pattern"},
	} {
		found, total := compile(t, c.schema).Check(jsontext.Value(c.data))
		if total == 0 || found[0].Rule != c.rule {
			t.Errorf("%.60s: %v, want rule %s", c.schema, found, c.rule)
		}
	}
}

// TestCompile_Fault compiles schemas that are none, or that could be abused.
func TestCompile_Fault(t *testing.T) {
	t.Parallel()
	doubling := `{"$ref":"#/$defs/0","$defs":{`
	for i := range 30 {
		doubling += fmt.Sprintf(`"%d":{"allOf":[{"$ref":"#/$defs/%d"},{"$ref":"#/$defs/%d"}]},`, i, i+1, i+1)
	}
	doubling += `"30":{}}}`
	for _, c := range []struct{ name, schema, path, phrase string }{
		{"type", `{"type":"strin"}`, "schema.type", "anyOf"},
		{"nested", `{"properties":{"a":{"minLength":-1}}}`, "schema.properties.a.minLength", "at least 0"},
		{"required", `{"required":"a"}`, "schema.required", "type array"},
		{"pattern", `{"properties":{"a":{"pattern":"("}}}`, "schema.properties.a.pattern", "RE2"},
		{"look-ahead", `{"properties":{"a":{"pattern":"(?=a)"}}}`, "schema.properties.a.pattern", "RE2"},
		{"long pattern", `{"pattern":"` + strings.Repeat("a", MaxPattern+1) + `"}`, "schema.pattern", "at most 512 bytes"},
		{"expensive pattern", `{"pattern":"(a{30}){30}"}`, "schema.pattern", "too expensive"},
		{"expensive name", `{"patternProperties":{"(a{30}){30}":{}}}`, "schema.patternProperties", "too expensive"},
		{"file", `{"$ref":"file:///etc/passwd"}`, "schema", "must not refer to other documents"},
		{"relative file", `{"$ref":"other.json"}`, "schema", "must not refer to other documents"},
		{"remote", `{"properties":{"a":{"$ref":"https://example.org/x.json#/a"}}}`, "schema", "must not refer to other documents"},
		{"an $id that leads away", `{"$id":"https://example.org/x.json","$ref":"y.json"}`, "schema", "must not refer to other documents"},
		{"draft 7", `{"$schema":"http://json-schema.org/draft-07/schema#"}`, "schema.$schema", "2020-12"},
		{"a dialect of its own", `{"$schema":"https://example.org/dialect"}`, "schema.$schema", "2020-12"},
		{"an inner draft", `{"properties":{"a":{"$id":"inner","$schema":"http://json-schema.org/draft-07/schema#"}}}`, "schema", ""},
		{"metaschema", `{"$ref":"https://json-schema.org/draft/2020-12/schema"}`, "schema", ""},
		{"dynamic", `{"$dynamicAnchor":"a","items":{"$dynamicRef":"#a"}}`, "schema.items", "$dynamicRef"},
		{"no such place", `{"$ref":"#/$defs/a"}`, "schema", "#/$defs/a"},
		{"no such anchor", `{"$ref":"#a"}`, "schema", "#a"},
		{"itself", `{"$ref":"#"}`, "schema", "without end"},
		{"each other", `{"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"}]},"b":{"not":{"$ref":"#/$defs/a"}}}}`, "schema", "without end"},
		{"doubling", doubling, "schema", "too expensive"},
		{"doubling by depth", `{"properties":{"a":{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}}}`, "schema", "too expensive"},
		{"patterns on one value", `{"allOf":[` + strings.Repeat(`{"pattern":"(?:a?){200}b"},`, 11) + `{}]}`, "schema", "so many patterns"},
		{"many numbers", `{"enum":[` + strings.Repeat("1,", 300) + `2]}`, "schema", ""},
		{"many parts", `{"allOf":[` + strings.Repeat("{},", MaxParts) + `{}]}`, "schema", "at most 2000"},
		{"inner names", `{"properties":{"a":{"propertyNames":{"maxLength":3}}}}`, "schema.properties.a", "propertyNames"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(jsontext.Value(c.schema))
			e, ok := errors.AsType[*datastorage.Error](err)
			if !ok || e.Code != datastorage.CodeValidation {
				t.Fatalf("error %v", err)
			}
			found := false
			for path, sentence := range e.Fields {
				found = found || strings.HasPrefix(path, c.path) && strings.Contains(sentence, c.phrase)
			}
			if !found {
				t.Errorf("the fields are %v", e.Fields)
			}
		})
	}
}
