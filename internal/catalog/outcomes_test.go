package catalog_test

import (
	"bytes"
	gocmp "cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/catalog/catalogtest"
)

// randomOutcomes draws records for some of the workflows, and one for a workflow that is not there.
func randomOutcomes(r *rand.Rand, workflows []*datastorage.Workflow) *catalog.Outcomes {
	records := []catalog.OutcomeRecord{{WorkflowID: uuid.New(), Executions: 9, Successful: 9, LowerBound: 7000}}
	for _, w := range workflows {
		if r.IntN(2) == 0 {
			n := 1 + r.Int64N(20)
			records = append(records, catalog.OutcomeRecord{
				WorkflowID: w.ID, Executions: n, Successful: r.Int64N(n + 1), LowerBound: catalog.Score(r.IntN(5) * 2500),
			})
		}
	}
	return catalog.NewOutcomes(catalog.Points(r.IntN(3)*150), 2, records)
}

// TestSnapshot_SearchByOutcomes compares with all candidates shifted and sorted, one after the other.
func TestSnapshot_SearchByOutcomes(t *testing.T) {
	t.Parallel()
	moved := 0
	for seed := range uint64(8000) {
		r := rand.New(rand.NewPCG(seed, 7))
		workflows := randomCatalogue(r)
		s := grow(t, r, workflows)
		q := randomSearch(r)
		o := randomOutcomes(r, workflows)
		got := s.SearchByOutcomes(q, o)
		checkExplanation(t, s, q, got)
		plain := s.Search(q)
		if got.Total != plain.Total {
			t.Fatalf("seed %d: %d candidates, without outcomes %d", seed, got.Total, plain.Total)
		}
		want := referenceByOutcomes(s, q, o)
		if diff := cmp.Diff(want, idsOf(got)); diff != "" {
			t.Fatalf("seed %d, search %+v, outcomes %+v (-want +got):\n%s", seed, *q, *o, diff)
		}
		if !slices.Equal(idsOf(plain), want) {
			moved++
		}
		if same := s.SearchByOutcomes(q, &catalog.Outcomes{MaxShift: 50}); !slices.Equal(idsOf(same), idsOf(plain)) {
			t.Fatalf("seed %d: without records the order is another one", seed)
		}
	}
	if moved < 50 {
		t.Errorf("outcomes changed only %d rankings: too few to tell", moved)
	}
}

func idsOf(r *catalog.Result) []uuid.UUID {
	var ids []uuid.UUID
	for i := range r.Matches {
		ids = append(ids, r.Matches[i].Workflow.ID)
	}
	return ids
}

func referenceByOutcomes(s *catalog.Snapshot, q *datastorage.WorkflowSearch, o *catalog.Outcomes) []uuid.UUID {
	type ranked struct {
		id           uuid.UUID
		score, bound float64
	}
	open := *q
	open.TopK = 1000
	var all []ranked
	for _, m := range s.Search(&open).Matches { // in the order that decides between equals
		x := ranked{id: m.Workflow.ID, score: float64(m.Score), bound: 0.5}
		for _, record := range o.Records {
			if record.WorkflowID == x.id {
				x.bound = float64(record.LowerBound) / 10_000
				x.score += math.Round(float64(o.MaxShift) * (2*x.bound - 1))
			}
		}
		all = append(all, x)
	}
	slices.SortStableFunc(all, func(a, b ranked) int {
		return gocmp.Or(gocmp.Compare(b.score, a.score), gocmp.Compare(b.bound, a.bound))
	})
	var ids []uuid.UUID
	for _, x := range all[:min(len(all), q.TopK)] {
		ids = append(ids, x.id)
	}
	return ids
}

func TestNewOutcomes(t *testing.T) {
	t.Parallel()
	var records []catalog.OutcomeRecord
	for i := range 150 {
		records = append(records, catalog.OutcomeRecord{WorkflowID: uuid.New(), Executions: int64(i)})
	}
	o := catalog.NewOutcomes(50, 5, records)
	if len(o.Records) != catalog.MaxOutcomeRecords {
		t.Fatalf("%d records, want %d", len(o.Records), catalog.MaxOutcomeRecords)
	}
	for _, r := range o.Records {
		if r.Executions < 50 {
			t.Errorf("a workflow with %d executions has a place, others have 149", r.Executions)
		}
	}
	if !slices.IsSortedFunc(o.Records, func(a, b catalog.OutcomeRecord) int { return bytes.Compare(a.WorkflowID[:], b.WorkflowID[:]) }) {
		t.Error("the records are not in order")
	}
	if few := catalog.NewOutcomes(50, 5, records[:5]); len(few.Records) != 0 {
		t.Errorf("%d records of workflows with less than 5 executions", len(few.Records))
	}
}

// TestEvidence_outcomes records searches with the most and the longest records, and runs them again.
func TestEvidence_outcomes(t *testing.T) {
	t.Parallel()
	workflows := catalogtest.Workflows(3, 300)
	s := snapshotOf(t, workflows)
	var records []catalog.OutcomeRecord
	for _, w := range workflows {
		records = append(records, catalog.OutcomeRecord{
			WorkflowID: w.ID, Executions: math.MaxInt64, Successful: math.MaxInt64, LowerBound: catalog.Score(w.ID[15]) * 39,
		})
	}
	o := catalog.NewOutcomes(123, 5, records)
	r := rand.New(rand.NewPCG(2, 9))
	for range 50 {
		q := catalogtest.Search(r)
		q.TopK = 100
		result := s.SearchByOutcomes(q, o)
		raw, err := json.Marshal(s.Evidence(q, result))
		if err != nil {
			t.Fatal(err)
		}
		if canonical, err := datastorage.Canonical(raw); err != nil || !bytes.Equal(canonical, raw) {
			t.Fatalf("evidence is not canonical: %v: %s", err, raw)
		}
		if len(raw) > catalog.EvidenceSize+14<<10 {
			t.Errorf("%d bytes", len(raw))
		}
		var e catalog.Evidence
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(o, e.Outcomes, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("outcomes came back changed (-want +got):\n%s", diff)
		}
		replayed, err := s.Replay(&e)
		if err != nil || !replayed.Identical() {
			t.Fatalf("%v, %v", replayed, err)
		}
	}
}

func TestEvidence_outcomesRefused(t *testing.T) {
	t.Parallel()
	s := snapshotOf(t, []*datastorage.Workflow{plain("w", "1")})
	q := plainSearch()
	id := uuid.New()
	for name, o := range map[string]*catalog.Outcomes{
		"a negative shift":      {MaxShift: -1},
		"more than executed":    {Records: []catalog.OutcomeRecord{{WorkflowID: id, Executions: 1, Successful: 2}}},
		"a bound above 1":       {Records: []catalog.OutcomeRecord{{WorkflowID: id, Executions: 2, Successful: 2, LowerBound: 10_001}}},
		"a workflow twice":      {Records: []catalog.OutcomeRecord{{WorkflowID: id}, {WorkflowID: id}}},
		"more records than fit": {Records: make([]catalog.OutcomeRecord, catalog.MaxOutcomeRecords+1)},
	} {
		e := s.Evidence(q, s.Search(q))
		e.Outcomes = o
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, new(catalog.Evidence)); err == nil {
			t.Errorf("%s: evidence is taken: %s", name, raw)
		}
	}
}

func BenchmarkSnapshot_SearchByOutcomes(b *testing.B) {
	workflows := catalogtest.Workflows(1, 10_000)
	s := snapshotOf(b, workflows)
	var records []catalog.OutcomeRecord
	for _, w := range workflows[:100] {
		records = append(records, catalog.OutcomeRecord{WorkflowID: w.ID, Executions: 50, Successful: 40, LowerBound: 6700})
	}
	o := catalog.NewOutcomes(50, 5, records)
	r := rand.New(rand.NewPCG(1, 1))
	searches := make([]*datastorage.WorkflowSearch, 64)
	for i := range searches {
		searches[i] = catalogtest.Search(r)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.SearchByOutcomes(searches[i%len(searches)], o)
	}
}
