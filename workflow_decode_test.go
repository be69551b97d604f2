package datastorage_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
)

const labelsJSON = `{"signal_type":"OOMKilled","severity":"critical","component":"apps/v1/Deployment","environment":"production","priority":"P0"}`

// workflow is a workflow with every required member.
var workflow = []member{
	{"workflow_name", `"restart"`}, {"version", `"v1.2"`}, {"name", `"Restart"`}, {"description", `"Restarts a pod"`},
	{"content", `"steps"`}, {"content_hash", strconv.Quote(datastorage.HashContent("steps"))}, {"labels", labelsJSON},
}

func workflowWith(set ...member) []byte { return withMembers(workflow, set) }

// label sets one of the mandatory labels.
func label(name, value string) member {
	var labels []member
	for _, key := range []string{"signal_type", "severity", "component", "environment", "priority"} {
		if key == name {
			labels = append(labels, member{key, value})
		} else {
			labels = append(labels, member{key, `"*"`})
		}
	}
	return member{"labels", string(object(labels))}
}

// fullWorkflow is every optional member of a workflow in a request.
var fullWorkflow = []member{
	{"execution_engine", `"job"`}, {"custom_labels", `{"team":["a","*"],"none":[]}`},
	{"detected_labels", `{"gitOpsManaged":true,"stateful":false,"gitOpsTool":"*","serviceMesh":"istio","failed_detections":["hpaEnabled","hpaEnabled"],"z":1.50,"a":{"c":1,"b":2}}`},
	{"status", `"deprecated"`}, {"parameters", `{"b":[1],"a":1e2}`}, {"container_image", `"quay.io/x"`},
	{"container_digest", `"sha256:` + strings.Repeat("aB", 32) + `"`}, {"owner", `"o"`}, {"maintainer", `"m"`}, {"action_type", `"RestartPod"`},
	{"previous_version", `"1.1"`}, {"version_notes", `"n"`}, {"change_summary", `"s"`}, {"approved_by", `"me"`}, {"approved_at", `"2026-01-01T02:00:00.1+02:00"`},
	{"expected_success_rate", "0.90"}, {"expected_duration_seconds", "0"}, {"created_by", `"c"`}, {"deprecation_notice", `"d"`},
	{"guidance", `{"what":"w","when_to_use":"u","when_not_to_use":"n","preconditions":"p"}`},
}

func TestDecodeWorkflow(t *testing.T) {
	t.Parallel()
	yes, no, rate, zero := true, false, 0.9, int64(0)
	at := now.Truncate(time.Microsecond)
	want := datastorage.Workflow{
		Name: "restart", Version: "v1.2", Title: "Restart", Description: "Restarts a pod", Content: "steps",
		ContentHash: datastorage.HashContent("steps"), Engine: "job",
		Labels: datastorage.Labels{
			SignalType: []string{"OOMKilled"}, Severity: []string{"critical"}, Component: []string{"apps/v1/Deployment"},
			Environment: []string{"production"}, Priority: []string{"P0"},
		},
		CustomLabels: map[string][]string{"team": {"a", "*"}},
		Detected: datastorage.DetectedLabels{
			GitOpsManaged: &yes, Stateful: &no, GitOpsTool: "*", ServiceMesh: "istio", Failed: []string{"hpaEnabled"},
			Other: jsontext.Value(`{"a":{"b":2,"c":1},"z":1.50}`),
		},
		Parameters: jsontext.Value(`{"a":1e2,"b":[1]}`), ContainerImage: "quay.io/x", ContainerDigest: "sha256:" + strings.Repeat("aB", 32),
		Owner: "o", Maintainer: "m", ActionType: "RestartPod", PreviousVersion: "1.1", VersionNotes: "n", ChangeSummary: "s",
		ApprovedBy: "me", ApprovedAt: time.Date(2026, 1, 1, 0, 0, 0, 100_000_000, time.UTC), ExpectedSuccessRate: &rate, ExpectedDuration: &zero,
		CreatedBy: "c", DeprecationNotice: "d",
		Guidance:  &datastorage.Guidance{What: "w", WhenToUse: "u", WhenNotToUse: "n", Preconditions: "p"},
		CreatedAt: at, WorkflowState: datastorage.WorkflowState{Status: "deprecated", UpdatedAt: at},
	}
	// What only the server says, and what nobody knows, is ignored.
	ignored := []member{
		{"workflow_id", "1"}, {"is_latest_version", `"x"`}, {"created_at", "7"}, {"updated_at", `"never"`}, {"disabled_reason", `"r"`},
		{"disabled_at", "1"}, {"status_reason", "1"}, {"actual_success_rate", "2"}, {"total_executions", `"x"`}, {"x", "{}"}, {"owner_team", "null"},
	}
	w, err := datastorage.DecodeWorkflow(workflowWith(append(ignored, fullWorkflow...)...), now)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*w, want) {
		t.Errorf("workflow is\n%+v, want\n%+v", *w, want)
	}
}

func TestDecodeWorkflow_Defaults(t *testing.T) {
	t.Parallel()
	nothing := []member{{"guidance", "{}"}, {"custom_labels", `{"a":null}`}, {"detected_labels", `{"gitOpsTool":"","hpaEnabled":null}`}, {"status", `""`}}
	w, err := datastorage.DecodeWorkflow(workflowWith(nothing...), now)
	if err != nil {
		t.Fatal(err)
	}
	if w.Engine != "tekton" || w.Status != "active" || w.ID != uuid.Nil || w.Guidance != nil || w.CustomLabels != nil || !w.DisabledAt.IsZero() ||
		!reflect.DeepEqual(w.Detected, datastorage.DetectedLabels{}) {
		t.Errorf("workflow is %+v", w)
	}
	w, err = datastorage.DecodeWorkflow(workflowWith(member{"status", `"disabled"`}), now)
	if err != nil || !w.DisabledAt.Equal(w.CreatedAt) {
		t.Errorf("a workflow that begins disabled is %+v, %v", w, err)
	}
}

func TestDecodeWorkflow_Labels(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, value string
		want        []string
	}{
		{"severity", `["critical","HIGH","*","high"]`, []string{"critical", "high", "*"}},
		{"severity", `"Info"`, []string{"info"}}, {"priority", `["p0","P3"]`, []string{"P0", "P3"}}, {"environment", `["Production","staging"]`, []string{"Production", "staging"}},
		{"component", `["v1/Node"]`, []string{"v1/Node"}}, {"signal_type", `"*"`, []string{"*"}},
	} {
		w, err := datastorage.DecodeWorkflow(workflowWith(label(tt.name, tt.value)), now)
		if err != nil {
			t.Errorf("%s %s: %v", tt.name, tt.value, err)
			continue
		}
		got := map[string][]string{
			"signal_type": w.Labels.SignalType, "severity": w.Labels.Severity, "component": w.Labels.Component,
			"environment": w.Labels.Environment, "priority": w.Labels.Priority,
		}[tt.name]
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s %s is %q, want %q", tt.name, tt.value, got, tt.want)
		}
	}
	many := `["` + strings.Repeat(`a","`, 64) + `"]`
	for _, tt := range []struct{ name, value, phrase string }{
		{"severity", `"fatal"`, "must be one of: critical, high, medium, low, warning, info, *"}, {"severity", "1", "must be one of"},
		{"severity", `["high","fatal"]`, "must be one of"}, {"priority", `"P4"`, "must be one of: P0, P1, P2, P3, *"}, {"priority", `[["P1"]]`, "must be one of"},
		{"component", "1", "must be a string or an array of strings"}, {"component", `[null]`, "must be a string or an array of strings"},
		{"component", `{}`, "must be a string or an array of strings"}, {"component", `" "`, "must not be blank"}, {"component", `[""]`, "must not be blank"},
		{"component", `[]`, "must not be empty"}, {"component", `""`, "is required"}, {"component", "null", "is required"}, {"environment", many, "at most 64 values"},
		{"environment", `"` + strings.Repeat("é", 256) + `"`, "at most 255 characters"},
	} {
		refusedWorkflow(t, label(tt.name, tt.value), "labels."+tt.name, tt.phrase)
	}
}

func TestDecodeWorkflow_Limits(t *testing.T) {
	t.Parallel()
	texts := map[string]int{"workflow_name": 255, "name": 255, "description": 16384, "execution_engine": 50, "action_type": 100, "owner": 16384}
	for name, limit := range texts {
		for _, c := range []string{"x", "😀", `\ud83d\ude00`} {
			if _, err := datastorage.DecodeWorkflow(workflowWith(member{name, `"` + strings.Repeat(c, limit) + `"`}), now); err != nil {
				t.Errorf("%s of %d %s: %v", name, limit, c, err)
			}
			refusedWorkflow(t, member{name, `"` + strings.Repeat(c, limit+1) + `"`}, name, "at most "+strconv.Itoa(limit)+" characters")
		}
	}
	for _, m := range workflow {
		if m.name == "labels" {
			continue
		}
		for _, value := range []string{"null", `""`} {
			refusedWorkflow(t, member{m.name, value}, m.name, "is required")
		}
		refusedWorkflow(t, member{m.name, "1"}, m.name, "must be a string")
		refusedWorkflow(t, member{m.name, `" "`}, m.name, "must not be blank")
	}
	long := strings.Repeat("x", datastorage.MaxWorkflowContentBytes)
	if _, err := datastorage.DecodeWorkflow(workflowWith(member{"content", `"` + long + `"`}, member{"content_hash", strconv.Quote(datastorage.HashContent(long))}), now); err != nil {
		t.Error(err)
	}
	refusedWorkflow(t, member{"content", `"` + long + `x"`}, "content", "at most 262144 bytes", member{"content_hash", strconv.Quote(datastorage.HashContent(long + "x"))})
	for _, tt := range []struct{ name, value, phrase string }{
		{"version", `"1.2.3.4"`, "must be a semantic version"}, {"version", `"latest"`, "must be a semantic version"}, {"version", `"1.01"`, "must be a semantic version"},
		{"version", `"1.` + strings.Repeat("1", 49) + `"`, "at most 50 characters"},
		{"content_hash", `"abc"`, "64 hexadecimal digits"}, {"content_hash", `"` + strings.Repeat("0", 64) + `"`, "must be the SHA-256 of content"},
		{"status", `"Active"`, "must be one of: active, disabled, deprecated, archived"}, {"status", "1", "must be one of"},
		{"parameters", "[]", "must be a JSON object"}, {"parameters", `"x"`, "must be a JSON object"}, {"parameters", strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33), "nested at most 32"},
		{"parameters", `{"a":"` + strings.Repeat("x", 64<<10) + `"}`, "at most 65536 bytes"},
		{"container_digest", `"sha256:00"`, "must be sha256: and 64"}, {"container_digest", "1", "must be sha256: and 64"}, {"container_digest", `"` + strings.Repeat("0", 64) + `"`, "must be sha256: and 64"},
		{"approved_at", `"yesterday"`, "RFC 3339"}, {"approved_at", `"1960-01-01T00:00:00Z"`, "between the years"}, {"approved_at", "1", "RFC 3339"},
		{"expected_success_rate", "1.1", "from 0 to 1"}, {"expected_success_rate", "-0.1", "from 0 to 1"}, {"expected_success_rate", `"1"`, "from 0 to 1"}, {"expected_success_rate", "true", "from 0 to 1"},
		{"expected_duration_seconds", "-1", "at least 0"}, {"expected_duration_seconds", "1.5", "must be an integer"}, {"expected_duration_seconds", "9007199254740992", "at most"},
		{"guidance", "[]", "must be a JSON object"}, {"labels", "[]", "must be a JSON object"}, {"labels", `"x"`, "must be a JSON object"}, {"owner", "{}", "must be a string"},
		{"detected_labels", "1", "must be a JSON object"}, {"detected_labels", `{"x":"` + strings.Repeat("x", 16<<10) + `"}`, "at most 16384 bytes"},
		{"custom_labels", "[]", "must be a JSON object"}, {"custom_labels", `{"` + keys(11) + `":["v"]}`, "at most 10 keys"},
		{"owner", `"\u0000"`, "must not contain U+0000"}, {"custom_labels", `{"a\u0000":["v"]}`, "must not contain U+0000"}, {"parameters", `{"a":1e400}`, "not finite"},
	} {
		refusedWorkflow(t, member{tt.name, tt.value}, tt.name, tt.phrase)
	}
	for _, tt := range []struct{ value, field, phrase string }{
		{`{"gitOpsTool":"helm"}`, "gitOpsTool", "must be one of: argocd, flux, *"}, {`{"serviceMesh":"consul"}`, "serviceMesh", "must be one of: istio, linkerd, *"},
		{`{"stateful":"true"}`, "stateful", "must be true or false"}, {`{"hpaEnabled":1}`, "hpaEnabled", "must be true or false"},
		{`{"failed_detections":["gitOpsTool"]}`, "failed_detections", "serviceMesh"}, {`{"failed_detections":"stateful"}`, "failed_detections", "must be an array"},
		{`{"failed_detections":[1]}`, "failed_detections", "must be an array"},
	} {
		refusedWorkflow(t, member{"detected_labels", tt.value}, "detected_labels."+tt.field, tt.phrase)
	}
	for _, tt := range []struct{ value, field, phrase string }{
		{`{"team":"a"}`, "team", "must be an array of strings"}, {`{"team":[1]}`, "team", "must be an array of strings"}, {`{"team":[" "]}`, "team", "must not hold a blank value"},
		{`{"team":["1","2","3","4","5","6"]}`, "team", "at most 5 values"}, {`{"team":["` + strings.Repeat("é", 101) + `"]}`, "team", "at most 100 characters"},
		{`{"` + strings.Repeat("k", 70) + `":["v"]}`, strings.Repeat("k", 64) + "…", "a key of at most 63"}, {`{"":["v"]}`, "", "must have a key"},
	} {
		refusedWorkflow(t, member{"custom_labels", tt.value}, "custom_labels."+tt.field, tt.phrase)
	}
	fits := `{"` + strings.Repeat("é", 63) + `":["` + strings.Repeat("é", 100) + `","2","3","4","5"],"` + keys(9) + `":["v"]}`
	if _, err := datastorage.DecodeWorkflow(workflowWith(member{"custom_labels", fits}), now); err != nil {
		t.Error(err)
	}
}

// keys joins n keys of an object, so that each but the last has the value ["v"].
func keys(n int) string {
	var names []string
	for i := range n {
		names = append(names, "k"+strconv.Itoa(i))
	}
	return strings.Join(names, `":["v"],"`)
}

func TestDecodeWorkflow_EveryFault(t *testing.T) {
	t.Parallel()
	_, err := datastorage.DecodeWorkflow([]byte(`{"detected_labels":{"stateful":1},"custom_labels":{"team":"x"},"status":"x"}`), now)
	e := validation(t, err)
	for _, name := range []string{
		"workflow_name", "version", "name", "description", "content", "content_hash", "labels.signal_type", "labels.severity",
		"labels.component", "labels.environment", "labels.priority", "detected_labels.stateful", "custom_labels.team", "status",
	} {
		if !strings.HasPrefix(e.Fields[name], name+" ") {
			t.Errorf("%s: %q", name, e.Fields[name])
		}
	}
	if len(e.Fields) != 14 {
		t.Errorf("faults are %v", e.Fields)
	}
	for _, raw := range []string{"", "[]", `{"content":"a","content":"b"}`, `{"x":"\u0000"}`, `{"x":1e400}`, `{} {}`} {
		_, err := datastorage.DecodeWorkflow([]byte(raw), now)
		_ = validation(t, err)
	}
}

// refusedWorkflow checks that a workflow is refused because of one field alone.
func refusedWorkflow(t *testing.T, m member, field, phrase string, more ...member) {
	t.Helper()
	set := append([]member{m}, more...)
	if m.name == "content" && len(more) == 0 {
		set = append(set, member{"content_hash", `"` + strings.Repeat("0", 64) + `"`})
	}
	_, err := datastorage.DecodeWorkflow(workflowWith(set...), now)
	if err == nil {
		t.Errorf("%s %.80s is accepted", m.name, m.value)
		return
	}
	e := validation(t, err)
	if m.name == "content" {
		delete(e.Fields, "content_hash")
	}
	if len(e.Fields) != 1 || !strings.Contains(e.Fields[field], phrase) || !strings.Contains(e.Detail, field) {
		t.Errorf("%s %.80s: fields are %v, want %s with %q", m.name, m.value, e.Fields, field, phrase)
	}
}

// completeWorkflow draws a workflow as it is stored.
func completeWorkflow() *rapid.Generator[*datastorage.Workflow] {
	return rapid.Custom(func(t *rapid.T) *datastorage.Workflow {
		text := func(least, most int, name string) string {
			return rapid.StringOfN(rapid.RuneFrom([]rune("aZ09.-_ \"\\/\x01\n\u0080é€\u2028\ue000\uffff😀")), least, most, -1).
				Filter(func(s string) bool { return least == 0 || strings.TrimSpace(s) != "" }).Draw(t, name)
		}
		at := func(name string) time.Time {
			return time.UnixMicro(rapid.Int64Range(0, 7258118399_999_999).Draw(t, name)).UTC()
		}
		content := text(1, 200, "content")
		w := &datastorage.Workflow{
			ID: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")), Name: text(1, 255, "name"),
			Version: rapid.SampledFrom([]string{"1.0.0", "v2", "1.0.0-rc.1+b"}).Draw(t, "version"), Title: text(1, 255, "title"),
			Description: text(1, 100, "description"), Content: content, ContentHash: datastorage.HashContent(content), Engine: text(1, 50, "engine"),
			Labels:         drawLabels(t),
			Detected:       drawDetected(t),
			ContainerImage: text(0, 20, "image"), Owner: text(0, 20, "owner"), Maintainer: text(0, 20, "maintainer"), ActionType: text(0, 100, "action"),
			PreviousVersion: text(0, 20, "previous"), VersionNotes: text(0, 20, "notes"), ChangeSummary: text(0, 20, "summary"), ApprovedBy: text(0, 20, "approver"),
			ExpectedSuccessRate: rapid.Ptr(rapid.Float64Range(0, 1), true).Draw(t, "rate"),
			ExpectedDuration:    rapid.Ptr(rapid.Int64Range(0, 1<<53-1), true).Draw(t, "duration"),
			CreatedBy:           text(0, 20, "creator"), DeprecationNotice: text(0, 20, "notice"), CreatedAt: at("created"),
			WorkflowState: datastorage.WorkflowState{
				Status: rapid.SampledFrom(datastorage.WorkflowStatuses).Draw(t, "status"), StatusReason: text(0, 20, "status reason"),
				DisabledBy: text(0, 20, "disabled by"), DisabledReason: text(0, 20, "reason"), UpdatedAt: at("updated"), UpdatedBy: text(0, 20, "updater"),
			},
		}
		if keys := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zé"]{1,63}`), 0, 10, rapid.ID).Draw(t, "keys"); len(keys) > 0 {
			w.CustomLabels = map[string][]string{}
			for _, key := range keys {
				w.CustomLabels[key] = rapid.SliceOfN(rapid.StringMatching(`[a-z*é]{1,100}`), 1, 5).Draw(t, "values")
			}
		}
		if rapid.Bool().Draw(t, "has more") {
			w.ApprovedAt, w.DisabledAt = at("approved"), at("disabled")
			w.ContainerDigest = "sha256:" + strings.Repeat("0f", 32)
			w.Guidance = &datastorage.Guidance{What: text(0, 20, "what"), WhenToUse: text(1, 20, "when"), WhenNotToUse: text(0, 20, "when not"), Preconditions: text(0, 20, "preconditions")}
			w.Parameters, _ = datastorage.Canonical([]byte(jsonObject().Draw(t, "parameters")))
		}
		return w
	})
}

func drawLabels(t *rapid.T) datastorage.Labels {
	texts := func(name string) []string {
		return rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z*/1é"]{1,255}`), 1, 4, rapid.ID).Draw(t, name)
	}
	one := func(name string, values []string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(append([]string{"*"}, values...)), 1, 4, rapid.ID).Draw(t, name)
	}
	return datastorage.Labels{
		SignalType: texts("signal"), Severity: one("severity", datastorage.Severities), Component: texts("component"),
		Environment: texts("environment"), Priority: one("priority", datastorage.Priorities),
	}
}

func drawDetected(t *rapid.T) datastorage.DetectedLabels {
	flag := func(name string) *bool { return rapid.Ptr(rapid.Bool(), true).Draw(t, name) }
	d := datastorage.DetectedLabels{
		GitOpsManaged: flag("a"), PDBProtected: flag("b"), HPAEnabled: flag("c"), Stateful: flag("d"), HelmManaged: flag("e"), NetworkIsolated: flag("f"),
		GitOpsTool:  rapid.SampledFrom([]string{"", "argocd", "flux", "*"}).Draw(t, "tool"),
		ServiceMesh: rapid.SampledFrom([]string{"", "istio", "linkerd", "*"}).Draw(t, "mesh"),
	}
	if failed := rapid.SliceOfDistinct(rapid.SampledFrom(datastorage.FailableDetections), rapid.ID).Draw(t, "failed"); len(failed) > 0 {
		d.Failed = failed
	}
	if rapid.Bool().Draw(t, "has others") {
		d.Other = jsontext.Value(`{"a":[{"b":""}],"é":1.0}`)
	}
	return d
}

func TestParseWorkflow_Properties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := completeWorkflow().Draw(t, "workflow")
		document := datastorage.AppendWorkflow(nil, w)
		if !jsontext.Value(document).IsValid() {
			t.Fatalf("%s is not JSON", document)
		}
		got, err := datastorage.ParseWorkflow(document)
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		if !reflect.DeepEqual(got, w) {
			t.Fatalf("workflow\n%+v becomes\n%+v", w, got)
		}
		document = datastorage.AppendWorkflowState(nil, &w.WorkflowState)
		state, err := datastorage.ParseWorkflowState(document)
		if err != nil || *state != w.WorkflowState {
			t.Fatalf("state %s becomes %+v, %v", document, state, err)
		}
		a := &datastorage.ActionType{Name: "x", Content: w.Content, ContentHash: w.ContentHash, UpdatedAt: w.UpdatedAt}
		if w.Guidance != nil {
			a.Guidance = *w.Guidance
		}
		document = datastorage.AppendActionType(nil, a)
		if action, err := datastorage.ParseActionType(document); err != nil || *action != *a {
			t.Fatalf("action type %s becomes %+v, %v", document, action, err)
		}
	})
}

// TestParseWorkflow_Exact checks that what is not written by us is refused.
func TestParseWorkflow_Exact(t *testing.T) {
	t.Parallel()
	w, err := datastorage.DecodeWorkflow(workflowWith(), now)
	if err != nil {
		t.Fatal(err)
	}
	good := string(datastorage.AppendWorkflow(nil, w))
	state := string(datastorage.AppendWorkflowState(nil, &w.WorkflowState))
	action := string(datastorage.AppendActionType(nil, &datastorage.ActionType{Name: "x", Content: "c", ContentHash: datastorage.HashContent("c"), UpdatedAt: now}))
	for _, bad := range []string{"", "{}", "[]", " " + good, good + "{}", strings.Replace(good, `"steps"`, `"other"`, 1), strings.Replace(good, `"status":"active"`, `"status":"x"`, 1), `{"x":1,` + good[1:]} {
		if _, err := datastorage.ParseWorkflow([]byte(bad)); err == nil {
			t.Errorf("%s is read as a workflow", bad)
		}
	}
	for _, bad := range []string{"", "{}", " " + state, `{"x":1,` + state[1:], strings.Replace(state, "active", "x", 1)} {
		if _, err := datastorage.ParseWorkflowState([]byte(bad)); err == nil {
			t.Errorf("%s is read as a state", bad)
		}
	}
	for _, bad := range []string{"", "{}", " " + action, `{"x":1,` + action[1:], strings.Replace(action, `"name":"x"`, `"name":1`, 1)} {
		if _, err := datastorage.ParseActionType([]byte(bad)); err == nil {
			t.Errorf("%s is read as an action type", bad)
		}
	}
}

// FuzzDecodeWorkflow checks that whatever is accepted is read back from its document, and that whatever is not is a
// validation error.
func FuzzDecodeWorkflow(f *testing.F) {
	f.Add(workflowWith())
	f.Add(workflowWith(fullWorkflow...))
	f.Add([]byte(`{"labels":{"severity":["x"]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		w, err := datastorage.DecodeWorkflow(raw, now)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		document := datastorage.AppendWorkflow(nil, w)
		again, err := datastorage.ParseWorkflow(document)
		if err != nil || !reflect.DeepEqual(again, w) {
			t.Fatalf("%s is read back as %+v, %v", document, again, err)
		}
	})
}

// FuzzParseWorkflow checks that every document that is read is written alike.
func FuzzParseWorkflow(f *testing.F) {
	for _, raw := range [][]byte{workflowWith(), workflowWith(fullWorkflow...)} {
		w, err := datastorage.DecodeWorkflow(raw, now)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(datastorage.AppendWorkflow(nil, w))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		w, err := datastorage.ParseWorkflow(document)
		if err == nil && string(datastorage.AppendWorkflow(nil, w)) != string(document) {
			t.Fatalf("%s is written otherwise", document)
		}
	})
}
