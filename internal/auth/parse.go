package auth

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// namePattern is what a client may be called: the name stands in log lines and in audit events.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@/+-]{0,99}$`)

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// parse reads a file of tokens. The error is the rest of a sentence that begins with the file's name. It names lines and
// keys, and repeats nothing else: a token may have gone astray into any place.
func parse(text []byte) (*tokens, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, errNoToken
	case err != nil:
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			return nil, fmt.Errorf("is not YAML (line %s)", m[1])
		}
		return nil, errors.New("is not YAML")
	}
	if !errors.Is(decoder.Decode(new(yaml.Node)), io.EOF) {
		return nil, errors.New("must hold one YAML document")
	}
	list := document.Content[0]
	if list.Kind != yaml.SequenceNode {
		return nil, errors.New("must be a list of tokens, each with name, role and sha256")
	}
	if len(list.Content) == 0 {
		return nil, errNoToken
	}
	t := &tokens{}
	lines := map[Hash]int{}
	for _, n := range list.Content {
		e, err := parseEntry(n)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n.Line, err)
		}
		if before := lines[e.hash]; before != 0 {
			return nil, fmt.Errorf("line %d: the sha256 is that of line %d", n.Line, before)
		}
		lines[e.hash] = n.Line
		t.entries = append(t.entries, e)
	}
	return t, nil
}

// errNoToken keeps a file that is being written, and empty for a moment, from locking everybody out.
var errNoToken = errors.New("holds no token")

func parseEntry(n *yaml.Node) (entry, error) {
	var e entry
	if n.Kind != yaml.MappingNode {
		return e, errors.New("a token is a mapping with name, role and sha256")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		if key == "roles" {
			key = "role"
		}
		if seen[key] {
			return e, fmt.Errorf("%s is given twice", key)
		}
		var err error
		switch key {
		case "name":
			err = e.setName(value)
		case "role":
			err = e.setRoles(value)
		case "sha256":
			err = e.setHash(value)
		default:
			return e, errors.New("a key is none of name, role, roles and sha256")
		}
		if err != nil {
			return e, err
		}
		seen[key] = true
	}
	for _, key := range []string{"name", "role", "sha256"} {
		if !seen[key] {
			return e, fmt.Errorf("%s is missing", key)
		}
	}
	return e, nil
}

func (e *entry) setName(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || !namePattern.MatchString(n.Value) {
		return errors.New("name must be 1 to 100 letters, digits and . _ @ / + -, and begin with a letter or digit")
	}
	if strings.HasPrefix(n.Value, tokenPrefix) {
		return errors.New("name must not be a token")
	}
	e.client.Name = n.Value
	return nil
}

// setRoles takes one role or a list of roles.
func (e *entry) setRoles(n *yaml.Node) error {
	values := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		values = n.Content
	}
	for _, v := range values {
		role := Role(v.Value)
		if v.Kind != yaml.ScalarNode || !slices.Contains(AllRoles, role) {
			return errors.New("role must be write, read or admin, or a list of these")
		}
		e.client.roles = append(e.client.roles, role)
	}
	if len(values) == 0 {
		return errors.New("role must name at least one role")
	}
	return nil
}

func (e *entry) setHash(n *yaml.Node) error {
	sum, err := hex.DecodeString(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || len(sum) != len(e.hash) {
		return fmt.Errorf("sha256 must be the %d hex digits of the token's SHA-256", 2*len(e.hash))
	}
	if HashOf("") == Hash(sum) {
		return errors.New("sha256 is that of an empty token")
	}
	e.hash = Hash(sum)
	return nil
}

// Line returns the entry of a token as it stands in a file, or an error that says what is wrong with the name or the roles.
func Line(name string, roles []Role, hash Hash) (string, error) {
	if err := (&entry{}).setName(&yaml.Node{Kind: yaml.ScalarNode, Value: name}); err != nil {
		return "", err
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	var names []string
	for _, r := range roles {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: string(r)})
		names = append(names, string(r))
	}
	if err := (&entry{}).setRoles(list); err != nil {
		return "", err
	}
	key, value := "role", names[0]
	if len(names) > 1 {
		key, value = "roles", "["+strings.Join(names, ", ")+"]"
	}
	// The quotes keep YAML from taking a name or hash for a number.
	return fmt.Sprintf("- {name: %q, %s: %s, sha256: %q}", name, key, value, hash), nil
}
