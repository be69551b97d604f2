package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// allBodies asks for every body.
var allBodies = project.Bodies{Types: []string{"*"}}

// followAll follows the log to its end.
func followAll(t *testing.T, s Store, limit int, bodies project.Bodies) []project.Event {
	t.Helper()
	var all []project.Event
	for at := int64(0); ; {
		b, err := s.Follow(t.Context(), at, limit, bodies)
		if err != nil {
			t.Fatalf("Follow(%d, %d): %v", at, limit, err)
		}
		all = append(all, b.Events...)
		if b.Next == b.Size {
			return all
		}
		if b.Next <= at {
			t.Fatalf("Follow(%d, %d) stays where it is in a log of %d", at, limit, b.Size)
		}
		at = b.Next
	}
}

// testFollow reads a log of commits of many sizes, over many months, with limits that fall within commits and between them.
func testFollow(t *testing.T, s Store) {
	if b, err := s.Follow(t.Context(), 0, 10, allBodies); err != nil || len(b.Events) != 0 || b.Next != 0 || b.Size != 0 || !b.CommittedAt.IsZero() {
		t.Errorf("an empty log: %+v, %v", b, err)
	}
	all := fillCorpus(t, s)
	months := []*datastorage.Record{}
	for m := range 14 {
		months = append(months, build(t, datastorage.Event{Time: base.AddDate(0, -m, 0)}))
	}
	first := commit(t, s, months...).FirstIndex
	for i, r := range months {
		all = append(all, stored{Record: r, index: first + int64(i)})
	}
	var want []project.Event
	for _, e := range all {
		want = append(want, project.Event{EventHeader: *headerOf(&e), Body: e.Body})
	}
	for _, limit := range []int{1, 7, 40, 1000} {
		if diff := cmp.Diff(want, followAll(t, s, limit, allBodies)); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
	size := int64(len(all))
	if b, err := s.Follow(t.Context(), size, 10, allBodies); err != nil || len(b.Events) != 0 || b.Next != size || b.Size != size {
		t.Errorf("at the end: %+v, %v", b, err)
	}
}

// testFollowLimit checks that a batch ends behind a whole commit, before the limit is passed, and holds one at least.
func testFollowLimit(t *testing.T, s Store) {
	for range 600 {
		commit(t, s, events(t, 1)...)
	}
	commit(t, s, events(t, 10)...)
	commit(t, s, events(t, 3)...)
	for _, c := range []struct{ from, limit, next int64 }{
		{0, 1, 1}, {0, 599, 599}, {0, 600, 600}, {0, 609, 600}, {0, 610, 610}, {0, 612, 610}, {0, 613, 613}, {0, 5000, 613},
		{600, 1, 610}, {600, 12, 610}, {610, 1, 613}, {613, 1, 613},
	} {
		b, err := s.Follow(t.Context(), c.from, int(c.limit), project.Bodies{})
		if err != nil || b.Next != c.next || b.Size != 613 || int64(len(b.Events)) != c.next-c.from {
			t.Errorf("Follow(%d, %d): %d events up to %d of %d, %v; want up to %d of 613",
				c.from, c.limit, len(b.Events), b.Next, b.Size, err, c.next)
		}
		if len(b.Events) > 0 && !b.CommittedAt.Equal(base) {
			t.Errorf("Follow(%d, %d): committed at %s, want %s", c.from, c.limit, b.CommittedAt, base)
		}
	}
}

func testFollowBodies(t *testing.T, s Store) {
	all := fillCorpus(t, s)
	seq := int64(7)
	produced := build(t, datastorage.Event{ProducerID: "p", ProducerSeq: &seq, Type: "other"})
	all = append(all, stored{Record: produced, index: commit(t, s, produced).FirstIndex})
	for name, bodies := range map[string]project.Bodies{
		"none":                 {},
		"types":                {Types: []string{"a", "é", "a%"}},
		"a prefix":             {Types: []string{"a*"}},
		"a category":           {Categories: []string{"gateway"}},
		"a member":             {Members: []string{"producer_id"}},
		"types and a category": {Types: []string{"b", "\U0010FFFF*"}, Categories: []string{"analysis", "workflow"}},
		"all":                  allBodies,
	} {
		wanted := func(e *stored) bool {
			return slices.Contains(bodies.Categories, e.Category) || slices.ContainsFunc(bodies.Types, func(t string) bool {
				prefix, cut := strings.CutSuffix(t, "*")
				return e.Type == t || cut && strings.HasPrefix(e.Type, prefix)
			}) || len(bodies.Members) > 0 && e.ProducerID != ""
		}
		for i, e := range followAll(t, s, 50, bodies) {
			var want []byte
			if wanted(&all[i]) {
				want = all[i].Body
			}
			if string(e.Body) != string(want) {
				t.Errorf("%s: event %d of type %q and category %s has the body %q, want %q", name, i, e.Type, e.Category, e.Body, want)
			}
		}
	}
}

func testFollowWithinCommit(t *testing.T, s Store) {
	commit(t, s, events(t, 3)...)
	commit(t, s, events(t, 2)...)
	for _, from := range []int64{1, 2, 4, 6, 100} {
		if b, err := s.Follow(t.Context(), from, 10, project.Bodies{}); !errors.Is(err, project.ErrPosition) {
			t.Errorf("Follow(%d) returns %+v, %v, want ErrPosition: no commit begins there", from, b, err)
		}
	}
}

func testFollowCancelled(t *testing.T, s Store) {
	commit(t, s, events(t, 3)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b, err := s.Follow(ctx, 0, 10, allBodies); !errors.Is(err, context.Canceled) || len(b.Events) > 0 {
		t.Errorf("Follow with a context that has ended: %d events, %v", len(b.Events), err)
	}
}
