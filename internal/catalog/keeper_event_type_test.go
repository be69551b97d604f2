package catalog_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/pgtest"
)

// eventType makes a valid event type.
func eventType(name, description string) *datastorage.EventType {
	return &datastorage.EventType{
		Name: name, Mode: datastorage.ModeWarn, Owner: "sre", Description: description, Schema: jsontext.Value(`{"required":["a"]}`),
	}
}

func put(t testing.TB, k *catalog.Keeper, e *datastorage.EventType) *datastorage.EventType {
	t.Helper()
	stored, _, err := k.PutEventType(t.Context(), e, catalog.PutEventType{}, catalog.Actor{Type: "client", ID: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestKeeper_PutEventType(t *testing.T) {
	t.Parallel()
	s := openSQLite(t, t.TempDir())
	k := start(t, s)
	create(t, k, workflow("w", "1.0.0"))
	first := put(t, k, eventType("my.type", "one"))
	if first.Version != 1 || first.UpdatedBy != "alice" || first.UpdatedAt.IsZero() {
		t.Errorf("the first version is %+v", first)
	}
	if again := put(t, k, eventType("my.type", "one")); again.Version != 1 {
		t.Errorf("the same again is version %d", again.Version)
	}
	checkVersions(t, k, s, 2)
	second := put(t, k, eventType("my.type", "two"))
	put(t, k, eventType("other.type", "one"))
	put(t, k, eventType("my.type", "one")) // an earlier content is a new version
	checkVersions(t, k, s, 5)
	var got []int64
	for _, v := range k.Snapshot().EventTypes().Versions("my.type") {
		got = append(got, v.Version)
	}
	if diff := cmp.Diff([]int64{3, 2, 1}, got); diff != "" {
		t.Error(diff)
	}
	// Workflows and earlier versions are as before.
	if n := k.Snapshot().Len(); n != 1 {
		t.Errorf("%d workflows", n)
	}
	if past, _ := k.Snapshot().At(3).EventTypes().Get("my.type"); past.Version != second.Version || past.Description != "two" {
		t.Errorf("at version 3 it was %+v", past)
	}
	if past, ok := k.Snapshot().AsOf(first.UpdatedAt.Add(-time.Microsecond)).EventTypes().Get("my.type"); ok {
		t.Errorf("before all it was %+v", past)
	}
	page, err := s.Events(t.Context(), datastorage.EventQuery{EventType: "datastorage.event_type.", EventTypePrefix: true, Limit: 10, Ascending: true})
	if err != nil || len(page.Events) != 4 {
		t.Fatalf("%d events, %v", len(page.Events), err)
	}
	body := string(page.Events[0].Body)
	for _, part := range []string{
		`"event_type":"datastorage.event_type.created"`, `"correlation_id":"my.type"`, `"actor_id":"alice"`, `"event_type":"my.type"`,
		`"catalog_version":2`, `"version":1`, `"mode":"warn"`, `"document_sha256":"`, `"schema_sha256":"`,
	} {
		if !strings.Contains(body, part) {
			t.Errorf("the event lacks %s: %s", part, body)
		}
	}
}

func TestKeeper_PutEventType_IfVersion(t *testing.T) {
	t.Parallel()
	s := openSQLite(t, t.TempDir())
	k := start(t, s)
	version := func(n int64) catalog.PutEventType { return catalog.PutEventType{IfVersion: &n} }
	try := func(description string, known int64) error {
		_, _, err := k.PutEventType(t.Context(), eventType("gateway.signal.received", description), version(known), catalog.Actor{})
		return err
	}
	checkCode(t, "version 1 when it is built in", try("one", 1), datastorage.CodePrecondition)
	if err := try("one", 0); err != nil {
		t.Error(err)
	}
	checkCode(t, "version 0 when 1 is stored", try("two", 0), datastorage.CodePrecondition)
	checkCode(t, "the same content for another version", try("one", 0), datastorage.CodePrecondition)
	if err := try("two", 1); err != nil {
		t.Error(err)
	}
	checkVersions(t, k, s, 2)
}

// TestKeeper_PutEventType_Concurrent lets two servers put versions of the same types: versions are dense, and both end with
// the same registry.
func TestKeeper_PutEventType_Concurrent(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		testConcurrentPuts(t, openSQLite(t, dir), openSQLite(t, dir))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := pgtest.New(t)
		testConcurrentPuts(t, openPostgres(t, url), openPostgres(t, url))
	})
}

func testConcurrentPuts(t *testing.T, a, b store) {
	const putters, each = 6, 4
	keepers := []*catalog.Keeper{start(t, a), start(t, b)}
	var wg sync.WaitGroup
	for i := range putters {
		wg.Go(func() {
			for n := range each {
				name := fmt.Sprintf("type.%d", n%2)
				stored, changed, err := keepers[i%2].PutEventType(
					t.Context(), eventType(name, fmt.Sprintf("%d %d", i, n)), catalog.PutEventType{}, catalog.Actor{})
				if err != nil || !changed || stored.Version < 1 {
					t.Errorf("%+v, %v, %v", stored, changed, err)
				}
			}
		})
	}
	wg.Wait()
	for _, k := range keepers {
		eventually(t, "both follow", func() bool { return k.Snapshot().Version() == putters*each })
	}
	for _, name := range []string{"type.0", "type.1"} {
		versions := keepers[0].Snapshot().EventTypes().Versions(name)
		if diff := cmp.Diff(versions, keepers[1].Snapshot().EventTypes().Versions(name)); diff != "" {
			t.Errorf("%s differs between servers:\n%s", name, diff)
		}
		if len(versions) != putters*each/2 {
			t.Errorf("%s has %d versions", name, len(versions))
		}
		for i, v := range versions {
			if v.Version != int64(len(versions)-i) {
				t.Errorf("%s: version %d at place %d", name, v.Version, i)
			}
		}
	}
}

func TestKeeper_PutEventType_Faults(t *testing.T) {
	t.Parallel()
	k, f := startFaulty(t, options())
	f.set(outage, nil, nil)
	_, _, err := k.PutEventType(t.Context(), eventType("my.type", "one"), catalog.PutEventType{}, catalog.Actor{})
	checkCode(t, "failed and not stored", err, datastorage.CodeUnavailable)
	checkVersions(t, k, f, 0)
	f.set(nil, outage, nil)
	if stored := put(t, k, eventType("my.type", "one")); stored.Version != 1 {
		t.Errorf("failed but stored: version %d", stored.Version)
	}
	checkVersions(t, k, f, 1)
}
