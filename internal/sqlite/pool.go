package sqlite

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// pool is a fixed number of connections to one file, each opened on first use.
type pool struct {
	size   int
	idle   chan *conn
	closed chan struct{}
	once   sync.Once

	// opened is the number of open connections, waited the time that callers waited for one, in nanoseconds.
	opened, waited atomic.Int64
}

func newPool(size int, dsn string) *pool {
	p := &pool{size: size, idle: make(chan *conn, size), closed: make(chan struct{})}
	for range size {
		p.idle <- &conn{dsn: dsn}
	}
	return p
}

var errClosed = errors.New("the store is closed")

// use calls f with a connection that nobody else uses meanwhile. It waits for one until ctx ends.
func (p *pool) use(ctx context.Context, f func(*conn) error) error {
	c, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer func() { p.idle <- c }()
	if c.raw == nil {
		if err := c.connect(); err != nil {
			return err
		}
		p.opened.Add(1)
	}
	defer func() {
		if c.raw == nil {
			p.opened.Add(-1)
		}
	}()
	return f(c)
}

func (p *pool) take(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-p.closed:
		return nil, errClosed
	default:
	}
	select {
	case c := <-p.idle:
		return c, nil
	default:
	}
	start := time.Now()
	defer func() { p.waited.Add(int64(time.Since(start))) }()
	select {
	case <-p.closed:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	case c := <-p.idle:
		return c, nil
	}
}

// close closes the connections, each once its use ends.
func (p *pool) close() (err error) {
	p.once.Do(func() {
		close(p.closed)
		for range p.size {
			c := <-p.idle
			err = errors.Join(err, c.close())
		}
	})
	return err
}

// Stats is the state of the connections of a store.
type Stats struct {
	Open, InUse, Idle, Max int
	// Wait is the total time that callers have waited for a connection.
	Wait time.Duration
}

// add adds the state of a pool; its parts may be of slightly different moments.
func (s *Stats) add(p *pool) {
	free := len(p.idle)
	open := int(p.opened.Load())
	busy := p.size - free
	s.Open += open
	s.InUse += busy
	s.Idle += max(0, open-busy)
	s.Max += p.size
	s.Wait += time.Duration(p.waited.Load())
}
