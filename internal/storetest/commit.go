package storetest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

func testEmpty(t *testing.T, s Store) {
	ctx := t.Context()
	if err := s.Ping(ctx); err != nil {
		t.Errorf("Ping: %v", err)
	}
	head, err := s.Head(ctx)
	if err != nil || head.Size() != 0 || head.First != 0 || head.Range.Root() != ledger.EmptyRoot {
		t.Errorf("Head: %+v, %v", head, err)
	}
	if c, err := s.CommitAt(ctx, 0); c != nil || err != nil {
		t.Errorf("CommitAt: %v, %v", c, err)
	}
	if c, err := s.CommitOf(ctx, 0); c != nil || err != nil {
		t.Errorf("CommitOf: %v, %v", c, err)
	}
	if found, err := s.Find(ctx, []uuid.UUID{uuid.New()}); len(found) != 0 || err != nil {
		t.Errorf("Find: %v, %v", found, err)
	}
	if _, err := s.Event(ctx, uuid.New()); datastorage.CodeOf(err) != datastorage.CodeNotFound {
		t.Errorf("Event: %v", err)
	}
	page, err := s.Events(ctx, datastorage.EventQuery{Limit: 10})
	if err != nil || len(page.Events) != 0 || page.HasMore || page.Total != 0 || page.TotalIsLowerBound || page.Size != 0 {
		t.Errorf("Events: %+v, %v", page, err)
	}
	err = s.Correlation(ctx, "none", func(*datastorage.EventHeader) error { return errors.New("called") })
	if err != nil {
		t.Errorf("Correlation: %v", err)
	}
	notifications, err := s.Notifications(ctx, datastorage.NotificationQuery{Limit: 10})
	if diff := cmp.Diff(datastorage.NotificationPage{}, notifications); diff != "" || err != nil {
		t.Errorf("Notifications: %v (-want +got):\n%s", err, diff)
	}
}

func testCommit(t *testing.T, s Store) {
	first := commit(t, s, build(t, datastorage.Event{Time: base}))
	records := []*datastorage.Record{
		build(t, datastorage.Event{Time: base.Add(time.Hour)}),
		build(t, datastorage.Event{Time: base.Add(-time.Hour)}),
		build(t, datastorage.Event{Time: base}),
	}
	second := commit(t, s, records...)
	for _, want := range []*ledger.Commit{first, second} {
		got, err := s.CommitAt(t.Context(), want.FirstIndex)
		if err != nil {
			t.Fatal(err)
		}
		stored := *want
		stored.Entries, stored.PrevFirst, stored.PrevRoot = nil, 0, ledger.Hash{}
		if diff := cmp.Diff(&stored, got); diff != "" {
			t.Errorf("CommitAt(%d) (-want +got):\n%s", want.FirstIndex, diff)
		}
	}
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if head.First != 1 || head.Size() != 4 || head.Range.Root() != second.Root {
		t.Errorf("Head: first %d, size %d, root %s; want 1, 4, %s", head.First, head.Size(), head.Range.Root(), second.Root)
	}
	checkSize(t, s, 4)
}

func testCommitSizes(t *testing.T, s Store) {
	all := map[uuid.UUID]*datastorage.Record{}
	for _, n := range []int{1, 2, 7, 8, 9, 63, 64, 65, 200, 1000} {
		records := events(t, n)
		for _, r := range records {
			all[r.ID] = r
		}
		commit(t, s, records...)
	}
	checkLog(t, s, all)
}

func testHeadMoved(t *testing.T, s Store) {
	commit(t, s, events(t, 2)...)
	stale := prepare(t, s, events(t, 1))
	commit(t, s, events(t, 1)...)
	records := events(t, 1)
	next := prepare(t, s, records)
	for name, spoil := range map[string]func(*ledger.Commit){
		"behind the end":      func(c *ledger.Commit) { *c = *stale },
		"beyond the end":      func(c *ledger.Commit) { c.FirstIndex++; c.NextIndex++ },
		"within a commit":     func(c *ledger.Commit) { c.FirstIndex, c.NextIndex = 1, 2 },
		"at the beginning":    func(c *ledger.Commit) { c.FirstIndex, c.NextIndex, c.PrevFirst = 0, 1, 0 },
		"another root before": func(c *ledger.Commit) { c.PrevRoot[0] ^= 1 },
		"no commit before":    func(c *ledger.Commit) { c.PrevFirst = 1 },
	} {
		c := *next
		spoil(&c)
		if err := s.Commit(t.Context(), &c, &datastorage.Write{Records: records}); !errors.Is(err, ledger.ErrHeadMoved) {
			t.Errorf("%s: error %v, want ErrHeadMoved", name, err)
		}
	}
	checkSize(t, s, 3)
	if found, err := s.Find(t.Context(), []uuid.UUID{records[0].ID}); len(found) != 0 || err != nil {
		t.Errorf("a refused event is found: %v, %v", found, err)
	}
	commit(t, s, records...)
}

// testCommitAgain is what follows an unknown outcome: the same call once more.
func testCommitAgain(t *testing.T, s Store) {
	records := events(t, 3)
	c := commit(t, s, records...)
	if err := s.Commit(t.Context(), c, &datastorage.Write{Records: records}); !errors.Is(err, ledger.ErrHeadMoved) {
		t.Errorf("error %v, want ErrHeadMoved", err)
	}
	stored, err := s.CommitAt(t.Context(), c.FirstIndex)
	if err != nil || stored == nil || stored.Root != c.Root {
		t.Errorf("CommitAt: %v, %v", stored, err)
	}
	checkSize(t, s, 3)
}

func testDuplicateID(t *testing.T, s Store) {
	taken, free := events(t, 1)[0], events(t, 1)[0]
	commit(t, s, taken)
	for name, records := range map[string][]*datastorage.Record{
		"stored before":        {free, taken},
		"twice in one commit":  {free, free},
		"with another content": {free, build(t, datastorage.Event{ID: taken.ID, Outcome: "failure"})},
	} {
		c := prepare(t, s, records)
		if err := s.Commit(t.Context(), c, &datastorage.Write{Records: records}); !errors.Is(err, ledger.ErrDuplicateID) {
			t.Errorf("%s: error %v, want ErrDuplicateID", name, err)
		}
		err := s.CommitLocked(t.Context(), buildCommit(records), &datastorage.Write{Records: records})
		if !errors.Is(err, ledger.ErrDuplicateID) {
			t.Errorf("%s, locked: error %v, want ErrDuplicateID", name, err)
		}
	}
	checkSize(t, s, 1)
	if _, err := s.Event(t.Context(), free.ID); datastorage.CodeOf(err) != datastorage.CodeNotFound {
		t.Errorf("the other event of a refused commit: %v", err)
	}
	commit(t, s, free)
}

func buildCommit(records []*datastorage.Record) func(ledger.Head) (*ledger.Commit, error) {
	return func(head ledger.Head) (*ledger.Commit, error) {
		c, _ := ledger.NewCommit(&head, records, base)
		return c, nil
	}
}

func testCommitCancelled(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	records := events(t, 1)
	w := &datastorage.Write{Records: records}
	checkUnavailable(t, "Commit", s.Commit(ctx, prepare(t, s, records), w))
	checkUnavailable(t, "CommitLocked", s.CommitLocked(ctx, buildCommit(records), w))
	checkSize(t, s, 0)
	commit(t, s, records...)
}

// testConcurrentCommits lets committers on two handles race for the end of the log.
func testConcurrentCommits(t *testing.T, s Store) {
	race(t, s, nil, appendRacing)
}

func testConcurrentLocked(t *testing.T, s Store) {
	// What the month of the events needs is there before: a try that misses it may fail for once, and these try once.
	first := events(t, 1)
	commit(t, s, first...)
	race(t, s, first, func(ctx context.Context, s Store, records []*datastorage.Record) error {
		return s.CommitLocked(ctx, buildCommit(records), &datastorage.Write{Records: records})
	})
}

// race appends to a log that holds what is stored, from two handles at once.
func race(t *testing.T, s Store, stored []*datastorage.Record, appendTo func(context.Context, Store, []*datastorage.Record) error) {
	handles := []Store{s, share(t, s)}
	all := map[uuid.UUID]*datastorage.Record{}
	for _, r := range stored {
		all[r.ID] = r
	}
	var wg sync.WaitGroup
	for i := range 4 {
		for range 5 {
			batch := events(t, 1+i)
			for _, r := range batch {
				all[r.ID] = r
			}
			wg.Go(func() {
				if err := appendTo(t.Context(), handles[i%len(handles)], batch); err != nil {
					t.Errorf("commit: %v", err)
				}
			})
		}
	}
	wg.Wait()
	for _, h := range handles {
		checkLog(t, h, all)
	}
}

func testCommitLocked(t *testing.T, s Store) {
	refused := errors.New("refused")
	w := &datastorage.Write{Records: events(t, 1)}
	err := s.CommitLocked(t.Context(), func(ledger.Head) (*ledger.Commit, error) { return nil, refused }, w)
	if err != refused { //nolint:errorlint // The error comes back as it is.
		t.Errorf("error %v, want the one of build", err)
	}
	checkSize(t, s, 0)
	commit(t, s, events(t, 3)...)
	err = s.CommitLocked(t.Context(), func(head ledger.Head) (*ledger.Commit, error) {
		if head.Size() != 3 || head.First != 0 {
			t.Errorf("build gets the head %d, %d; want 3, 0", head.Size(), head.First)
		}
		return buildCommit(w.Records)(head)
	}, w)
	if err != nil {
		t.Errorf("CommitLocked: %v", err)
	}
	checkSize(t, s, 4)
}

// testBytes stores what is hard to keep as it is.
func testBytes(t *testing.T, s Store) {
	for name, data := range map[string]string{
		"numbers":    `{"a":1.0,"b":1,"c":-0,"d":1e5,"e":1E+05,"f":123456789012345678901234567890,"g":0.1000000000000000055}`,
		"characters": `{"\u0001\u001f\"\\":"\u2028\ud83d\ude00\ue000é\u007f\t\n/","é":"%_\\'\"; DROP TABLE events; --"}`,
		"nothing":    `{}`,
		"deep":       `{"a":[[{"b":[null,true,false,[]]}]],"c":{"d":{"e":{}}}}`,
		"large":      `{"text":"` + strings.Repeat("0123456789abcdef", 15_000) + `"}`,
	} {
		r := build(t, datastorage.Event{Data: []byte(data), ErrorMessage: "'\"\\ \x7f \U0001F600"})
		commit(t, s, r)
		got, err := s.Event(t.Context(), r.ID)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(got.Body, r.Body) || got.Salt != r.Salt || datastorage.Commitment(got.Salt, got.Body) != r.Commitment {
			t.Errorf("%s: got other bytes than were stored:\n%.300s\n%.300s", name, got.Body, r.Body)
		}
		page, err := s.Events(t.Context(), datastorage.EventQuery{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			if e.ID == r.ID && !bytes.Equal(e.Body, r.Body) {
				t.Errorf("%s: a query returns other bytes than were stored", name)
			}
		}
	}
}

func testCommitOf(t *testing.T, s Store) {
	for _, n := range []int{1, 3, 2} {
		commit(t, s, events(t, n)...)
	}
	for index, want := range []int64{0, 1, 1, 1, 4, 4} {
		c, err := s.CommitOf(t.Context(), int64(index))
		if err != nil || c == nil {
			t.Fatalf("CommitOf(%d): %v, %v", index, c, err)
		}
		if c.FirstIndex != want {
			t.Errorf("CommitOf(%d) begins at %d, want %d", index, c.FirstIndex, want)
		}
	}
	for _, index := range []int64{-1, 6, 100} {
		if c, err := s.CommitOf(t.Context(), index); c != nil || err != nil {
			t.Errorf("CommitOf(%d): %v, %v; want none", index, c, err)
		}
	}
	for _, index := range []int64{-1, 2, 6} {
		if c, err := s.CommitAt(t.Context(), index); c != nil || err != nil {
			t.Errorf("CommitAt(%d): %v, %v; want none", index, c, err)
		}
	}
}

func testFind(t *testing.T, s Store) {
	records := events(t, 2100)
	commit(t, s, records[:1000]...)
	commit(t, s, records[1000:]...)
	for _, n := range []int{0, 1, 2, 16, 17, 128, 1024, 1025, 2100} {
		want := map[uuid.UUID]int64{}
		var ids []uuid.UUID
		for i := range n {
			ids = append(ids, records[i].ID, uuid.New())
			want[records[i].ID] = int64(i)
		}
		if n > 0 {
			ids = append(ids, ids[0])
		}
		found, err := s.Find(t.Context(), ids)
		if err != nil {
			t.Fatalf("Find of %d: %v", n, err)
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("Find of %d (-want +got):\n%s", n, diff)
		}
	}
}

func testEvent(t *testing.T, s Store) {
	records := events(t, 3)
	commit(t, s, records...)
	got, err := s.Event(t.Context(), records[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	r := records[1]
	want := datastorage.StoredEvent{LogIndex: 1, ID: r.ID, Time: r.Time, Body: r.Body, Salt: r.Salt}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Time.Location() != time.UTC {
		t.Errorf("the time is in %v, want UTC", got.Time.Location())
	}
	if _, err := s.Event(t.Context(), uuid.New()); datastorage.CodeOf(err) != datastorage.CodeNotFound {
		t.Errorf("an unknown id: %v", err)
	}
}
