package datastorage_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage"
)

func TestDecodeWorkflowPatch(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]datastorage.WorkflowPatch{
		`{}`: {}, `{"status":null,"disabled_by":"","unknown":1,"content":null}`: {},
		`{"status":"disabled","disabled_by":"me","disabled_reason":"r"}`: {Status: "disabled", DisabledBy: "me", DisabledReason: "r"},
	} {
		if got, err := datastorage.DecodeWorkflowPatch([]byte(raw)); err != nil || got != want {
			t.Errorf("%s is %+v, %v", raw, got, err)
		}
	}
	_, err := datastorage.DecodeWorkflowPatch([]byte(`{"status":"gone","disabled_by":1}`))
	if e := validation(t, err); len(e.Fields) != 2 || !strings.Contains(e.Fields["status"], "must be one of: active") {
		t.Errorf("fields are %v", e.Fields)
	}
	for _, m := range append(append([]member{{"workflow_id", `"x"`}, {"is_latest_version", "true"}, {"created_at", "1"}, {"updated_by", `"x"`}}, workflow...), fullWorkflow...) {
		if m.name == "status" {
			continue
		}
		_, err := datastorage.DecodeWorkflowPatch(object([]member{m, {"status", `"active"`}}))
		e, ok := errors.AsType[*datastorage.Error](err)
		if !ok || e.Code != datastorage.CodeImmutableField || len(e.Fields) != 1 || !strings.Contains(e.Detail, m.name+" cannot be changed") || e.Fields[m.name] == "" {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

func TestDecodeWorkflowDisable(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]datastorage.WorkflowDisable{
		``: {}, `{}`: {}, `{"reason":"r","updated_by":"me","x":[]}`: {Reason: "r", UpdatedBy: "me"},
	} {
		if got, err := datastorage.DecodeWorkflowDisable([]byte(raw)); err != nil || got != want {
			t.Errorf("%s is %+v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{`{"reason":1}`, `[]`, `{"reason":"` + strings.Repeat("x", datastorage.MaxWorkflowText+1) + `"}`, "{"} {
		_, err := datastorage.DecodeWorkflowDisable([]byte(raw))
		_ = validation(t, err)
	}
}

func TestWorkflowState_Patch(t *testing.T) {
	t.Parallel()
	before, at := now.Add(-time.Hour).Truncate(time.Microsecond), now.Truncate(time.Microsecond)
	active := datastorage.WorkflowState{Status: "active", UpdatedAt: before}
	disabled := datastorage.WorkflowState{Status: "disabled", StatusReason: "r", DisabledAt: before, DisabledBy: "me", DisabledReason: "r", UpdatedAt: before, UpdatedBy: "me"}
	tests := []struct {
		name  string
		state datastorage.WorkflowState
		patch datastorage.WorkflowPatch
		want  datastorage.WorkflowState
	}{
		{"Nothing", active, datastorage.WorkflowPatch{}, active},
		{"SameStatus", disabled, datastorage.WorkflowPatch{Status: "disabled"}, disabled},
		{
			"Disable", active, datastorage.WorkflowPatch{Status: "disabled", DisabledBy: "me", DisabledReason: "r"},
			datastorage.WorkflowState{Status: "disabled", StatusReason: "r", DisabledAt: at, DisabledBy: "me", DisabledReason: "r", UpdatedAt: at, UpdatedBy: "me"},
		},
		{
			"OtherReason", disabled, datastorage.WorkflowPatch{DisabledReason: "s"},
			datastorage.WorkflowState{Status: "disabled", StatusReason: "s", DisabledAt: before, DisabledBy: "me", DisabledReason: "s", UpdatedAt: at, UpdatedBy: "me"},
		},
		{"Activate", disabled, datastorage.WorkflowPatch{Status: "active"}, datastorage.WorkflowState{Status: "active", UpdatedAt: at, UpdatedBy: "me"}},
		{
			"Deprecate", disabled, datastorage.WorkflowPatch{Status: "deprecated", DisabledBy: "you", DisabledReason: "old"},
			datastorage.WorkflowState{Status: "deprecated", StatusReason: "old", UpdatedAt: at, UpdatedBy: "you"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.state.Patch(tt.patch, now); got != tt.want {
				t.Errorf("state is\n%+v, want\n%+v", got, tt.want)
			}
		})
	}
	again := datastorage.WorkflowDisable{Reason: "other", UpdatedBy: "you"}
	if got := disabled.Disable(again, now); got != disabled {
		t.Errorf("a second disable makes it %+v", got)
	}
	if got := active.Disable(again, now); got.Status != "disabled" || got.DisabledReason != "other" || got.DisabledBy != "you" || !got.DisabledAt.Equal(at) || got.UpdatedBy != "you" {
		t.Errorf("a disable makes it %+v", got)
	}
}

const filtersJSON = `{"signal_type":"OOMKilled","severity":"CRITICAL","component":"pod","environment":"Production","priority":"p0"`

func TestDecodeWorkflowSearch(t *testing.T) {
	t.Parallel()
	s, filters, err := datastorage.DecodeWorkflowSearch([]byte(`{"filters": `+filtersJSON+`, "x":1}}`), now)
	if err != nil {
		t.Fatal(err)
	}
	want := datastorage.WorkflowSearch{
		SignalType: "OOMKilled", Severity: "critical", Component: "pod", Environment: "production", Priority: "P0",
		Statuses: []string{"active"}, TopK: 10,
	}
	if !reflect.DeepEqual(*s, want) || string(filters) != filtersJSON+`,"x":1}` {
		t.Errorf("search is %+v of %s", *s, filters)
	}
	all := filtersJSON + `,"custom_labels":{"team":["a"]},"detected_labels":{"stateful":true,"failed_detections":["serviceMesh"]},"status":["archived","active","archived"],"action_type":"RestartPod"}`
	s, _, err = datastorage.DecodeWorkflowSearch([]byte(`{"filters":`+all+`,"top_k":100,"min_score":0.45001,"include_disabled":true,"explain":true,"remediation_id":"rr","as_of":"1h"}`), now)
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	want.CustomLabels, want.Detected = map[string][]string{"team": {"a"}}, datastorage.DetectedLabels{Stateful: &yes, Failed: []string{"serviceMesh"}}
	want.Statuses, want.ActionType, want.TopK, want.MinScore, want.Explain = []string{"archived", "active"}, "RestartPod", 100, 4501, true
	want.RemediationID, want.AsOf = "rr", now.Add(-time.Hour).Truncate(time.Microsecond)
	if !reflect.DeepEqual(*s, want) {
		t.Errorf("search is\n%+v, want\n%+v", *s, want)
	}
	s, _, err = datastorage.DecodeWorkflowSearch([]byte(`{"filters":`+strings.ReplaceAll(filtersJSON, "OOMKilled", "*")+`},"include_disabled":true,"as_of":"2199-01-01"}`), now)
	if err != nil || !reflect.DeepEqual(s.Statuses, []string{"active", "disabled"}) || s.SignalType != "*" || !s.AsOf.IsZero() {
		t.Errorf("search is %+v, %v", s, err)
	}
}

func TestDecodeWorkflowSearch_MinScore(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"0": 0, "-0": 0, "0.0e5": 0, "0e999999999": 0, "1": 10_000, "1.0": 10_000, "10e-1": 10_000, "0.5": 5000, "0.50001": 5001, "0.1": 1000, "0.0001": 1,
		"0.00001": 1, "1e-5": 1, "9e-6": 1, "1e-400": 1, "1e-99999999999": 1, "0.7000000000000000000000000000000001": 7001, "0.7": 7000, "0.57": 5700, "5E-1": 5000,
	} {
		s, _, err := datastorage.DecodeWorkflowSearch([]byte(`{"filters":`+filtersJSON+`},"min_score":`+text+`}`), now)
		if err != nil || s.MinScore != want {
			t.Errorf("%s is %+v, %v; want %d", text, s, err, want)
		}
	}
}

func TestDecodeWorkflowSearch_Faults(t *testing.T) {
	t.Parallel()
	_, _, err := datastorage.DecodeWorkflowSearch([]byte(`{}`), now)
	if e := validation(t, err); len(e.Fields) != 5 || !strings.Contains(e.Detail, "filters.signal_type is required") {
		t.Errorf("fields are %v", e.Fields)
	}
	for _, tt := range []struct{ name, value, phrase string }{
		{"top_k", "0", "must be at least 1"}, {"top_k", "101", "must be at most 100"}, {"top_k", "-1", "at least 1"}, {"top_k", `"5"`, "must be an integer"},
		{"min_score", "1.1", "from 0 to 1"}, {"min_score", "-0.1", "from 0 to 1"}, {"min_score", "1.00000000000000000000001", "from 0 to 1"}, {"min_score", `"0"`, "from 0 to 1"},
		{"include_disabled", "1", "true or false"}, {"explain", `"yes"`, "true or false"}, {"remediation_id", "1", "must be a string"},
		{"as_of", `"soon"`, "invalid time format"}, {"as_of", "1", "must be a time"}, {"as_of", `"1960-01-01"`, "between the years"},
		{"filters", "[]", "must be a JSON object"}, {"filters", `"x"`, "must be a JSON object"}, {"filters", `{"x":"\u0000"}`, "U+0000"},
	} {
		refusedSearch(t, []member{{"filters", filtersJSON + "}"}, {tt.name, tt.value}}, tt.name, tt.phrase)
	}
	for _, tt := range []struct{ name, value, phrase string }{
		{"severity", `"fatal"`, "must be one of: critical"}, {"severity", `["critical"]`, "must be one of"}, {"priority", `"P9"`, "must be one of: P0"}, {"component", `["pod"]`, "must be a string"},
		{"component", "1", "must be a string"}, {"environment", `" "`, "must not be blank"}, {"signal_type", "null", "is required"}, {"signal_type", `""`, "is required"},
		{"status", `["gone"]`, "must be an array of: active"}, {"status", `"active"`, "must be an array of"}, {"action_type", "1", "must be a string"},
		{"detected_labels", "1", "must be a JSON object"}, {"custom_labels", `{"` + keys(11) + `":["v"]}`, "at most 10 keys"},
	} {
		refusedSearch(t, []member{{"filters", filter(tt.name, tt.value)}}, "filters."+tt.name, tt.phrase)
	}
	refusedSearch(t, []member{{"filters", filter("detected_labels", `{"gitOpsTool":"x"}`)}}, "filters.detected_labels.gitOpsTool", "argocd, flux, *")
	refusedSearch(t, []member{{"filters", filter("custom_labels", `{"team":"x"}`)}}, "filters.custom_labels.team", "array of strings")
}

// filter is the filters of a search with one of them set.
func filter(name, value string) string {
	base := []member{{"signal_type", `"s"`}, {"severity", `"low"`}, {"component", `"c"`}, {"environment", `"e"`}, {"priority", `"P0"`}}
	return string(withMembers(base, []member{{name, value}}))
}

func refusedSearch(t *testing.T, members []member, field, phrase string) {
	t.Helper()
	raw := withMembers(nil, members)
	_, _, err := datastorage.DecodeWorkflowSearch(raw, now)
	if err == nil {
		t.Errorf("%s is accepted", raw)
		return
	}
	if e := validation(t, err); len(e.Fields) != 1 || !strings.Contains(e.Fields[field], phrase) {
		t.Errorf("%s: fields are %v, want %s with %q", raw, e.Fields, field, phrase)
	}
}
