package catalog_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/catalog/catalogtest"
)

func versionsOf(s *catalog.Snapshot, name string) string {
	var all []string
	for _, item := range s.Versions(name) {
		v := item.Workflow.Version
		if item.Latest {
			v += "!"
		}
		all = append(all, v)
	}
	return strings.Join(all, " ")
}

func TestSnapshot_Versions(t *testing.T) {
	t.Parallel()
	rc, one, ten, two := plain("w", "v2.0.0-rc.1"), plain("w", "1"), plain("w", "1.10"), plain("w", "1.2.0")
	s := snapshotInOrder(t, rc, one, ten, two)
	set := func(w *datastorage.Workflow, status string) {
		t.Helper()
		s = apply(t, s, catalog.Change{WorkflowID: w.ID, State: &datastorage.WorkflowState{Status: status}})
	}
	check := func(want string) {
		t.Helper()
		if got := versionsOf(s, "w"); got != want {
			t.Errorf("versions are %q, want %q", got, want)
		}
		item, _ := s.Get(ten.ID)
		if r := s.Search(plainSearch()); len(r.Matches) > 1 || strings.Contains(want, "1.10!") != item.Latest {
			t.Errorf("%d versions were found, 1.10 is the latest: %v", len(r.Matches), item.Latest)
		}
	}
	check("v2.0.0-rc.1! 1.10 1.2.0 1")
	set(rc, datastorage.StatusArchived)
	check("v2.0.0-rc.1 1.10! 1.2.0 1")
	set(ten, datastorage.StatusDisabled)
	set(two, datastorage.StatusDisabled)
	check("v2.0.0-rc.1 1.10 1.2.0 1!")
	set(one, datastorage.StatusDeprecated)
	check("v2.0.0-rc.1! 1.10 1.2.0 1")
	set(ten, datastorage.StatusActive)
	check("v2.0.0-rc.1 1.10! 1.2.0 1")
	if v, _ := datastorage.ParseSemVer("v1.10.0"); true {
		if w, ok := s.Has("w", v); !ok || w.ID != ten.ID {
			t.Error("v1.10.0 is not 1.10")
		}
	}
	if s.Versions("unheard") != nil {
		t.Error("a name that is not known has versions")
	}
}

func TestSnapshot_Apply_refuses(t *testing.T) {
	t.Parallel()
	w := plain("w", "1.0.0")
	s := snapshotInOrder(t, w)
	same, twin := plain("w", "v1"), plain("x", "1")
	twin.ID = w.ID
	later := s.Time().Add(time.Second)
	tests := map[string]struct {
		change catalog.Change
		want   string
	}{
		"hole":            {catalog.Change{Version: 3, Time: later, Workflow: plain("x", "1")}, "does not follow version 1"},
		"again":           {catalog.Change{Version: 1, Time: later, Workflow: plain("x", "1")}, "does not follow version 1"},
		"earlier":         {catalog.Change{Version: 2, Time: s.Time().Add(-1), Workflow: plain("x", "1")}, "its time"},
		"same version":    {catalog.Change{Version: 2, Time: later, Workflow: same}, `version 1.0.0 of workflow "w" exists`},
		"same id":         {catalog.Change{Version: 2, Time: later, Workflow: twin}, "workflow_id " + w.ID.String() + " exists"},
		"no version":      {catalog.Change{Version: 2, Time: later, Workflow: plain("x", "latest")}, "version of workflow"},
		"unknown to set":  {catalog.Change{Version: 2, Time: later, WorkflowID: uuid.Max, State: &datastorage.WorkflowState{}}, "is not known"},
		"nothing changes": {catalog.Change{Version: 2, Time: later}, "it changes nothing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if next, err := s.Apply([]catalog.Change{tt.change}); next != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
	if s.Len() != 1 || s.Version() != 1 {
		t.Error("a change that was refused left something behind")
	}
}

// TestSnapshot_At holds every past version, made again, to the snapshot of that time, which later ones must not touch.
func TestSnapshot_At(t *testing.T) {
	t.Parallel()
	q := plainSearch()
	q.TopK = 100
	s := catalog.New(catalog.DefaultWeights())
	then := []*catalog.Snapshot{s}
	for i := range 60 {
		w := plain(fmt.Sprint("w", i%7), fmt.Sprint(i))
		w.Labels.Environment = []string{"production", fmt.Sprint("e", i%5)}
		w.CustomLabels = map[string][]string{fmt.Sprint("k", i%3): {fmt.Sprint(i)}}
		s = apply(t, s, catalog.Change{Workflow: w})
		then = append(then, s)
		if i%4 == 3 {
			s = apply(t, s, catalog.Change{WorkflowID: w.ID, State: &datastorage.WorkflowState{Status: datastorage.StatusDisabled}})
			then = append(then, s)
		}
	}
	for v, want := range then {
		at, asOf := s.At(int64(v)), s.AsOf(want.Time())
		for _, past := range []*catalog.Snapshot{at, asOf} {
			if past.Version() != int64(v) || !reflect.DeepEqual(past.Search(q), want.Search(q)) {
				t.Errorf("version %d made again is version %d and finds %v, then it found %v", v, past.Version(), past.Search(q), want.Search(q))
			}
			if a, b := past.List(&catalog.Filter{Limit: 1000}), want.List(&catalog.Filter{Limit: 1000}); !reflect.DeepEqual(a, b) {
				t.Errorf("version %d made again lists %v, then %v", v, a, b)
			}
		}
	}
	if s.At(1000) != s || s.AsOf(s.Time().Add(time.Hour)) != s {
		t.Error("the present is made again")
	}
}

func names(p catalog.Page) string {
	all := make([]string, len(p.Items))
	for i, item := range p.Items {
		all[i] = item.Workflow.Name
	}
	return strings.Join(all, " ")
}

func TestSnapshot_List(t *testing.T) {
	t.Parallel()
	a, b, c := plain("a", "1"), plain("b", "1"), plain("c", "1")
	a.CreatedAt, b.CreatedAt, c.CreatedAt = time.Unix(1, 0), time.Unix(3, 0), time.Unix(2, 0)
	a.Labels.Environment, b.Labels.Environment = []string{"*"}, []string{"Staging", "test"}
	b.Labels.Component, c.Labels.Component = []string{"node"}, []string{"Pod"}
	a.ActionType, c.Status = "RestartPod", datastorage.StatusArchived
	b.CustomLabels = map[string][]string{"team": {"ads", "data"}}
	old := plain("a", "0.1")
	old.CreatedAt = time.Unix(0, 0)
	s := snapshotInOrder(t, old, a, b, c)
	tests := map[string]struct {
		f    catalog.Filter
		want string
	}{
		"all":                {catalog.Filter{}, "b c a a"},
		"latest":             {catalog.Filter{Latest: true}, "b c a"},
		"status":             {catalog.Filter{Status: []string{"archived"}}, "c"},
		"statuses":           {catalog.Filter{Status: []string{"archived", "active"}}, "b c a a"},
		"environment":        {catalog.Filter{Environment: []string{"staging"}}, "b"},
		"environment any":    {catalog.Filter{Environment: []string{"*"}}, "a"},
		"component":          {catalog.Filter{Component: []string{"pod"}}, "a a"},
		"severity":           {catalog.Filter{Severity: []string{"Critical"}, SignalType: []string{"OOMKilled"}, Priority: []string{"p0"}}, "b c a a"},
		"name":               {catalog.Filter{WorkflowName: []string{"a"}}, "a a"},
		"action":             {catalog.Filter{ActionType: []string{"RestartPod"}}, "a"},
		"custom key":         {catalog.Filter{CustomLabels: map[string][]string{"team": nil}}, "b"},
		"custom value":       {catalog.Filter{CustomLabels: map[string][]string{"team": {"x", "data"}}}, "b"},
		"custom other value": {catalog.Filter{CustomLabels: map[string][]string{"team": {"x"}}}, ""},
		"together":           {catalog.Filter{Component: []string{"node"}, Status: []string{"archived"}}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.f.Limit = 100
			p := s.List(&tt.f)
			if got := names(p); got != tt.want || p.Total != len(p.Items) || p.Items == nil {
				t.Errorf("listed %q, total %d; want %q", got, p.Total, tt.want)
			}
		})
	}
	for offset, want := range map[int]string{0: "b c", 1: "c a", 3: "a", 4: "", 9: ""} {
		if p := s.List(&catalog.Filter{Limit: 2, Offset: offset}); names(p) != want || p.Total != 4 {
			t.Errorf("offset %d lists %q of %d, want %q", offset, names(p), p.Total, want)
		}
	}
}

func TestSnapshot_List_facets(t *testing.T) {
	t.Parallel()
	a, b, c := plain("a", "1"), plain("b", "1"), plain("c", "1")
	a.Labels.Environment, b.Labels.Environment = []string{"*"}, []string{"Production", "staging"}
	b.CustomLabels = map[string][]string{"team": {"ads"}}
	b.ActionType = "RestartPod"
	c.Status = datastorage.StatusDisabled
	got := fmt.Sprint(snapshotInOrder(t, a, b, c).List(&catalog.Filter{Status: []string{"active"}, Facets: true}).Facets)
	want := "[{status [{active 2}]} {action_type [{RestartPod 1}]} {signal_type [{OOMKilled 2}]} {component [{pod 2}]} " +
		"{environment [{* 1} {production 1} {staging 1}]} {severity [{critical 2}]} {priority [{P0 2}]} {custom_labels.team [{ads 1}]}]"
	if got != want {
		t.Errorf("facets are %s, want %s", got, want)
	}
}

// marked writes highlights with what was found in «…».
func marked(all []catalog.Highlight) string {
	var b strings.Builder
	for _, h := range all {
		b.WriteString(h.Field + ": ")
		for _, p := range h.Parts {
			if p.Found {
				b.WriteString("«" + p.Text + "»")
			} else {
				b.WriteString(p.Text)
			}
		}
		b.WriteString("; ")
	}
	return b.String()
}

func TestSnapshot_List_text(t *testing.T) {
	t.Parallel()
	fix, roll, gone := plain("fix-config", "1"), plain("rollback-v1", "1"), plain("drain", "1")
	fix.Title = "Fix a ConfigMap"
	roll.Description = "Rolls back a Deployment whose configuration is wrong. " + strings.Repeat("Überlänge und mehr. ", 20) + "CrashLoopBackOff ends."
	gone.Guidance = &datastorage.Guidance{WhenToUse: "A node is NotReady.", WhenNotToUse: "The config is wrong."}
	s := snapshotInOrder(t, fix, roll, gone)
	tests := map[string]struct{ found, marked string }{
		"config":        {"fix-config rollback-v1", "workflow_name: fix-«config»; name: Fix a «ConfigMap»; "},
		"CONFIGMAP":     {"fix-config", "name: Fix a «ConfigMap»; "},
		"map":           {"fix-config", "name: Fix a Config«Map»; "},
		"back off":      {"rollback-v1", "description: Rolls «back» a Deployment whose configuration is wrong. " + strings.Repeat("Überlänge und mehr. ", 8) + "Überlänge…; "},
		"crash ends":    {"rollback-v1", "description: …und mehr. Überlänge und mehr. Überlänge und mehr. «CrashLoopBackOff» «ends».; "},
		"node config":   {"", ""},
		"notready, NOT": {"drain", "when_to_use: A node is «NotReady».; "},
		"fi":            {"", ""},
		"über":          {"rollback-v1", ""},
		" -- ":          {"rollback-v1 fix-config drain", ""},
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			p := s.List(&catalog.Filter{Text: text, Limit: 10})
			if p.Total != len(p.Items) || want.found != names(p) && text != " -- " {
				t.Fatalf("found %q of %d, want %q", names(p), p.Total, want.found)
			}
			if p.Total > 0 && want.marked != "" && marked(p.Items[0].Highlights) != want.marked {
				t.Errorf("marked %s\nwant   %s", marked(p.Items[0].Highlights), want.marked)
			}
		})
	}
	if p := s.List(&catalog.Filter{Text: "config", Status: []string{"archived"}, Limit: 1}); p.Total != 0 {
		t.Errorf("found %d beside the filter", p.Total)
	}
}

// TestSnapshot_List_grown finds the same in a catalogue that grew step by step as in one that was made at once.
func TestSnapshot_List_grown(t *testing.T) {
	t.Parallel()
	workflows := catalogtest.Workflows(3, 60)
	once := snapshotOf(t, workflows)
	grown := catalog.New(catalog.DefaultWeights())
	for i, c := range changes(0, workflows) {
		var err error
		if grown, err = grown.Apply([]catalog.Change{c}); err != nil {
			t.Fatal(err)
		}
		if i%7 == 0 {
			grown.List(&catalog.Filter{Text: "node"})
		}
	}
	for _, text := range []string{"rollback", "node drain", "volume", "rest pods"} {
		a, b := once.List(&catalog.Filter{Text: text, Limit: 100}), grown.List(&catalog.Filter{Text: text, Limit: 100})
		if a.Total == 0 || !reflect.DeepEqual(a, b) {
			t.Errorf("%q finds %d at once and %d step by step", text, a.Total, b.Total)
		}
	}
}
