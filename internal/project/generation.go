package project

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The states of a generation.
const (
	building = "building" // it follows the log, but serves no reads yet
	live     = "live"     // it serves reads; at most one of a projection
	retired  = "retired"  // another took its place; readers may still be in its tables
)

// Generation is one set of the tables of a projection.
type Generation struct {
	Name    string // of the projection
	Number  int64
	Version int
	// Position is where its tables end: they hold the events with log_index < Position.
	Position int64
	// State is building, live or retired.
	State string
	// UpdatedAt is when Position or State changed last, by the clock of the process that changed it.
	UpdatedAt time.Time
}

// errMoved says that a generation is not where it was: another process has taken it further, or ended it.
var errMoved = errors.New("another process changed the projection")

// generationTx replaces {g} in statements.
type generationTx struct {
	Tx
	number string
}

// in returns a transaction on the tables of a generation.
func (g *Generation) in(tx Tx) Tx { return &generationTx{tx, strconv.FormatInt(g.Number, 10)} }

func (t *generationTx) text(statement string) string {
	return strings.ReplaceAll(statement, "{g}", t.number)
}

// Exec implements Tx.
func (t *generationTx) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	return t.Tx.Exec(ctx, t.text(statement), args...)
}

// Query implements Tx.
func (t *generationTx) Query(ctx context.Context, statement string, args []any, each func(Row) error) error {
	return t.Tx.Query(ctx, t.text(statement), args, each)
}

// isUnused reports whether the generation was retired before a time, from which on no reader is left in its tables.
func (g *Generation) isUnused(before time.Time) bool {
	return g.State == retired && g.UpdatedAt.Before(before)
}

// generations reads the registry, in order of name and number; those of one projection when name is not empty.
func generations(ctx context.Context, tx Tx, name string) (found []Generation, err error) {
	err = tx.Query(ctx, `SELECT name, generation, version, position, state, updated_at FROM projections `+
		`WHERE name = ? OR ? = '' ORDER BY name, generation`, []any{name, name}, func(r Row) error {
		found = append(found, Generation{
			Name: r.Text(0), Number: r.Int(1), Version: int(r.Int(2)), Position: r.Int(3), State: r.Text(4),
			UpdatedAt: time.UnixMicro(r.Int(5)).UTC(),
		})
		return nil
	})
	return found, err
}

// create makes the empty tables of a generation and registers it as building.
func create(ctx context.Context, tx Tx, p Projection, number int64, now time.Time) (*Generation, error) {
	g := &Generation{Name: p.Name(), Number: number, Version: p.Version(), State: building, UpdatedAt: now}
	if err := dropTables(ctx, g.in(tx), p); err != nil {
		return nil, err
	}
	for _, statement := range p.Schema() {
		if _, err := g.in(tx).Exec(ctx, statement); err != nil {
			return nil, fmt.Errorf("create the tables of %s: %w", g.Name, err)
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO projections (name, generation, version, position, state, updated_at) `+
		`VALUES (?, ?, ?, ?, ?, ?)`, g.Name, g.Number, int64(g.Version), g.Position, g.State, now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", g.Name, err)
	}
	return g, nil
}

// drop removes a generation and its tables.
func (g *Generation) drop(ctx context.Context, tx Tx, p Projection) error {
	if err := dropTables(ctx, g.in(tx), p); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM projections WHERE name = ? AND generation = ?`, g.Name, g.Number)
	return err
}

func dropTables(ctx context.Context, tx Tx, p Projection) error {
	for _, table := range p.Tables() {
		if _, err := tx.Exec(ctx, `DROP TABLE IF EXISTS `+table); err != nil {
			return fmt.Errorf("drop %s: %w", table, err)
		}
	}
	return nil
}

// advance adds the events of a batch that begins at the generation's position, and stores the position behind it. It comes
// first: a process that is behind fails before it has touched a row, and waits for one that is ahead. g stays as it is.
func (g *Generation) advance(ctx context.Context, tx Tx, p Projection, b *Batch, now time.Time) error {
	n, err := tx.Exec(ctx, `UPDATE projections SET position = ?, updated_at = ? `+
		`WHERE name = ? AND generation = ? AND position = ? AND state = ?`,
		b.Next, now.UnixMicro(), g.Name, g.Number, g.Position, g.State)
	if err != nil {
		return err
	}
	if n != 1 {
		return errMoved
	}
	if len(b.Events) == 0 {
		return nil
	}
	return p.Apply(ctx, g.in(tx), b.Events)
}

// setState changes the state of a generation.
func (g *Generation) setState(ctx context.Context, tx Tx, state string, now time.Time) error {
	n, err := tx.Exec(ctx, `UPDATE projections SET state = ?, updated_at = ? WHERE name = ? AND generation = ? AND state = ?`,
		state, now.UnixMicro(), g.Name, g.Number, g.State)
	if err == nil && n != 1 {
		err = errMoved
	}
	return err
}
