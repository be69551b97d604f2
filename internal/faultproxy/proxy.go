// Package faultproxy stands between a program and its PostgreSQL and breaks the connection in the ways that a network
// and a crash do: slow, dead, cut, refused, or cut around a commit so that its outcome is unknown. It understands as much
// of the wire protocol as that takes, without encryption: it declines TLS on the server's behalf.
package faultproxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// dialTimeout bounds the connection to the real server.
const dialTimeout = 5 * time.Second

// CommitFault is what happens to one commit.
type CommitFault int

// The faults of a commit.
const (
	// Pass does nothing.
	Pass CommitFault = iota
	// CutBefore ends the connection when all of the transaction but its end was forwarded: the server rolls it back.
	CutBefore
	// CutAfter forwards the commit, waits until the server has answered, and ends the connection instead of passing the
	// answer on: the transaction is stored and the program cannot know.
	CutAfter
	// HoldAnswer forwards the commit and passes nothing on from then, but leaves the connection open until Heal: the
	// transaction is stored and the program waits until its own time-out.
	HoldAnswer
)

// Proxy forwards connections from a port of its own on the loopback interface. A fault that is set holds for the
// connections that are open and for new ones, until it is unset or Heal is called. All methods may be called concurrently.
type Proxy struct {
	target   string
	isCommit func(sql string) bool
	listener net.Listener
	done     chan struct{} // closed by Close
	running  sync.WaitGroup

	mu     sync.Mutex
	links  map[*link]struct{}
	closed bool
	refuse bool
	delay  time.Duration
	open   chan struct{} // closed unless a black hole is set
	commit func() CommitFault
}

// Listen starts a proxy for the server at target, host:port. A transaction counts as a commit when it executes a statement,
// prepared or not, for whose SQL isCommit is true; its end is the Sync, or the simple query itself.
func Listen(target string, isCommit func(sql string) bool) (*Proxy, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		target: target, isCommit: isCommit, listener: listener,
		done: make(chan struct{}), links: map[*link]struct{}{}, open: make(chan struct{}),
	}
	close(p.open)
	p.running.Go(p.accept)
	return p, nil
}

// Addr returns host and port that the program connects to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends the proxy with all its connections.
func (p *Proxy) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	close(p.done)
	p.mu.Unlock()
	err := p.listener.Close()
	p.Cut()
	p.running.Wait()
	return err
}

// SetDelay makes everything that goes to the server arrive later by d.
func (p *Proxy) SetDelay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// SetBlackHole stops all bytes, in both directions, and the ends of connections too; new connections are taken and are as
// silent. Unset, what was sent meanwhile arrives, as it does after a network has been split.
func (p *Proxy) SetBlackHole(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setBlackHole(on)
}

func (p *Proxy) setBlackHole(on bool) {
	select {
	case <-p.open:
		if on {
			p.open = make(chan struct{})
		}
	default:
		if !on {
			close(p.open)
		}
	}
}

// SetRefuse resets new connections at once; those that are open stay.
func (p *Proxy) SetRefuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// SetCommitFault makes choose decide the fault of every commit, from several goroutines; nil means none.
func (p *Proxy) SetCommitFault(choose func() CommitFault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commit = choose
}

// Cut ends every open connection now.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.end()
	}
}

// Heal unsets every fault. Connections that are open stay, but those with an answer that is held back end.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		if l.loseFrom.Load() > 0 {
			l.end()
		}
	}
	p.delay, p.refuse, p.commit = 0, false, nil
	p.setBlackHole(false)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the client gave up meanwhile
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve forwards one connection until either side ends it.
func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	refuse := p.refuse
	p.mu.Unlock()
	if refuse {
		// The client gets a reset instead of an orderly end.
		_ = client.(*net.TCPConn).SetLinger(0)
		return
	}
	if p.pass() != nil {
		return
	}
	server, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	l := &link{proxy: p, client: client, server: server, ended: make(chan struct{})}
	if !p.add(l) {
		return
	}
	defer p.remove(l)
	l.run()
}

func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// pass waits while a black hole is set. It fails when the proxy is closed.
func (p *Proxy) pass() error {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	select {
	case <-open:
		return nil
	case <-p.done:
		return net.ErrClosed
	}
}

func (p *Proxy) currentDelay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}

// commitFault asks what happens to the commit that is about to be forwarded.
func (p *Proxy) commitFault() CommitFault {
	p.mu.Lock()
	choose := p.commit
	p.mu.Unlock()
	if choose == nil {
		return Pass
	}
	return choose()
}
