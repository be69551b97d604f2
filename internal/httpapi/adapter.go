package httpapi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/auth"
)

// response is a successful answer. A body that is not nil belongs to the adapter from then on.
type response struct {
	status      int
	contentType string // "" means application/json
	body        []byte
	buffer      *[]byte // where body stands when it is from the pool; nil otherwise
}

// handler answers one operation. An error becomes a problem.
type handler func(*call) (*response, error)

// call is one request on its way through a handler.
type call struct {
	*http.Request
	w  http.ResponseWriter
	id string // request id
	// header is the id as a value of the answer's header.
	header [1]string
	// client is who sent the request: the name of the token's holder, else the address.
	client, address string
	began           time.Time
	taken           int64   // bytes of the budget
	body            *[]byte // what readBody has read; from the pool
	// streamed is how many bytes of its answer the handler has sent itself.
	streamed int
	// lasting says that the answer ends when the client or the server does: its duration says nothing about the server.
	lasting bool
	// notes are what the log line says beside what it says of every request.
	notes []slog.Attr
}

// methods are those that the API serves somewhere.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// adapt makes an http.Handler of a handler: request id, CORS, rate limit, who may call it, panics, problems, metrics, one
// log line.
func (s *Server) adapt(pattern string, needs auth.Role, h handler) http.Handler {
	route := s.metrics.route(pattern)
	// Probes and scrapes come from one address and must not fail because of what else it sends.
	limited := s.limiter != nil && (pattern == "/" || strings.Contains(pattern, " /api/"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.cfg.Now()
		address := clientAddress(r)
		c := &call{Request: r, w: w, id: requestID(r), client: address, address: address, began: began}
		c.header[0] = c.id
		w.Header()["X-Request-Id"] = c.header[:] // as Set would write it
		defer s.release(c)
		res, err := s.answer(c, needs, h, limited)
		var status, size int
		switch {
		case err != nil:
			status = s.problem(c, err)
		case res == nil:
			status, size = http.StatusOK, c.streamed // the handler wrote its answer itself
		default:
			status, size = res.status, len(res.body)
			c.send(res)
		}
		took := s.cfg.Now().Sub(began)
		route.count(status)
		if !c.lasting {
			route.seconds.Observe(took.Seconds())
		}
		s.logRequest(r.Context(), c, pattern, status, size, took, err)
	})
}

// release gives back what a call has taken.
func (s *Server) release(c *call) {
	if c.body != nil {
		buffers.put(c.body)
	}
	s.budget.giveBack(c)
}

// answer runs what stands before every handler, and the handler.
func (s *Server) answer(c *call, needs auth.Role, h handler, limited bool) (res *response, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.cfg.Log.Error("a handler panicked", "request_id", c.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			res, err = nil, datastorage.Errorf(datastorage.CodeInternal, "the server failed to answer")
		}
	}()
	if s.cors(c) {
		return &response{status: http.StatusNoContent}, nil
	}
	if limited {
		if wait := s.limiter.wait(c.address); wait > 0 {
			c.w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
			return nil, datastorage.Errorf(datastorage.CodeTooManyRequests, "too many requests from this client")
		}
	}
	if err := s.authorize(c, needs); err != nil {
		return nil, err
	}
	return h(c)
}

// problem answers with err and returns the status.
func (s *Server) problem(c *call, err error) int {
	e, ok := errors.AsType[*datastorage.Error](err)
	if !ok {
		e = &datastorage.Error{Code: datastorage.CodeInternal, Detail: "the server failed to answer", Cause: err}
	}
	s.metrics.validation(e)
	writeProblem(c.w, c.Request, c.id, e)
	return kinds[e.Code].status
}

// jsonType is the header Content-Type of most answers, which share it.
var jsonType = []string{"application/json"}

// maxUnannounced is the length of an answer, in bytes, up to which net/http says it by itself, for less than a header
// of ours costs.
const maxUnannounced = 1 << 10

func (c *call) send(res *response) {
	if res.body != nil {
		h := c.w.Header()
		h["Content-Type"] = jsonType
		if res.contentType != "" {
			h["Content-Type"] = []string{res.contentType}
		}
		if len(res.body) > maxUnannounced || c.Method == http.MethodHead {
			h["Content-Length"] = []string{strconv.Itoa(len(res.body))}
		}
	}
	c.w.WriteHeader(res.status)
	if res.body != nil && c.Method != http.MethodHead {
		_, _ = c.w.Write(res.body) // a client that went away is not a fault of ours
	}
	if res.buffer != nil {
		*res.buffer = res.body
		buffers.put(res.buffer)
	}
}

func (s *Server) logRequest(ctx context.Context, c *call, pattern string, status, size int, took time.Duration, err error) {
	level := slog.LevelInfo
	if err != nil {
		level = kinds[datastorage.CodeOf(err)].level
	}
	if !s.cfg.Log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs,
		slog.String("method", c.Method), slog.String("path", c.URL.Path), slog.Int("status", status),
		slog.Int("bytes", size), slog.Float64("duration_ms", float64(took.Microseconds())/1000), slog.String("request_id", c.id),
		slog.String("client", c.client))
	if c.address != c.client {
		attrs = append(attrs, slog.String("address", c.address))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	attrs = append(attrs, c.notes...)
	// Straight to the handler: nobody wants to know which line of this file it was, and finding out costs.
	line := slog.NewRecord(c.began.Add(took), level, "request", 0)
	line.AddAttrs(attrs...)
	_ = s.cfg.Log.Handler().Handle(ctx, line)
}

// noRoute answers a path, or a method on it, that the API does not have.
func (s *Server) noRoute(c *call) (*response, error) {
	if !isClean(c.URL.EscapedPath()) {
		return nil, datastorage.Errorf(datastorage.CodeNotFound, "there is nothing at this path")
	}
	var allow []string
	for _, m := range methods {
		probe := &http.Request{Method: m, URL: c.URL, Host: c.Host}
		if _, pattern := s.mux.Handler(probe); pattern != "/" && pattern != "" {
			allow = append(allow, m)
		}
	}
	if len(allow) == 0 {
		return nil, datastorage.Errorf(datastorage.CodeNotFound, "there is nothing at this path")
	}
	allow = append(allow, http.MethodOptions)
	c.w.Header().Set("Allow", strings.Join(allow, ", "))
	if c.Method == http.MethodOptions {
		return &response{status: http.StatusNoContent}, nil
	}
	return nil, datastorage.Errorf(datastorage.CodeMethodNotAllowed, "this path takes %s", strings.Join(allow, ", "))
}

// cors adds the headers of an allowed origin and reports whether the request is a preflight that they answer.
func (s *Server) cors(c *call) bool {
	origin := first(c.Header, "Origin")
	if origin == "" || len(s.cfg.AllowedOrigins) == 0 {
		return false
	}
	h := c.w.Header()
	h.Add("Vary", "Origin")
	if !slices.Contains(s.cfg.AllowedOrigins, origin) && !slices.Contains(s.cfg.AllowedOrigins, "*") {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "X-Request-ID, Retry-After, X-Ledger-Salt, ETag")
	if c.Method != http.MethodOptions || c.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(append(slices.Clone(methods), http.MethodOptions), ", "))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, traceparent, X-Request-ID")
	h.Set("Access-Control-Max-Age", "600")
	return true
}

// requestID returns the request's own X-Request-ID when it is 1 to 128 printable ASCII characters, else a new one.
func requestID(r *http.Request) string {
	id := first(r.Header, "X-Request-Id")
	ok := len(id) >= 1 && len(id) <= 128
	for i := 0; ok && i < len(id); i++ {
		ok = id[i] >= 0x20 && id[i] <= 0x7e
	}
	if ok {
		return id
	}
	return newRequestID()
}

// newRequestID returns a random UUID. It names a request and opens nothing, so that it may be guessed.
func newRequestID() string {
	var id uuid.UUID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x40 // version 4
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id.String()
}

// first is h.Get for a name that is written as http.Header holds it, which Get would check.
func first(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

func clientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// pool keeps buffers for bodies and answers. One that grew beyond maxPooled is left to the garbage collector.
type pool struct{ sync.Pool }

const maxPooled = 64 << 10

// maxTrusted is how much memory an announced length alone gets, in bytes.
const maxTrusted = 4 << 10

var buffers = pool{sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}}

func (p *pool) get() *[]byte { return p.Get().(*[]byte) }

func (p *pool) put(b *[]byte) {
	if cap(*b) <= maxPooled {
		*b = (*b)[:0]
		p.Put(b)
	}
}

// readBody reads a body of at most limit bytes, which stays until the call is answered. It must be JSON or of one of the
// other media types. The room for it is taken from the server's budget as it arrives, so that what is only announced takes
// none from others.
func (s *Server) readBody(c *call, limit int64, others ...string) ([]byte, error) {
	if err := c.checkMediaType(others); err != nil {
		return nil, err
	}
	if c.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	b := buffers.get()
	c.body = b
	// One byte more than announced is room for the read that finds the end. What is announced need not arrive.
	if n := min(c.ContentLength, maxTrusted) + 1; n > int64(cap(*b)) {
		*b = make([]byte, 0, n)
	}
	body := c.Body
	if c.ContentLength < 0 { // else net/http reads no more than was announced
		body = http.MaxBytesReader(c.w, body, limit)
	}
	err := s.budget.take(c, int64(cap(*b)))
	if err == nil {
		err = s.readAll(c, b, body)
	}
	if err == nil {
		err = s.budget.take(c, requestCost)
	}
	if err == nil {
		_ = c.Body.Close() // it is at its end; an open one is looked at again when the answer begins
		return *b, nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(limit)
	}
	if full, ok := errors.AsType[*datastorage.Error](err); ok {
		s.metrics.pushback.Inc()
		return nil, full
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// What is left of the body would be taken for the next request.
		c.w.Header().Set("Connection", "close")
		return nil, datastorage.Errorf(datastorage.CodeUnavailable, "the body did not arrive in time; nothing was stored, send it again")
	}
	return nil, datastorage.Errorf(datastorage.CodeValidation, "the body ended before it was complete")
}

func tooLarge(limit int64) error {
	return datastorage.Errorf(datastorage.CodeTooLarge, "the body must be at most %d bytes", limit)
}

func (s *Server) readAll(c *call, b *[]byte, r io.Reader) error {
	for {
		if before := cap(*b); len(*b) == before {
			if err := s.budget.take(c, int64(max(512, before))); err != nil {
				return err
			}
			*b = slices.Grow(*b, max(512, before))
		}
		n, err := r.Read((*b)[len(*b):cap(*b)])
		*b = (*b)[:len(*b)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *call) checkMediaType(others []string) error {
	if enc := first(c.Header, "Content-Encoding"); enc != "" && enc != "identity" {
		return datastorage.Errorf(datastorage.CodeUnsupportedMedia, "the body must not be compressed")
	}
	switch t := first(c.Header, "Content-Type"); t {
	case "application/json", "":
		return nil
	default:
		if media, _, err := mime.ParseMediaType(t); err == nil && (media == "application/json" || slices.Contains(others, media)) {
			return nil
		}
		allowed := append([]string{"application/json"}, others...)
		return datastorage.Errorf(datastorage.CodeUnsupportedMedia, "the body must be %s", strings.Join(allowed, " or "))
	}
}

// encode answers with v as JSON.
func encode(status int, v any) (*response, error) {
	body, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode an answer: %w", err)
	}
	return &response{status: status, body: body}, nil
}

// passThrough lets an ordinary http.Handler answer.
func passThrough(h http.Handler) handler {
	return func(c *call) (*response, error) {
		h.ServeHTTP(c.w, c.Request)
		return nil, nil
	}
}

func static(contentType string, body []byte) handler {
	return func(*call) (*response, error) {
		return &response{status: http.StatusOK, contentType: contentType, body: body}, nil
	}
}
