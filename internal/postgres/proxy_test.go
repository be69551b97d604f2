package postgres

import (
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a store and its server and loses what it is told to lose.
type proxy struct {
	listener net.Listener
	server   string
	dials    atomic.Int64
	// loseRequests and loseAnswers end a connection instead of passing on what comes from that side.
	loseRequests, loseAnswers atomic.Bool

	mu   sync.Mutex
	held chan struct{} // answers wait until it is closed; nil lets them pass
}

// startProxy returns a proxy before the server of a database URL, and the URL that leads through it.
func startProxy(t *testing.T, databaseURL string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, server: u.Host}
	t.Cleanup(func() { l.Close() })
	go p.serve()
	u.Host = l.Addr().String()
	return p, u.String()
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.dials.Add(1)
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		go p.pass(client, server, p.loseRequests.Load, func() {})
		go p.pass(server, client, p.loseAnswers.Load, p.wait)
	}
}

func (p *proxy) pass(from, to net.Conn, lose func() bool, wait func()) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		wait()
		if err != nil || lose() {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// hold makes answers wait until the function that it returns is called.
func (p *proxy) hold() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = make(chan struct{})
	return sync.OnceFunc(func() { close(p.held) })
}

func (p *proxy) wait() {
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	if held != nil {
		<-held
	}
}
