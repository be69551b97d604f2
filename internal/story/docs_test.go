package story

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestRequestFields_docs holds the table of docs/remediations.md to request.yaml.
func TestRequestFields_docs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/remediations.md")
	if err != nil {
		t.Fatal(err)
	}
	yes := map[bool]string{true: "yes"}
	var table strings.Builder
	for _, f := range requestFields() {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", f.Field, yes[f.Counts], yes[f.Required])
	}
	if !strings.Contains(string(page), "|---|---|---|\n"+table.String()+"\n") {
		t.Errorf("the page has another table than\n%s", table.String())
	}
}
