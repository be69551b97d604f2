package project

import (
	"context"
	"strings"
)

// setSizes are the numbers of elements of the sets in statements, in rising order: few, so that few texts are ever
// prepared. A smaller set repeats its last element.
var setSizes = [...]int{1, 8, 64, 256, 512}

// QueryIn runs a statement that ends before a set, such as "SELECT a FROM p_x_{g} WHERE b IN", once for each piece of the
// elements, and calls each with every row.
func QueryIn(ctx context.Context, tx Tx, statement string, elements []string, each func(Row) error) error {
	for len(elements) > 0 {
		size := setSizes[len(setSizes)-1]
		for _, s := range setSizes {
			if s >= len(elements) {
				size = s
				break
			}
		}
		args := make([]any, size)
		for i := range args {
			args[i] = elements[min(i, len(elements)-1)]
		}
		elements = elements[min(size, len(elements)):]
		if err := tx.Query(ctx, statement+" (?"+strings.Repeat(", ?", size-1)+")", args, each); err != nil {
			return err
		}
	}
	return nil
}
