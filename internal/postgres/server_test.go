package postgres

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/datastorage-io/datastorage/internal/pgtest"
)

func TestServer_Check(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]server{
		"14.12 is too old: DataStorage needs version 15": {version: 140012, release: "14.12"},
		"pool_mode = session":                            {version: 170001, pooled: true},
		"run a newer datastorage":                        {version: 170001, schema: latestVersion() + 1},
	} {
		if err := s.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("check of %+v: %v, want %q", s, err, want)
		}
	}
	good := server{version: 150000, schema: latestVersion()}
	if err := good.check(); err != nil {
		t.Errorf("a good server: %v", err)
	}
}

func TestDurability_Warning(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]Durability{
		"fsync is off":            {FullPageWrites: true},
		"full_page_writes is off": {Fsync: true},
	} {
		if got := d.Warning(); !strings.HasPrefix(got, want) {
			t.Errorf("%+v: %q", d, got)
		}
	}
	if got := (Durability{Fsync: true, FullPageWrites: true}).Warning(); got != "" {
		t.Errorf("a durable server: %q", got)
	}
}

func TestOpen_Refusals(t *testing.T) {
	t.Parallel()
	const password = "hunter2secret"
	good := pgtest.New(t)
	newer := pgtest.New(t)
	exec(t, connect(t, newer), `INSERT INTO schema_migrations (version_id, is_applied) VALUES (9999, true)`)
	change := func(f func(u *url.URL)) string {
		u, err := url.Parse(good)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(pgtest.Role, password)
		f(u)
		return u.String()
	}
	tests := map[string]struct{ url, want string }{
		"nobody listens": {change(func(u *url.URL) { u.Host = freeAddr(t) }), "cannot be reached: is it running"},
		"no such host":   {change(func(u *url.URL) { u.Host = "db.invalid:5432" }), "cannot be reached"},
		"no such database": {
			change(func(u *url.URL) { u.Path = "/absent" }), `has no database "absent": create it with createdb`,
		},
		"no such user": {
			change(func(u *url.URL) { u.User = url.UserPassword("stranger", password) }), `refuses user "stranger"`,
		},
		"no URL":       {"postgres://user:" + password + "@host:notaport/x", "has the form postgres://"},
		"empty schema": {pgtest.Empty(t), "run datastorage migrate"},
		"newer schema": {newer, "newer than this binary"},
	}
	for name, tt := range tests {
		_, err := Open(t.Context(), Config{URL: tt.url, MaxQueryConns: 1, QueryTimeout: time.Second, Logger: quiet})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "empty schema" {
			continue
		}
		if err := Migrate(t.Context(), tt.url); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Migrate, %s: %v", name, err)
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestIsTransactionPooled(t *testing.T) {
	t.Parallel()
	direct := pgtest.New(t)
	for name, want := range map[string]bool{"direct": false, "sessions": false, "transactions": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := direct
			if name != "direct" {
				url = startPooler(t, direct, name == "sessions")
			}
			config, err := parseURL(url)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := pgx.ConnectConfig(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.WithoutCancel(t.Context()))
			got, err := isTransactionPooled(t.Context(), config, conn.PgConn())
			if err != nil || got != want {
				t.Errorf("pooled: %t, %v", got, err)
			}
		})
	}
}

func TestOpen_TransactionPooler(t *testing.T) {
	t.Parallel()
	url := startPooler(t, pgtest.New(t), false)
	_, err := Open(t.Context(), Config{URL: url, MaxQueryConns: 1, QueryTimeout: time.Second, Logger: quiet})
	if err == nil || !strings.Contains(err.Error(), "pools transactions") {
		t.Errorf("Open through a pooler: %v", err)
	}
}

// pooler is a proxy such as PgBouncer: it answers for the server when a client connects, invents process ids, and lends
// backends for a transaction or a session. It knows simple queries only.
type pooler struct {
	url      string
	sessions bool

	mu   sync.Mutex
	idle []*pgproto3.Frontend
}

func startPooler(t *testing.T, serverURL string, sessions bool) string {
	t.Helper()
	u, err := url.Parse(serverURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &pooler{url: serverURL, sessions: sessions}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	u.Host = l.Addr().String()
	return u.String()
}

func (p *pooler) serve(client net.Conn) {
	defer client.Close()
	b := pgproto3.NewBackend(client, client)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: []byte{1, 2, 3, 4}})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if b.Flush() != nil {
		return
	}
	var server *pgproto3.Frontend
	for {
		m, err := b.Receive()
		q, ok := m.(*pgproto3.Query)
		if err != nil || !ok {
			return
		}
		if server == nil {
			if server, err = p.borrow(); err != nil {
				return
			}
		}
		status, err := relay(server, b, q)
		if err != nil {
			return
		}
		if status == 'I' && !p.sessions {
			p.giveBack(server)
			server = nil
		}
	}
}

// relay passes on a query and its answer and returns the status of the transaction behind it.
func relay(server *pgproto3.Frontend, client *pgproto3.Backend, q *pgproto3.Query) (byte, error) {
	server.Send(q)
	if err := server.Flush(); err != nil {
		return 0, err
	}
	for {
		m, err := server.Receive()
		if err != nil {
			return 0, err
		}
		client.Send(m)
		if ready, ok := m.(*pgproto3.ReadyForQuery); ok {
			return ready.TxStatus, client.Flush()
		}
	}
}

func (p *pooler) borrow() (*pgproto3.Frontend, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		server := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return server, nil
	}
	conn, err := pgconn.Connect(context.Background(), p.url)
	if err != nil {
		return nil, err
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		return nil, err
	}
	return hijacked.Frontend, nil
}

func (p *pooler) giveBack(server *pgproto3.Frontend) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, server)
}
