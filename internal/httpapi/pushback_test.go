package httpapi_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestServer_Pushback: beyond the bytes in flight a write is refused at once, and what was held comes back.
func TestServer_Pushback(t *testing.T) {
	const limit = 1 << 20
	s := newServer(t, func(c *configuration) { c.MaxInFlight = limit })
	inFlight := func() float64 { return s.series()["datastorage_http_inflight_bytes{}"] }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		// A batch that is larger than the bound may go on alone.
		request := s.request(http.MethodPost, batchPath, io.MultiReader(bytes.NewReader(bytes.Repeat([]byte{' '}, limit+1)), stalled{ctx}))
		response, err := s.client.Transport.RoundTrip(request.WithContext(ctx))
		if err == nil {
			err = response.Body.Close()
		}
		ended <- err
	}()
	s.await("the batch fills the room", func() bool { return inFlight() > limit })
	for range 50 {
		a := s.send(http.MethodPost, eventsPath, event())
		s.problem(a, http.StatusServiceUnavailable, "service-unavailable", "full")
		if a.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
	}
	if n := s.series()["datastorage_http_pushback_total{}"]; n != 50 {
		t.Errorf("%v writes are counted as refused, want 50", n)
	}
	s.get(eventsPath) // reads need no room
	stop()
	if err := <-ended; err == nil {
		t.Error("the batch was answered")
	}
	s.await("its room is given back", func() bool { return inFlight() == 0 })
	s.write()
}

// await polls until done, for at most half a minute.
func (s *server) await(what string, done func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 6000 {
		if done() {
			return
		}
		<-tick.C
	}
	s.t.Fatalf("not so in half a minute: %s", what)
}
