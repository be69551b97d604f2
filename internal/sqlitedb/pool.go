package sqlitedb

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Pool is a fixed number of connections to one file, each opened on first use.
type Pool struct {
	size   int
	idle   chan *Conn
	closed chan struct{}
	once   sync.Once

	// opened is the number of open connections, waited the time that callers waited for one, in nanoseconds.
	opened, waited atomic.Int64
}

// NewPool returns a pool of size connections to a file.
func NewPool(size int, dsn string) *Pool {
	p := &Pool{size: size, idle: make(chan *Conn, size), closed: make(chan struct{})}
	for range size {
		p.idle <- &Conn{dsn: dsn}
	}
	return p
}

// Size is the number of connections.
func (p *Pool) Size() int { return p.size }

// ErrClosed is what a pool says of a use behind its Close.
var ErrClosed = errors.New("the store is closed")

// Use calls f with a connection that nobody else uses meanwhile. It waits for one until ctx ends.
func (p *Pool) Use(ctx context.Context, f func(*Conn) error) error {
	c, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer func() { p.idle <- c }()
	if c.db == nil {
		if err := c.Connect(); err != nil {
			return err
		}
		p.opened.Add(1)
	}
	defer func() {
		if c.db == nil {
			p.opened.Add(-1)
		}
	}()
	return f(c)
}

func (p *Pool) take(ctx context.Context) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-p.closed:
		return nil, ErrClosed
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
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	case c := <-p.idle:
		return c, nil
	}
}

// Close closes the connections, each once its use ends.
func (p *Pool) Close() (err error) {
	p.once.Do(func() {
		close(p.closed)
		for range p.size {
			c := <-p.idle
			err = errors.Join(err, c.Close())
		}
	})
	return err
}

// Stats is the state of the connections of some pools.
type Stats struct {
	Open, InUse, Idle, Max int
	// Wait is the total time that callers have waited for a connection.
	Wait time.Duration
}

// Add adds the state of a pool; its parts may be of slightly different moments.
func (s *Stats) Add(p *Pool) {
	free := len(p.idle)
	open := int(p.opened.Load())
	busy := p.size - free
	s.Open += open
	s.InUse += busy
	s.Idle += max(0, open-busy)
	s.Max += p.size
	s.Wait += time.Duration(p.waited.Load())
}
