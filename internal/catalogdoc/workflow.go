package catalogdoc

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/datastorage-io/datastorage"
)

// The shapes of the documents. What the catalogue limits further is checked by datastorage.DecodeWorkflow.
var (
	description = mapping(map[string]field{
		"what": {true, filled}, "whenToUse": {true, filled}, "whenNotToUse": {false, text}, "preconditions": {false, text},
	})
	metadata = mapping(map[string]field{
		"name": {true, filled}, "namespace": {false, text}, "labels": {false, mappingOf(text)}, "annotations": {false, mappingOf(text)},
	})
	parameter = mapping(map[string]field{
		"name": {true, filled}, "type": {true, oneOf("string", "integer", "boolean", "array", "float")}, "required": {false, flag},
		"description": {false, text}, "enum": {false, list(text)}, "pattern": {false, text}, "minimum": {false, number},
		"maximum": {false, number}, "default": {false, anything}, "dependsOn": {false, list(text)},
	})
	resources  = list(mapping(map[string]field{"name": {true, filled}}))
	maintainer = mapping(map[string]field{"name": {true, filled}, "email": {false, text}})
	values     = oneOrList(filled)

	workflowShape = mapping(map[string]field{
		"apiVersion": {true, oneOf(apiVersion)}, "kind": {true, text}, "metadata": {true, metadata},
		"spec": {true, mapping(map[string]field{
			"version": {true, filled}, "description": {true, description}, "actionType": {true, filled},
			"labels": {true, mapping(map[string]field{
				"signalType": {false, values}, "severity": {true, values}, "component": {true, values},
				"environment": {true, values}, "priority": {true, values},
			})},
			"customLabels":   {false, mappingOf(values)},
			"detectedLabels": {false, mappingOf(anything)},
			"execution": {true, mapping(map[string]field{
				"engine": {false, text}, "bundle": {false, text}, "bundleDigest": {false, text}, "serviceAccountName": {false, text},
				"engineConfig": {false, mappingOf(anything)}, "resources": {false, mappingOf(anything)},
			})},
			"dependencies": {false, mapping(map[string]field{"secrets": {false, resources}, "configMaps": {false, resources}})},
			"parameters":   {false, list(parameter)}, "rollbackParameters": {false, list(parameter)},
			"maintainers": {false, list(maintainer)},
		})},
	})
)

// workflow reads a RemediationWorkflow, nil when it has a fault.
func (r *reader) workflow(root *yaml.Node) *datastorage.Workflow {
	if workflowShape(r, "", root); len(r.faults) > 0 {
		return nil
	}
	w, err := datastorage.DecodeWorkflow(r.request(root), r.now)
	r.decodeFaults(err)
	return w
}

// request is the document as the request that creates the workflow.
func (r *reader) request(root *yaml.Node) []byte {
	spec, content := member(root, "spec"), string(r.part.text)
	name := scalar(member(member(root, "metadata"), "name"))
	about, execution := member(spec, "description"), member(spec, "execution")
	var o object
	o.text("workflow_name", name)
	o.text("version", scalar(member(spec, "version")))
	o.text("name", title(name))
	o.text("description", scalar(member(about, "what")))
	o.text("content", content)
	o.text("content_hash", datastorage.HashContent(content))
	o.text("action_type", scalar(member(spec, "actionType")))
	o.text("execution_engine", scalar(member(execution, "engine")))
	o.text("maintainer", maintainers(member(spec, "maintainers")))
	bundle := scalar(member(execution, "bundle"))
	if digest := ociDigest.FindString(bundle); digest != "" {
		o.text("container_image", bundle)
		o.text("container_digest", digest[1:])
	}
	o.raw("labels", labels(member(spec, "labels")))
	o.raw("custom_labels", customLabels(member(spec, "customLabels")))
	o.raw("detected_labels", detectedLabels(member(spec, "detectedLabels")))
	o.raw("guidance", guidance(about))
	o.raw("parameters", parameters(spec))
	return o.bytes()
}

// ociDigest is the end of an image reference that names its content.
var ociDigest = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)

// title makes a name readable: cleanup-pvc-v1 becomes Cleanup pvc v1.
func title(name string) string {
	words := []rune(strings.ReplaceAll(name, "-", " "))
	return strings.ToUpper(string(words[:1])) + string(words[1:])
}

func labels(n *yaml.Node) []byte {
	var o object
	if signal := member(n, "signalType"); signal == nil || isNull(signal) {
		o.text("signal_type", datastorage.Wildcard)
	} else {
		o.node("signal_type", signal)
	}
	for _, name := range []string{"severity", "component", "environment", "priority"} {
		o.node(name, member(n, name))
	}
	return o.bytes()
}

// customLabels writes every value as a list.
func customLabels(n *yaml.Node) []byte {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var o object
	for i := 0; i < len(n.Content); i += 2 {
		value := n.Content[i+1]
		if value.Kind != yaml.SequenceNode {
			value = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{value}}
		}
		o.node(n.Content[i].Value, value)
	}
	return o.bytes()
}

// detectedFlags are the detected labels that are true or false, which documents also write as texts.
var detectedFlags = []string{"gitOpsManaged", "pdbProtected", "hpaEnabled", "stateful", "helmManaged", "networkIsolated"}

func detectedLabels(n *yaml.Node) []byte {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var o object
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i].Value, n.Content[i+1]
		if s := scalar(value); slices.Contains(detectedFlags, name) && (s == "true" || s == "false") {
			o.raw(name, []byte(s))
			continue
		}
		o.node(name, value)
	}
	return o.bytes()
}

func guidance(n *yaml.Node) []byte {
	var o object
	o.text("what", scalar(member(n, "what")))
	o.text("when_to_use", scalar(member(n, "whenToUse")))
	o.text("when_not_to_use", scalar(member(n, "whenNotToUse")))
	o.text("preconditions", scalar(member(n, "preconditions")))
	return o.bytes()
}

// parameters keeps what is needed to run the workflow, as the document says it.
func parameters(spec *yaml.Node) []byte {
	var o object
	for _, name := range []string{"parameters", "rollbackParameters", "execution", "dependencies", "maintainers"} {
		if n := member(spec, name); n != nil && !isNull(n) {
			o.node(name, n)
		}
	}
	return o.bytes()
}

// maintainers writes maintainers as a text: name <email>, name <email>.
func maintainers(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.SequenceNode {
		return ""
	}
	var people []string
	for _, person := range n.Content {
		s := scalar(member(person, "name"))
		if email := scalar(member(person, "email")); email != "" {
			s += " <" + email + ">"
		}
		people = append(people, s)
	}
	return strings.Join(people, ", ")
}

// requestPaths are the fields of a document that members of a request are made from; members below them keep their names.
var requestPaths = []struct{ request, document string }{
	{"workflow_name", "metadata.name"}, {"name", "metadata.name"}, {"version", "spec.version"}, {"description", "spec.description.what"},
	{"guidance.what", "spec.description.what"}, {"guidance.when_to_use", "spec.description.whenToUse"},
	{"guidance.when_not_to_use", "spec.description.whenNotToUse"}, {"guidance.preconditions", "spec.description.preconditions"},
	{"action_type", "spec.actionType"}, {"execution_engine", "spec.execution.engine"}, {"container_image", "spec.execution.bundle"},
	{"labels.signal_type", "spec.labels.signalType"}, {"labels", "spec.labels"}, {"custom_labels", "spec.customLabels"},
	{"detected_labels", "spec.detectedLabels"}, {"maintainer", "spec.maintainers"}, {"parameters", "spec"},
}

// decodeFaults notes the faults of a request as faults of the document.
func (r *reader) decodeFaults(err error) {
	e, ok := errors.AsType[*datastorage.Error](err)
	if !ok {
		return
	}
	for member, sentence := range e.Fields {
		path, known := documentPath(member)
		if !known {
			r.fault(nil, "", "the document: "+sentence)
			continue
		}
		r.faultAt(path, strings.Replace(sentence, member, path, 1))
	}
	if len(e.Fields) == 0 {
		r.fault(nil, "", "the document: "+e.Detail)
	}
}

// documentPath returns the field of a document that a member of its request comes from.
func documentPath(member string) (path string, known bool) {
	for _, p := range requestPaths {
		if member == p.request {
			return p.document, true
		}
		if below, found := strings.CutPrefix(member, p.request+"."); found {
			return p.document + "." + below, true
		}
	}
	return "", false
}

// faultAt notes a sentence about a field that was read, at its line or that of the field that holds it.
func (r *reader) faultAt(path, sentence string) {
	line := 1
	for at := path; at != ""; {
		if n, found := r.lines[at]; found {
			line = n
			break
		}
		at = at[:max(strings.LastIndexByte(at, '.'), 0)]
	}
	f := Fault{Line: line, Field: path, Text: sentence}
	if !slices.Contains(r.faults, f) {
		r.faults = append(r.faults, f)
	}
}
