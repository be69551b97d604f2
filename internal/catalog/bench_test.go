package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/catalog/catalogtest"
)

// changes makes one change of each workflow, those behind version.
func changes(version int64, workflows []*datastorage.Workflow) []catalog.Change {
	all := make([]catalog.Change, len(workflows))
	for i, w := range workflows {
		version++
		all[i] = catalog.Change{Version: version, Time: w.CreatedAt, Workflow: w}
	}
	return all
}

func snapshotOf(tb testing.TB, workflows []*datastorage.Workflow) *catalog.Snapshot {
	tb.Helper()
	s, err := catalog.New(catalog.DefaultWeights()).Apply(changes(0, workflows))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func searches(n int) []*datastorage.WorkflowSearch {
	r := rand.New(rand.NewPCG(1, 1))
	all := make([]*datastorage.WorkflowSearch, n)
	for i := range all {
		all[i] = catalogtest.Search(r)
	}
	return all
}

// BenchmarkSearch asks for incidents with all kinds of labels; matches/op is how many workflows one finds.
func BenchmarkSearch(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("workflows=%d", n), func(b *testing.B) {
			s := snapshotOf(b, catalogtest.Workflows(1, n))
			run(b, s, searches(64))
		})
	}
}

// BenchmarkSearch_wide matches every second workflow: what each costs.
func BenchmarkSearch_wide(b *testing.B) {
	workflows := catalogtest.Workflows(1, 10_000)
	anything := []string{datastorage.Wildcard}
	for i, w := range workflows {
		if i%2 == 0 {
			w.Labels = datastorage.Labels{SignalType: anything, Severity: anything, Component: anything, Environment: anything, Priority: anything}
		}
	}
	run(b, snapshotOf(b, workflows), searches(64))
}

// BenchmarkSearch_growth finds the same 50 workflows among more and more others, each of which differs from what is asked
// in one mandatory label, now this one, now that: no label alone tells the two kinds apart.
func BenchmarkSearch_growth(b *testing.B) {
	q := searches(1)[0]
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("workflows=%d", n), func(b *testing.B) {
			s := snapshotOf(b, lookalikes(n, 50, q))
			if got := s.Search(q).Total; got != 50 {
				b.Fatalf("%d workflows match", got)
			}
			run(b, s, []*datastorage.WorkflowSearch{q})
		})
	}
}

// lookalikes returns n workflows of which some match and the others fail in one label each.
func lookalikes(n, matching int, q *datastorage.WorkflowSearch) []*datastorage.Workflow {
	r := rand.New(rand.NewPCG(2, 2))
	workflows := make([]*datastorage.Workflow, n)
	for i := range workflows {
		w := catalogtest.Workflow(r, i)
		w.Content, w.Status = "", datastorage.StatusActive
		others := w.Labels
		w.Labels = datastorage.Labels{
			SignalType: []string{q.SignalType}, Severity: []string{q.Severity}, Component: []string{q.Component}, Environment: []string{q.Environment},
			Priority: []string{q.Priority},
		}
		if i%(n/matching) != 0 {
			differ(&w.Labels, &others, i%5, q)
		}
		workflows[i] = w
	}
	return workflows
}

// differ takes one label from others, without what q asks for.
func differ(l, others *datastorage.Labels, label int, q *datastorage.WorkflowSearch) {
	without := func(values []string, asked string) []string {
		left := []string{"another"}
		for _, v := range values {
			if v != asked && v != datastorage.Wildcard {
				left = append(left, v)
			}
		}
		return left
	}
	switch label {
	case 0:
		l.SignalType = without(others.SignalType, q.SignalType)
	case 1:
		l.Severity = without(others.Severity, q.Severity)
	case 2:
		l.Component = without(others.Component, q.Component)
	case 3:
		l.Environment = without(others.Environment, q.Environment)
	case 4:
		l.Priority = without(others.Priority, q.Priority)
	}
}

func run(b *testing.B, s *catalog.Snapshot, searches []*datastorage.WorkflowSearch) {
	matches := 0
	for _, q := range searches {
		matches += s.Search(q).Total
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Search(searches[i%len(searches)])
	}
	b.ReportMetric(float64(matches)/float64(len(searches)), "matches/op")
}

// BenchmarkApply adds one workflow to a catalogue.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("workflows=%d", n), func(b *testing.B) {
			workflows := catalogtest.Workflows(1, n+1)
			s := snapshotOf(b, workflows[:n])
			change := changes(int64(n), workflows[n:])
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Apply(change); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkApply_all makes a catalogue of 10 000 workflows from nothing, and reports the heap that it keeps with the
// workflows' own 4 KB of text, and with the index of words, too.
func BenchmarkApply_all(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	all := changes(0, catalogtest.Workflows(1, 10_000))
	var s *catalog.Snapshot
	for b.Loop() {
		var err error
		if s, err = catalog.New(catalog.DefaultWeights()).Apply(all); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "heap-MiB")
	s.List(&catalog.Filter{Text: "pod"})
	runtime.GC()
	var indexed runtime.MemStats
	runtime.ReadMemStats(&indexed)
	b.ReportMetric(float64(indexed.HeapAlloc-before.HeapAlloc)/(1<<20), "heap-with-words-MiB")
	runtime.KeepAlive(s)
}

// BenchmarkList looks for words among 10 000 workflows, and lists a page by labels.
func BenchmarkList(b *testing.B) {
	s := snapshotOf(b, catalogtest.Workflows(1, 10_000))
	for name, f := range map[string]*catalog.Filter{
		"words":  {Text: "rollback deployment", Limit: 20},
		"labels": {Environment: []string{"production"}, Limit: 100},
		"facets": {Environment: []string{"production"}, Limit: 100, Facets: true},
	} {
		b.Run(name, func(b *testing.B) {
			s.List(f)
			for b.Loop() {
				s.List(f)
			}
		})
	}
}
