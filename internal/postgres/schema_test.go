package postgres

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/pgtest"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	done := make(chan error)
	for range 3 {
		go func() { done <- Migrate(t.Context(), url) }()
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Errorf("at once: %v", err)
		}
	}
	if err := Migrate(t.Context(), url); err != nil {
		t.Errorf("again: %v", err)
	}
	s := openAt(t, url)
	commit(t, s, record(time.Now(), 600))
	if err := Migrate(t.Context(), url); err != nil {
		t.Errorf("while a server runs: %v", err)
	}
}

func TestOpen_Migrate(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	c := Config{URL: url, MaxQueryConns: 1, QueryTimeout: time.Second, Migrate: true, Logger: quiet}
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if warning := s.Durability().Warning(); warning == "" {
		t.Error("a server without fsync gives no warning")
	}
	if head, err := s.Head(t.Context()); err != nil || head.Size() != 0 {
		t.Errorf("the head of an empty log: %v, %v", head, err)
	}
}

func TestAppendOnly(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	s := openAt(t, url)
	r := record(time.Now(), 600)
	c := next(t, s, []*datastorage.Record{r})
	if err := s.Commit(t.Context(), c, &datastorage.Write{Records: []*datastorage.Record{r}, Changes: changes(1)}); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, url)
	partition := monthOf(r.Time).table()
	for _, sql := range []string{
		"UPDATE events SET body = 'x'", "DELETE FROM events", "TRUNCATE events",
		"UPDATE " + partition + " SET salt = ''", "DELETE FROM " + partition, "TRUNCATE " + partition,
		"UPDATE event_ids SET log_index = 7", "DELETE FROM event_ids", "TRUNCATE event_ids",
		"UPDATE ledger_commits SET root = ''", "DELETE FROM ledger_commits", "TRUNCATE ledger_commits",
		"UPDATE catalog_changes SET document = ''", "DELETE FROM catalog_changes", "TRUNCATE catalog_changes",
	} {
		if !isRefused(t, conn, sql) {
			t.Errorf("%s is not refused", sql)
		}
	}

	exec(t, conn, "BEGIN; SET LOCAL datastorage.removal = 'on'")
	for _, sql := range []string{
		"UPDATE events SET body = 'x'", "TRUNCATE events", "DELETE FROM event_ids", "DELETE FROM ledger_commits",
		"DELETE FROM catalog_changes",
	} {
		exec(t, conn, "SAVEPOINT s")
		if !isRefused(t, conn, sql) {
			t.Errorf("%s is not refused in the transaction of a removal", sql)
		}
		exec(t, conn, "ROLLBACK TO s")
	}
	exec(t, conn, "DELETE FROM events")
	exec(t, conn, "COMMIT")
	if !isRefused(t, conn, "DELETE FROM event_ids") {
		t.Error("the removal outlives its transaction")
	}
	if n := one[int](t, conn, "SELECT count(*) FROM events"); n != 0 {
		t.Errorf("%d events are left", n)
	}
}

func isRefused(t *testing.T, conn *pgx.Conn, sql string) bool {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "42501"
}

func TestStore_CreateMonths_Race(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	if err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	// Readers and writers with open transactions must not keep partitions from being made.
	reader := connect(t, url)
	exec(t, reader, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	exec(t, reader, "SELECT count(*) FROM events")
	stores := make(chan *Store)
	for range 2 {
		go func() {
			s, err := Open(t.Context(), Config{URL: url, MaxQueryConns: 1, QueryTimeout: time.Second, Logger: quiet})
			if err != nil {
				t.Errorf("open: %v", err)
			}
			stores <- s
		}()
	}
	a, b := <-stores, <-stores
	if a == nil || b == nil {
		t.FailNow()
	}
	defer a.Close()
	defer b.Close()
	done := make(chan error)
	first := monthOf(time.Date(2021, 11, 15, 0, 0, 0, 0, time.UTC))
	for i := range 6 {
		s := []*Store{a, b}[i%2]
		go func() { done <- s.createMonths(t.Context(), []month{first, first + 1, first + 2}) }()
	}
	for range 6 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	conn := connect(t, url)
	if n := one[int](t, conn, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass`); n != 4+3 {
		t.Errorf("there are %d partitions, want previous, present, two ahead and three more", n)
	}
	// Each has the indexes, settings and triggers that it needs.
	n := one[int](t, conn, `SELECT count(*) FROM pg_class WHERE relname = 'events_2022_01' AND relhastriggers AND `+
		`reloptions @> '{autovacuum_freeze_min_age=0}' AND (SELECT count(*) FROM pg_index WHERE indrelid = pg_class.oid) = 4`)
	if n != 1 {
		t.Error("a partition lacks indexes, settings or triggers")
	}
}

func TestStore_CreateMonths_Locked(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	s := openAt(t, url)
	locker := connect(t, url)
	exec(t, locker, "BEGIN; LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE")
	done := make(chan error)
	go func() {
		done <- s.createMonths(t.Context(), []month{monthOf(time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC))})
	}()
	observer := connect(t, url)
	eventually(t, "the partition waits for the lock", func() bool {
		return one[int](t, observer, `SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database `+
			`WHERE d.datname = current_database() AND NOT l.granted`) > 0
	})
	exec(t, locker, "ROLLBACK")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestMonth(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", -7*3600)
	for in, want := range map[time.Time]string{
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC):                "events_2026_01",
		time.Date(2025, 12, 31, 23, 59, 59, 999_999_999, time.UTC): "events_2025_12",
		time.Date(2025, 12, 31, 20, 0, 0, 0, zone):                 "events_2026_01",
	} {
		if got := monthOf(in).table(); got != want {
			t.Errorf("%s is in %s, want %s", in, got, want)
		}
	}
	december := monthOf(time.Date(2025, 12, 5, 0, 0, 0, 0, time.UTC))
	if december.bound() != "'2025-12-01 00:00:00+00'" || (december+1).bound() != "'2026-01-01 00:00:00+00'" {
		t.Errorf("bounds of December: %s to %s", december.bound(), (december + 1).bound())
	}
}
