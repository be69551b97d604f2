package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/datastorage-io/datastorage/internal/project"
)

// projectionConns is one connection for updates, and one for a build beside them.
const projectionConns = 2

// projectionSettings are set once in each session that updates projections. What a crash loses of them is derived again.
const projectionSettings = `
	SET synchronous_commit = off;
	SET statement_timeout = '60s';
	SET lock_timeout = '2s';
	SET idle_in_transaction_session_timeout = '30s';
	SET default_transaction_isolation = 'read committed';
	SET plan_cache_mode = force_generic_plan;
` + commonSettings

// Projections implements project.Store.
type Projections struct {
	store   *Store
	updates *pgxpool.Pool
}

// Projections opens the connections that update projections. Close it before the store.
func (s *Store) Projections(ctx context.Context) (project.Store, error) {
	pool, err := poolConfig(s.config, "projections", projectionConns)
	if err != nil {
		return nil, err
	}
	pool.AfterConnect = runSettings(projectionSettings)
	updates, err := startPool(ctx, pool)
	if err != nil {
		return nil, startError(s.config, err)
	}
	return &Projections{store: s, updates: updates}, nil
}

// Close implements project.Store.
func (p *Projections) Close() error {
	p.updates.Close()
	return nil
}

// Update implements project.Store.
func (p *Projections) Update(ctx context.Context, f func(project.Tx) error) error {
	return pgx.BeginFunc(ctx, p.updates, func(tx pgx.Tx) error { return f(&projectionTx{tx, ctx, noChange}) })
}

// noChange returns an error as it is.
func noChange(err error) error { return err }

// Snapshot implements project.Store.
func (p *Projections) Snapshot(ctx context.Context, f func(project.Tx) error) error {
	var refused error
	err := p.store.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{
			BeginQuery: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan; " +
				"SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on",
		})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		refused = f(&projectionTx{tx, ctx, p.store.readError})
		return refused
	})
	if refused != nil {
		return refused
	}
	return err
}

// Analyze implements project.Store. Until then, which autovacuum would do at a moment of its own, queries of new tables are
// planned as if these were empty.
func (p *Projections) Analyze(ctx context.Context, tx project.Tx, tables []string) error {
	for _, table := range tables {
		if _, err := tx.Exec(ctx, "ANALYZE "+table); err != nil {
			return err
		}
	}
	return nil
}

// leaderKey is the advisory lock of a lead; see advisoryKey.
const leaderKey = advisoryKey + `, hashtext('lead ' || $1::text)`

// Lead implements project.Store with a session's advisory lock, on a connection of its own. The lead is lost when that
// connection is.
func (p *Projections) Lead(ctx context.Context, name string, f func(context.Context) error) (led bool, err error) {
	config := p.store.config.Copy()
	config.RuntimeParams["application_name"] += " lead"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, startError(config, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.PgConn().Exec(ctx, commonSettings).ReadAll(); err != nil {
		return false, writeError(err)
	}
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(`+leaderKey+`)`, name).Scan(&led)
	if err != nil || !led {
		return false, writeError(err)
	}
	leading, lose := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		// Nobody notifies this session, so this ends with the connection or with the context.
		for leading.Err() == nil {
			if _, err := conn.WaitForNotification(leading); err != nil {
				lose(fmt.Errorf("the connection that held the lead is lost: %w", err))
			}
		}
	}()
	err = f(leading)
	lose(nil)
	<-watched
	unlock(context.WithoutCancel(ctx), conn)
	return true, err
}

// unlock gives up a session's lead, so that the next one need not wait until the server has noticed that the connection has
// ended. One that is lost has given it up.
func unlock(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	_, _ = conn.Exec(ctx, `SELECT pg_advisory_unlock_all()`)
}

// projectionTx implements project.Tx. within bounds the transaction; fault turns an error of the database into one of the
// caller's.
type projectionTx struct {
	tx     pgx.Tx
	within context.Context //nolint:containedctx // The transaction lives within a call that has a time-out.
	fault  func(error) error
}

// Exec implements project.Tx.
func (t *projectionTx) Exec(_ context.Context, statement string, args ...any) (int64, error) {
	tag, err := t.tx.Exec(t.within, postgresText(statement), args...)
	if err != nil {
		return 0, t.fault(err)
	}
	return tag.RowsAffected(), nil
}

// Query implements project.Tx.
func (t *projectionTx) Query(_ context.Context, statement string, args []any, each func(project.Row) error) error {
	args = append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, args...)
	rows, err := t.tx.Query(t.within, postgresText(statement), args...)
	if err != nil {
		return t.fault(err)
	}
	defer rows.Close()
	row := &projectionRow{columns: rows.FieldDescriptions(), types: t.tx.Conn().TypeMap()}
	for rows.Next() {
		row.values = rows.RawValues()
		if err := each(row); err != nil {
			return err
		}
		if row.err != nil {
			return row.err
		}
	}
	return t.fault(rows.Err())
}

var postgresTypes = strings.NewReplacer("{text}", `text COLLATE "C"`, "{keyed}", "")

// postgresText turns the text of a project.Tx into that of PostgreSQL: placeholders are numbered, and columns of text
// compare byte by byte.
func postgresText(statement string) string {
	statement = postgresTypes.Replace(statement)
	var b strings.Builder
	b.Grow(len(statement) + 64)
	for n := 1; ; n++ {
		at := placeholder(statement)
		if at < 0 {
			b.WriteString(statement)
			return b.String()
		}
		b.WriteString(statement[:at])
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		statement = statement[at+1:]
	}
}

// placeholder returns where the first ? stands outside of quotes, or -1.
func placeholder(statement string) int {
	quoted := false
	for i := range len(statement) {
		switch statement[i] {
		case '\'':
			quoted = !quoted
		case '?':
			if !quoted {
				return i
			}
		}
	}
	return -1
}

// projectionRow implements project.Row.
type projectionRow struct {
	columns []pgconn.FieldDescription
	types   *pgtype.Map
	values  [][]byte
	err     error // the first value that did not have the type that was asked for
}

// scan reads a value that is not of the expected type itself.
func (r *projectionRow) scan(column int, into any) {
	err := r.types.Scan(r.columns[column].DataTypeOID, pgx.BinaryFormatCode, r.values[column], into)
	r.err = errors.Join(r.err, err)
}

// Int implements project.Row.
func (r *projectionRow) Int(column int) (n int64) {
	switch {
	case r.values[column] == nil:
	case r.columns[column].DataTypeOID == pgtype.Int8OID:
		n = auditInt(r.values[column])
	default:
		r.scan(column, &n)
	}
	return n
}

// Float implements project.Row.
func (r *projectionRow) Float(column int) (f float64) {
	if r.values[column] != nil {
		r.scan(column, &f)
	}
	return f
}

// Text implements project.Row.
func (r *projectionRow) Text(column int) string { return string(r.values[column]) }

// Bytes implements project.Row.
func (r *projectionRow) Bytes(column int) []byte { return append([]byte(nil), r.values[column]...) }

// IsNull implements project.Row.
func (r *projectionRow) IsNull(column int) bool { return r.values[column] == nil }
