package project

import (
	"context"
	"strings"
)

// insertSizes are the numbers of rows of one statement, in falling order, so that few texts are ever prepared.
var insertSizes = [...]int{64, 16, 4, 1}

// Insert adds rows in statements of several rows each: head, such as "INSERT INTO p_x_{g} (a, b)", the values of one row of
// so many columns after the other, and tail, such as "ON CONFLICT (a) DO NOTHING". With ON CONFLICT DO UPDATE no two rows
// have the same key.
func Insert(ctx context.Context, tx Tx, head, tail string, columns int, values []any) error {
	return insert(head, tail, columns, values, func(statement string, args []any) error {
		_, err := tx.Exec(ctx, statement, args...)
		return err
	})
}

// InsertReturning is Insert with a tail that ends with RETURNING, and calls each with every row that it returns.
func InsertReturning(
	ctx context.Context, tx Tx, head, tail string, columns int, values []any, each func(Row) error,
) error {
	return insert(head, tail, columns, values, func(statement string, args []any) error {
		return tx.Query(ctx, statement, args, each)
	})
}

func insert(head, tail string, columns int, values []any, run func(statement string, args []any) error) error {
	for _, size := range insertSizes {
		n := size * columns
		if len(values) < n {
			continue
		}
		row := "(?" + strings.Repeat(", ?", columns-1) + ")"
		statement := head + " VALUES " + row + strings.Repeat(", "+row, size-1) + " " + tail
		for len(values) >= n {
			if err := run(statement, values[:n]); err != nil {
				return err
			}
			values = values[n:]
		}
	}
	return nil
}
