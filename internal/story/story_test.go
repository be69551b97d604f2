package story_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStore opens a store with the events of a text, one a line. It is closed with the test.
func newStore(t testing.TB, lines io.Reader) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Readers: 2, QueryTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	limits := ingest.Limits{QueueEvents: 10_000, QueueBytes: 1 << 28, CommitEvents: 2000, CommitBytes: 1 << 26, WriteTimeout: 20 * time.Second}
	committer, err := ingest.NewCommitter(context.Background(), store, limits, slog.New(slog.DiscardHandler), ingest.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	defer committer.Close()
	service := ingest.NewService(committer)
	rules := datastorage.Rules{Categories: append([]string{"effectiveness", "webhook"}, datastorage.Categories...), RetentionDays: datastorage.DefaultRetentionDays}
	var events []datastorage.Event
	flush := func() {
		if _, err := service.Write(t.Context(), events, true); err != nil && len(events) > 0 {
			t.Fatal(err)
		}
		events = events[:0]
	}
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		e, err := rules.Decode(bytes.Clone(scanner.Bytes()), time.Now())
		if err != nil {
			t.Fatalf("%v: %s", err, scanner.Text())
		}
		if events = append(events, e); len(events) == 1000 {
			flush()
		}
	}
	flush()
	return store
}

// recorded opens the 45 recorded runs.
func recorded(t testing.TB) io.Reader {
	t.Helper()
	b, err := os.ReadFile("../../testdata/remediations.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}
