package express

import (
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// maxHead is the longest head of a request that is served here, in bytes, unless the server allows less.
const maxHead = 4 << 10

// verdict says what stands at the beginning of some bytes.
type verdict int

const (
	complete verdict = iota // a request that is served here
	partial                 // perhaps the beginning of one
	foreign                 // something else
)

// request is a request that is served here; what stands in its header is the connection's.
type request struct {
	path   string
	host   string
	length int // of the body
	size   int // of the head and the body
}

const (
	beginning = "POST "
	ending    = " HTTP/1.1"
)

// parse looks at what was read. It takes a part of what net/http takes, and reads it as net/http does: a request line of one
// form, with a path that the server has for this; header fields of visible ASCII characters; one Host; a body of an announced
// length. Fields that say more than one request needs, such as Transfer-Encoding, are foreign.
func (c *conn) parse() (request, verdict) {
	b := c.in
	if n := min(len(b), len(beginning)); string(b[:n]) != beginning[:n] {
		return request{}, foreign
	}
	limit := maxHead
	if m := c.server.http.MaxHeaderBytes; m > 0 && m < limit {
		limit = m
	}
	end := bytes.Index(b[:min(len(b), limit)], []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) >= limit {
			return request{}, foreign
		}
		return request{}, partial
	}
	// One string for all values.
	line, fields, _ := strings.Cut(string(b[:end]), "\r\n")
	path, ok := strings.CutSuffix(line[len(beginning):], ending)
	if !ok || !c.server.paths[path] {
		return request{}, foreign
	}
	r := request{path: path, length: -1}
	if !c.fields(&r, fields) || r.host == "" || r.length < 0 {
		return request{}, foreign
	}
	r.size = end + len("\r\n\r\n") + r.length
	switch {
	case r.size > maxRequest:
		return request{}, foreign
	case r.size > len(b):
		return request{}, partial
	}
	return r, complete
}

// fields reads header fields into the connection's header, and reports whether they are plain.
func (c *conn) fields(r *request, s string) bool {
	clear(c.header)
	c.values = c.values[:0]
	for len(s) > 0 {
		var line string
		line, s, _ = strings.Cut(s, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isName(name) {
			return false
		}
		if value = strings.Trim(value, " \t"); !isPlain(value) {
			return false
		}
		name = canonical(name)
		switch name {
		case "Host":
			if r.host != "" || !isHost(value) {
				return false
			}
			r.host = value
			continue // net/http has it beside the header
		case "Content-Length":
			if r.length >= 0 {
				return false
			}
			if r.length = parseLength(value); r.length < 0 {
				return false
			}
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return false
			}
		case "Expect", "Transfer-Encoding", "Trailer", "Upgrade", "Pragma":
			return false
		}
		c.put(name, value)
	}
	return true
}

// put adds a field to the header, for most without an allocation.
func (c *conn) put(name, value string) {
	if before, ok := c.header[name]; ok {
		c.header[name] = append(before[:len(before):len(before)], value)
		return
	}
	c.values = append(c.values, value)
	n := len(c.values)
	c.header[name] = c.values[n-1 : n : n]
}

// canonical is textproto.CanonicalMIMEHeaderKey, for the fields of most requests without a look at each character.
func canonical(name string) string {
	switch name {
	case "Host", "host":
		return "Host"
	case "Content-Length", "content-length":
		return "Content-Length"
	case "Content-Type", "content-type":
		return "Content-Type"
	case "User-Agent", "user-agent":
		return "User-Agent"
	case "Accept-Encoding", "accept-encoding":
		return "Accept-Encoding"
	case "Authorization", "authorization":
		return "Authorization"
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// isName reports whether s is a token of RFC 9110.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		case strings.IndexByte("!#$%&'*+.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// isPlain reports whether s consists of visible ASCII characters, spaces and tabs.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < ' ' && c != '\t') || c > '~' {
			return false
		}
	}
	return true
}

// isHost reports whether s is of letters, digits and what an address has beside them.
func isHost(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '-', c == ':', c == '[', c == ']', c == '_':
		default:
			return false
		}
	}
	return s != ""
}

// parseLength reads the length of a body that may be served here; -1 is any other.
func parseLength(s string) int {
	if s == "" || len(s) > len("16384") {
		return -1
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = 10*n + int(s[i]-'0')
	}
	return n
}

// request returns what the handler gets.
func (c *conn) request(r *request) *http.Request {
	return &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: r.path}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: c.header, Body: &c.body, ContentLength: int64(r.length), Host: r.host, RemoteAddr: c.remote, RequestURI: r.path,
	}
}

// body is the body of a request.
type body struct{ rest []byte }

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	if len(b.rest) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.rest = nil
	return nil
}
