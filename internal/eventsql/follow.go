package eventsql

import "strings"

// Follow returns the statement that reads a piece of the log in its order: its columns are HeaderColumns and the body of
// those events whose type, category or member is among the given ones, NULL for all others. A type with a trailing *
// matches a prefix; an event matches a member when its body holds that name as one of an object. Two arguments are missing at
// the end, the first log_index and the one behind the last; on PostgreSQL two more, the least and the greatest
// event_timestamp, which prune partitions.
func Follow(d Dialect, types, categories, members []string) Statement {
	b := newBuilder(d)
	b.write("SELECT ", HeaderColumns, ", CASE WHEN false")
	for _, t := range types {
		if prefix, ok := strings.CutSuffix(t, "*"); ok {
			b.write(" OR event_type >= ")
			b.bind(prefix)
			b.write(" AND event_type < ")
			b.bind(successor(prefix))
			continue
		}
		b.write(" OR event_type = ")
		b.bind(t)
	}
	for _, c := range categories {
		b.write(" OR event_category = ")
		b.bind(c)
	}
	for _, m := range members {
		if d == SQLite {
			b.write(" OR instr(body, ")
		} else {
			b.write(" OR strpos(body, ")
		}
		b.bind(`"` + m + `":`)
		b.write(") > 0")
	}
	b.write(" THEN body END FROM events WHERE log_index >= ")
	b.parameter(1)
	b.write(" AND log_index < ")
	b.parameter(2)
	if d == PostgreSQL {
		b.write(" AND event_timestamp >= ")
		b.parameter(3)
		b.write(" AND event_timestamp <= ")
		b.parameter(4)
	}
	b.write(" ORDER BY log_index")
	return b.statement()
}
