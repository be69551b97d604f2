package producers

import (
	"cmp"
	"context"
	"slices"

	"github.com/datastorage-io/datastorage/internal/project"
)

// change is what a batch makes of a producer.
type change struct {
	Producer
	repeated []arrival
	closed   []Range // gaps that are not there any more
	opened   []Range // gaps that are new, or what is left of closed ones
}

// takeRepeats takes out of sorted arrivals those whose number comes before in the same batch.
func (c *change) takeRepeats(sorted []arrival) (fresh []arrival) {
	for i, a := range sorted {
		if i > 0 && sorted[i-1].seq == a.seq {
			c.repeated = append(c.repeated, a)
		} else {
			fresh = append(fresh, a)
		}
	}
	return fresh
}

// gapsAhead is how many gaps are read at once.
const gapsAhead = 256

// fill puts sorted numbers into the gaps that they fall into. Those that fall into none are repeated.
func (c *change) fill(ctx context.Context, tx project.Tx, within []arrival) error {
	for len(within) > 0 {
		var gaps []Range
		err := tx.Query(ctx, `SELECT first, last FROM p_producers_gaps_{g} WHERE producer_id = ? AND last >= ? ORDER BY last LIMIT ?`,
			[]any{c.ID, within[0].seq, int64(gapsAhead)}, func(r project.Row) error {
				gaps = append(gaps, Range{r.Int(0), r.Int(1)})
				return nil
			})
		if err != nil {
			return err
		}
		for _, g := range gaps {
			var before, inside []arrival
			before, within = split(within, g.First)
			c.repeated = append(c.repeated, before...)
			inside, within = split(within, g.Last+1)
			c.cut(g, inside)
		}
		if len(gaps) < gapsAhead {
			c.repeated = append(c.repeated, within...)
			return nil
		}
	}
	return nil
}

// cut takes sorted numbers out of a gap.
func (c *change) cut(g Range, inside []arrival) {
	if len(inside) == 0 {
		return
	}
	c.closed = append(c.closed, g)
	next := g.First
	for _, a := range inside {
		c.open(next, a.seq-1)
		next = a.seq + 1
	}
	c.open(next, g.Last)
}

// open notes a gap unless it is empty.
func (c *change) open(first, last int64) {
	if first <= last {
		c.opened = append(c.opened, Range{first, last})
	}
}

// extend takes numbers below the lowest and above the highest one, both sorted.
func (c *change) extend(below, above []arrival) {
	for _, a := range slices.Backward(below) {
		c.open(a.seq+1, c.Lowest-1)
		c.Lowest = a.seq
	}
	for _, a := range above {
		c.open(c.Highest+1, a.seq-1)
		c.Highest = a.seq
	}
}

// store writes the producer, its gaps, and its first repeats.
func (c *change) store(ctx context.Context, tx project.Tx) error {
	for _, g := range c.closed {
		c.Missing -= g.Last - g.First + 1
		_, err := tx.Exec(ctx, `DELETE FROM p_producers_gaps_{g} WHERE producer_id = ? AND last = ?`, c.ID, g.Last)
		if err != nil {
			return err
		}
	}
	c.Gaps += int64(len(c.opened) - len(c.closed))
	gaps := make([]any, 0, 3*len(c.opened))
	for _, g := range c.opened {
		c.Missing += g.Last - g.First + 1
		gaps = append(gaps, c.ID, g.Last, g.First)
	}
	if err := project.Insert(ctx, tx, `INSERT INTO p_producers_gaps_{g} (producer_id, last, first)`, ``, 3, gaps); err != nil {
		return err
	}
	if err := c.storeRepeats(ctx, tx); err != nil {
		return err
	}
	return project.Insert(ctx, tx, `INSERT INTO p_producers_{g} `+
		`(producer_id, lowest, highest, events, missing, gaps, repeats, last_time, last_index)`,
		`ON CONFLICT (producer_id) DO UPDATE SET lowest = excluded.lowest, highest = excluded.highest, events = excluded.events, `+
			`missing = excluded.missing, gaps = excluded.gaps, repeats = excluded.repeats, last_time = excluded.last_time, `+
			`last_index = excluded.last_index`,
		9, []any{c.ID, c.Lowest, c.Highest, c.Events, c.Missing, c.Gaps, c.Repeats, c.lastTime, c.LastIndex})
}

// storeRepeats keeps the repeats that were stored first.
func (c *change) storeRepeats(ctx context.Context, tx project.Tx) error {
	slices.SortFunc(c.repeated, func(a, b arrival) int { return cmp.Compare(a.index, b.index) })
	kept := min(int64(len(c.repeated)), max(0, MaxRepeats-c.Repeats))
	c.Repeats += int64(len(c.repeated))
	rows := make([]any, 0, 3*kept)
	for _, a := range c.repeated[:kept] {
		rows = append(rows, c.ID, a.index, a.seq)
	}
	return project.Insert(ctx, tx, `INSERT INTO p_producers_repeats_{g} (producer_id, log_index, seq)`, ``, 3, rows)
}
