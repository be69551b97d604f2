package storetest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

func testSettings(t *testing.T, s Store) {
	ctx := t.Context()
	if value, ok, err := s.Setting(ctx, "absent"); len(value) != 0 || ok || err != nil {
		t.Errorf("an absent setting: %q, %v, %v", value, ok, err)
	}
	for name, value := range map[string][]byte{
		"text": []byte("value"), "bytes": {0, 1, 0xFF, 0}, "empty": {}, "é%_'": []byte("x"), "large": bytes.Repeat([]byte("x"), 100_000),
	} {
		stored, err := s.PutSetting(ctx, name, value)
		if err != nil || !bytes.Equal(stored, value) {
			t.Errorf("put %s: %.20q, %v", name, stored, err)
		}
		stored, err = s.PutSetting(ctx, name, []byte("another"))
		if err != nil || !bytes.Equal(stored, value) {
			t.Errorf("put %s again: %.20q, %v; want the first value", name, stored, err)
		}
		stored, ok, err := s.Setting(ctx, name)
		if err != nil || !ok || !bytes.Equal(stored, value) {
			t.Errorf("get %s: %.20q, %v, %v", name, stored, ok, err)
		}
		stored, ok, err = share(t, s).Setting(ctx, name)
		if err != nil || !ok || !bytes.Equal(stored, value) {
			t.Errorf("get %s elsewhere: %.20q, %v, %v", name, stored, ok, err)
		}
	}
}

// testConcurrentSettings lets several set one name: all get the value of the first.
func testConcurrentSettings(t *testing.T, s Store) {
	handles := []Store{s, share(t, s)}
	values := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range values {
		wg.Go(func() {
			var err error
			values[i], err = handles[i%len(handles)].PutSetting(t.Context(), "name", fmt.Append(nil, i))
			if err != nil {
				t.Errorf("put: %v", err)
			}
		})
	}
	wg.Wait()
	for i := range values {
		if !bytes.Equal(values[i], values[0]) {
			t.Errorf("one got %q, another %q", values[0], values[i])
		}
	}
}

// testReadCancelled calls everything that reads with a context that has ended.
func testReadCancelled(t *testing.T, s Store) {
	records := events(t, 3)
	commit(t, s, records...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, read := range map[string]func() error{
		"Head":        func() error { _, err := s.Head(ctx); return err },
		"CommitAt":    func() error { _, err := s.CommitAt(ctx, 0); return err },
		"CommitOf":    func() error { _, err := s.CommitOf(ctx, 0); return err },
		"Find":        func() error { _, err := s.Find(ctx, []uuid.UUID{records[0].ID}); return err },
		"Event":       func() error { _, err := s.Event(ctx, records[0].ID); return err },
		"Events":      func() error { _, err := s.Events(ctx, datastorage.EventQuery{Limit: 1}); return err },
		"Correlation": func() error { return s.Correlation(ctx, "rr-1", func(*datastorage.EventHeader) error { return nil }) },
		"Notifications": func() error {
			_, err := s.Notifications(ctx, datastorage.NotificationQuery{Limit: 1})
			return err
		},
		"CatalogVersion":    func() error { _, err := s.CatalogVersion(ctx); return err },
		"Changes":           func() error { _, err := s.Changes(ctx, 0, 1); return err },
		"QueueReports":      func() error { _, err := s.QueueReports(ctx); return err },
		"PutQueueReport":    func() error { return s.PutQueueReport(ctx, &deadletter.Report{UpdatedAt: base}) },
		"RemoveQueueReport": func() error { return s.RemoveQueueReport(ctx, uuid.New()) },
		"Ping":              func() error { return s.Ping(ctx) },
		"Setting":           func() error { _, _, err := s.Setting(ctx, "name"); return err },
		"PutSetting":        func() error { _, err := s.PutSetting(ctx, "name", nil); return err },
	} {
		checkUnavailable(t, name, read())
	}
	if _, ok, err := s.Setting(t.Context(), "name"); ok || err != nil {
		t.Errorf("a setting that could not be put is there: %v, %v", ok, err)
	}
}
