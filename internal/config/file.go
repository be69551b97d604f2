package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes bounds the configuration file and the file of a secret.
const maxFileBytes = 1 << 20

// fileReader collects what one YAML file says.
type fileReader struct {
	name   string
	values map[string]value
	faults Faults
}

// readFile returns the values in the file, by key, and everything that is wrong with its form.
func readFile(name string) (map[string]value, Faults) {
	r := &fileReader{name: name, values: map[string]value{}}
	text, err := readLimited(name)
	if err != nil {
		r.fault("", 0, "the configuration file "+err.Error())
		return nil, r.faults
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		r.syntaxFault(err)
		return nil, r.faults
	}
	if !errors.Is(decoder.Decode(new(yaml.Node)), io.EOF) {
		r.fault("", 0, "must hold one YAML document")
	}
	r.section("", document.Content[0])
	return r.values, r.faults
}

// readLimited returns a file's content. The error is the rest of a sentence that begins with the file's name.
func readLimited(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, unreadable(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = errors.New("it is larger than 1 MiB")
	}
	if err != nil {
		return nil, unreadable(err)
	}
	return text, nil
}

// unreadable says why a file cannot be read, without its name.
func unreadable(err error) error {
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		err = errors.New("this user may not")
	case errors.As(err, &path):
		err = path.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}

func (r *fileReader) fault(key string, line int, rule string) {
	r.faults = append(r.faults, Fault{Key: key, Origin: r.at(line), Rule: rule})
}

func (r *fileReader) at(line int) Origin { return Origin{Kind: FromFile, Name: r.name, Line: line} }

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxFault reports what the parser said, but for messages that repeat a piece of the file, which may be secret.
func (r *fileReader) syntaxFault(err error) {
	m := yamlLine.FindStringSubmatch(strings.TrimSpace(err.Error()))
	if m == nil || strings.Contains(m[2], "anchor") {
		r.fault("", 0, "is not YAML")
		return
	}
	line, _ := strconv.Atoi(m[1])
	r.fault("", line, "is not YAML: "+m[2])
}

// section reads a mapping whose settings stand under prefix, which is empty or ends in a dot.
func (r *fileReader) section(prefix string, n *yaml.Node) {
	n = resolve(n)
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fault(strings.TrimSuffix(prefix, "."), n.Line, "must be a mapping of settings")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		r.entry(prefix+n.Content[i].Value, n.Content[i], n.Content[i+1])
	}
}

// printableKey matches an unknown key that a fault may repeat. Whatever else stands in the place of a key may be a value
// gone astray.
var printableKey = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// entry reads one key of a section and what stands under it.
func (r *fileReader) entry(key string, name, n *yaml.Node) {
	s := known().byKey[key]
	switch {
	case s == nil && known().sections[key]:
		r.section(key+".", n)
		return
	case s == nil && !printableKey.MatchString(key):
		r.fault("", name.Line, "unknown setting")
		return
	case s == nil:
		r.fault(key, name.Line, "unknown setting"+known().didYouMean(key))
		return
	}
	if before, twice := r.values[key]; twice {
		r.fault(key, name.Line, fmt.Sprintf("is already set on line %d", before.origin.Line))
		return
	}
	if v, err := nodeValue(resolve(n)); err != nil {
		r.fault(key, n.Line, err.Error())
	} else if !isNull(resolve(n)) {
		v.origin = r.at(n.Line)
		if resolve(n) != n || n.Kind != yaml.ScalarNode {
			v.origin = r.at(name.Line)
		}
		r.values[key] = v
	}
}

// nodeValue turns a scalar, a list of scalars or a mapping of scalars into a value.
func nodeValue(n *yaml.Node) (value, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		return value{text: n.Value}, nil
	case yaml.SequenceNode:
		v := value{shape: listShape}
		for _, item := range n.Content {
			if item = resolve(item); item.Kind != yaml.ScalarNode {
				return value{}, errors.New("each element must be a single value")
			}
			v.list = append(v.list, item.Value)
		}
		return v, nil
	}
	v := value{shape: mapShape, pairs: map[string]string{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, item := n.Content[i].Value, resolve(n.Content[i+1])
		if item.Kind != yaml.ScalarNode {
			return value{}, errors.New(strconv.Quote(name) + ": must be a single value")
		}
		if _, twice := v.pairs[name]; twice {
			return value{}, errors.New("names " + strconv.Quote(name) + " twice")
		}
		v.pairs[name] = item.Value
	}
	return v, nil
}

// resolve follows an alias to its anchor.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// isNull reports whether a key has no value, which is the same as not being there.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
