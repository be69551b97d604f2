package config

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write manual.go and docs/configuration.md anew")

const docsPath = "../../docs/configuration.md"

// TestManual ties manual.go and docs/configuration.md to the field comments of Config.
func TestManual(t *testing.T) {
	comments := fieldComments(t)
	for name, want := range map[string][]byte{"manual.go": manualSource(t, comments), docsPath: manualPage(comments)} {
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from the comments in config.go (%v): run go generate ./internal/config", name, err)
		}
	}
}

// TestManual_Complete checks that each setting says what it means, in sentences.
func TestManual_Complete(t *testing.T) {
	comments := fieldComments(t)
	for _, s := range known().settings {
		if text := comments[s.key]; text == "" || !strings.HasSuffix(text, ".") {
			t.Errorf("%s: the comment %q is no sentence", s.key, text)
		}
	}
}

// fieldComments returns the comment of every field of Config by key, those of sections included.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	structs := map[string]*ast.StructType{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				structs[spec.Name.Name] = s
			}
		}
		return true
	})
	comments := map[string]string{}
	var walk func(s *ast.StructType, prefix string)
	walk = func(s *ast.StructType, prefix string) {
		for _, f := range s.Fields.List {
			key := prefix + reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("key")
			comments[key] = strings.Join(strings.Fields(f.Doc.Text()), " ")
			if name, ok := f.Type.(*ast.Ident); ok && structs[name.Name] != nil {
				walk(structs[name.Name], key+".")
			}
		}
	}
	walk(structs["Config"], "")
	return comments
}

// manualSource is manual.go.
func manualSource(t *testing.T, comments map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("// Code generated from the field comments in config.go by go generate; DO NOT EDIT.\n\npackage config\n\n")
	b.WriteString("// manual is what each setting means, by key.\nvar manual = map[string]string{\n")
	for _, s := range known().settings {
		fmt.Fprintf(&b, "%q: %q,\n", s.key, comments[s.key])
	}
	b.WriteString("}\n")
	source, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return source
}

const pageHead = `<!-- Made from the field comments of internal/config/config.go by go generate ./internal/config; edit those. -->
# Configuration

A setting comes from, in this order: its flag, its environment variable, the YAML file that ` + "`--config` or `DATASTORAGE_CONFIG`" + ` names,
its default. An environment variable that is empty is the same as none. An unknown key in the file and an unknown variable that
begins with ` + "`DATASTORAGE_`" + ` are errors, but for the variables that Kubernetes sets for a Service named ` + "`datastorage`" + `. Every fault is
reported at once. ` + "`datastorage config`" + ` prints what is in effect and where each value comes from; ` + "`datastorage config --check FILE`" + `
checks one file.

Sizes are bytes, with a unit if you like: ` + "`512`, `64KiB`, `1.5GiB`, `2GB`" + `. Durations are ` + "`500ms`, `10s`, `1h30m`, `7d`" + `. In the environment, lists
are separated by commas, and mappings are written ` + "`gateway=30,workflow=365`" + `. In the file, a dot in a setting's name is a level:

` + "```yaml" + `
listen: 0.0.0.0:8080
database:
  url_file: /run/secrets/database-url
retention:
  by_category:
    gateway: 365
` + "```" + `

The URLs of the database and of Redis hold a password: give them in a file (` + "`database.url_file`, `dead_letters.redis.url_file`" + `) or in the
environment, since other users of a machine see the flags of a process. They are never printed.

| setting | flag | environment | default | meaning |
|---|---|---|---|---|
`

// manualPage is docs/configuration.md.
func manualPage(comments map[string]string) []byte {
	var b bytes.Buffer
	b.WriteString(pageHead)
	cell := func(text, prefix string) string {
		if text == "" {
			return ""
		}
		return "`" + prefix + text + "`"
	}
	for _, s := range known().settings {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s |\n", s.key, cell(s.flag, "--"), s.env, cell(s.def, ""), comments[s.key]+s.limits())
	}
	return b.Bytes()
}
