package redisqueue

import (
	"log/slog"
	"testing"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/deadletter/queuetest"
	"github.com/datastorage-io/datastorage/internal/redistest"
)

var testRules = datastorage.Rules{Categories: datastorage.Categories, RetentionDays: datastorage.DefaultRetentionDays}

// backend is the URL of a database.
type backend string

func (b backend) Open(t testing.TB, capacity int64) deadletter.Queue {
	t.Helper()
	return openURL(t, string(b), capacity)
}

func TestQueue(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) queuetest.Backend { return backend(redistest.New(t)) })
}

// openURL opens a queue, which the caller closes.
func openURL(t testing.TB, url string, capacity int64) *Queue {
	t.Helper()
	q, err := Open(t.Context(), testOptions(url, capacity))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func testOptions(url string, capacity int64) Options {
	return Options{URL: url, MaxBytes: capacity, Rules: testRules, Log: slog.New(slog.DiscardHandler)}
}
