package catalog_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/catalogdoc"
	"github.com/datastorage-io/datastorage/internal/demo"
)

var exampleRow = regexp.MustCompile(`(?m)^\| (.+) \| (.+) \| ([0-9.]+) \| ([0-9.]+) \| ([0-9.]+) \|$`)

// TestSnapshot_Search_docs holds the examples of docs/catalogue.md to what a search answers.
func TestSnapshot_Search_docs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/catalogue.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := exampleRow.FindAllStringSubmatch(string(page), -1)
	if len(rows) < 25 {
		t.Fatalf("the page has %d examples", len(rows))
	}
	for _, row := range rows {
		w, q := plain("w", "1"), plainSearch()
		q.Detected, q.CustomLabels = parseLabels(t, row[1])
		w.Detected, w.CustomLabels = parseLabels(t, row[2])
		m := snapshotOf(t, []*datastorage.Workflow{w}).Search(q).Matches[0]
		if m.Boost.String() != row[3] || m.Penalty.String() != row[4] || m.Score.String() != row[5] {
			t.Errorf("%s gives %v, %v, %v", row[0], m.Boost, m.Penalty, m.Score)
		}
	}
}

var conditionRow = regexp.MustCompile(`│ (\w+) +│ (\S*) +│ (\d+) +│ (\d+) +│ (\d+) +│`)

// TestSnapshot_Search_docsConditions holds the conditions in docs/catalogue.md to what searches of the sample workflows say.
func TestSnapshot_Search_docsConditions(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/catalogue.md")
	if err != nil {
		t.Fatal(err)
	}
	var shown, found strings.Builder
	for _, row := range conditionRow.FindAllStringSubmatch(string(page), -1) {
		fmt.Fprintln(&shown, row[1:])
	}
	samples := sampleSnapshot(t)
	for _, component := range []string{"apps/v1/Deployment", "Deployment"} {
		q := plainSearch()
		q.Component = component
		for _, step := range samples.Search(q).Funnel.Steps {
			fmt.Fprintln(&found, []any{step.Condition, step.Asked, step.Left, step.Removed, step.Sole})
		}
	}
	if shown.String() != found.String() {
		t.Errorf("the page shows\n%sand searches find\n%s", &shown, &found)
	}
}

// sampleSnapshot is the catalogue of the sample workflows.
func sampleSnapshot(t *testing.T) *catalog.Snapshot {
	t.Helper()
	documents, err := catalogdoc.Parse("catalogue.yaml", demo.Catalogue(), time.UnixMicro(1_800_000_000_000_000))
	if err != nil {
		t.Fatal(err)
	}
	var workflows []*datastorage.Workflow
	for i, d := range documents {
		if d.Workflow != nil {
			d.Workflow.ID = uuid.UUID{15: byte(i)}
			workflows = append(workflows, d.Workflow)
		}
	}
	return snapshotOf(t, workflows)
}

// parseLabels reads `label=value label=value`; what is no detected label is a custom one.
func parseLabels(t *testing.T, cell string) (d datastorage.DetectedLabels, custom map[string][]string) {
	t.Helper()
	if cell == "—" {
		return d, nil
	}
	flags := map[string]**bool{
		"gitOpsManaged": &d.GitOpsManaged, "pdbProtected": &d.PDBProtected, "hpaEnabled": &d.HPAEnabled, "stateful": &d.Stateful,
		"helmManaged": &d.HelmManaged, "networkIsolated": &d.NetworkIsolated,
	}
	for label := range strings.FieldsSeq(strings.Trim(cell, "`")) {
		name, value, ok := strings.Cut(label, "=")
		flag := flags[name]
		switch {
		case !ok:
			t.Fatalf("%q is no label", label)
		case flag != nil:
			b := value == "true"
			*flag = &b
		case name == "gitOpsTool":
			d.GitOpsTool = value
		case name == "serviceMesh":
			d.ServiceMesh = value
		case name == "failed_detections":
			d.Failed = append(d.Failed, value)
		default:
			if custom == nil {
				custom = map[string][]string{}
			}
			custom[name] = append(custom[name], value)
		}
	}
	return d, custom
}
