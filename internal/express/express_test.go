package express

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// told is a handler that answers with what it got of a request.
func told(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header()["X-Two"] = []string{"a", "b\r\nc"}
	if r.URL.Path == "/none" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s %q %s %q %d %v %q\n", r.Method, r.URL, r.RequestURI, r.Proto, r.Host, r.ContentLength, r.Close, body)
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&text, "%s: %q\n", name, r.Header[name])
	}
	w.Header().Set("Content-Length", strconv.Itoa(text.Len()))
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(text.Bytes()) // the client may be gone
}

// paths are those that servers of these tests have.
var paths = []string{"/post", "/none", "/wait", "/panic", "/bye"}

// serve starts a server of this package and returns it with its address.
func serve(t *testing.T, server *http.Server) (*Server, string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, server, l), l.Addr().String()
}

// serveOn starts a server of this package on a listener.
func serveOn(t *testing.T, server *http.Server, l net.Listener) *Server {
	t.Helper()
	s := New(server, paths)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-done); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return s
}

// serveOrdinary starts a server of net/http.
func serveOrdinary(t *testing.T, server *http.Server) (address string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-done); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return l.Addr().String()
}

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// exchange sends pieces, and the end of what the client has to say, and returns what the server answers until it closes the
// connection, without the answers' dates.
func exchange(t *testing.T, address string, pieces ...string) string {
	t.Helper()
	c := dial(t, address)
	for _, p := range pieces {
		if _, err := io.WriteString(c, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	return answers(t, bufio.NewReader(c))
}

// answers reads answers to the end and writes them in a form that compares.
func answers(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var all strings.Builder
	for {
		// A server that closes a connection on which it has not read everything resets it.
		if _, err := r.Peek(1); err != nil {
			return all.String()
		}
		response, err := http.ReadResponse(r, &http.Request{Method: http.MethodPost})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if response.Header.Get("Date") != "" {
			response.Header.Set("Date", "a date")
		}
		fmt.Fprintf(&all, "%s %s close=%v length=%d\n%v\n%s\n", response.Proto, response.Status, response.Close, response.ContentLength,
			response.Header, body)
	}
}

func post(path, fields, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost:8080\r\nContent-Length: %d\r\n%s\r\n%s", path, len(body), fields, body)
}

// plain are requests that this package serves.
var plain = []struct{ name, request string }{
	{"post", post("/post", "Content-Type: application/json\r\nUser-Agent: a b/1\r\nAccept-Encoding: gzip\r\nAuthorization: Bearer x\r\n", "{}")},
	{"no body", post("/post", "", "")},
	{"no content", post("/none", "", "x")},
	{"keep-alive", post("/post", "Connection: Keep-Alive\r\n", "x")},
	{"lower case", "POST /post HTTP/1.1\r\nhost: [::1]:80\r\ncontent-length: 1\r\ncontent-type: text/plain\r\nx-request-id:abc\r\n\r\nx"},
	{"white space", "POST /post HTTP/1.1\r\nHost:\t a \t\r\nContent-Length:  1 \r\nX-Tab: a\tb \r\nX-Empty:\r\n\r\nx"},
	{"fields twice", post("/post", "X-A: 1\r\nx-a: 2\r\nX-B: 3\r\nX-A: 4\r\n", "x")},
	{"zeros", "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 0002\r\n\r\nxy"},
	{"two", post("/post", "", "a") + post("/post", "X-Second: 1\r\n", "b")},
	{"10 KB", post("/post", "", strings.Repeat("x", 10_000))},
	{"odd name", post("/post", "x!#$%&'*+.^_`|~1: a\r\n", "x")},
}

// others are requests, or what looks like some, that net/http answers.
var others = []struct{ name, request string }{
	{"get", "GET /post HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"another path", post("/nowhere", "", "x")},
	{"query", post("/post?a=b", "", "x")},
	{"escaped", post("/p%6fst", "", "x")},
	{"absolute", post("http://localhost/post", "", "x")},
	{"1.0", "POST /post HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"},
	{"1.10", "POST /post HTTP/1.10\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"},
	{"close", post("/post", "Connection: close\r\n", "x")},
	{"chunked", "POST /post HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"},
	{"chunked and a length", post("/post", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n")},
	{"expects", post("/post", "Expect: 100-continue\r\n", "x")},
	{"expects otherwise", post("/post", "Expect: wonders\r\n", "x")},
	{"pragma", post("/post", "Pragma: no-cache\r\n", "x")},
	{"no host", "POST /post HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"},
	{"empty host", "POST /post HTTP/1.1\r\nHost:\r\nContent-Length: 1\r\n\r\nx"},
	{"two hosts", post("/post", "Host: b\r\n", "x")},
	{"bad host", "POST /post HTTP/1.1\r\nHost: a b\r\nContent-Length: 1\r\n\r\nx"},
	{"no length", "POST /post HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"empty length", "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
	{"two lengths", post("/post", "Content-Length: 2\r\n", "x")},
	{"the same length twice", post("/post", "Content-Length: 1\r\n", "x")},
	{"negative length", "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx"},
	{"signed length", "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx"},
	{"space before the colon", post("/post", "X-A : 1\r\n", "x")},
	{"no colon", post("/post", "X-A\r\n", "x")},
	{"no name", post("/post", ": 1\r\n", "x")},
	{"folded", post("/post", "X-A: 1\r\n 2\r\n", "x")},
	{"NUL", post("/post", "X-A: 1\x002\r\n", "x")},
	{"not ASCII", post("/post", "X-A: \xc3\xa4\r\n", "x")},
	{"lone CR", post("/post", "X-A: 1\rX-B: 2\r\n", "x")},
	{"lone LF", "POST /post HTTP/1.1\nHost: a\nContent-Length: 1\n\nx"},
	{"one lone LF", post("/post", "X-A: 1\nX-B: 2\r\n", "x")},
	{"long head", post("/post", "X-A: "+strings.Repeat("a", maxHead)+"\r\n", "x")},
	{"20 KB", post("/post", "", strings.Repeat("x", 20_000))},
	{"ends in the head", "POST /post HTTP/1.1\r\nHost: a\r\n"},
	{"ends in the body", "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nx"},
	{"ends at once", "P"},
	{"noise", "\x16\x03\x01\x02\x00\x01\x00\x01"},
	{"empty lines first", "\r\n\r\n" + post("/post", "", "x")},
	{"post and get", post("/post", "", "x") + "GET /post HTTP/1.1\r\nHost: a\r\n\r\n" + post("/post", "", "y")},
}

// TestServer_SameAsOrdinary compares with what net/http makes of the same bytes.
func TestServer_SameAsOrdinary(t *testing.T) {
	t.Parallel()
	_, ours := serve(t, &http.Server{Handler: http.HandlerFunc(told)})
	ordinary := serveOrdinary(t, &http.Server{Handler: http.HandlerFunc(told)})
	for _, tt := range slices.Concat(plain, others) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := exchange(t, ordinary, tt.request)
			if got := exchange(t, ours, tt.request); got != want {
				t.Errorf("got\n%s\nnet/http answers\n%s", got, want)
			}
			// However it arrives.
			middle := len(tt.request) / 2
			if got := exchange(t, ours, tt.request[:middle], tt.request[middle:]); got != want {
				t.Errorf("in two pieces: got\n%s\nnet/http answers\n%s", got, want)
			}
		})
	}
}

// TestConn_Parse says which requests are served here.
func TestConn_Parse(t *testing.T) {
	t.Parallel()
	for _, tt := range plain {
		c := newTestConn(tt.request)
		if _, found := c.parse(); found != complete {
			t.Errorf("%s: parse found %d, want %d", tt.name, found, complete)
		}
	}
	for _, tt := range others {
		c := newTestConn(tt.request)
		if _, found := c.parse(); found == complete && tt.name != "post and get" {
			t.Errorf("%s: parse found it complete", tt.name)
		}
	}
}

type nobody struct{ net.Conn }

func (nobody) RemoteAddr() net.Addr { return &net.TCPAddr{} }

func newTestConn(in string) *conn {
	c := newConn(New(&http.Server{}, paths), nobody{})
	c.in = []byte(in)
	return c
}

// FuzzConn_Parse holds what is served here to net/http's reading of the same bytes.
func FuzzConn_Parse(f *testing.F) {
	for _, tt := range slices.Concat(plain, others) {
		f.Add([]byte(tt.request))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c := newTestConn(string(in))
		r, found := c.parse()
		if found != complete {
			return
		}
		got := c.request(&r)
		c.body.rest = c.in[r.size-r.length : r.size]
		reader := bufio.NewReader(bytes.NewReader(in))
		want, err := http.ReadRequest(reader)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		gotBody, _ := io.ReadAll(got.Body)
		wantBody, err := io.ReadAll(want.Body)
		if err != nil {
			t.Fatal(err)
		}
		if rest, _ := io.ReadAll(reader); len(rest) != len(in)-r.size {
			t.Errorf("ends at %d, for net/http at %d", r.size, len(in)-len(rest))
		}
		show := func(r *http.Request, body []byte) string {
			return fmt.Sprintln(r.Method, r.URL, r.RequestURI, r.Proto, r.Host, r.ContentLength, r.Close, r.TransferEncoding, r.Header, string(body))
		}
		if g, w := show(got, gotBody), show(want, wantBody); g != w {
			t.Errorf("got %q\nnet/http reads %q", g, w)
		}
	})
}

// held is a handler whose requests to /wait begin and go on when the test says so.
type held struct{ begun, goOn chan struct{} }

func newHeld() *held { return &held{make(chan struct{}), make(chan struct{})} }

func (h *held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/wait":
		h.begun <- struct{}{}
		<-h.goOn
	case "/panic":
		panic("a fault")
	case "/bye":
		w.Header().Set("Connection", "close")
	}
	told(w, r)
}

func TestServer_Shutdown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, request string }{
		{"served here", post("/wait", "", "x")},
		{"served by net/http", post("/wait", "Connection: close\r\n", "x")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHeld()
			s, address := serve(t, &http.Server{Handler: h})
			fresh, used, busy := dial(t, address), dial(t, address), dial(t, address)
			in := bufio.NewReader(used)
			write(t, used, post("/post", "", "x"))
			if got := status(t, in); got != http.StatusCreated {
				t.Fatalf("status %d", got)
			}
			write(t, busy, tt.request)
			<-h.begun
			down := make(chan error, 1)
			go func() { down <- s.Shutdown(t.Context()) }()
			for _, c := range []io.Reader{fresh, in} {
				if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
					t.Errorf("a connection without a request is still open: read %d, %v", n, err)
				}
			}
			select {
			case err := <-down:
				t.Errorf("Shutdown returned %v while a request was under way", err)
			default:
			}
			close(h.goOn)
			if got := answers(t, bufio.NewReader(busy)); !strings.Contains(got, "201 Created close=true") {
				t.Errorf("the request under way was answered %q", got)
			}
			if err := <-down; err != nil {
				t.Error(err)
			}
			if c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); err == nil {
				c.Close()
				t.Error("a connection is accepted after Shutdown")
			}
		})
	}
}

func TestServer_Shutdown_late(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s, address := serve(t, &http.Server{Handler: h})
	defer close(h.goOn)
	c := dial(t, address)
	write(t, c, post("/wait", "", "x"))
	<-h.begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the connection is open after Close: read %d, %v", n, err)
	}
}

func TestServer_HandlerCloses(t *testing.T) {
	t.Parallel()
	_, address := serve(t, &http.Server{Handler: newHeld()})
	c := dial(t, address)
	write(t, c, post("/bye", "", "x"))
	if got := answers(t, bufio.NewReader(c)); !strings.Contains(got, "201 Created close=true") {
		t.Errorf("answered %q", got)
	}
}

type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestServer_Panic(t *testing.T) {
	t.Parallel()
	text := &lockedText{}
	_, address := serve(t, &http.Server{Handler: newHeld(), ErrorLog: log.New(text, "", 0)})
	other := dial(t, address)
	if got := exchange(t, address, post("/panic", "", "x")); got != "" {
		t.Errorf("answered %q", got)
	}
	if s := text.String(); !strings.Contains(s, "a fault") || !strings.Contains(s, "express_test.go") {
		t.Errorf("the log says %q", s)
	}
	write(t, other, post("/post", "", "x"))
	if got := status(t, bufio.NewReader(other)); got != http.StatusCreated {
		t.Errorf("another connection gets %d", got)
	}
}

func write(t *testing.T, c io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

func status(t *testing.T, r *bufio.Reader) int {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}
