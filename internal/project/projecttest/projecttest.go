// Package projecttest puts events into a store and applies them to projections, for tests.
//
//	view := projecttest.Apply(t, outcome.Projection{}, projecttest.Runs(t))
//
// A test that should hold on both stores, or that adds events step by step, uses Each:
//
//	func TestMain(m *testing.M) { os.Exit(projecttest.Main(m)) }
//
//	projecttest.Each(t, func(t *testing.T, l *projecttest.Log) {
//		l.Append(events...)
//		view := l.View(projection)
//		…
//		l.Append(more...)
//		l.CatchUp(projection)
//		…
//	})
package projecttest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/demo"
	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/internal/postgres"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/sqlite"
	"github.com/datastorage-io/datastorage/ledger"
)

// Main runs the tests of a package that uses PostgreSQL and returns the exit code for os.Exit.
func Main(m *testing.M) int { return pgtest.Main(m, postgres.Migrate) }

// Each runs a test with an empty log on each store, as the subtests SQLite and PostgreSQL. The package needs a TestMain
// that calls Main.
func Each(t *testing.T, test func(t *testing.T, l *Log)) {
	t.Helper()
	for name, open := range map[string]func(testing.TB) *Log{"SQLite": SQLite, "PostgreSQL": PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// Apply returns a view of what a projection makes of events, on a new SQLite store.
func Apply(t testing.TB, p project.Projection, events []datastorage.Event) project.View {
	t.Helper()
	l := SQLite(t)
	l.Append(events...)
	return l.View(p)
}

// Store is a store of events, as both kinds are.
type Store interface {
	project.Log
	Head(ctx context.Context) (ledger.Head, error)
	Commit(ctx context.Context, c *ledger.Commit, w *datastorage.Write) error
	Event(ctx context.Context, id uuid.UUID) (datastorage.StoredEvent, error)
	Projections(ctx context.Context) (project.Store, error)
	Close() error
}

// Log is a store with its projections, of one test.
type Log struct {
	t testing.TB
	// Events holds the log, Projections what is derived from it.
	Events      Store
	Projections project.Store
	// CommitEvents is how many events Append puts into a commit, BatchEvents how many a projection applies at a time.
	CommitEvents, BatchEvents int
	// Recent, when set, is told of what Append stores, and is what CatchUp reads.
	Recent *project.Recent
	// Now is when commits are made; zero is the time.
	Now time.Time
}

// SQLite opens an empty log in SQLite.
func SQLite(t testing.TB) *Log {
	t.Helper()
	s, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Readers: 2, QueryTimeout: 30 * time.Second})
	return open(t, s, err)
}

// PostgreSQL opens an empty log in PostgreSQL. The package needs a TestMain that calls Main.
func PostgreSQL(t testing.TB) *Log {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{
		URL: pgtest.New(t), MaxQueryConns: 2, QueryTimeout: 30 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	return open(t, s, err)
}

func open(t testing.TB, s Store, err error) *Log {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Projections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close the projections: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return &Log{t: t, Events: s, Projections: p, CommitEvents: 10, BatchEvents: 100}
}

// rules are those of stored events.
var rules = datastorage.Rules{AnyCategory: true, RetentionDays: datastorage.DefaultRetentionDays}

// Append stores events behind those that are there, and returns the log_index of the first. What an event leaves out is
// filled in: it needs a Type at most, and a CorrelationID when that matters.
func (l *Log) Append(events ...datastorage.Event) (first int64) {
	l.t.Helper()
	head, err := l.Events.Head(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	first = head.Size()
	for len(events) > 0 {
		n := min(len(events), max(l.CommitEvents, 1))
		records := make([]*datastorage.Record, n)
		for i, e := range events[:n] {
			records[i] = record(l.t, e)
		}
		at := l.now()
		c, next := ledger.NewCommit(&head, records, at)
		if err := l.Events.Commit(l.t.Context(), c, &datastorage.Write{Records: records}); err != nil {
			l.t.Fatalf("commit events of the test: %v", err)
		}
		if l.Recent != nil {
			l.Recent.Committed(head.Size(), at, records)
		}
		head, events = next, events[n:]
	}
	return first
}

func (l *Log) now() time.Time {
	if l.Now.IsZero() {
		return time.Now()
	}
	return l.Now
}

// record makes the record of an event as the server does: the event is written as a request and decoded.
func record(t testing.TB, e datastorage.Event) *datastorage.Record {
	t.Helper()
	for field, value := range map[*string]string{
		&e.Version: "1.0", &e.Type: "test.event.happened", &e.Category: "orchestration", &e.Action: "happened",
		&e.Outcome: "success", &e.CorrelationID: "rr-test",
	} {
		if *field == "" {
			*field = value
		}
	}
	if e.Time.IsZero() {
		e.Time = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	}
	if e.Data == nil {
		e.Data = []byte(`{}`)
	}
	if e.Retention == 0 {
		e.Retention = datastorage.DefaultRetentionDays
	}
	if e.ID == uuid.Nil {
		e.ID = uuid.New()
	}
	decoded, err := rules.Decode(datastorage.AppendBody(nil, &e), e.Time)
	if err != nil {
		t.Fatalf("an event of the test is invalid: %v", err)
	}
	return datastorage.NewRecord(decoded, [16]byte(uuid.New()))
}

// CatchUp applies to projections what they lack of the log.
func (l *Log) CatchUp(projections ...project.Projection) {
	l.t.Helper()
	log := project.Log(l.Events)
	if l.Recent != nil {
		log = l.Recent
	}
	for _, p := range projections {
		if err := project.CatchUp(l.t.Context(), limited{log, l.BatchEvents}, l.Projections, p); err != nil {
			l.t.Fatalf("apply the log to %s: %v", p.Name(), err)
		}
	}
}

// View applies the log to projections and returns a view of them.
func (l *Log) View(projections ...project.Projection) project.View {
	l.t.Helper()
	l.CatchUp(projections...)
	return project.NewReader(l.Projections, projections)
}

// limited is a log whose batches are smaller.
type limited struct {
	project.Log
	events int
}

// Follow implements project.Log.
func (l limited) Follow(ctx context.Context, from int64, limit int, bodies project.Bodies) (project.Batch, error) {
	return l.Log.Follow(ctx, from, min(limit, max(l.events, 1)), bodies)
}

// Runs returns the events of the recorded runs that the repository carries, oldest run first.
func Runs(t testing.TB) []datastorage.Event {
	t.Helper()
	lines, err := io.ReadAll(demo.Runs())
	if err != nil {
		t.Fatal(err)
	}
	return Parse(t, lines)
}

// Parse reads events in the format of the API, one a line.
func Parse(t testing.TB, lines []byte) (events []datastorage.Event) {
	t.Helper()
	scanner := bufio.NewScanner(bytes.NewReader(lines))
	scanner.Buffer(nil, len(lines)+1)
	for scanner.Scan() {
		e, err := rules.Decode(scanner.Bytes(), time.Now())
		if err != nil {
			t.Fatalf("a line of the test is no event: %v: %s", err, scanner.Text())
		}
		events = append(events, e)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return events
}

// CheckSplits checks, on SQLite, that the tables of a projection hold the same rows however the log is cut into commits and
// batches, whether it is read from memory or from the store, wherever a process stops and another goes on, and when they
// are built again.
func CheckSplits(t *testing.T, p project.Projection, events []datastorage.Event) {
	t.Helper()
	whole := SQLite(t)
	whole.CommitEvents, whole.BatchEvents = len(events), len(events)
	whole.Append(events...)
	whole.CatchUp(p)
	want := whole.Rows(p)
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		l := SQLite(t)
		if seed%2 == 1 {
			l.Recent = project.NewRecent(l.Events, 1<<20)
		}
		for at := 0; at < len(events); {
			n := min(1+rng.IntN(1+len(events)/4), len(events)-at)
			l.CommitEvents, l.BatchEvents = 1+rng.IntN(20), 1+rng.IntN(100)
			l.Append(events[at : at+n]...)
			l.CatchUp(p)
			at += n
		}
		if diff := cmp.Diff(want, l.Rows(p)); diff != "" {
			t.Fatalf("%s depends on how the log is cut, seed %d (-whole +cut):\n%s", p.Name(), seed, diff)
		}
		l.BatchEvents = 1 + rng.IntN(100)
		l.Rebuild(p)
		if diff := cmp.Diff(want, l.Rows(p)); diff != "" {
			t.Fatalf("%s is another one when it is built again, seed %d (-before +after):\n%s", p.Name(), seed, diff)
		}
	}
}

// Rebuild builds a projection again.
func (l *Log) Rebuild(p project.Projection) {
	l.t.Helper()
	for _, err := range project.Build(l.t.Context(), limited{l.Events, l.BatchEvents}, l.Projections, []project.Projection{p}, project.BuildOptions{}) {
		l.t.Fatal(err)
	}
}

// Rows returns the rows of all live tables of a projection as texts, in order, on SQLite. What a table does not declare
// is not part of a row.
func (l *Log) Rows(p project.Projection) (rows []string) {
	l.t.Helper()
	err := l.View(p).View(l.t.Context(), p.Name(), func(tx project.Tx, position int64) error {
		rows = append(rows, fmt.Sprint("position ", position))
		for _, table := range p.Tables() {
			read := func(statement string, into *[]string) error {
				return tx.Query(l.t.Context(), statement, nil, func(r project.Row) error {
					*into = append(*into, r.Text(0))
					return nil
				})
			}
			var columns []string
			if err := read(`SELECT 'quote("' || name || '")' FROM pragma_table_info('`+table+`')`, &columns); err != nil {
				return err
			}
			if err := read(`SELECT '`+table+`: ' || `+strings.Join(columns, ` || ', ' || `)+` FROM `+table, &rows); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	// Another generation has another number in its name.
	for i, row := range rows {
		rows[i] = generation.ReplaceAllString(row, ":")
	}
	slices.Sort(rows)
	return rows
}

// generation is the number at the end of a table's name.
var generation = regexp.MustCompile(`_\d+:`)
