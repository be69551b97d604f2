// Package demo carries sample data from the public project kubernaut-demo-scenarios (Apache-2.0): eight recorded runs of
// an AI agent that diagnosed and repaired planted faults on Kubernetes clusters, in the format of the API, with their
// original times and host names replaced; and the workflows that it chose from.
package demo

import (
	"bytes"
	_ "embed"
	"io"
)

//go:embed runs.ndjson
var runs []byte

//go:embed catalogue.yaml
var catalogue []byte

// Runs returns the sample events, one a line, oldest run first.
func Runs() io.ReadSeeker { return bytes.NewReader(runs) }

// Catalogue returns the sample workflows and action types as one stream of YAML documents, action types first.
func Catalogue() []byte { return bytes.Clone(catalogue) }
