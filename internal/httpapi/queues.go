package httpapi

import (
	"net/http"
	"time"

	"github.com/google/uuid"
)

// queueDoc is what one server tells of its queue.
type queueDoc struct {
	Replica     uuid.UUID `json:"replica"`
	Host        string    `json:"host"`
	DataDir     string    `json:"data_dir"`
	Depth       int64     `json:"depth"`
	Quarantined int64     `json:"quarantined"`
	Bytes       int64     `json:"bytes"`
	Oldest      time.Time `json:"oldest_queued_at,omitzero"`
	UpdatedAt   time.Time `json:"updated_at"`
	// Age is how old the report is, in seconds.
	Age float64 `json:"age_seconds"`
}

// queueList has a name for its array, so that a later member does not change what is there.
type queueList struct {
	Data []queueDoc `json:"data"`
}

// listQueues lists the queues of all servers on the store that hold acknowledged events.
func (s *Server) listQueues(c *call) (res *response, err error) {
	defer s.metrics.query("dead_letter_queues", time.Now(), &err)
	reports, err := s.cfg.Reader.QueueReports(c.Context())
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	list := queueList{Data: []queueDoc{}}
	for _, r := range reports {
		list.Data = append(list.Data, queueDoc{
			Replica: r.Replica, Host: clean(r.Host), DataDir: clean(r.DataDir), Depth: r.Depth, Quarantined: r.Quarantined,
			Bytes: r.Bytes, Oldest: r.Oldest.UTC(), UpdatedAt: r.UpdatedAt.UTC(), Age: max(0, now.Sub(r.UpdatedAt).Seconds()),
		})
	}
	return encode(http.StatusOK, list)
}
