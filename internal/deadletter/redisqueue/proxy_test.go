package redisqueue

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// fault is what a proxy does to a call of a script.
type fault int

const (
	pass      fault = iota
	cutBefore       // the connection ends, the server sees nothing of the call
	cutAfter        // the server executes the call, and the connection ends in place of the answer
)

// proxy stands between a queue and its server.
type proxy struct {
	listener net.Listener
	server   string

	mu     sync.Mutex
	fault  fault
	skip   int // how many calls pass before it
	times  int // how often the fault happens
	closed bool
	links  map[net.Conn]bool
	ends   sync.WaitGroup
}

// startProxy returns a proxy to the server of a URL, and the URL of the same database through it.
func startProxy(t *testing.T, url string) (p *proxy, through string) {
	t.Helper()
	rest := strings.TrimPrefix(url, "redis://")
	addr, database, _ := strings.Cut(rest, "/")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p = &proxy{listener: l, server: addr, links: map[net.Conn]bool{}}
	p.ends.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.refuse(true)
		p.ends.Wait()
	})
	return p, "redis://" + l.Addr().String() + "/" + database
}

// set makes the next calls of scripts meet a fault.
func (p *proxy) set(f fault, times int) { p.setBehind(0, f, times) }

// setBehind makes calls of scripts meet a fault once some others have passed.
func (p *proxy) setBehind(skip int, f fault, times int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skip, p.fault, p.times = skip, f, times
}

// refuse ends all connections, and every new one at once, until it is called with false.
func (p *proxy) refuse(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = yes
	if yes {
		for c := range p.links {
			c.Close()
		}
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		if !p.add(client, server) {
			continue
		}
		l := &proxied{proxy: p, client: client, server: server}
		p.ends.Go(l.requests)
		p.ends.Go(l.answers)
	}
}

// add keeps a pair of connections; false when they are refused.
func (p *proxy) add(pair ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range pair {
		if p.closed {
			c.Close()
		}
		p.links[c] = true
	}
	return !p.closed
}

// take returns the fault that a call of a script meets.
func (p *proxy) take() fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.skip > 0 {
		p.skip--
		return pass
	}
	if p.times == 0 {
		return pass
	}
	p.times--
	return p.fault
}

// proxied is one connection.
type proxied struct {
	proxy          *proxy
	client, server net.Conn

	mu  sync.Mutex
	cut bool // the next answer is lost
}

func (l *proxied) end() {
	l.client.Close()
	l.server.Close()
}

func (l *proxied) requests() {
	defer l.end()
	b := make([]byte, 1<<20)
	for {
		n, err := l.client.Read(b)
		if err != nil {
			return
		}
		if bytes.Contains(bytes.ToLower(b[:n]), []byte("evalsha")) {
			switch l.proxy.take() {
			case cutBefore:
				return
			case cutAfter:
				l.mu.Lock()
				l.cut = true
				l.mu.Unlock()
			case pass:
			}
		}
		if _, err := l.server.Write(b[:n]); err != nil {
			return
		}
	}
}

func (l *proxied) answers() {
	defer l.end()
	b := make([]byte, 1<<20)
	for {
		n, err := l.server.Read(b)
		if err != nil {
			return
		}
		l.mu.Lock()
		cut := l.cut
		l.mu.Unlock()
		if cut {
			return
		}
		if _, err := io.Copy(l.client, bytes.NewReader(b[:n])); err != nil {
			return
		}
	}
}
