package catalogdoc_test

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalogdoc"
	"github.com/datastorage-io/datastorage/internal/demo"
)

var now = time.Date(2026, 5, 11, 14, 45, 0, 0, time.UTC)

func mustParse(t testing.TB, stream string) []catalogdoc.Document {
	t.Helper()
	documents, err := catalogdoc.Parse("catalogue.yaml", []byte(stream), now)
	if err != nil {
		t.Fatal(err)
	}
	return documents
}

// export writes documents as one stream.
func export(documents []catalogdoc.Document) string {
	var b []byte
	for _, d := range documents {
		if d.Workflow != nil {
			b = catalogdoc.AppendWorkflow(b, d.Workflow)
		} else {
			b = catalogdoc.AppendActionType(b, d.ActionType)
		}
	}
	return string(b)
}

// TestParse_Sample checks that all sample documents are read, and come back as they were.
func TestParse_Sample(t *testing.T) {
	t.Parallel()
	documents := mustParse(t, string(demo.Catalogue()))
	var workflows, actions, parameters int
	for _, d := range documents {
		if d.ActionType != nil {
			actions++
			continue
		}
		workflows++
		w := d.Workflow
		parameters += strings.Count(string(w.Parameters), `"required":`)
		if w.Guidance == nil || w.Guidance.What != w.Description || w.Guidance.WhenToUse == "" || w.ActionType == "" || len(w.Labels.SignalType) != 1 ||
			w.ContentHash != datastorage.HashContent(w.Content) {
			t.Errorf("%s: workflow is %+v", w.Name, w)
		}
	}
	if workflows != 34 || actions != 35 || parameters != 117 {
		t.Errorf("%d workflows with %d parameters and %d action types, want 34, 117 and 35", workflows, parameters, actions)
	}
	out := export(documents)
	if out != string(demo.Catalogue()) {
		t.Error("the export differs from what was imported")
	}
	if again := mustParse(t, out); !reflect.DeepEqual(again, documents) {
		t.Error("the export is read otherwise")
	}
}

func TestParse_Workflow(t *testing.T) {
	t.Parallel()
	documents := mustParse(t, string(demo.Catalogue()))
	byName := map[string]*datastorage.Workflow{}
	for _, d := range documents {
		if d.Workflow != nil {
			byName[d.Workflow.Name] = d.Workflow
		}
	}
	const digest = "sha256:8c664f46bdf2e1637ae40ef2cf5be228c17da6cfe7016556d6b4835238ba3c84"
	w := byName["git-revert-v2"]
	if w.Title != "Git revert v2" || w.Version != "1.5.3" || w.Engine != "job" || w.Detected.GitOpsTool != "*" || w.ActionType != "GitRevertCommit" ||
		w.ContainerImage != "quay.io/kubernaut-cicd/test-workflows/git-revert-job@"+digest || w.ContainerDigest != digest ||
		!slices.Equal(w.Labels.Severity, []string{"critical", "high"}) || !slices.Equal(w.Labels.Priority, []string{"*"}) || !slices.Equal(w.Labels.SignalType, []string{"*"}) {
		t.Errorf("workflow is %+v", w)
	}
	for _, part := range []string{
		`"dependencies":{"secrets":[{"name":"gitea-repo-creds"}]}`, `"serviceAccountName":"git-revert-v2-runner"`,
		`{"description":"Must be Deployment","name":"TARGET_RESOURCE_KIND","required":true,"type":"string"}`,
	} {
		if !strings.Contains(string(w.Parameters), part) {
			t.Errorf("parameters are %s, want %s", w.Parameters, part)
		}
	}
	w = byName["migrate-postgres-emptydir-to-pvc-gitops-v1"]
	if w.ContainerImage != "" || w.ContainerDigest != "" || !strings.Contains(string(w.Parameters), `"bundleDigest":"27c5e6d5a189b2bb781ed88d4ab7171aae52519e"`) ||
		!strings.Contains(string(w.Parameters), `"default":"10Gi"`) {
		t.Errorf("workflow is %+v", w)
	}
	flags := 0
	for _, w := range byName {
		for _, b := range []*bool{w.Detected.HPAEnabled, w.Detected.Stateful, w.Detected.PDBProtected, w.Detected.HelmManaged, w.Detected.NetworkIsolated} {
			if b != nil && *b {
				flags++
			}
		}
	}
	if flags != 5 || !slices.Equal(byName["crashloop-rollback-risk-v1"].CustomLabels["risk_tolerance"], []string{"low"}) {
		t.Errorf("%d detected labels are true, want 5; custom labels are %v", flags, byName["crashloop-rollback-risk-v1"].CustomLabels)
	}
}

// good is a workflow document; every line is of interest to some test.
const good = `apiVersion: kubernaut.ai/v1alpha1
kind: RemediationWorkflow
metadata:
  name: restart-v1
spec:
  version: "1.0.0"
  description:
    what: Restarts
    whenToUse: Often
  actionType: RestartPod
  labels:
    severity: critical
    environment: ["*"]
    component: [v1/Pod]
    priority: P1
  execution:
    engine: job
`

func TestParse_More(t *testing.T) {
	t.Parallel()
	more := good + `    engineConfig: {retries: 0x10, rate: 1.50, big: 1_000, at: 2026-01-01, none: ~, odd: .inf}
  customLabels: {team: a, area: [b, c]}
  detectedLabels: {stateful: false, hpaEnabled: "true", clusterSize: 3}
  maintainers: [{name: Ann, email: ann@example.org}, {name: Bob}]
  parameters:
  - {name: N, type: integer, minimum: 1, maximum: 2.5, enum: [a], pattern: x, dependsOn: [M], default: [1, {a: true}]}
`
	more = strings.Replace(more, "  labels:\n", "  labels:\n    signalType: [OOMKilled, CrashLoop]\n", 1)
	w := mustParse(t, more)[0].Workflow
	if !slices.Equal(w.Labels.SignalType, []string{"OOMKilled", "CrashLoop"}) || w.Maintainer != "Ann <ann@example.org>, Bob" ||
		!reflect.DeepEqual(w.CustomLabels, map[string][]string{"team": {"a"}, "area": {"b", "c"}}) ||
		*w.Detected.Stateful || !*w.Detected.HPAEnabled || string(w.Detected.Other) != `{"clusterSize":3}` {
		t.Errorf("workflow is %+v", w)
	}
	for _, part := range []string{
		`"engineConfig":{"at":"2026-01-01","big":1000,"none":null,"odd":".inf","rate":1.50,"retries":16}`,
		`{"default":[1,{"a":true}],"dependsOn":["M"],"enum":["a"],"maximum":2.5,"minimum":1,"name":"N","pattern":"x","type":"integer"}`,
	} {
		if !strings.Contains(string(w.Parameters), part) {
			t.Errorf("parameters are %s, want %s", w.Parameters, part)
		}
	}
}

func TestParse_Stream(t *testing.T) {
	t.Parallel()
	stream := "# nothing\n---\n\n---\r\n" + good + "---\t# the second\n" + strings.Replace(good, "restart-v1", "other", 1) + "...\n---\n# end\n"
	documents := mustParse(t, stream)
	if len(documents) != 2 || documents[0].Line != 5 || documents[0].Workflow.Content != good || documents[1].Workflow.Name != "other" {
		t.Errorf("documents are %+v", documents)
	}
	if documents := mustParse(t, "\ufeff"+strings.TrimSuffix(good, "\n")); documents[0].Workflow.Content != good {
		t.Errorf("content is %q", documents[0].Workflow.Content)
	}
	if documents := mustParse(t, ""); len(documents) != 0 {
		t.Errorf("documents are %+v", documents)
	}
	crlf := strings.ReplaceAll(good, "\n", "\r\n")
	if documents := mustParse(t, crlf); documents[0].Workflow.Content != crlf {
		t.Errorf("content is %q", documents[0].Workflow.Content)
	}
}

func TestParse_Faults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, old, new string
		want           []string // "line: text begins so"
	}{
		{"APIVersion", "kubernaut.ai/v1alpha1", "v1", []string{"1: apiVersion must be one of: kubernaut.ai/v1alpha1"}},
		{"Kind", "kind: RemediationWorkflow", "kind: Pod", []string{"2: kind must be one of: RemediationWorkflow, ActionType, WorkflowRecord"}},
		{"NoKind", "kind: RemediationWorkflow\n", "", []string{"1: kind must be one of"}},
		{"UnknownField", "  actionType: RestartPod", "  actionTyp: RestartPod", []string{"6: spec.actionType is required", "10: spec.actionTyp is not a known field; known are: actionType, customLabels"}},
		{"Several", "  description:\n    what: Restarts\n    whenToUse: Often\n", "  description: {what: 1, whenToUse: [x], whenNot: y}\n  labels2: 1\n", []string{
			"7: spec.description.what must be a text: put it in quotes", "7: spec.description.whenNot is not a known field", "7: spec.description.whenToUse must be a text", "8: spec.labels2 is not a known field",
		}},
		{"VersionNumber", `"1.0.0"`, "1.0", []string{"6: spec.version must be a text: put it in quotes"}},
		{"VersionNotSemantic", `"1.0.0"`, "latest", []string{"6: spec.version must be a semantic version"}},
		{"NameBlank", "restart-v1", `" "`, []string{"4: metadata.name is required and must not be blank"}},
		{"NameLong", "restart-v1", strings.Repeat("x", 256), []string{"4: metadata.name must be at most 255 characters"}},
		{"Severity", "critical", "[critical, fatal]", []string{"12: spec.labels.severity must be one of: critical, high"}},
		{"SeverityMapping", "critical", "{a: b}", []string{"12: spec.labels.severity must be a text"}},
		{"SeverityEmpty", "critical", "[]", []string{"12: spec.labels.severity is required and must not be empty"}},
		{"LabelMissing", "    priority: P1\n", "", []string{"12: spec.labels.priority is required"}},
		{"TwoValues", "P1", "P7\n  detectedLabels: {gitOpsTool: helm}", []string{"15: spec.labels.priority must be one of", "16: spec.detectedLabels.gitOpsTool must be one of: argocd"}},
		{"CustomLabels", "P1", "P1\n  customLabels: {a: {b: c}, d: 1}", []string{"16: spec.customLabels.a must be a text", "16: spec.customLabels.d must be a text"}},
		{"Parameter", "engine: job", "engine: job\n  parameters: [{name: N, type: text, required: \"yes\", minimum: x}, 1]", []string{
			"18: spec.parameters[0].minimum must be a number", "18: spec.parameters[0].required must be true or false", "18: spec.parameters[0].type must be one of: string", "18: spec.parameters[1] must be a mapping",
		}},
		{"ParameterList", "engine: job", "engine: job\n  parameters: x", []string{"18: spec.parameters must be a list"}},
		{"Huge", "engine: job", "engine: job\n    engineConfig: {a: " + strings.Repeat("1", 101) + "}", []string{"5: spec must not hold a number longer than 100"}},
		{"Duplicate", "  actionType: RestartPod", "  actionType: RestartPod\n  actionType: Other", []string{"11: spec.actionType is there twice, first on line 10"}},
		{"Anchor", "critical", "&a critical", []string{"12: anchors and aliases are not allowed"}},
		{"Alias", "P1", "*a", []string{"1: the document is not valid YAML: unknown anchor"}},
		{"Tag", "critical", "!!str critical", []string{"12: tags are not allowed"}},
		{"Key", "  actionType: RestartPod", "  ? [a]\n  : b\n  actionType: RestartPod", []string{"10: a key must be a plain text"}},
		{"Syntax", "  labels:", "  labels", []string{"11: the document is not valid YAML: could not find expected"}},
		{"Sequence", good, "- a\n", []string{"1: the document must be a mapping"}},
		{"UTF8", "Often", "\xff", []string{"1: the document is not valid UTF-8"}},
		{"NUL", "Often", "\x00", []string{"1: the document is not valid YAML"}},
		{"Separator", "kind:", "--- x\nkind:", []string{"1: kind must be one of", "2: a line that separates documents must hold nothing else", "3: apiVersion is required"}},
		{"Deep", "engine: job", "engine: job\n    engineConfig: {a: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}", []string{"18: the document must be nested at most 32 deep"}},
		{"Long", "Often", strings.Repeat("x", 20_000), []string{"9: spec.description.whenToUse must be at most 16384 characters"}},
		{"Large", "Often", strings.Repeat("x", datastorage.MaxWorkflowContentBytes), []string{"1: the document must be at most 262144 bytes"}},
		{"VeryLarge", "Often", strings.Repeat("x", catalogdoc.MaxDocumentBytes), []string{"1: the document must be at most 1048576 bytes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad := strings.Replace(good, tt.old, tt.new, 1)
			if bad == good {
				t.Fatalf("the document does not hold %q", tt.old)
			}
			wantFaults(t, bad, 0, tt.want)
			// Behind a good document the lines move, and the good one is still read.
			if tt.name != "UTF8" {
				wantFaults(t, good+"---\n"+bad, strings.Count(good, "\n")+1, tt.want)
			}
		})
	}
}

// wantFaults checks the faults of a stream; their lines lie behind an offset.
func wantFaults(t *testing.T, stream string, offset int, want []string) {
	t.Helper()
	documents, err := catalogdoc.Parse("f.yaml", []byte(stream), now)
	if offset > 0 && (len(documents) != 1 || documents[0].Line != 1) {
		t.Errorf("documents are %+v", documents)
	}
	faults, ok := errors.AsType[catalogdoc.Faults](err)
	if !ok {
		t.Fatalf("error is %v", err)
	}
	for i, f := range faults {
		line := strconv.Itoa(f.Line-offset) + ": " + f.Text
		if offset > 0 && strings.Contains(line, "first on line") {
			line = strings.Replace(line, "line "+strconv.Itoa(10+offset), "line 10", 1)
		}
		if i >= len(want) || !strings.HasPrefix(line, want[i]) {
			t.Errorf("fault %d is %q, want one of %q", i, line, want)
		}
		if !strings.HasPrefix(f.Error(), "f.yaml:"+strconv.Itoa(f.Line)+": ") {
			t.Errorf("error is %q", f.Error())
		}
	}
	if len(faults) < len(want) {
		t.Errorf("faults are\n%v, want %q", err, want)
	}
}

func TestParse_ActionTypeFaults(t *testing.T) {
	t.Parallel()
	const action = "apiVersion: kubernaut.ai/v1alpha1\nkind: ActionType\nmetadata:\n  name: x\nspec:\n  name: Restart\n  description:\n    what: w\n    whenToUse: u\n"
	a := mustParse(t, action)[0].ActionType
	want := datastorage.ActionType{
		Name: "Restart", Guidance: datastorage.Guidance{What: "w", WhenToUse: "u"}, Content: action, ContentHash: datastorage.HashContent(action), UpdatedAt: now,
	}
	if *a != want {
		t.Errorf("action type is %+v", a)
	}
	wantFaults(t, strings.Replace(action, "Restart", strings.Repeat("x", 101), 1), 0, []string{"6: spec.name must be at most 100 characters"})
	wantFaults(t, strings.Replace(action, ": w\n", ": "+strings.Repeat("x", 20_000)+"\n", 1), 0, []string{"8: spec.description.what must be at most 16384 characters"})
	wantFaults(t, strings.Replace(action, "    whenToUse: u\n", "", 1), 0, []string{"8: spec.description.whenToUse is required"})
}

func TestParse_Limits(t *testing.T) {
	t.Parallel()
	_, err := catalogdoc.Parse("f", []byte(strings.Repeat("a: b\n---\n", catalogdoc.MaxDocuments+1)), now)
	if err == nil || !strings.Contains(err.Error(), "more than 10000 documents") {
		t.Errorf("error is %v", err)
	}
	_, err = catalogdoc.Parse("f", []byte(strings.Repeat("a: b\n---\n", 200)), now)
	if faults, _ := errors.AsType[catalogdoc.Faults](err); len(faults) != catalogdoc.MaxFaults {
		t.Errorf("%d faults", len(faults))
	}
}

// TestAppendWorkflow_Record checks that a workflow that came as JSON survives as a document, whatever its texts hold.
func TestAppendWorkflow_Record(t *testing.T) {
	t.Parallel()
	w := *mustParse(t, good)[0].Workflow
	w.Content = "a\r\n---\nb\x01\x7f\u0085\u00a0\u2028\u2029\ufeff\ufffe\uffff\ue000😀: #\t "
	w.ContentHash, w.Status = datastorage.HashContent(w.Content), "deprecated"
	edited := *mustParse(t, good)[0].Workflow
	edited.Labels.Severity = []string{"low"}
	for _, w := range []*datastorage.Workflow{&w, &edited} {
		out := string(catalogdoc.AppendWorkflow(nil, w))
		again := mustParse(t, out)
		if len(again) != 1 || !reflect.DeepEqual(again[0].Workflow, w) {
			t.Errorf("%s\nis read as %+v", out, again)
		}
	}
	for raw, want := range map[string]string{
		"apiVersion: kubernaut.ai/v1alpha1\nkind: WorkflowRecord\nrecord: '{}'\n":   "3: record.content is required",
		"apiVersion: kubernaut.ai/v1alpha1\nkind: WorkflowRecord\nrecord: '{'\n":    "3: record: the body",
		"apiVersion: kubernaut.ai/v1alpha1\nkind: WorkflowRecord\n":                 "1: record is required",
		"apiVersion: kubernaut.ai/v1alpha1\nkind: WorkflowRecord\nrecord: {a: b}\n": "3: record must be a text",
	} {
		_, err := catalogdoc.Parse("", []byte(raw), now)
		if err == nil || !strings.HasPrefix(err.Error(), ":"+want) {
			t.Errorf("%s\nerror is %v, want %s", raw, err, want)
		}
	}
}

// FuzzParse checks that whatever is read is written and read again alike, and that a fault always says what is wrong.
func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add(good + "---\n" + good)
	f.Add("--- x\na: &a [*a]\n...\n? a\n: b\n")
	for _, d := range mustParse(f, string(demo.Catalogue()))[30:40] {
		f.Add(export([]catalogdoc.Document{d}))
	}
	f.Fuzz(func(t *testing.T, stream string) {
		documents, err := catalogdoc.Parse("f", []byte(stream), now)
		if err != nil {
			for _, fault := range err.(catalogdoc.Faults) { //nolint:errorlint // it is never wrapped
				if fault.Text == "" || fault.Line < 1 {
					t.Fatalf("fault is %+v", fault)
				}
			}
		}
		again, err := catalogdoc.Parse("f", []byte(export(documents)), now)
		if err != nil || len(again) != len(documents) {
			t.Fatalf("%d documents become %d, %v", len(documents), len(again), err)
		}
		for i := range again {
			again[i].Line = documents[i].Line
		}
		if !reflect.DeepEqual(again, documents) {
			t.Fatalf("documents change from\n%+v to\n%+v", documents, again)
		}
	})
}
