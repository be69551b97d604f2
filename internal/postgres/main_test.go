package postgres

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/ledger"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, prepare)) }

// prepare makes the schema and the partitions that a running server would make, so that tests need not.
func prepare(ctx context.Context, url string) error {
	s, err := Open(ctx, Config{URL: url, MaxQueryConns: 1, QueryTimeout: time.Second, Migrate: true, Logger: quiet})
	if err != nil {
		return err
	}
	return s.Close()
}

// quiet drops the warning that the servers of tests run without fsync.
var quiet = slog.New(slog.DiscardHandler)

// openAt opens a store on a database and closes it at the end of the test.
func openAt(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{URL: url, MaxQueryConns: 4, QueryTimeout: 10 * time.Second, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func exec(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// one reads the only value of a query.
func one[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// record makes a record of about size bytes at a time.
func record(at time.Time, size int) *datastorage.Record {
	data := make([]byte, 0, size)
	data = append(data, `{"text":"`...)
	for len(data) < size-500 {
		data = append(data, uuid.NewString()...)
	}
	return datastorage.NewRecord(datastorage.Event{
		ID: uuid.Must(uuid.NewV7()), Version: "1.0", Type: "gateway.signal.received", Time: at.UTC().Truncate(time.Microsecond),
		Category: "gateway", Action: "received", Outcome: "success", CorrelationID: "rr-" + uuid.NewString()[:13],
		Data: append(data, `"}`...), ActorType: "service", ActorID: "gateway-service", ResourceType: "Deployment",
		ResourceID: "shop/checkout", Namespace: "shop", Severity: "info", Retention: 90,
	}, [16]byte(uuid.New()))
}

func records(at time.Time, n, size int) []*datastorage.Record {
	rs := make([]*datastorage.Record, n)
	for i := range rs {
		rs[i] = record(at.Add(time.Duration(i)*time.Millisecond), size)
	}
	return rs
}

// next makes the commit of records behind the head of the store.
func next(t testing.TB, s *Store, rs []*datastorage.Record) *ledger.Commit {
	t.Helper()
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, _ := ledger.NewCommit(&head, rs, time.Now())
	return c
}

// commit stores records behind the head of the store.
func commit(t testing.TB, s *Store, rs ...*datastorage.Record) *ledger.Commit {
	t.Helper()
	c := next(t, s, rs)
	if err := s.Commit(t.Context(), c, &datastorage.Write{Records: rs}); err != nil {
		t.Fatal(err)
	}
	return c
}

// changes makes the first n changes of a catalogue.
func changes(n int) []*datastorage.CatalogChange {
	made := make([]*datastorage.CatalogChange, n)
	for i := range made {
		id := uuid.New()
		made[i] = &datastorage.CatalogChange{
			Version: int64(i + 1), Time: time.Now().UTC().Truncate(time.Microsecond), Kind: datastorage.ChangeWorkflow,
			WorkflowID: id, Key: id.String() + "\x001.0.0", Document: []byte(`{"workflow_name":"w"}`),
		}
	}
	return made
}

// checkVersion checks how many changes the catalogue has.
func checkVersion(t *testing.T, s *Store, want int64) {
	t.Helper()
	if version, err := s.CatalogVersion(t.Context()); err != nil || version != want {
		t.Errorf("the catalogue has version %d, %v; want %d", version, err, want)
	}
}
