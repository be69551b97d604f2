package disk

import (
	"testing"

	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/deadletter/queuetest"
)

// backend is a directory that queues are opened in.
type backend string

func (b backend) Open(t testing.TB, capacity int64) deadletter.Queue {
	t.Helper()
	q, err := Open(t.Context(), string(b), Options{MaxBytes: capacity})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQueue(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) queuetest.Backend { return backend(t.TempDir()) })
}
