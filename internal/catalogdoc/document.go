// Package catalogdoc reads and writes the catalogue as YAML documents: RemediationWorkflow and ActionType of
// kubernaut.ai/v1alpha1, as they are kept in Git. A document is kept as it is written; what the catalogue needs of it is
// read strictly, and every fault is named by file, line and field.
package catalogdoc

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/datastorage-io/datastorage"
)

const (
	// MaxDocuments is the largest number of documents in a stream.
	MaxDocuments = 10_000
	// MaxDocumentBytes is the largest document. Workflows and action types are bounded more closely, by
	// datastorage.MaxWorkflowContentBytes; the record of one that came as JSON takes more than its content.
	MaxDocumentBytes = 1 << 20
	// MaxFaults is the largest number of faults that are told of one stream.
	MaxFaults = 100
	// maxDepth is the deepest nesting of a document.
	maxDepth = 32

	apiVersion = "kubernaut.ai/v1alpha1"
)

// The kinds of documents.
const (
	KindWorkflow   = "RemediationWorkflow"
	KindActionType = "ActionType"
	// KindRecord is a workflow that did not come as a document; see AppendWorkflow.
	KindRecord = "WorkflowRecord"
)

var kinds = []string{KindWorkflow, KindActionType, KindRecord}

// Document is one document of a stream: a workflow or an action type.
type Document struct {
	// Line is where the document begins in its stream, from 1.
	Line       int
	Workflow   *datastorage.Workflow
	ActionType *datastorage.ActionType
}

// Fault is one thing that is wrong with a stream.
type Fault struct {
	File string
	// Document is the position of the document in the stream, from 0.
	Document int
	Line     int
	// Field is the path of the field, for example spec.labels.severity; "" when the fault is not a field's.
	Field string
	// Text is a plain sentence that names the field.
	Text string
}

// Error returns "file:line: text".
func (f Fault) Error() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text) }

// Faults are all that is wrong with a stream, in order.
type Faults []Fault

// Error returns the faults, one a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Parse reads a stream of documents; file names it in faults, and times from the server are now. The error is Faults,
// at most MaxFaults of them; the documents that have none are returned beside it.
func Parse(file string, stream []byte, now time.Time) ([]Document, error) {
	documents, faults := parse(stream, now)
	if len(faults) == 0 {
		return documents, nil
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Or(a.Line-b.Line, strings.Compare(a.Field, b.Field)) })
	faults = faults[:min(len(faults), MaxFaults)]
	for i := range faults {
		faults[i].File = file
	}
	return documents, Faults(faults)
}

func parse(stream []byte, now time.Time) (documents []Document, faults []Fault) {
	parts, faults := split(stream)
	if len(parts) > MaxDocuments {
		return nil, []Fault{{Line: 1, Text: "the file holds more than " + strconv.Itoa(MaxDocuments) + " documents; split it"}}
	}
	for i, p := range parts {
		r := &reader{part: p, now: now, lines: map[string]int{}}
		d, ok := r.document()
		for _, f := range r.faults {
			f.Document = i
			f.Line += p.line - 1
			faults = append(faults, f)
		}
		if ok && len(r.faults) == 0 {
			documents = append(documents, d)
		}
	}
	return documents, faults
}

// document reads the part; ok is false when it has a fault.
func (r *reader) document() (d Document, ok bool) {
	root, ok := r.yaml()
	if !ok {
		return Document{}, false
	}
	d.Line = r.part.line
	kind, at := scalar(member(root, "kind")), member(root, "kind")
	if kind != KindRecord && len(r.part.text) > datastorage.MaxWorkflowContentBytes {
		r.fault(nil, "", "the document must be at most "+strconv.Itoa(datastorage.MaxWorkflowContentBytes)+" bytes")
		return Document{}, false
	}
	switch kind {
	case KindWorkflow:
		d.Workflow = r.workflow(root)
	case KindActionType:
		d.ActionType = r.actionType(root)
	case KindRecord:
		d.Workflow = r.record(root)
	default:
		r.fault(at, "kind", "must be one of: "+strings.Join(kinds, ", "))
	}
	return d, true
}

// yaml parses the text of the part, whose root must be a mapping.
func (r *reader) yaml() (root *yaml.Node, ok bool) {
	text := r.part.text
	switch {
	case len(text) > MaxDocumentBytes:
		r.fault(nil, "", "the document must be at most "+strconv.Itoa(MaxDocumentBytes)+" bytes")
		return nil, false
	case !utf8.Valid(text):
		r.fault(nil, "", "the document is not valid UTF-8")
		return nil, false
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		line, what := syntaxError(err)
		r.faults = append(r.faults, Fault{Line: line, Text: "the document is not valid YAML: " + what})
		return nil, false
	}
	if node.Kind != yaml.DocumentNode || len(node.Content) != 1 || node.Content[0].Kind != yaml.MappingNode {
		r.fault(nil, "", "the document must be a mapping with apiVersion, kind, metadata and spec")
		return nil, false
	}
	root = node.Content[0]
	r.sound(root, "", 1)
	return root, len(r.faults) == 0
}

// syntaxError takes the line out of an error of the YAML parser, 1 when it names none.
func syntaxError(err error) (line int, what string) {
	what = strings.TrimPrefix(err.Error(), "yaml: ")
	rest, found := strings.CutPrefix(what, "line ")
	number, after, cut := strings.Cut(rest, ": ")
	line, convErr := strconv.Atoi(number)
	if !found || !cut || convErr != nil {
		return 1, what
	}
	return line, after
}
