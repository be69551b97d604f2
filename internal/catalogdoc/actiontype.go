package catalogdoc

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/datastorage-io/datastorage"
)

// actionTypeShape is an ActionType.
var actionTypeShape = mapping(map[string]field{
	"apiVersion": {true, oneOf(apiVersion)}, "kind": {true, text}, "metadata": {true, metadata},
	"spec": {true, mapping(map[string]field{"name": {true, filled}, "description": {true, description}})},
})

// actionType reads an ActionType, nil when it has a fault.
func (r *reader) actionType(root *yaml.Node) *datastorage.ActionType {
	if actionTypeShape(r, "", root); len(r.faults) > 0 {
		return nil
	}
	spec, content := member(root, "spec"), string(r.part.text)
	var o object
	o.text("name", scalar(member(spec, "name")))
	o.raw("guidance", guidance(member(spec, "description")))
	o.text("content", content)
	o.text("content_hash", datastorage.HashContent(content))
	o.raw("updated_at", append(datastorage.AppendTime([]byte{'"'}, r.now), '"'))
	a, err := datastorage.ParseActionType(o.bytes())
	if err == nil {
		return a
	}
	e, ok := errors.AsType[*datastorage.Error](err)
	if !ok {
		r.fault(nil, "", "the document cannot be kept")
		return nil
	}
	for member, sentence := range e.Fields {
		path, known := documentPath(member)
		if member == "name" {
			path, known = "spec.name", true
		}
		if known {
			sentence = strings.Replace(sentence, member, path, 1)
		}
		r.faultAt(path, sentence)
	}
	return nil
}
