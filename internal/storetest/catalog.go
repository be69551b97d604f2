package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// workflowChange makes the change that adds a workflow.
func workflowChange(version int64, name string) *datastorage.CatalogChange {
	return &datastorage.CatalogChange{
		Version: version, Time: base.Add(time.Duration(version) * time.Microsecond), Kind: datastorage.ChangeWorkflow,
		WorkflowID: uuid.New(), Key: name + "\x001.0.0", Document: fmt.Appendf(nil, `{"workflow_name":%q}`, name),
	}
}

// commitChanges stores changes with an event for each.
func commitChanges(t testing.TB, s Store, changes ...*datastorage.CatalogChange) error {
	t.Helper()
	records := events(t, len(changes))
	return s.Commit(t.Context(), prepare(t, s, records), &datastorage.Write{Records: records, Changes: changes})
}

// checkChanges checks the whole history of the catalogue.
func checkChanges(t testing.TB, s Store, want ...*datastorage.CatalogChange) {
	t.Helper()
	version, err := s.CatalogVersion(t.Context())
	if err != nil || version != int64(len(want)) {
		t.Errorf("CatalogVersion: %d, %v; want %d", version, err, len(want))
	}
	got, err := s.Changes(t.Context(), 0, len(want)+1)
	if err != nil {
		t.Fatalf("Changes: %v", err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Changes (-want +got):\n%s", diff)
	}
}

func testChanges(t *testing.T, s Store) {
	checkChanges(t, s)
	workflow := workflowChange(1, "größer %_'")
	state := &datastorage.CatalogChange{
		Version: 2, Time: base, Kind: datastorage.ChangeState, WorkflowID: workflow.WorkflowID, Document: []byte(`{"status":"disabled"}`),
	}
	actionType := &datastorage.CatalogChange{
		Version: 3, Time: base, Kind: datastorage.ChangeActionType,
		Document: []byte(`{"content":"` + strings.Repeat("é", 200_000) + `"}`),
	}
	eventType := &datastorage.CatalogChange{
		Version: 4, Time: base, Kind: datastorage.ChangeEventType, Key: datastorage.EventTypeKey("größer", 1), Document: []byte(`{"version":1}`),
	}
	if err := commitChanges(t, s, workflow); err != nil {
		t.Fatal(err)
	}
	checkChanges(t, s, workflow)
	if err := commitChanges(t, s, state, actionType, eventType); err != nil {
		t.Fatal(err)
	}
	checkChanges(t, s, workflow, state, actionType, eventType)
	checkChanges(t, share(t, s), workflow, state, actionType, eventType)
	checkSize(t, s, 4)
	for _, page := range []struct {
		after int64
		limit int
		want  []int64
	}{{0, 1, []int64{1}}, {0, 2, []int64{1, 2}}, {1, 2, []int64{2, 3}}, {2, 1, []int64{3}}, {3, 5, []int64{4}}, {4, 5, nil}, {9, 5, nil}} {
		changes, err := s.Changes(t.Context(), page.after, page.limit)
		var got []int64
		for _, c := range changes {
			got = append(got, c.Version)
		}
		if diff := cmp.Diff(page.want, got); diff != "" || err != nil {
			t.Errorf("Changes(%d, %d): %v (-want +got):\n%s", page.after, page.limit, err, diff)
		}
	}
}

// testChangesMany stores as many changes in one commit as an import does.
func testChangesMany(t *testing.T, s Store) {
	changes := make([]*datastorage.CatalogChange, 700)
	for i := range changes {
		changes[i] = workflowChange(int64(i+1), fmt.Sprintf("workflow-%d", i))
	}
	if err := commitChanges(t, s, changes...); err != nil {
		t.Fatal(err)
	}
	checkChanges(t, s, changes...)
}

func testCatalogMoved(t *testing.T, s Store) {
	first, second := workflowChange(1, "first"), workflowChange(2, "second")
	if err := commitChanges(t, s, first, second); err != nil {
		t.Fatal(err)
	}
	sameKey := workflowChange(3, "first")
	for name, changes := range map[string][]*datastorage.CatalogChange{
		"a version that is taken":        {workflowChange(2, "other")},
		"the first version again":        {workflowChange(1, "other")},
		"a key that is taken":            {sameKey},
		"a hole":                         {workflowChange(4, "other")},
		"a key that is taken, later":     {workflowChange(3, "other"), workflowChange(4, "second")},
		"a version that is taken, later": {workflowChange(3, "other"), workflowChange(2, "another")},
	} {
		if err := commitChanges(t, s, changes...); !errors.Is(err, datastorage.ErrCatalogMoved) {
			t.Errorf("%s: error %v, want ErrCatalogMoved", name, err)
		}
	}
	records := events(t, 1)
	c := prepare(t, s, records)
	build := func(ledger.Head) (*ledger.Commit, error) { return c, nil }
	w := &datastorage.Write{Records: records, Changes: []*datastorage.CatalogChange{sameKey}}
	if err := s.CommitLocked(t.Context(), build, w); !errors.Is(err, datastorage.ErrCatalogMoved) {
		t.Errorf("CommitLocked: error %v, want ErrCatalogMoved", err)
	}
	// A log that has moved is said first.
	commit(t, s, events(t, 1)...)
	if err := s.Commit(t.Context(), c, w); !errors.Is(err, ledger.ErrHeadMoved) {
		t.Errorf("behind the end of the log: error %v, want ErrHeadMoved", err)
	}
	checkSize(t, s, 3)
	checkChanges(t, s, first, second)
}

// testChangesRefused stores changes whose content is to blame.
func testChangesRefused(t *testing.T, s Store) {
	for name, spoil := range map[string]func(*datastorage.CatalogChange){
		"an unknown kind": func(c *datastorage.CatalogChange) { c.Kind = "other" },
		"version 0":       func(c *datastorage.CatalogChange) { c.Version = 0 },
	} {
		change := workflowChange(1, "first")
		spoil(change)
		err := commitChanges(t, s, change)
		if err == nil || datastorage.CodeOf(err) == datastorage.CodeUnavailable {
			t.Errorf("%s: error %v", name, err)
		}
	}
	checkSize(t, s, 0)
	checkChanges(t, s)
}

// testConcurrentChanges lets several writers append to the catalogue, each trying again when another was first.
func testConcurrentChanges(t *testing.T, s Store) {
	const writers, each = 4, 8
	handles := []Store{s, share(t, s)}
	var wg sync.WaitGroup
	var moved atomic.Int64
	for i := range writers {
		wg.Go(func() {
			handle := handles[i%len(handles)]
			for n := range each {
				for {
					version, err := handle.CatalogVersion(t.Context())
					if err != nil {
						t.Errorf("CatalogVersion: %v", err)
						return
					}
					err = commitChanges(t, handle, workflowChange(version+1, fmt.Sprintf("workflow-%d-%d", i, n)))
					if err == nil {
						break
					}
					if !errors.Is(err, datastorage.ErrCatalogMoved) && !errors.Is(err, ledger.ErrHeadMoved) {
						t.Errorf("Commit: %v", err)
						return
					}
					moved.Add(1)
				}
			}
		})
	}
	wg.Wait()
	changes, err := s.Changes(t.Context(), 0, 1000)
	if err != nil || len(changes) != writers*each {
		t.Fatalf("%d changes, %v; want %d", len(changes), err, writers*each)
	}
	for i, c := range changes {
		if c.Version != int64(i+1) {
			t.Fatalf("change %d has version %d", i, c.Version)
		}
	}
	checkSize(t, s, writers*each)
}
