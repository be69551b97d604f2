package producers_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project/producers"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
)

func TestMain(m *testing.M) { os.Exit(projecttest.Main(m)) }

var base = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// numbered is an event of a producer.
func numbered(producer string, seq int64) datastorage.Event {
	return datastorage.Event{Time: base, ProducerID: producer, ProducerSeq: &seq, Data: []byte(`{"producer_id":"not this one","producer_seq":7}`)}
}

// randomEvents makes numbered events: mostly in order, with holes, late ones, repeats, and others between them.
func randomEvents(rng *rand.Rand, n int) []datastorage.Event {
	ids := []string{"gateway-1", "é", "a/b c"}
	next := map[string]int64{"gateway-1": 0, "é": 1000, "a/b c": 1}
	var events []datastorage.Event
	for range n {
		id := ids[rng.IntN(len(ids))]
		seq := next[id]
		switch rng.IntN(8) {
		case 0:
			seq += rng.Int64N(40)
			next[id] = seq + 1
		case 1, 2:
			seq = rng.Int64N(seq + 1)
		case 3:
			events = append(events, datastorage.Event{Time: base})
			continue
		default:
			next[id] = seq + 1
		}
		e := numbered(id, seq)
		e.Time = base.Add(time.Duration(rng.IntN(1000)) * time.Second)
		events = append(events, e)
	}
	return events
}

// evaluate derives the details of each producer with a set of all numbers.
func evaluate(events []datastorage.Event) map[string]producers.Details {
	all := map[string]producers.Details{}
	sets := map[string]map[int64]bool{}
	for i, e := range events {
		if e.ProducerID == "" {
			continue
		}
		seq := *e.ProducerSeq
		d, ok := all[e.ProducerID]
		if !ok {
			d.ID, d.Lowest, d.Highest, d.LastTime = e.ProducerID, seq, seq, e.Time
			sets[d.ID] = map[int64]bool{}
		}
		d.Events++
		d.Lowest, d.Highest, d.LastIndex = min(d.Lowest, seq), max(d.Highest, seq), int64(i)
		if e.Time.After(d.LastTime) {
			d.LastTime = e.Time
		}
		if sets[d.ID][seq] {
			if d.Repeats++; d.Repeats <= producers.MaxRepeats {
				d.Repeated = append(d.Repeated, producers.Repeat{Seq: seq, LogIndex: int64(i)})
			}
		}
		sets[d.ID][seq] = true
		all[d.ID] = d
	}
	for id, d := range all {
		for seq := d.Lowest; seq <= d.Highest; seq++ {
			if sets[id][seq] {
				continue
			}
			d.Missing++
			if n := len(d.Ranges); n > 0 && d.Ranges[n-1].Last == seq-1 {
				d.Ranges[n-1].Last = seq
			} else {
				d.Ranges = append(d.Ranges, producers.Range{First: seq, Last: seq})
			}
		}
		d.Gaps = int64(len(d.Ranges))
		d.Ranges = d.Ranges[:min(len(d.Ranges), producers.MaxGaps)]
		all[id] = d
	}
	return all
}

func check(t *testing.T, r *producers.Reader, events []datastorage.Event) {
	t.Helper()
	want := evaluate(events)
	for id, d := range want {
		got, err := r.Details(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, got, cmpopts.IgnoreUnexported(producers.Producer{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", id, diff)
		}
	}
}

// TestReader_Details compares with a naive set, while the log grows.
func TestReader_Details(t *testing.T) {
	t.Parallel()
	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
		rng := rand.New(rand.NewPCG(1, 2))
		var events []datastorage.Event
		for range 6 {
			more := randomEvents(rng, 150)
			l.CommitEvents, l.BatchEvents = 1+rng.IntN(40), 1+rng.IntN(200)
			l.Append(more...)
			events = append(events, more...)
			check(t, producers.NewReader(l.View(producers.Projection{})), events)
		}
	})
}

func TestProjection_Splits(t *testing.T) {
	t.Parallel()
	projecttest.CheckSplits(t, producers.Projection{}, randomEvents(rand.New(rand.NewPCG(3, 4)), 400))
}

// TestReader_Bounds has more gaps and repeats than are listed, and the greatest numbers that there are.
func TestReader_Bounds(t *testing.T) {
	t.Parallel()
	l := projecttest.SQLite(t)
	l.CommitEvents, l.BatchEvents = 1000, 5000
	var events []datastorage.Event
	for seq := range int64(producers.MaxGaps + 50) {
		events = append(events, numbered("odd", 2*seq+1))
	}
	for seq := range int64(producers.MaxRepeats + 20) {
		events = append(events, numbered("odd", 2*seq+1))
	}
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(3000) {
		events = append(events, numbered("odd", 2*int64(i)))
	}
	l.Append(events...)
	r := producers.NewReader(l.View(producers.Projection{}))
	check(t, r, events)

	l.Append(numbered("all", math.MaxInt64), numbered("all", 0), numbered("all", math.MaxInt64), numbered("all", 5))
	l.CatchUp(producers.Projection{})
	d, err := r.Details(t.Context(), "all")
	want := []producers.Range{{First: 1, Last: 4}, {First: 6, Last: math.MaxInt64 - 1}}
	if err != nil || !slices.Equal(d.Ranges, want) || d.Missing != math.MaxInt64-2 || d.Repeats != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestReader_Producers(t *testing.T) {
	t.Parallel()
	var events []datastorage.Event
	for i := range 25 {
		id := fmt.Sprintf("p%02d", i)
		events = append(events, numbered(id, 1), numbered(id, 2))
		if i%5 == 0 {
			events = append(events, numbered(id, 4))
		}
		if i%7 == 0 {
			events = append(events, numbered(id, 2))
		}
	}
	r := producers.NewReader(projecttest.Apply(t, producers.Projection{}, events))
	for _, c := range []struct {
		q    producers.Query
		want string
	}{
		{producers.Query{Limit: 3}, "p00 p01 p02 more"},
		{producers.Query{Limit: 3, After: "p21"}, "p22 p23 p24"},
		{producers.Query{Limit: 2, After: "p22"}, "p23 p24"},
		{producers.Query{Limit: 10, Incomplete: true}, "p00 p05 p07 p10 p14 p15 p20 p21"},
		{producers.Query{Limit: 5, After: "p99"}, ""},
	} {
		page, err := r.Producers(t.Context(), c.q)
		var ids []string
		for _, p := range page.Producers {
			ids = append(ids, p.ID)
		}
		if page.HasMore {
			ids = append(ids, "more")
		}
		if got := strings.Join(ids, " "); got != c.want || err != nil {
			t.Errorf("%+v: %s, %v; want %s", c.q, got, err, c.want)
		}
	}
	if _, err := r.Details(t.Context(), "p99"); datastorage.CodeOf(err) != datastorage.CodeNotFound {
		t.Errorf("an unknown producer: %v", err)
	}
}
