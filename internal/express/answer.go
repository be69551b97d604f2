package express

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// answer is what a handler answers. It implements http.ResponseWriter.
type answer struct {
	header http.Header
	status int // 0 until it is known
	body   []byte

	names []string // scratch of append
	date  []byte   // the field Date of second
	// second is the time of date, in seconds since 1970.
	second int64
}

func (a *answer) reset() {
	clear(a.header)
	a.status, a.body = 0, a.body[:0]
	if cap(a.body) > maxKept {
		a.body = nil
	}
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. The first call counts.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if !hasBody(a.status) {
		return 0, http.ErrBodyNotAllowed
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

func hasBody(status int) bool {
	return status >= http.StatusOK && status != http.StatusNoContent && status != http.StatusNotModified
}

// closes reports whether the handler wants the connection to end.
func (a *answer) closes() bool {
	v := a.header["Connection"]
	return len(v) > 0 && strings.EqualFold(v[0], "close")
}

// append appends the answer as it is sent. last says that the connection ends with it.
func (a *answer) append(b []byte, now time.Time, last bool) []byte {
	a.WriteHeader(http.StatusOK)
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(a.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(a.status)...)
	b = append(b, "\r\n"...)
	a.names = a.names[:0]
	for name := range a.header {
		a.names = append(a.names, name)
	}
	slices.Sort(a.names)
	for _, name := range a.names {
		switch name {
		case "Connection", "Content-Length", "Date":
			continue // as below
		}
		for _, v := range a.header[name] {
			b = appendField(b, name, v)
		}
	}
	b = a.appendDate(b, now)
	if hasBody(a.status) {
		if len(a.body) > 0 && a.header["Content-Type"] == nil {
			b = appendField(b, "Content-Type", http.DetectContentType(a.body))
		}
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(a.body)), 10)
		b = append(b, "\r\n"...)
	}
	if last {
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, a.body...)
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	start := len(b)
	b = append(b, value...)
	for i := start; i < len(b); i++ {
		if b[i] == '\r' || b[i] == '\n' {
			b[i] = ' ' // no value may end its field
		}
	}
	return append(b, "\r\n"...)
}

// appendDate appends the field Date, which is made once a second.
func (a *answer) appendDate(b []byte, now time.Time) []byte {
	if s := now.Unix(); s != a.second || a.date == nil {
		a.second = s
		a.date = append(a.date[:0], "Date: "...)
		a.date = now.UTC().AppendFormat(a.date, http.TimeFormat)
		a.date = append(a.date, "\r\n"...)
	}
	return append(b, a.date...)
}
