package outcome

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/projecttest"
)

func TestMain(m *testing.M) { os.Exit(projecttest.Main(m)) }

// stage is one set of the projection's tables. It implements project.View. Many stand in one store, which is cheaper than
// a store for each.
type stage struct {
	store    project.Store
	number   string
	position int64
}

// newStage creates the tables of a number that no other stage of the store has.
func newStage(t testing.TB, store project.Store, number int) *stage {
	t.Helper()
	s := &stage{store: store, number: strconv.Itoa(number)}
	err := store.Update(context.Background(), func(tx project.Tx) error {
		for _, statement := range (Projection{}).Schema() {
			if _, err := s.in(tx).Exec(context.Background(), statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// drop removes the tables.
func (s *stage) drop() error {
	return s.store.Update(context.Background(), func(tx project.Tx) error {
		for _, table := range (Projection{}).Tables() {
			if _, err := s.in(tx).Exec(context.Background(), "DROP TABLE "+table); err != nil {
				return err
			}
		}
		return nil
	})
}

// apply adds the next events of a log.
func (s *stage) apply(events []project.Event) error {
	err := s.store.Update(context.Background(), func(tx project.Tx) error {
		return Projection{}.Apply(context.Background(), s.in(tx), events)
	})
	if err == nil && len(events) > 0 {
		s.position = events[len(events)-1].LogIndex + 1
	}
	return err
}

// View implements project.View.
func (s *stage) View(ctx context.Context, _ string, f func(project.Tx, int64) error) error {
	return s.store.Snapshot(ctx, func(tx project.Tx) error { return f(s.in(tx), s.position) })
}

func (s *stage) in(tx project.Tx) project.Tx { return numbered{tx, s.number} }

// numbered replaces {g}.
type numbered struct {
	project.Tx
	number string
}

func (n numbered) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	return n.Tx.Exec(ctx, strings.ReplaceAll(statement, "{g}", n.number), args...)
}

func (n numbered) Query(ctx context.Context, statement string, args []any, each func(project.Row) error) error {
	return n.Tx.Query(ctx, strings.ReplaceAll(statement, "{g}", n.number), args, each)
}
