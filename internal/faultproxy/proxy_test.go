package faultproxy_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage/internal/faultproxy"
	"github.com/datastorage-io/datastorage/internal/pgtest"
)

func TestMain(m *testing.M) {
	os.Exit(pgtest.Main(m, func(ctx context.Context, url string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "CREATE TABLE kept (n int)")
		return err
	}))
}

const insert = "INSERT INTO kept VALUES (1)"

// bench is a proxy before a database, and both ways to it.
type bench struct {
	proxy           *faultproxy.Proxy
	direct, through string
}

func start(t *testing.T) *bench {
	t.Helper()
	direct := pgtest.New(t)
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := faultproxy.Listen(u.Host, func(sql string) bool { return strings.HasPrefix(sql, "INSERT") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	u.Host = proxy.Addr()
	return &bench{proxy, direct, u.String()}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// stored returns how many rows the table holds. It waits for a transaction that has written and not ended.
func (b *bench) stored(t *testing.T) (n int) {
	t.Helper()
	conn := connect(t, b.direct)
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "LOCK TABLE kept IN SHARE MODE"); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestProxy_CommitFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fault  faultproxy.CommitFault
		fails  bool
		silent bool // the program's own time-out ends it
		stored int
	}{
		{"pass", faultproxy.Pass, false, false, 1},
		{"cut before", faultproxy.CutBefore, true, false, 0},
		{"cut after", faultproxy.CutAfter, true, false, 1},
		{"hold the answer", faultproxy.HoldAnswer, true, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for mode, m := range map[string]pgx.QueryExecMode{
				"prepared": pgx.QueryExecModeCacheStatement, "simple": pgx.QueryExecModeSimpleProtocol,
			} {
				b := start(t)
				conn := connect(t, b.through)
				b.proxy.SetCommitFault(func() faultproxy.CommitFault { return c.fault })
				if _, err := conn.Exec(t.Context(), "SELECT 1", m); err != nil {
					t.Fatalf("%s: what is no commit failed: %v", mode, err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				if c.silent {
					cancel()
					ctx, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond)
				}
				_, err := conn.Exec(ctx, insert, m)
				if (err != nil) != c.fails || errors.Is(err, context.DeadlineExceeded) != c.silent {
					t.Errorf("%s: the program sees %v", mode, err)
				}
				cancel()
				if n := b.stored(t); n != c.stored {
					t.Errorf("%s: %d rows are stored, want %d", mode, n, c.stored)
				}
			}
		})
	}
}

// TestProxy_CommitFault_EndOfTransaction is a transaction that begins in an earlier round trip.
func TestProxy_CommitFault_EndOfTransaction(t *testing.T) {
	t.Parallel()
	b := start(t)
	conn := connect(t, b.through)
	if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	b.proxy.SetCommitFault(func() faultproxy.CommitFault { return faultproxy.CutAfter })
	batch := &pgx.Batch{}
	batch.Queue(insert)
	batch.Queue("COMMIT")
	err := conn.SendBatch(t.Context(), batch).Close()
	if err == nil {
		t.Fatal("the answer was not lost")
	}
	if n := b.stored(t); n != 1 {
		t.Errorf("%d rows are stored, want 1", n)
	}
}

func TestProxy_SetDelay(t *testing.T) {
	t.Parallel()
	b := start(t)
	conn := connect(t, b.through)
	b.proxy.SetDelay(200 * time.Millisecond)
	began := time.Now()
	if _, err := conn.Exec(t.Context(), "SELECT 1", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d < 200*time.Millisecond {
		t.Errorf("answered after %s", d)
	}
}

func TestProxy_SetBlackHole(t *testing.T) {
	t.Parallel()
	b := start(t)
	conn := connect(t, b.through)
	b.proxy.SetBlackHole(true)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if other, err := pgx.Connect(ctx, b.through); err == nil {
		other.Close(ctx)
		t.Error("a new connection was answered")
	}
	answered := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), insert)
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("answered through a black hole: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	b.proxy.SetBlackHole(false)
	if err := <-answered; err != nil {
		t.Errorf("what was sent meanwhile did not arrive: %v", err)
	}
}

func TestProxy_RefuseAndCut(t *testing.T) {
	t.Parallel()
	b := start(t)
	conn := connect(t, b.through)
	b.proxy.SetRefuse(true)
	if other, err := pgx.Connect(t.Context(), b.through); err == nil {
		other.Close(t.Context())
		t.Error("a new connection was not refused")
	}
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("an open connection was ended: %v", err)
	}
	b.proxy.Cut()
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("an open connection was not cut")
	}
	b.proxy.Heal()
	connect(t, b.through)
}

// TestProxy_DeclinesEncryption connects as a client does that would rather have TLS.
func TestProxy_DeclinesEncryption(t *testing.T) {
	t.Parallel()
	b := start(t)
	connect(t, strings.Replace(b.through, "sslmode=disable", "sslmode=prefer", 1))
}
