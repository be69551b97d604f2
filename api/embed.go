// Package api holds the HTTP contract: one OpenAPI 3.1 document, written by hand.
package api

import (
	_ "embed"
	"slices"
)

//go:embed openapi.yaml
var document []byte

// ContentType is the media type under which the server serves the document.
const ContentType = "application/yaml"

// Document returns the OpenAPI document as YAML. The bytes are a copy that the caller may change.
func Document() []byte { return slices.Clone(document) }
