package archtest

import (
	"os"
	"strings"
	"testing"
)

// TestDependencies holds docs/dependencies.md to go.mod: every direct dependency says there what it is for.
func TestDependencies(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range undocumented(string(mod), string(page)) {
		t.Errorf("docs/dependencies.md has no line for %s", dep)
	}
}

func TestUndocumented(t *testing.T) {
	t.Parallel()
	const mod = `module m

require example.org/alone v1.0.0

require (
	example.org/named v1.0.0
	example.org/missing/v2 v2.0.0
	example.org/below v1.0.0 // indirect
)
`
	got := undocumented(mod, "| `example.org/named` | for | why |\n| `example.org/alone` | for | why |\nexample.org/missing/v2\n")
	if len(got) != 1 || got[0] != "example.org/missing/v2" {
		t.Errorf("undocumented = %q, want example.org/missing/v2 alone", got)
	}
}

// undocumented returns the modules that a go.mod requires directly and that begin no line of a table in the page.
func undocumented(mod, page string) []string {
	var missing []string
	for line := range strings.Lines(mod) {
		fields := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(fields) != 2 || !strings.HasPrefix(fields[1], "v") {
			continue // not a requirement, or an indirect one
		}
		if !strings.Contains(page, "| `"+fields[0]+"`") {
			missing = append(missing, fields[0])
		}
	}
	return missing
}
