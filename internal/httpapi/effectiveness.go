package httpapi

import (
	"net/http"

	"github.com/datastorage-io/datastorage/internal/story"
)

func (s *Server) getEffectiveness(c *call) (res *response, err error) {
	defer s.metrics.query("get_effectiveness", s.cfg.Now(), &err)
	id, err := c.correlationID("correlation_id")
	if err != nil {
		return nil, err
	}
	e, err := story.Assess(c.Context(), s.cfg.Reader, id)
	if err != nil {
		return nil, err
	}
	return encode(http.StatusOK, e)
}
