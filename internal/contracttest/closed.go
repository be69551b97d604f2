package contracttest

import (
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/datastorage-io/datastorage/api"
)

// embedded is the compiler of the embedded document, one for all tests of a process.
var embedded = sync.OnceValues(func() (*compiler, error) { return newCompiler(api.Document()) })

// Schema compiles the schema at a place in the embedded document, named by the tokens of its JSON pointer, for example
// "components", "schemas", "Event". The schema is closed: an object with members that it does not name breaks it, unless
// the document says additionalProperties. Formats are checked.
func Schema(t testing.TB, tokens ...string) *jsonschema.Schema {
	t.Helper()
	schemas, err := embedded()
	if err != nil {
		t.Fatalf("the contract does not load: %v", err)
	}
	schema, err := schemas.compile(pointer(tokens...))
	if err != nil {
		t.Fatalf("the schema does not compile: %v", err)
	}
	return schema
}

// closeDocument closes every schema of an OpenAPI document where it is used. The published document leaves them open, so
// that a client survives a later member; a test must notice a member that is not documented.
func closeDocument(node any) {
	switch node := node.(type) {
	case map[string]any:
		for key, child := range node {
			switch key {
			case "schema":
				closeSchema(child, true)
			case "schemas":
				for _, component := range object(child) {
					closeSchema(component, false)
				}
			case "example", "examples":
			default:
				closeDocument(child)
			}
		}
	case []any:
		for _, child := range node {
			closeDocument(child)
		}
	}
}

// closeSchema closes a schema, if it stands for a whole value, and every schema below it that does. The parts of a
// combination, and what a reference leads to, stay open: they are closed together, by who combines or refers.
func closeSchema(node any, whole bool) {
	schema := object(node)
	if schema == nil {
		return
	}
	if whole && describesMembers(schema) {
		schema["unevaluatedProperties"] = false
	}
	for _, property := range object(schema["properties"]) {
		closeSchema(property, true)
	}
	closeSchema(schema["items"], true)
	closeSchema(schema["additionalProperties"], true)
	for _, combination := range []string{"allOf", "anyOf", "oneOf"} {
		parts, _ := schema[combination].([]any)
		for _, part := range parts {
			closeSchema(part, false)
		}
	}
}

// describesMembers reports whether a schema may name the members of an object, and does not say itself what else the
// object may hold.
func describesMembers(schema map[string]any) bool {
	if schema["additionalProperties"] != nil || schema["unevaluatedProperties"] != nil {
		return false
	}
	return schema["$ref"] != nil || schema["properties"] != nil || schema["allOf"] != nil
}

// object returns the node as an object, a nil map when it is something else.
func object(node any) map[string]any {
	m, _ := node.(map[string]any)
	return m
}
