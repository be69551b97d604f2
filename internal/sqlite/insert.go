package sqlite

import (
	"context"
	"strings"

	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// bulkInsert is an INSERT of several rows, for each of some numbers of rows. A row that breaks a constraint ends the
// transaction: SQLite need not be able to undo the statement alone, so it keeps no second copy of the pages it changes.
type bulkInsert struct {
	columns int
	sizes   []int // in falling order; the last is 1
	texts   []string
}

var (
	idsInsert = newBulkInsert([]int{64, 8, 1}, "event_ids", "event_id, log_index, event_timestamp")
	// One row for each statement: SQLite always keeps that second copy for an INSERT of several rows with their rowids.
	eventsInsert = newBulkInsert([]int{1}, "events", "log_index, event_timestamp, event_id, correlation_id, correlation_first, event_type, "+
		"event_category, event_outcome, severity, actor_type, actor_id, resource_type, resource_id, namespace, "+
		"cluster_name, parent_event_id, trace_id, salt, body")
)

func newBulkInsert(sizes []int, table, columns string) *bulkInsert {
	b := &bulkInsert{columns: strings.Count(columns, ",") + 1, sizes: sizes, texts: make([]string, len(sizes))}
	row := "(?" + strings.Repeat(", ?", b.columns-1) + ")"
	for i, size := range sizes {
		b.texts[i] = "INSERT OR ROLLBACK INTO " + table + " (" + columns + ") VALUES " + row + strings.Repeat(", "+row, size-1)
	}
	return b
}

// rows inserts n rows, as many as it can with each statement. fill sets the arguments of one row.
func (c *conn) rows(ctx context.Context, b *bulkInsert, n int, fill func(args []sqlitedb.Argument, row int)) error {
	done := 0
	for i, size := range b.sizes {
		for n-done >= size {
			args := c.Arguments(size * b.columns)
			for k := range size {
				fill(args[k*b.columns:(k+1)*b.columns], done+k)
			}
			if _, err := c.Run(ctx, b.texts[i], args); err != nil {
				return err
			}
			done += size
		}
	}
	return nil
}
