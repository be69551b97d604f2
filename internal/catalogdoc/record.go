package catalogdoc

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/datastorage-io/datastorage"
)

// recordShape is a workflow that did not come as a document.
var recordShape = mapping(map[string]field{"apiVersion": {true, oneOf(apiVersion)}, "kind": {true, text}, "record": {true, filled}})

// record reads a WorkflowRecord, nil when it has a fault.
func (r *reader) record(root *yaml.Node) *datastorage.Workflow {
	if recordShape(r, "", root); len(r.faults) > 0 {
		return nil
	}
	w, err := datastorage.DecodeWorkflow([]byte(scalar(member(root, "record"))), r.now)
	if e, ok := errors.AsType[*datastorage.Error](err); ok {
		for member, sentence := range e.Fields {
			r.faultAt("record."+member, "record."+sentence)
		}
		if len(e.Fields) == 0 {
			r.faultAt("record", "record: "+e.Detail)
		}
	}
	return w
}

// AppendWorkflow appends the document of a workflow: the one that it came from, or, when it came as JSON, a
// WorkflowRecord, which stands for the same workflow when it is read.
func AppendWorkflow(b []byte, w *datastorage.Workflow) []byte {
	if isDocument(w) {
		return appendDocument(b, w.Content)
	}
	b = append(b, "---\napiVersion: "+apiVersion+"\nkind: "+KindRecord+"\nrecord: |-\n  "...)
	return append(appendLiteral(b, datastorage.AppendWorkflow(nil, w)), '\n')
}

// AppendActionType appends the document of an action type.
func AppendActionType(b []byte, a *datastorage.ActionType) []byte {
	return appendDocument(b, a.Content)
}

func appendDocument(b []byte, content string) []byte {
	return append(append(b, "---\n"...), content...)
}

// isDocument reports whether the content of a workflow is the document that it came from.
func isDocument(w *datastorage.Workflow) bool {
	if !strings.Contains(w.Content, KindWorkflow) {
		return false
	}
	documents, err := Parse("", []byte(w.Content), w.CreatedAt)
	if err != nil || len(documents) != 1 || documents[0].Workflow == nil {
		return false
	}
	again := *documents[0].Workflow
	again.ID, again.WorkflowState, again.CreatedAt = w.ID, w.WorkflowState, w.CreatedAt
	return string(datastorage.AppendWorkflow(nil, &again)) == string(datastorage.AppendWorkflow(nil, w))
}

// appendLiteral appends JSON so that it may stand in a literal block: characters that break lines there, or that YAML
// does not allow, can only be inside of texts, and are escaped.
func appendLiteral(b []byte, document jsontext.Value) []byte {
	const hex = "0123456789abcdef"
	for _, c := range string(document) {
		if c >= 0x7f && c <= 0x9f || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff {
			b = append(b, '\\', 'u', hex[c>>12&15], hex[c>>8&15], hex[c>>4&15], hex[c&15])
			continue
		}
		b = append(b, string(c)...)
	}
	return b
}
