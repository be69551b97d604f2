package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

// maxResponse bounds the body of one response, in bytes.
const maxResponse = 64 << 20

// errTooLarge says that a response passed maxResponse.
var errTooLarge = errors.New("response is larger than 64 MiB")

// endpoint is where a load goes: the address to dial, the Host header, the
// path that the URL brings along, and whether TLS is spoken.
type endpoint struct {
	address, host, prefix string
	tls                   *tls.Config
}

// parseEndpoint takes an http or https URL without query.
func parseEndpoint(raw string) (endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return endpoint{}, fmt.Errorf("url: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" {
		return endpoint{}, fmt.Errorf("url %q is not of the form http://host:port", raw)
	}
	e := endpoint{host: u.Host, prefix: u.EscapedPath()}
	for len(e.prefix) > 0 && e.prefix[len(e.prefix)-1] == '/' {
		e.prefix = e.prefix[:len(e.prefix)-1]
	}
	port := u.Port()
	if u.Scheme == "https" {
		e.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	e.address = net.JoinHostPort(u.Hostname(), port)
	return e, nil
}

// request returns the bytes of a request up to the empty line that ends its
// head. bodySize is sent as Content-Length when method is POST.
func (e endpoint) request(method, target string, bodySize int) []byte {
	head := method + " " + e.prefix + target + " HTTP/1.1\r\nHost: " + e.host + "\r\nUser-Agent: datastorage-bench\r\n"
	if method == "POST" {
		head += "Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(bodySize) + "\r\n"
	}
	return []byte(head + "\r\n")
}

// conn speaks HTTP/1.1 over one kept-alive connection, one request at a time.
// It exists because net/http's client costs more than twice the CPU, which on
// one machine is taken from the server that is measured. It understands what a
// JSON server answers: Content-Length, chunked, or a body up to the end of the
// connection; no redirects, no compression, no pipelining. It is used by one
// goroutine; only interrupt may be called from another one.
type conn struct {
	endpoint endpoint
	timeout  time.Duration
	dialer   net.Dialer

	net      net.Conn
	reader   *bufio.Reader
	body     []byte
	deadline time.Time
	current  atomic.Pointer[net.Conn] // what interrupt ends
}

func newConn(e endpoint, timeout time.Duration) *conn {
	return &conn{endpoint: e, timeout: timeout, reader: bufio.NewReaderSize(nil, 8<<10)}
}

// open dials when there is no connection.
func (c *conn) open(ctx context.Context) error {
	if c.net != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	raw, err := c.dialer.DialContext(ctx, "tcp", c.endpoint.address)
	if err != nil {
		return err
	}
	if c.endpoint.tls != nil {
		secure := tls.Client(raw, c.endpoint.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return errors.Join(err, raw.Close())
		}
		raw = secure
	}
	c.net, c.deadline = raw, time.Time{}
	c.current.Store(&raw)
	c.reader.Reset(raw)
	return nil
}

// close ends the connection; the next do dials again.
func (c *conn) close() {
	if c.net != nil {
		// Nothing is in flight that a failed close could lose.
		_ = c.net.Close()
		c.net = nil
	}
}

// interrupt makes the request under way fail at once.
func (c *conn) interrupt() {
	if current := c.current.Load(); current != nil {
		// A connection that is closed already needs no deadline.
		_ = (*current).SetDeadline(time.Unix(1, 0))
	}
}

// do sends the bytes of one request and reads the answer. The body is valid
// until the next call. After an error the connection is closed, and the
// request may or may not have been served. Canceling ctx ends a dial at once;
// a request under way ends at interrupt or between 1 and 1¼ times the time-out.
func (c *conn) do(ctx context.Context, request []byte) (status int, body []byte, err error) {
	if err := c.open(ctx); err != nil {
		return 0, nil, err
	}
	err = c.extendDeadline()
	if err == nil {
		// The new deadline may have replaced that of an interrupt.
		err = ctx.Err()
	}
	if err != nil {
		c.close()
		return 0, nil, err
	}
	keep := false
	if _, err = c.net.Write(request); err == nil {
		status, keep, err = c.read()
	}
	if err != nil {
		c.close()
		return 0, nil, err
	}
	if !keep {
		c.close()
	}
	return status, c.body, nil
}

// extendDeadline moves the deadline at most once in a quarter of the
// time-out, because moving it costs as much as the rest of the bookkeeping.
func (c *conn) extendDeadline() error {
	now := time.Now()
	if c.deadline.Sub(now) > c.timeout {
		return nil
	}
	c.deadline = now.Add(c.timeout + c.timeout/4)
	return c.net.SetDeadline(c.deadline)
}

// framing is what the head of a response says about its body.
type framing struct {
	length  int64 // -1 when the head does not say
	chunked bool
	keep    bool
}

// read reads one response into c.body and reports whether the connection can
// take another request.
func (c *conn) read() (status int, keep bool, err error) {
	f := framing{}
	for {
		status, f.keep, err = c.readStatus()
		if err != nil {
			return 0, false, err
		}
		f.length, f.chunked = -1, false
		if err := c.readHeaders(&f); err != nil {
			return 0, false, err
		}
		if status >= 200 {
			break
		}
	}
	c.body = c.body[:0]
	switch {
	case status == 204 || status == 304:
		return status, f.keep, nil
	case f.chunked:
		return status, f.keep, c.readChunks()
	case f.length >= 0:
		return status, f.keep, c.readBody(f.length)
	default:
		return status, false, c.readToEnd()
	}
}

// readStatus reads "HTTP/1.1 201 Created".
func (c *conn) readStatus() (status int, keep bool, err error) {
	line, err := c.readLine()
	if err != nil {
		return 0, false, err
	}
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' {
		return 0, false, fmt.Errorf("not an HTTP/1 response: %.40q", line)
	}
	for _, d := range line[9:12] {
		if d < '0' || d > '9' {
			return 0, false, fmt.Errorf("bad status line %.40q", line)
		}
		status = status*10 + int(d-'0')
	}
	return status, line[7] == '1', nil
}

var (
	headerLength     = []byte("content-length")
	headerEncoding   = []byte("transfer-encoding")
	headerConnection = []byte("connection")
)

func (c *conn) readHeaders(f *framing) error {
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		name, value, found := bytes.Cut(line, []byte{':'})
		if !found {
			return fmt.Errorf("bad header line %.40q", line)
		}
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, headerLength):
			f.length, err = strconv.ParseInt(string(value), 10, 64)
			if err != nil || f.length < 0 {
				return fmt.Errorf("bad Content-Length %.40q", value)
			}
		case bytes.EqualFold(name, headerEncoding):
			f.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, headerConnection):
			f.keep = f.keep && !bytes.EqualFold(value, []byte("close"))
		}
	}
}

// readLine returns the next line without its end; it is valid until the next read.
func (c *conn) readLine() ([]byte, error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, io.EOF) && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// readBody appends n bytes to c.body.
func (c *conn) readBody(n int64) error {
	have := len(c.body)
	if int64(have)+n > maxResponse {
		return errTooLarge
	}
	if need := have + int(n); cap(c.body) < need {
		c.body = append(make([]byte, 0, need+need/4), c.body...)
	}
	c.body = c.body[:have+int(n)]
	if _, err := io.ReadFull(c.reader, c.body[have:]); err != nil {
		return noEOF(err)
	}
	return nil
}

func (c *conn) readChunks() error {
	for {
		line, err := c.readLine()
		if err != nil {
			return noEOF(err)
		}
		digits, _, _ := bytes.Cut(line, []byte{';'})
		size, err := strconv.ParseInt(string(bytes.TrimSpace(digits)), 16, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("bad chunk size %.40q", line)
		}
		if size == 0 {
			return c.readTrailer()
		}
		if err := c.readBody(size); err != nil {
			return err
		}
		if end, err := c.readLine(); err != nil {
			return noEOF(err)
		} else if len(end) != 0 {
			return fmt.Errorf("bad chunk end %.40q", end)
		}
	}
}

func (c *conn) readTrailer() error {
	for {
		line, err := c.readLine()
		if err != nil {
			return noEOF(err)
		}
		if len(line) == 0 {
			return nil
		}
	}
}

func (c *conn) readToEnd() error {
	rest, err := io.ReadAll(io.LimitReader(c.reader, maxResponse+1))
	if err == nil && len(rest) > maxResponse {
		err = errTooLarge
	}
	c.body = append(c.body, rest...)
	return err
}

// noEOF tells a connection that ended within a response from one that ended
// between two.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
