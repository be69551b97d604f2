// Package eventsql renders the queries of the API to SQL. Both stores name their tables and columns alike, so the text
// differs only in placeholders, in how a time or an identifier is passed, and in how JSON is taken apart.
//
// The text of a statement depends on which filters are set and never on their values, so that few statements are ever
// prepared and each is used again.
package eventsql

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Dialect is the database that a statement is for.
type Dialect int

const (
	// SQLite numbers nothing, keeps times as INTEGER microseconds since 1970 and identifiers as BLOB.
	SQLite Dialect = iota
	// PostgreSQL has numbered placeholders, timestamptz and uuid.
	PostgreSQL
)

// Statement is SQL text and its arguments. Their types are string, int64, and for times and identifiers int64 and
// []byte on SQLite, time.Time and [16]byte on PostgreSQL.
type Statement struct {
	SQL  string
	Args []any
}

// Time returns t as an argument.
func (d Dialect) Time(t time.Time) any {
	if d == SQLite {
		return t.UnixMicro()
	}
	return t
}

// ID returns id as an argument.
func (d Dialect) ID(id uuid.UUID) any {
	if d == SQLite {
		return id[:]
	}
	return [16]byte(id)
}

// builder gathers the text and the arguments of one statement.
type builder struct {
	dialect Dialect
	text    strings.Builder
	args    []any
	// joined says that the WHERE clause has begun.
	joined bool
}

func newBuilder(d Dialect) *builder {
	b := &builder{dialect: d, args: make([]any, 0, 8)}
	b.text.Grow(512)
	return b
}

func (b *builder) write(parts ...string) {
	for _, p := range parts {
		b.text.WriteString(p)
	}
}

// bind writes a placeholder for an argument.
func (b *builder) bind(arg any) {
	b.args = append(b.args, arg)
	b.parameter(0)
}

// parameter writes the placeholder of the nth argument behind those that are bound.
func (b *builder) parameter(n int) {
	if b.dialect == SQLite {
		b.text.WriteByte('?')
		return
	}
	b.text.WriteByte('$')
	b.text.WriteString(strconv.Itoa(len(b.args) + n))
}

// where begins the next condition.
func (b *builder) where() {
	if b.joined {
		b.write(" AND ")
		return
	}
	b.joined = true
	b.write(" WHERE ")
}

// compare adds the condition that left, which ends with an operator, holds for arg.
func (b *builder) compare(left string, arg any) {
	b.where()
	b.write(left)
	b.bind(arg)
}

// equal adds the condition that a text column has a value; "" adds nothing.
func (b *builder) equal(column, value string) {
	if value != "" {
		b.compare(column+" = ", value)
	}
}

// behind adds the condition that a row stands behind a position of an ordered walk.
func (b *builder) behind(timeColumn, idColumn string, ascending bool, at time.Time, id any) {
	operator := " <"
	if ascending {
		operator = " >"
	}
	b.where()
	b.write("(", timeColumn, ", ", idColumn, ")", operator, " (")
	b.bind(b.dialect.Time(at))
	b.write(", ")
	b.bind(id)
	b.write(")")
	if b.dialect == PostgreSQL {
		// Partitions are pruned by a bound on their key alone.
		b.compare(timeColumn+operator+"= ", at)
	}
}

func (b *builder) order(timeColumn, idColumn string, ascending bool) {
	direction := " DESC"
	if ascending {
		direction = " ASC"
	}
	b.write(" ORDER BY ", timeColumn, direction, ", ", idColumn, direction)
}

// limit asks for one row more than the page has, so that whether more follow is known.
func (b *builder) limit(limit int, offset int64) {
	b.write(" LIMIT ")
	b.bind(int64(limit) + 1)
	if offset > 0 {
		b.write(" OFFSET ")
		b.bind(offset)
	}
}

func (b *builder) statement() Statement { return Statement{SQL: b.text.String(), Args: b.args} }
