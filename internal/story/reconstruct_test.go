package story_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/story"
)

// complete are events as a V1.0 platform writes them, from which every field that counts can be told.
func complete() []datastorage.Event {
	return []datastorage.Event{
		at(1, 0, "gateway.signal.received", `{"signal_name":"HighMemory","signal_type":"alert","fingerprint":"ab12","severity":"critical","resource_kind":"Pod",
			"resource_name":"web-1","namespace":"prod","signal_labels":{"app":"web","n":1,"on":"yes"},"signal_annotations":{"summary":"90 %: \"high\"\nnow"},
			"original_payload":{"alerts":[{"status":"firing"}],"b":1.50},"environment":"Production","priority":"P1"}`),
		at(2, 1, "gateway.crd.created", `{"remediation_request":"kubernaut-system/rr-1"}`),
		at(3, 2, "orchestrator.lifecycle.created", `{"rr_name":"rr-1","namespace":"kubernaut-system","timeout_config":{"global":"1h0m0s","processing":"5m0s"}}`),
		at(4, 3, "workflowexecution.selection.completed", `{"selected_workflow_ref":{"workflow_id":"restart-pod","version":"1.2.0","container_image":"ghcr.io/k/restart:1.2.0"}}`),
		at(5, 4, "workflowexecution.execution.started", `{"execution_ref":{"api_version":"kubernaut.ai/v1alpha1","kind":"WorkflowExecution","name":"we-1","namespace":"kubernaut-system"}}`),
		at(6, 5, "orchestrator.lifecycle.transitioned", `{"from_phase":"Executing","to_phase":"Verifying"}`),
		at(7, 6, "webhook.remediationrequest.timeout_modified", `{"new_timeout_config":{"global":"2h0m0s"}}`),
		at(8, 9, "orchestrator.lifecycle.completed", `{"outcome":"Remediated","phase":"Completed"}`),
	}
}

func TestReconstruct_complete(t *testing.T) {
	t.Parallel()
	src := &fixed{events: complete()}
	got, err := story.Reconstruct(t.Context(), src, "rr-1")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "request.yaml", []byte(got.YAML))
	if v := got.Validation; !v.IsValid || v.Completeness != 100 || got.Found != got.Counted || len(v.Warnings) != 0 {
		t.Errorf("%d of %d: %+v", got.Found, got.Counted, v)
	}
	var origins strings.Builder
	for _, f := range got.Fields {
		fmt.Fprintf(&origins, "%s %s %d\n", f.Field, f.Type, f.LogIndex)
	}
	golden(t, "request-origins.txt", []byte(origins.String()))
	for range 20 {
		again, err := story.Reconstruct(t.Context(), src, "rr-1")
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Fatalf("again (%v): %s", err, diff)
		}
	}
	away(t, src, func() error {
		_, err := story.Reconstruct(t.Context(), src, "rr-1")
		return err
	})
}

func TestReconstruct_everyRecordedRun(t *testing.T) {
	t.Parallel()
	store := newStore(t, recorded(t))
	completeness := map[int]int{}
	invalid := 0
	for _, id := range correlations(t) {
		got, err := story.Reconstruct(t.Context(), store, id)
		if err != nil {
			t.Fatal(err)
		}
		completeness[got.Validation.Completeness]++
		if !got.Validation.IsValid {
			invalid++
		}
		var document struct {
			Metadata struct{ Name string }
			Spec     struct {
				SignalName string `yaml:"signalName"`
			}
		}
		if err := yaml.Unmarshal([]byte(got.YAML), &document); err != nil || document.Metadata.Name != id || document.Spec.SignalName == "" {
			t.Errorf("%s: %v %+v", id, err, document)
		}
		if len(got.Fields)+len(got.Missing) != 28 {
			t.Errorf("%s: %d fields and %d missing", id, len(got.Fields), len(got.Missing))
		}
	}
	// Four signals name no object. Runs without a workflow or an outcome lack these.
	want := map[int]int{66: 29, 61: 2, 52: 8, 42: 2, 38: 4}
	if diff := cmp.Diff(want, completeness); diff != "" || invalid != 4 {
		t.Errorf("%d are not valid; completeness (-want +got):\n%s", invalid, diff)
	}
}

func TestReconstruct_missing(t *testing.T) {
	t.Parallel()
	got, err := story.Reconstruct(t.Context(), &fixed{events: []datastorage.Event{at(1, 0, "gateway.signal.received", `{"signal_name":"Down"}`)}}, "rr-1")
	if err != nil {
		t.Fatal(err)
	}
	if v := got.Validation; v.IsValid || len(v.Errors) != 1 || !strings.HasPrefix(v.Errors[0], "spec.targetResource is missing: no event of gateway.signal.received, gateway.*") {
		t.Errorf("%+v", v)
	}
	if _, err := story.Reconstruct(t.Context(), &fixed{}, "rr-1"); datastorage.CodeOf(err) != datastorage.CodeNotFound {
		t.Errorf("an unknown correlation: %v", err)
	}
	_, err = story.Reconstruct(t.Context(), &fixed{events: []datastorage.Event{at(1, 0, "gateway.crd.created", `{}`)}}, "rr-1")
	if datastorage.CodeOf(err) != datastorage.CodeValidation || !strings.Contains(err.Error(), "gateway.signal.received") {
		t.Errorf("without a signal: %v", err)
	}
}

func TestReconstruct_oddNames(t *testing.T) {
	t.Parallel()
	got, err := story.Reconstruct(t.Context(), &fixed{events: []datastorage.Event{
		at(1, 0, "gateway.signal.received", `{"signal_name":"Down"}`),
		at(2, 1, "orchestrator.lifecycle.created", `{"timeout_config":{"a_b":1,"aB":2,"a__b":3,"_é_é":"4","":5}}`),
	}}, "rr-1")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Status struct {
			Timeouts map[string]any `yaml:"timeoutConfig"`
		}
	}
	if err := yaml.Unmarshal([]byte(got.YAML), &document); err != nil {
		t.Fatalf("%v:\n%s", err, got.YAML)
	}
	if diff := cmp.Diff(map[string]any{"a_b": 1, "aB": 2, "a__b": 3, "ÉÉ": "4", "": 5}, document.Status.Timeouts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzReconstruct reads a document back: its texts must be those of the event, whatever they are.
func FuzzReconstruct(f *testing.F) {
	for _, s := range []string{`"plain"`, `"yes"`, `"1e3"`, `" a: b # c\n"`, `"\u0001\u2028\ud83d\ude00"`, `"- x"`, `"0x1F"`, `"2026-05-11"`, `"\t"`, `"~"`, `"!!binary x"`, `"a\r\n b"`} {
		f.Add(s, `{"a":`+s+`}`)
	}
	f.Add(`{"x":[1,{"y":null}],"z":1e400}`, `{"a":true,"b":{"c":"d"}}`)
	f.Fuzz(func(t *testing.T, payload, labels string) {
		data, err := datastorage.Canonical(jsontext.Value(`{"signal_name":"Down","original_payload":` + payload + `,"signal_labels":` + labels + `,"timeout_config":` + labels + `,"environment":` + payload + `}`))
		if err != nil {
			return
		}
		e := at(1, 0, "gateway.signal.received", string(data))
		if !storable(&e) {
			return
		}
		got, err := story.Reconstruct(t.Context(), &fixed{events: []datastorage.Event{e}}, "rr-1")
		if err != nil {
			t.Fatal(err)
		}
		var document struct {
			Spec struct {
				OriginalPayload string `yaml:"originalPayload"`
				Environment     any
				SignalLabels    map[string]string `yaml:"signalLabels"`
			}
		}
		if err := yaml.Unmarshal([]byte(got.YAML), &document); err != nil {
			t.Fatalf("%v:\n%s", err, got.YAML)
		}
		var event struct {
			Payload jsontext.Value `json:"original_payload"`
			Labels  jsontext.Value `json:"signal_labels"`
		}
		if err := json.Unmarshal(data, &event); err != nil {
			t.Fatal(err)
		}
		if event.Payload.Kind() == '"' {
			text, err := jsontext.AppendUnquote(nil, event.Payload)
			if err != nil || string(text) != document.Spec.OriginalPayload || (len(text) > 0 && document.Spec.Environment != string(text)) {
				t.Errorf("%s became %q and %v", event.Payload, document.Spec.OriginalPayload, document.Spec.Environment)
			}
		} else if event.Payload.Kind() != 'n' && string(event.Payload) != document.Spec.OriginalPayload {
			t.Errorf("%s became %q", event.Payload, document.Spec.OriginalPayload)
		}
		var members map[string]jsontext.Value
		if event.Labels.Kind() != '{' || json.Unmarshal(event.Labels, &members) != nil {
			return
		}
		for name, value := range members {
			want := string(value)
			if value.Kind() == '"' {
				text, _ := jsontext.AppendUnquote(nil, value)
				want = string(text)
			}
			if document.Spec.SignalLabels[name] != want {
				t.Errorf("label %q: %s became %q", name, value, document.Spec.SignalLabels[name])
			}
		}
	})
}
