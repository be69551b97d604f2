package project

import (
	"context"
	"strings"
)

// insertSizes are the numbers of rows of one statement, in falling order, so that few texts are ever prepared.
var insertSizes = [...]int{64, 8, 1}

// Insert adds rows in statements of several rows each: head, such as "INSERT INTO p_x_{g} (a, b)", the values, and tail,
// such as "ON CONFLICT (a) DO NOTHING". All rows have the same number of columns. With ON CONFLICT DO UPDATE no two rows
// have the same key.
func Insert(ctx context.Context, tx Tx, head, tail string, rows [][]any) error {
	for _, size := range insertSizes {
		if len(rows) < size {
			continue
		}
		row := "(?" + strings.Repeat(", ?", len(rows[0])-1) + ")"
		statement := head + " VALUES " + row + strings.Repeat(", "+row, size-1) + " " + tail
		for len(rows) >= size {
			args := make([]any, 0, size*len(rows[0]))
			for _, r := range rows[:size] {
				args = append(args, r...)
			}
			if _, err := tx.Exec(ctx, statement, args...); err != nil {
				return err
			}
			rows = rows[size:]
		}
	}
	return nil
}
