package storetest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// openProjections opens the store of projections and closes it at the end of the test.
func openProjections(t *testing.T, s Store) project.Store {
	t.Helper()
	p, err := s.Projections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close the projections: %v", err)
		}
	})
	return p
}

// execute runs statements in one Update.
func execute(t *testing.T, p project.Store, statement string, args ...any) (n int64) {
	t.Helper()
	err := p.Update(t.Context(), func(tx project.Tx) (err error) {
		n, err = tx.Exec(t.Context(), statement, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return n
}

// number reads one number in a snapshot.
func number(t *testing.T, p project.Store, statement string, args ...any) (n int64) {
	t.Helper()
	err := p.Snapshot(t.Context(), func(tx project.Tx) error { return readNumber(t.Context(), tx, &n, statement, args...) })
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return n
}

func readNumber(ctx context.Context, tx project.Tx, n *int64, statement string, args ...any) error {
	return tx.Query(ctx, statement, args, func(r project.Row) error { *n = r.Int(0); return nil })
}

const createTest = `CREATE TABLE p_test (id bigint PRIMARY KEY, f double precision, t {text}, b bytea) {keyed}`

// testProjectionValues stores values of every type, and reads them and what statements make of them.
func testProjectionValues(t *testing.T, s Store) {
	p := openProjections(t, s)
	execute(t, p, createTest)
	type row struct {
		id int64
		f  float64
		t  string
		b  []byte
	}
	rows := []row{
		{math.MinInt64, -1.5, "", []byte{}}, {0, 0, "?", []byte{0}}, {1, math.MaxFloat64, "a'?'b", []byte("é")},
		{math.MaxInt64, 1e-300, strings.Repeat("é\U0010FFFF", 1000), bytes.Repeat([]byte{0xff}, 100_000)},
	}
	for _, r := range rows {
		if n := execute(t, p, `INSERT INTO p_test VALUES (?, ?, ?, ?)`, r.id, r.f, r.t, r.b); n != 1 {
			t.Errorf("an INSERT changes %d rows", n)
		}
	}
	execute(t, p, `INSERT INTO p_test VALUES (?, ?, ?, ?)`, int64(2), nil, nil, nil)
	if n := execute(t, p, `UPDATE p_test SET t = '?' || t WHERE t = ? OR t = '?'`, "a'?'b"); n != 2 {
		t.Errorf("an UPDATE changes %d rows, want 2", n)
	}
	rows[1].t, rows[2].t = "??", "?a'?'b"
	err := p.Snapshot(t.Context(), func(tx project.Tx) error {
		n := 0
		return tx.Query(t.Context(), `SELECT id, f, t, b FROM p_test ORDER BY id`, nil, func(r project.Row) error {
			if r.Int(0) == 2 {
				if r.Float(1) != 0 || r.Text(2) != "" || r.Bytes(3) != nil || r.Int(1) != 0 || !r.IsNull(1) || !r.IsNull(2) || !r.IsNull(3) {
					t.Error("NULL does not read as nothing")
				}
				return nil
			}
			want := rows[n]
			if n++; r.Int(0) != want.id || r.Float(1) != want.f || r.Text(2) != want.t || !bytes.Equal(r.Bytes(3), want.b) || r.IsNull(2) {
				t.Errorf("row %d differs: %d, %g, %.20q, %d bytes", want.id, r.Int(0), r.Float(1), r.Text(2), len(r.Bytes(3)))
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	// Text compares byte by byte, and what is computed has a type of its own.
	execute(t, p, `DELETE FROM p_test`)
	for i, text := range []string{"a", "B", "é", "z", "\uFFFF", "\U00010000"} {
		execute(t, p, `INSERT INTO p_test VALUES (?, ?, ?, NULL)`, int64(i), float64(i)/2, text)
	}
	if n := number(t, p, `SELECT id FROM p_test ORDER BY t LIMIT 1`); n != 1 {
		t.Errorf("row %d is first by text, want 1", n)
	}
	if n := number(t, p, `SELECT id FROM p_test ORDER BY t DESC LIMIT 1`); n != 5 {
		t.Errorf("row %d is last by text, want 5", n)
	}
	if n := number(t, p, `SELECT sum(id) FROM p_test`); n != 15 {
		t.Errorf("the sum is %d, want 15", n)
	}
	if n := number(t, p, `SELECT count(*) FROM p_test WHERE id IN (?, ?)`, int64(1), int64(9)); n != 1 {
		t.Errorf("the count is %d, want 1", n)
	}
	err = p.Snapshot(t.Context(), func(tx project.Tx) error {
		return tx.Query(t.Context(), `SELECT sum(f), avg(id), min(t), sum(id) FROM p_test`, nil, func(r project.Row) error {
			if r.Float(0) != 7.5 || r.Float(1) != 2.5 || r.Text(2) != "B" || r.Float(3) != 15 {
				t.Errorf("aggregates: %g, %g, %q, %g", r.Float(0), r.Float(1), r.Text(2), r.Float(3))
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

var errRefused = errors.New("refused")

// testProjectionUpdate checks that an update is stored whole or not at all, tables and all.
func testProjectionUpdate(t *testing.T, s Store) {
	p := openProjections(t, s)
	execute(t, p, createTest)
	err := p.Update(t.Context(), func(tx project.Tx) error {
		for i := range int64(100) {
			if _, err := tx.Exec(t.Context(), `INSERT INTO p_test (id) VALUES (?)`, i); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(t.Context(), `CREATE TABLE p_other (id bigint)`); err != nil {
			return err
		}
		var n int64
		if err := readNumber(t.Context(), tx, &n, `SELECT count(*) FROM p_test`); err != nil || n != 100 {
			t.Errorf("an update sees %d of its own rows, %v; want 100", n, err)
		}
		return errRefused
	})
	if !errors.Is(err, errRefused) {
		t.Errorf("error %v, want that of the function", err)
	}
	if n := number(t, p, `SELECT count(*) FROM p_test`); n != 0 {
		t.Errorf("%d rows of an update that failed are stored", n)
	}
	execute(t, p, `CREATE TABLE p_other (id bigint)`)
	err = p.Update(t.Context(), func(tx project.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO p_test (id) VALUES (?), (?)`, int64(1), int64(1))
		return err
	})
	if err == nil {
		t.Error("a key that is taken is no error")
	}
	execute(t, p, `INSERT INTO p_test (id) VALUES (?)`, int64(1))
	err = p.Snapshot(t.Context(), func(tx project.Tx) error {
		_, err := tx.Exec(t.Context(), `DELETE FROM p_test`)
		return err
	})
	checkUnavailable(t, "a write in a snapshot", err)
	err = p.Snapshot(t.Context(), func(tx project.Tx) error {
		return tx.Query(t.Context(), `SELECT id FROM p_test`, nil, func(project.Row) error { return errRefused })
	})
	if err != errRefused { //nolint:errorlint // The error comes back as it is.
		t.Errorf("error %v, want that of the function as it is", err)
	}
	err = p.Snapshot(t.Context(), func(tx project.Tx) error {
		return tx.Query(t.Context(), `SELECT id FROM p_absent`, nil, func(project.Row) error { return nil })
	})
	checkUnavailable(t, "a table that is not there", err)
}

// testProjectionConcurrent lets two handles compare and set one position: each step is taken once.
func testProjectionConcurrent(t *testing.T, s Store) {
	handles := []project.Store{openProjections(t, s), openProjections(t, share(t, s))}
	execute(t, handles[0], createTest)
	execute(t, handles[0], `INSERT INTO projections (name, generation, version, position, state, updated_at) `+
		`VALUES ('test', 1, 1, 0, 'live', 0)`)
	const steps = 40
	var wins [2]int
	var wg sync.WaitGroup
	for i, p := range handles {
		wg.Go(func() {
			for at := int64(0); at < steps; at++ {
				err := p.Update(t.Context(), func(tx project.Tx) error {
					n, err := tx.Exec(t.Context(), `UPDATE projections SET position = position + 1 WHERE name = 'test' AND position = ?`, at)
					if err != nil || n != 1 {
						return errors.Join(err, errRefused)
					}
					wins[i]++
					_, err = tx.Exec(t.Context(), `INSERT INTO p_test (id) VALUES (?)`, at)
					return err
				})
				if err != nil && err.Error() != errRefused.Error() {
					t.Errorf("step %d: %v", at, err)
				}
			}
		})
	}
	wg.Wait()
	if wins[0]+wins[1] != steps || number(t, handles[1], `SELECT count(*) FROM p_test`) != steps {
		t.Errorf("%d and %d steps were taken of %d", wins[0], wins[1], steps)
	}
}

// testProjectionSnapshot checks that a snapshot stays as it is while an update commits.
func testProjectionSnapshot(t *testing.T, s Store) {
	p, other := openProjections(t, s), openProjections(t, share(t, s))
	execute(t, p, createTest)
	execute(t, p, `INSERT INTO p_test (id, f) VALUES (?, ?), (?, ?)`, int64(1), 1.0, int64(2), 1.0)
	err := p.Snapshot(t.Context(), func(tx project.Tx) error {
		for range 3 {
			var n int64
			if err := readNumber(t.Context(), tx, &n, `SELECT sum(f) FROM p_test`); err != nil {
				return err
			}
			if n != 2 {
				t.Errorf("the snapshot changed: the sum is %d, want 2", n)
			}
			execute(t, other, `UPDATE p_test SET f = f + 1`)
			execute(t, other, `INSERT INTO p_test (id, f) SELECT max(id) + 1, 1.0 FROM p_test`)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := number(t, p, `SELECT count(*) FROM p_test`); n != 5 {
		t.Errorf("%d rows behind the snapshot, want 5", n)
	}
}

func testProjectionCancelled(t *testing.T, s Store) {
	p := openProjections(t, s)
	execute(t, p, createTest)
	ctx, cancel := context.WithCancel(t.Context())
	err := p.Update(ctx, func(tx project.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO p_test (id) VALUES (?)`, int64(1)); err != nil {
			return err
		}
		cancel()
		_, err := tx.Exec(ctx, `INSERT INTO p_test (id) VALUES (?)`, int64(2))
		return err
	})
	if err == nil {
		t.Error("an update whose context has ended does not fail")
	}
	if n := number(t, p, `SELECT count(*) FROM p_test`); n != 0 {
		t.Errorf("%d rows of an update that was cancelled", n)
	}
	checkUnavailable(t, "Snapshot", p.Snapshot(ctx, func(project.Tx) error { return nil }))
	ctx, cancel = context.WithCancel(t.Context())
	err = p.Snapshot(ctx, func(tx project.Tx) error {
		cancel()
		var n int64
		return readNumber(ctx, tx, &n, `SELECT count(*) FROM p_test`)
	})
	if datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("a snapshot whose context has ended: %v", err)
	}
}

// testProjectionLead checks that one handle leads under a name at a time.
func testProjectionLead(t *testing.T, s Store) {
	p, other := openProjections(t, s), openProjections(t, share(t, s))
	lead := func(p project.Store, name string, f func() error) (bool, error) {
		return p.Lead(t.Context(), name, func(ctx context.Context) error {
			if err := ctx.Err(); err != nil {
				t.Errorf("the context of a leader has ended: %v", err)
			}
			return f()
		})
	}
	for range 2 {
		led, err := lead(p, "one", func() error {
			for _, second := range []project.Store{p, other} {
				if led, err := lead(second, "one", func() error { return nil }); led || err != nil {
					t.Errorf("a second one leads under the same name: %v, %v", led, err)
				}
				if led, err := lead(second, "another", func() error { return nil }); !led || err != nil {
					t.Errorf("nobody leads under another name: %v, %v", led, err)
				}
			}
			return errRefused
		})
		if !led || !errors.Is(err, errRefused) {
			t.Errorf("lead: %v, %v", led, err)
		}
	}
}
