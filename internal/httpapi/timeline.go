package httpapi

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/datastorage-io/datastorage/internal/story"
)

// correlationID returns the correlation_id of a path. What no event can carry is not found.
func (c *call) correlationID(name string) (string, error) {
	id := c.PathValue(name)
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return "", story.NotFound()
	}
	return id, nil
}

// accepts returns the first of the media types that the Accept header names, the first of all when it names none.
func (c *call) accepts(media ...string) string {
	for _, part := range strings.Split(c.Header.Get("Accept"), ",") {
		name, _, _ := strings.Cut(part, ";")
		for _, m := range media {
			if strings.EqualFold(strings.TrimSpace(name), m) {
				return m
			}
		}
	}
	return media[0]
}

func (s *Server) getTimeline(c *call) (res *response, err error) {
	defer s.metrics.query("get_timeline", s.cfg.Now(), &err)
	id, err := c.correlationID("id")
	if err != nil {
		return nil, err
	}
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	page := story.Page{Limit: int(p.integer("limit", story.DefaultPage, 1, story.MaxPage))}
	hash := sha256.Sum256([]byte(id))
	if text := p.text("cursor"); text != "" {
		cur, err := s.cursors().decode(text, cursorTimeline, hash)
		if err != nil {
			p.fault("cursor", "%s", err)
		} else {
			page.After, page.Size = cur.id, cur.size
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	t, err := story.Tell(c.Context(), s.cfg.Reader, id, page)
	if err != nil {
		return nil, err
	}
	if t.Pagination.HasMore {
		last := t.Events[len(t.Events)-1]
		t.Pagination.NextCursor = s.cursors().encode(cursorTimeline, hash, cursor{size: t.Size, time: last.Time, id: last.ID})
	}
	if c.accepts("application/json", "text/plain") == "text/plain" {
		return &response{status: http.StatusOK, contentType: "text/plain; charset=utf-8", body: t.AppendText(nil)}, nil
	}
	return encode(http.StatusOK, t)
}
