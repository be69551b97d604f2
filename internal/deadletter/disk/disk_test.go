package disk

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
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

// openTest opens the queue in a directory until the test ends.
func openTest(t testing.TB, dir string, opts Options) *Queue {
	t.Helper()
	q, err := Open(t.Context(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// testMessage returns a message with about that many bytes of event_data.
func testMessage(correlation string, bytes int) *deadletter.Message {
	e := datastorage.Event{
		ID: uuid.Must(uuid.NewV7()), Version: "1.0", Type: "gateway.signal.received", Category: "gateway", Action: "test",
		Time: time.Now().UTC().Truncate(time.Microsecond), Outcome: "success", CorrelationID: correlation,
		Data: []byte(`{"text":"` + strings.Repeat("x", bytes) + `"}`), ActorType: "service", ActorID: "gateway",
		ResourceType: "Signal", ResourceID: "s-1", Severity: "info", Retention: 2555,
	}
	r := datastorage.NewRecord(e, [datastorage.SaltSize]byte{1, 2, 3})
	return &deadletter.Message{
		EventID: r.ID, CorrelationID: correlation, Body: r.Body, Salt: r.Salt, QueuedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
}
