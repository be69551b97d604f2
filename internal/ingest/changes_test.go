package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/ledger"
)

func change(version int64) *datastorage.CatalogChange {
	return &datastorage.CatalogChange{
		Version: version, Time: time.UnixMicro(1_774_000_000_000_000).UTC(), Kind: datastorage.ChangeWorkflow,
		WorkflowID: uuid.New(), Key: uuid.NewString(), Document: []byte(`{}`),
	}
}

func writeChange(t *testing.T, s *ingest.Service, c *datastorage.CatalogChange) error {
	return s.WriteChanges(context.Background(), []datastorage.Event{event(t, "")}, []*datastorage.CatalogChange{c})
}

func TestService_WriteChanges(t *testing.T) {
	t.Parallel()
	store := openStore(t, t.TempDir())
	s, _ := start(t, store, limits)
	if err := writeChange(t, s, change(1)); err != nil {
		t.Fatal(err)
	}
	if err := writeChange(t, s, change(1)); !errors.Is(err, datastorage.ErrCatalogMoved) {
		t.Errorf("the same version again: %v", err)
	}
	checkStored(t, store, nil, 1)
	if version, err := store.CatalogVersion(t.Context()); version != 1 || err != nil {
		t.Errorf("the catalogue has version %d, %v", version, err)
	}
}

// A change that comes too late does not take the others of its commit with it.
func TestCommitter_CatalogMovedAlone(t *testing.T) {
	t.Parallel()
	store := &faultStore{Store: openStore(t, t.TempDir())}
	s, _ := start(t, store, limits)
	if err := writeChange(t, s, change(1)); err != nil {
		t.Fatal(err)
	}
	// All that follows waits for one commit, and so is in the next one together.
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	largest := 0
	store.set(func(w *datastorage.Write) error {
		once.Do(func() { close(entered); <-release })
		largest = max(largest, len(w.Records))
		return nil
	}, nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var acked []ingest.Stored
	results := map[error]int{}
	wg.Go(func() { _, _ = writeOne(s, event(t, "")) })
	<-entered
	for i := range 30 {
		wg.Go(func() {
			if i%10 == 0 {
				version := int64(1) // taken
				if i == 20 {
					version = 2
				}
				err := writeChange(t, s, change(version))
				mu.Lock()
				defer mu.Unlock()
				results[err]++
				return
			}
			stored, err := writeOne(s, event(t, ""))
			if err != nil {
				t.Errorf("an event beside it: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			acked = append(acked, stored)
		})
	}
	waitFor(t, "everything waits", func() bool { return ingest.Waiting(s) == 31 })
	close(release)
	wg.Wait()
	if results[nil] != 1 || results[datastorage.ErrCatalogMoved] != 2 {
		t.Errorf("changes ended with %v, want one stored and two moved", results)
	}
	if largest != 30 {
		t.Errorf("the largest commit held %d events, want all 30", largest)
	}
	checkStored(t, store, acked, 1+1+27+1)
}

// A commit with a change whose outcome is unknown is decided by the log: it is not taken for one that came too late.
func TestService_WriteChanges_UnknownOutcome(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprintf("stored=%v", stored), func(t *testing.T) {
			t.Parallel()
			inner := openStore(t, t.TempDir())
			store := &faultStore{Store: inner}
			s, _ := start(t, store, limits)
			var once sync.Once
			lose := func() (err error) {
				once.Do(func() { err = ledger.ErrOutcomeUnknown })
				return err
			}
			if stored {
				store.set(nil, lose)
			} else {
				store.set(func(*datastorage.Write) error { return lose() }, nil)
			}
			if err := writeChange(t, s, change(1)); err != nil {
				t.Error(err)
			}
			checkStored(t, store, nil, 1)
			if version, err := inner.CatalogVersion(t.Context()); version != 1 || err != nil {
				t.Errorf("the catalogue has version %d, %v", version, err)
			}
		})
	}
}

// Nothing of the catalogue goes to the dead-letter queue.
func TestService_WriteChanges_Outage(t *testing.T) {
	t.Parallel()
	l := limits
	l.RetryFor = 50 * time.Millisecond
	store := &faultStore{Store: openStore(t, t.TempDir())}
	store.set(func(*datastorage.Write) error { return datastorage.Unavailable(nil, "outage") }, nil)
	s, _ := start(t, store, l)
	if err := writeChange(t, s, change(1)); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("during an outage: %v", err)
	}
	store.set(nil, nil)
	if err := writeChange(t, s, change(1)); err != nil {
		t.Errorf("behind it: %v", err)
	}
}
