package httpapi

import (
	"context"
	"net/http"
	"time"
)

// pingTimeout is how long a health check waits for the store.
const pingTimeout = time.Second

// healthStatus is the answer of /health. Ledger and Warnings are left out when there is nothing to say.
type healthStatus struct {
	Status   string   `json:"status"`
	Database string   `json:"database"`
	Ledger   string   `json:"ledger,omitzero"`
	Queue    string   `json:"dead_letter_queue,omitzero"`
	Warnings []string `json:"warnings,omitempty"`
}

type readyStatus struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitzero"`
}

func (s *Server) ping(c *call) error {
	ctx, cancel := context.WithTimeout(c.Context(), pingTimeout)
	defer cancel()
	return s.cfg.Reader.Ping(ctx)
}

func (s *Server) health(c *call) (*response, error) {
	h := healthStatus{Status: "healthy", Database: "connected", Warnings: s.cfg.Warnings()}
	status := http.StatusOK
	if s.ping(c) != nil {
		h.Status, h.Database, status = "unhealthy", "unreachable", http.StatusServiceUnavailable
	}
	if err := s.cfg.Diverged(); err != nil {
		h.Status, h.Ledger, status = "unhealthy", "diverged: "+err.Error(), http.StatusServiceUnavailable
	}
	if f := s.cfg.Fallback; f != nil {
		switch {
		case !f.TakesWrites(c.Context()):
			h.Queue = "takes no writes"
		case !f.StoreTakesWrites():
			h.Queue = "takes the writes"
		default:
			h.Queue = "ready"
		}
	}
	return encode(status, h)
}

// Fallback is the dead-letter queue as health sees it.
type Fallback interface {
	// TakesWrites reports whether the queue is able to take writes.
	TakesWrites(ctx context.Context) bool
	// StoreTakesWrites reports whether writes go to the store.
	StoreTakesWrites() bool
}

func (s *Server) ready(c *call) (*response, error) {
	switch {
	case s.draining.Load():
		return encode(http.StatusServiceUnavailable, readyStatus{"not_ready", "shutting_down"})
	case s.ping(c) != nil && (s.cfg.Fallback == nil || !s.cfg.Fallback.TakesWrites(c.Context())):
		return encode(http.StatusServiceUnavailable, readyStatus{"not_ready", "database_unreachable"})
	case s.cfg.Diverged() != nil:
		return encode(http.StatusServiceUnavailable, readyStatus{"not_ready", "ledger_diverged"})
	}
	return encode(http.StatusOK, readyStatus{Status: "ready"})
}

func (s *Server) live(*call) (*response, error) {
	return encode(http.StatusOK, readyStatus{Status: "alive"})
}
