package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/auth"
	"github.com/datastorage-io/datastorage/internal/tail"
)

// Tail sends the log to readers as it grows; see tail.Hub. Errors are *datastorage.Error.
type Tail interface {
	// Open lets a reader in that begins with the event with the log_index from, or behind the last event for tail.End. The
	// reader must be closed. CodeUnavailable when there are too many, CodeValidation when the log ends before from.
	Open(ctx context.Context, from int64, q *datastorage.EventQuery) (*tail.Reader, error)
}

// streamRetryAfter is when a client that is not let in should ask again, in seconds.
const streamRetryAfter = "5"

// maxLogIndex is beyond the end of any log.
const maxLogIndex = 1 << 60

// notForStreams are parameters of a query that a stream, which follows the log to no end, does not have.
var notForStreams = []string{"count", "cursor", "limit", "offset", "order", "since", "until"}

func (s *Server) streamEvents(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	q, from := p.eventFilters(), p.streamStart(c.Header.Get("Last-Event-Id"))
	for _, name := range notForStreams {
		if p.text(name) != "" {
			p.fault(name, "does not apply to a stream, which follows the log: begin at an event with from, the log_index of one")
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	if c.Method == http.MethodHead {
		startStream(c)
		return nil, nil
	}
	reader, err := s.cfg.Tail.Open(c.Context(), from, &q)
	if err != nil {
		if datastorage.CodeOf(err) == datastorage.CodeUnavailable {
			c.w.Header().Set("Retry-After", streamRetryAfter)
		}
		return nil, err
	}
	defer reader.Close()
	startStream(c)
	s.stream(c, reader)
	return nil, nil
}

// streamStart returns the log_index that a stream begins with. What a client says that connects again counts more than
// the address that it first called.
func (p *params) streamStart(lastEventID string) int64 {
	const last = "last_event_id"
	from := p.integer("from", tail.End, 0, maxLogIndex)
	resumed := p.text(last)
	switch {
	case lastEventID != "":
		resumed = lastEventID
	case resumed != "" && p.text("from") != "":
		p.fault("from", "cannot be combined with %s", last)
	}
	if resumed == "" {
		return from
	}
	return p.number(last, resumed, -1, maxLogIndex) + 1
}

func startStream(c *call) {
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // for proxies that gather answers
	c.w.WriteHeader(http.StatusOK)
}

// stream sends the log to the client until either ends. The time-outs of the server are for whole requests and answers; here
// each write has one of its own.
func (s *Server) stream(c *call, reader *tail.Reader) {
	c.lasting = true
	control := http.NewResponseController(c.w)
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return // the connection is broken
	}
	ended := reader.Serve(c.Context(), tail.Session{
		Send: func(frames []byte) error {
			if err := control.SetWriteDeadline(time.Now().Add(reader.SendTimeout())); err != nil {
				return err
			}
			n, err := c.w.Write(frames)
			c.streamed += n
			if err == nil {
				err = control.Flush()
			}
			return err
		},
		Allowed: func() bool { return s.authorize(c, auth.RoleRead) == nil },
	})
	c.notes = append(c.notes, slog.Int64("events", ended.Events), slog.String("ended", string(ended.Reason)))
	if ended.Err != nil {
		s.cfg.Log.Error("the log could not be read for a stream", "request_id", c.id, "error", ended.Err)
	}
}
