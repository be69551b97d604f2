package catalog_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/datastorage-io/datastorage/internal/catalog"
)

func TestWeights_Validate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*catalog.Weights)
		want   []string // the beginning of each sentence
	}{
		"default":  {func(*catalog.Weights) {}, nil},
		"negative": {func(w *catalog.Weights) { w.Stateful = -1 }, []string{"stateful must lie between 0 and 10000, not -1."}},
		"wildcards": {func(w *catalog.Weights) {
			w.GitOpsToolWildcard, w.ServiceMeshWildcard, w.CustomLabelWildcard = 101, 51, 51
		}, []string{
			"custom_label_wildcard must be at most custom_label, which is 50", "git_ops_tool_wildcard must be at most git_ops_tool, which is 100",
			"service_mesh_wildcard must be at most service_mesh, which is 50",
		}},
		"below 0": {func(w *catalog.Weights) { w.Base = 199 }, []string{"base must be at least the sum of both penalties, 200"}},
		"above 1": {func(w *catalog.Weights) { w.CustomLabel = 100 }, []string{"base and all boosts, 50 custom labels among them, are 10390 together"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := catalog.DefaultWeights()
			tt.change(&w)
			var got []string
			if err := w.Validate(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(tt.want) {
				t.Fatalf("Validate found %q, want %d sentences", got, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("sentence %d is %q, want %q", i, got[i], want)
				}
			}
		})
	}
}

func TestWeights_Version(t *testing.T) {
	t.Parallel()
	w := catalog.DefaultWeights()
	// Evidence that is stored holds it.
	if got := w.Version(); got != "d38f446735e6" {
		t.Errorf("the default weights have version %s", got)
	}
	other := w
	other.Stateful++
	if other.Version() == w.Version() {
		t.Error("other weights have the same version")
	}
}

func TestScore_JSON(t *testing.T) {
	t.Parallel()
	for n, want := range map[catalog.Score]string{0: "0", 5400: "0.54", 10_000: "1", 4805: "0.4805", 7: "0.0007", 5000: "0.5", 12_345: "1.2345"} {
		got, err := json.Marshal(n)
		var back catalog.Score
		if err != nil || string(got) != want || json.Unmarshal(got, &back) != nil || back != n {
			t.Errorf("score %d is %s and back %d, want %s", int(n), got, int(back), want)
		}
	}
	for n, want := range map[catalog.Points]string{-100: "-0.1", 25: "0.025", 5000: "5", 0: "0", -1: "-0.001"} {
		got, err := json.Marshal(n)
		var back catalog.Points
		if err != nil || string(got) != want || json.Unmarshal(got, &back) != nil || back != n {
			t.Errorf("%d points are %s and back %d, want %s", int(n), got, int(back), want)
		}
	}
	for _, raw := range []string{"0.54321", "1e3", `"1"`, "99999999999", "null"} {
		var s catalog.Score
		if err := json.Unmarshal([]byte(raw), &s); err == nil {
			t.Errorf("%s was read as score %d", raw, int(s))
		}
	}
}
