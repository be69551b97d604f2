package httpapi

import (
	"net/http"

	"github.com/datastorage-io/datastorage/internal/story"
)

// reconstruct answers with a RemediationRequest as its events hold it. It is a POST because V1.0 has it so; it changes
// nothing, and a body is not read.
func (s *Server) reconstruct(c *call) (res *response, err error) {
	defer s.metrics.query("reconstruct", s.cfg.Now(), &err)
	id, err := c.correlationID("id")
	if err != nil {
		return nil, err
	}
	r, err := story.Reconstruct(c.Context(), s.cfg.Reader, id)
	if err != nil {
		return nil, err
	}
	if c.accepts("application/json", "application/yaml") == "application/yaml" {
		return &response{status: http.StatusOK, contentType: "application/yaml", body: []byte(r.YAML)}, nil
	}
	return encode(http.StatusOK, r)
}
