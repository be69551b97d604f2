// Package demo carries sample data: eight recorded runs of an AI agent that diagnosed and repaired planted faults on
// Kubernetes clusters, from the public project kubernaut-demo-scenarios (Apache-2.0), in the format of the API, with
// their original times and host names replaced.
package demo

import (
	"bytes"
	_ "embed"
	"io"
)

//go:embed runs.ndjson
var runs []byte

// Runs returns the sample events, one a line, oldest run first.
func Runs() io.ReadSeeker { return bytes.NewReader(runs) }
