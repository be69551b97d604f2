package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/audittest"
	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/ledger"
)

// openTarget opens an empty store for damage: its triggers are off.
func openTarget(t testing.TB) *audittest.Target {
	t.Helper()
	url := pgtest.New(t)
	s, conn := openAt(t, url), connect(t, url)
	for _, table := range []string{"events", "event_ids", "ledger_commits", "catalog_changes"} {
		exec(t, conn, "ALTER TABLE "+table+" DISABLE TRIGGER USER")
	}
	return &audittest.Target{
		Store: s, Source: openSource(t, url),
		Exec: func(t testing.TB, statement string) int64 {
			t.Helper()
			tag, err := conn.Exec(t.Context(), statement)
			if err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
			return tag.RowsAffected()
		},
		ID:   func(id uuid.UUID) string { return fmt.Sprintf("'%s'::uuid", id) },
		Blob: func(b []byte) string { return fmt.Sprintf(`'\x%x'::bytea`, b) },
		Time: func(micros int64) string {
			return time.UnixMicro(micros).UTC().Format("'2006-01-02 15:04:05.000000+00'")
		},
		Twins: true,
	}
}

func openSource(t testing.TB, url string) *AuditSource {
	t.Helper()
	source, err := OpenAudit(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return source
}

func TestAudit(t *testing.T) {
	t.Parallel()
	audittest.Run(t, openTarget)
}

// Rows with one log_index may fall on both sides of the end of a statement.
func TestAudit_Chunks(t *testing.T) {
	t.Parallel()
	target := openTarget(t)
	source := target.Source.(*AuditSource)
	s := target.Store.(*Store)
	for range 3 {
		commit(t, s, records(time.Now(), 50, 600)...)
	}
	for i := range 10 {
		target.Exec(t, fmt.Sprintf(`INSERT INTO events SELECT (jsonb_populate_record(e, jsonb_build_object('event_id', '%s'))).* `+
			`FROM events AS e WHERE log_index = 100 LIMIT 1`, uuid.NewString()))
		for rows := 1; rows < 12; rows += 5 {
			source.rows = rows
			r, err := ledger.Audit(t.Context(), source, ledger.AuditOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if r.FaultCount != int64(i+1) || r.Kinds[ledger.DuplicateRow] != r.FaultCount {
				t.Fatalf("%d rows too many, %d at a time: %v", i+1, rows, r.Kinds)
			}
		}
	}
}

func TestOpenAudit_Refuses(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	refused := func(why string) {
		t.Helper()
		if source, err := OpenAudit(t.Context(), url); err == nil {
			t.Error(source.Close(), "opened in spite of: ", why)
		} else if !strings.Contains(err.Error(), why) {
			t.Errorf("%v, without %q", err, why)
		}
	}
	refused("holds no events and no schema")
	conn := connect(t, url)
	if n := one[int](t, conn, `SELECT count(*)::int FROM pg_class WHERE relnamespace = 'public'::regnamespace`); n != 0 {
		t.Errorf("the refusal left %d tables", n)
	}
	if err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, `INSERT INTO `+versionTable+` (version_id, is_applied) VALUES (9999, true)`)
	refused("newer")
}
