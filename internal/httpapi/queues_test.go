package httpapi_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

const queuesPath = "/api/v1/dead-letter-queues"

func TestServer_DeadLetterQueues(t *testing.T) {
	s := newServer(t)
	if a := s.send(http.MethodGet, queuesPath, nil); string(a.body) != `{"data":[]}` {
		t.Errorf("without a report it answers %s", a.body)
	}
	full := deadletter.Report{
		Replica: uuid.New(), Host: "a", DataDir: "/data", Depth: 4127, Bytes: 9437184, Oldest: start.Add(-time.Hour), UpdatedAt: start.Add(-90 * time.Second),
	}
	letters := deadletter.Report{Replica: uuid.New(), Host: "b", DataDir: "/data", Quarantined: 2, Bytes: 4096, UpdatedAt: start.Add(time.Second)}
	for _, r := range []deadletter.Report{full, letters} {
		if err := s.store.PutQueueReport(t.Context(), &r); err != nil {
			t.Fatal(err)
		}
	}
	rows := s.get(queuesPath)["data"].([]any)
	want := []object{
		{
			"replica": full.Replica.String(), "host": "a", "data_dir": "/data", "depth": 4127.0, "quarantined": 0.0, "bytes": 9437184.0,
			"oldest_queued_at": "2026-05-11T14:00:00Z", "updated_at": "2026-05-11T14:58:30Z", "age_seconds": 90.0,
		},
		{
			"replica": letters.Replica.String(), "host": "b", "data_dir": "/data", "depth": 0.0, "quarantined": 2.0, "bytes": 4096.0,
			"updated_at": "2026-05-11T15:00:01Z", "age_seconds": 0.0,
		},
	}
	if got := fmt.Sprint(rows); got != fmt.Sprint(want) {
		t.Errorf("the queues are\n%v, want\n%v", got, want)
	}
}
