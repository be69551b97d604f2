package queuetest

import (
	"errors"
	"testing"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

const noLetter = "00000000000000000000000000000001"

func testQuarantine(t *testing.T, b Backend) {
	q := open(t, b)
	list := messages(5, "c")
	put(t, q, list...)
	// Out of order: the quarantine is in order of id all the same.
	for _, i := range []int{3, 1} {
		if err := q.Quarantine(t.Context(), list[i].ID, "reason "+list[i].ID); err != nil {
			t.Fatalf("Quarantine: %v", err)
		}
	}
	wantError(t, "Quarantine of a letter", q.Quarantine(t.Context(), list[1].ID, "other"), deadletter.ErrNotFound)
	wantError(t, "Quarantine of nothing", q.Quarantine(t.Context(), "nonsense", "other"), deadletter.ErrNotFound)
	wantWaiting(t, q, list[0], list[2], list[4])
	wantLetters(t, q, letter(list[1], "reason "+list[1].ID), letter(list[3], "reason "+list[3].ID))
	got, err := q.Letter(t.Context(), list[3].ID)
	if err != nil {
		t.Fatalf("Letter: %v", err)
	}
	wantLetter(t, letter(list[3], "reason "+list[3].ID), got)
	for _, id := range []string{list[0].ID, "", "nonsense", noLetter} {
		_, err := q.Letter(t.Context(), id)
		wantError(t, "Letter of "+id, err, deadletter.ErrNotFound)
	}
	// A letter does not wait: its event may come again.
	again := snapshot(list[1:2])[0]
	put(t, q, again)
	wantWaiting(t, q, list[0], list[2], list[4], again)
	if err := q.Quarantine(t.Context(), again.ID, "again"); err != nil {
		t.Fatalf("Quarantine of the same event again: %v", err)
	}
	wantLetters(t, q, letter(list[1], "reason "+list[1].ID), letter(list[3], "reason "+list[3].ID), letter(again, "again"))
}

func testLetterPages(t *testing.T, b Backend) {
	q := open(t, b)
	list := messages(7, "c")
	put(t, q, list...)
	for _, m := range list {
		if err := q.Quarantine(t.Context(), m.ID, "reason"); err != nil {
			t.Fatal(err)
		}
	}
	after, seen := "", 0
	for {
		page, err := q.Letters(t.Context(), after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page {
			wantLetter(t, letter(list[seen], "reason"), l)
			seen++
			after = l.ID
		}
		if len(page) < 3 {
			break
		}
		// A letter that is gone is still a place to go on behind.
		if err := q.Discard(t.Context(), after); err != nil {
			t.Fatal(err)
		}
	}
	if seen != len(list) {
		t.Errorf("%d letters on all pages, want %d", seen, len(list))
	}
}

func testReplay(t *testing.T, b Backend) {
	q := open(t, b)
	list := messages(4, "c")
	put(t, q, list...)
	for _, m := range list[:2] {
		if err := q.Quarantine(t.Context(), m.ID, "reason"); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Replay(t.Context(), list[0].ID); err != nil {
		t.Fatalf("Replay: %v", err)
	}
	wantError(t, "a second Replay", q.Replay(t.Context(), list[0].ID), deadletter.ErrNotFound)
	wantError(t, "Replay of what waits", q.Replay(t.Context(), list[3].ID), deadletter.ErrNotFound)
	wantError(t, "Replay of nothing", q.Replay(t.Context(), "nonsense"), deadletter.ErrNotFound)
	wantLetters(t, q, letter(list[1], "reason"))
	got, err := q.Oldest(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[2].ID <= list[3].ID {
		t.Fatalf("%d messages wait, the last of them %q, want 3 and an id behind %q", len(got), got[len(got)-1].ID, list[3].ID)
	}
	// All but its place is as before.
	back := snapshot(list[:1])[0]
	back.ID = got[2].ID
	wantWaiting(t, q, list[2], list[3], back)
	after := message(event("c", "after"))
	put(t, q, after)
	wantWaiting(t, q, list[2], list[3], back, after)
}

// testReplayWaiting: no event waits twice, whatever becomes of its letters.
func testReplayWaiting(t *testing.T, b Backend) {
	q := open(t, b)
	first := messages(1, "c")[0]
	put(t, q, first)
	if err := q.Quarantine(t.Context(), first.ID, "reason"); err != nil {
		t.Fatal(err)
	}
	again := snapshot([]*deadletter.Message{first})[0]
	put(t, q, again)
	wantError(t, "Replay", q.Replay(t.Context(), first.ID), deadletter.ErrConflict)
	wantWaiting(t, q, again)
	wantLetters(t, q, letter(first, "reason"))
	if err := q.Remove(t.Context(), []string{again.ID}); err != nil {
		t.Fatal(err)
	}
	if err := q.Replay(t.Context(), first.ID); err != nil {
		t.Fatalf("Replay: %v", err)
	}
	wantDepth(t, q, 1, 0)
}

func testDiscard(t *testing.T, b Backend) {
	q := open(t, b)
	list := messages(3, "c")
	put(t, q, list...)
	for _, m := range list[:2] {
		if err := q.Quarantine(t.Context(), m.ID, "reason"); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Discard(t.Context(), list[0].ID); err != nil {
		t.Fatalf("Discard: %v", err)
	}
	for _, id := range []string{list[0].ID, list[2].ID, "", "nonsense", noLetter} {
		wantError(t, "Discard of "+id, q.Discard(t.Context(), id), deadletter.ErrNotFound)
	}
	wantLetters(t, q, letter(list[1], "reason"))
	wantWaiting(t, q, list[2])
	if _, err := q.Letter(t.Context(), list[0].ID); !errors.Is(err, deadletter.ErrNotFound) {
		t.Errorf("Letter of what was discarded: %v", err)
	}
}
