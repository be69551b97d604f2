package ingest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/ledger"
)

// waitFor waits until done.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// A request that joins one part of a refused batch takes no other's place in the rest of it.
func TestCommitter_JoinsPartOfBatch(t *testing.T) {
	t.Parallel()
	store := &faultStore{Store: openStore(t, t.TempDir())}
	s, _ := start(t, store, limits)
	var wg sync.WaitGroup
	write := func(kind string) {
		e := event(t, "")
		e.Type = kind
		before := ingest.Waiting(s)
		wg.Go(func() {
			if _, err := writeOne(s, e); (err != nil) != (kind == "poison") {
				t.Errorf("%s: %v", kind, err)
			}
		})
		waitFor(t, "the next event waits", func() bool { return ingest.Waiting(s) == before+1 })
	}
	entered, release := make(chan struct{}), make(chan struct{})
	var hold, moved, joined sync.Once
	store.set(func(w *datastorage.Write) (err error) {
		moved.Do(func() { err = ledger.ErrHeadMoved })
		for _, r := range w.Records {
			if r.Type == "poison" {
				return errors.New("this content cannot be stored")
			}
		}
		if len(w.Records) == 2 {
			joined.Do(func() { write("joins") })
		}
		return err
	}, func() error {
		hold.Do(func() { close(entered); <-release })
		return nil
	})
	write("first")
	<-entered
	for _, kind := range []string{"a", "b", "c", "poison"} {
		write(kind)
	}
	close(release)
	wg.Wait()
	checkStored(t, store, nil, 5)
}
