package remediation

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Target is an object in a cluster.
type Target struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitzero"` // "" for what belongs to no namespace
}

// String is the target in words: Deployment worker in demo.
func (t Target) String() string {
	s := strings.TrimSpace(t.Kind + " " + t.Name)
	if t.Namespace != "" {
		s += " in " + t.Namespace
	}
	return s
}

// maxTarget is the longest part of a target, in bytes; nothing in Kubernetes has a longer name.
const maxTarget = 253

// targetOf reads an object with kind, name and namespace, or a text namespace/kind/name or kind/name. It needs a name and
// a kind.
func targetOf(raw jsontext.Value) (Target, bool) {
	var t Target
	switch raw.Kind() {
	case '{':
		o := objectOf(raw)
		t = Target{Kind: stringOf(o.get("kind")), Name: stringOf(o.get("name")), Namespace: stringOf(o.get("namespace"))}
	case '"':
		switch parts := strings.Split(stringOf(raw), "/"); len(parts) {
		case 2:
			t = Target{Kind: parts[0], Name: parts[1]}
		case 3:
			t = Target{Namespace: parts[0], Kind: parts[1], Name: parts[2]}
		}
	}
	ok := t.Kind != "" && t.Name != "" && max(len(t.Kind), len(t.Name), len(t.Namespace)) <= maxTarget
	return t, ok
}

// ParseTarget reads an object with kind, name and namespace, or a text namespace/kind/name or kind/name; false when it is
// neither.
func ParseTarget(raw jsontext.Value) (Target, bool) { return targetOf(raw) }

func (t Target) value() jsontext.Value {
	b := append([]byte(`{"kind":`), quoted(t.Kind)...)
	b = append(append(b, `,"name":`...), quoted(t.Name)...)
	if t.Namespace != "" {
		b = append(append(b, `,"namespace":`...), quoted(t.Namespace)...)
	}
	return append(b, '}')
}
