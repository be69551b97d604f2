package bench

import (
	"context"
	"time"
)

// Conn posts JSON over one kept-alive connection, one request at a time, for programs that count answers in a way of
// their own. It is used by one goroutine.
type Conn struct{ conn *conn }

// NewConn returns a connection to the server at base, an http or https URL. It is dialled by the first Post, and again
// after an error. An answer that takes longer than timeout is an error.
func NewConn(base string, timeout time.Duration) (*Conn, error) {
	e, err := parseEndpoint(base)
	if err != nil {
		return nil, err
	}
	return &Conn{newConn(e, timeout)}, nil
}

// Post sends body to path and returns the answer, which is valid until the next call. After an error the request may or
// may not have been served. Canceling ctx ends it at once.
func (c *Conn) Post(ctx context.Context, path string, body []byte) (status int, answer []byte, err error) {
	defer context.AfterFunc(ctx, c.conn.interrupt)()
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	return c.conn.do(ctx, append(c.conn.endpoint.request("POST", path, len(body)), body...))
}

// Close ends the connection.
func (c *Conn) Close() { c.conn.close() }
