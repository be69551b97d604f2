package postgres

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/ledger"
)

// attempt starts a commit of one event and returns it with the channel of its error.
func attempt(t *testing.T, s *Store) (*ledger.Commit, *datastorage.Write, chan error) {
	t.Helper()
	rs := records(time.Now(), 1, 600)
	c, w := next(t, s, rs), &datastorage.Write{Records: rs}
	done := make(chan error, 1)
	go func() { done <- s.Commit(t.Context(), c, w) }()
	return c, w, done
}

func isStored(t *testing.T, url string, w *datastorage.Write) bool {
	t.Helper()
	return one[bool](t, connect(t, url), `SELECT EXISTS (SELECT FROM events WHERE event_id = $1)`, [16]byte(w.Records[0].ID))
}

func TestStore_Commit_KilledBackend(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	s := openAt(t, url)
	commit(t, s, record(time.Now(), 600))
	blocker, killer := connect(t, url), connect(t, url)
	exec(t, blocker, `BEGIN; LOCK TABLE events IN SHARE MODE`)
	c, w, done := attempt(t, s)
	eventually(t, "the backend of the commit is killed", func() bool {
		return one[int](t, killer, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock' `+
			`AND datname = current_database() AND application_name = 'datastorage ingest'`) > 0
	})
	if err := <-done; datastorage.CodeOf(err) != datastorage.CodeUnavailable || errors.Is(err, ledger.ErrOutcomeUnknown) {
		t.Errorf("the server said that it ended the commit, and the error is %v", err)
	}
	exec(t, blocker, `ROLLBACK`)
	if isStored(t, url, w) {
		t.Error("it is stored")
	}
	if err := s.Commit(t.Context(), c, w); err != nil {
		t.Errorf("the next try: %v", err)
	}
}

func TestStore_Commit_AnswerLost(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	p, through := startProxy(t, url)
	s := openAt(t, through)
	commit(t, s, record(time.Now(), 600))
	rs := records(time.Now(), 1, 600)
	c, w := next(t, s, rs), &datastorage.Write{Records: rs, Changes: changes(2)}
	p.loseAnswers.Store(true)
	if err := s.Commit(t.Context(), c, w); !errors.Is(err, ledger.ErrOutcomeUnknown) {
		t.Fatalf("the answer is lost, and the error is %v", err)
	}
	p.loseAnswers.Store(false)
	if !isStored(t, url, w) {
		t.Fatal("it is not stored")
	}
	if err := s.Commit(t.Context(), c, w); !errors.Is(err, ledger.ErrHeadMoved) {
		t.Errorf("the same commit again: %v", err)
	}
	if stored, err := s.CommitAt(t.Context(), c.FirstIndex); err != nil || stored == nil || stored.Root != c.Root {
		t.Errorf("CommitAt: %v, %v", stored, err)
	}
	checkVersion(t, s, 2)
}

func TestStore_Commit_RequestLost(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	p, through := startProxy(t, url)
	s := openAt(t, through)
	rs := records(time.Now(), 1, 600)
	c, w := next(t, s, rs), &datastorage.Write{Records: rs, Changes: changes(2)}
	p.loseRequests.Store(true)
	if err := s.Commit(t.Context(), c, w); !errors.Is(err, ledger.ErrOutcomeUnknown) {
		t.Fatalf("the request is lost, and the error is %v", err)
	}
	p.loseRequests.Store(false)
	if isStored(t, url, w) {
		t.Fatal("it is stored")
	}
	checkVersion(t, s, 0)
	if err := s.Commit(t.Context(), c, w); err != nil {
		t.Errorf("the same commit again: %v", err)
	}
	checkVersion(t, s, 2)
}

func TestStore_Commit_NoAnswerInTime(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	p, through := startProxy(t, url)
	s := openAt(t, through)
	rs := records(time.Now(), 1, 600)
	c, w := next(t, s, rs), &datastorage.Write{Records: rs}
	dials := p.dials.Load()
	release := p.hold()
	defer release()
	start := time.Now()
	if err := s.Commit(t.Context(), c, w); !errors.Is(err, ledger.ErrOutcomeUnknown) {
		t.Fatalf("no answer came, and the error is %v", err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	if !isStored(t, url, w) {
		t.Error("a commit that was sent is not stored")
	}
	// A cancel request would be a connection of its own.
	if n := p.dials.Load(); n != dials {
		t.Errorf("%d connections were made while the commit waited", n-dials)
	}
	release()
	eventually(t, "the connection is given back", func() bool { return s.Stats().Ingest.InUse == 0 })
}

func TestStore_Commit_Blocked(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	s := openAt(t, url)
	blocker := connect(t, url)
	exec(t, blocker, `BEGIN; LOCK TABLE events IN SHARE MODE`)
	_, _, done := attempt(t, s)
	err := <-done
	if datastorage.CodeOf(err) != datastorage.CodeUnavailable || !strings.Contains(err.Error(), "busy") {
		t.Errorf("a lock keeps the commit out: %v", err)
	}
}

func TestStore_ServerRestart(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Options{Durable: true})
	url, err := server.Clone(t.Context(), Migrate)
	if err != nil {
		t.Fatal(err)
	}
	s := openAt(t, url)
	stored := record(time.Now(), 600)
	commit(t, s, stored)
	rs := records(time.Now(), 1, 600)
	c, w := next(t, s, rs), &datastorage.Write{Records: rs}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	// The first commits meet connections that have died, the later ones none at all.
	eventually(t, "the store says that it is unavailable", func() bool {
		err := s.Commit(t.Context(), c, w)
		if err == nil || !errors.Is(err, ledger.ErrOutcomeUnknown) && datastorage.CodeOf(err) != datastorage.CodeUnavailable {
			t.Fatalf("a commit without a server: %v", err)
		}
		return !errors.Is(err, ledger.ErrOutcomeUnknown)
	})
	if _, err := s.Event(t.Context(), stored.ID); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("a read without a server: %v", err)
	}
	if err := s.Ping(t.Context()); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("Ping without a server: %v", err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store commits again", func() bool { return s.Commit(t.Context(), c, w) == nil })
	// The first reads meet connections that have died, too.
	eventually(t, "an acknowledged event is read after a crash", func() bool {
		_, err := s.Event(t.Context(), stored.ID)
		return err == nil
	})
}

func TestStore_QueryTimeout(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	s, err := Open(t.Context(), Config{URL: url, MaxQueryConns: 1, QueryTimeout: 50 * time.Millisecond, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	blocker := connect(t, url)
	exec(t, blocker, `BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE`)
	_, err = s.Events(t.Context(), datastorage.EventQuery{Limit: 1})
	if datastorage.CodeOf(err) != datastorage.CodeUnavailable || !strings.Contains(err.Error(), "longer than 50ms") {
		t.Errorf("a slow query: %v", err)
	}
	if _, err := s.Head(t.Context()); err != nil {
		t.Errorf("a slow query keeps ingest out: %v", err)
	}
}

func TestStore_Refusal(t *testing.T) {
	t.Parallel()
	s := &Store{}
	tests := map[string]struct {
		err  pgconn.PgError
		want error
		code datastorage.Code
	}{
		"commit taken":       {pgconn.PgError{Code: "23505", TableName: "ledger_commits"}, ledger.ErrHeadMoved, ""},
		"commit before":      {pgconn.PgError{Code: "23502", TableName: "ledger_commits"}, ledger.ErrHeadMoved, ""},
		"event_id taken":     {pgconn.PgError{Code: "23505", TableName: "event_ids"}, ledger.ErrDuplicateID, ""},
		"notification taken": {pgconn.PgError{Code: "23505", TableName: "notifications"}, nil, datastorage.CodeInternal},
		"invalid text":       {pgconn.PgError{Code: "22021"}, nil, datastorage.CodeInternal},
		"index row too long": {pgconn.PgError{Code: "54000"}, nil, datastorage.CodeInternal},
		"no partition":       {pgconn.PgError{Code: "23514", TableName: "events"}, nil, datastorage.CodeUnavailable},
		"read-only":          {pgconn.PgError{Code: "25006"}, nil, datastorage.CodeUnavailable},
		"disk full":          {pgconn.PgError{Code: "53100"}, nil, datastorage.CodeUnavailable},
		"lock":               {pgconn.PgError{Code: "55P03"}, nil, datastorage.CodeUnavailable},
		"time-out":           {pgconn.PgError{Code: "57014"}, nil, datastorage.CodeUnavailable},
		"shutdown":           {pgconn.PgError{Code: "57P01"}, nil, datastorage.CodeUnavailable},
		"serialization":      {pgconn.PgError{Code: "40001"}, nil, datastorage.CodeUnavailable},
		"missing table":      {pgconn.PgError{Code: "42P01"}, nil, datastorage.CodeUnavailable},
		"no code, from afar": {pgconn.PgError{}, nil, datastorage.CodeUnavailable},
		"connection lost":    {pgconn.PgError{Code: "08006"}, nil, datastorage.CodeUnavailable},
	}
	for name, tt := range tests {
		err := s.refusal(&tt.err)
		if tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil && datastorage.CodeOf(err) != tt.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStore_Failure(t *testing.T) {
	t.Parallel()
	s := &Store{}
	for severity, unknown := range map[string]bool{"ERROR": false, "FATAL": true, "PANIC": true} {
		e := &pgconn.PgError{Code: "57P01", SeverityUnlocalized: severity}
		if err := s.failure(e, true); errors.Is(err, ledger.ErrOutcomeUnknown) != unknown {
			t.Errorf("%s behind all inserts: %v", severity, err)
		}
		if err := s.failure(e, false); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
			t.Errorf("%s before: %v", severity, err)
		}
	}
}

// eventually waits until the server has done what it must.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not so after 20 s: %s", what)
		}
	}
}
