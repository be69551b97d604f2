package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// An audit reads in statements of a limited length, each a transaction of its own, so that no snapshot keeps the server
// from cleaning up. How many rows one asks for follows from how long the last one took.
const (
	auditFast, auditSlow          = 100 * time.Millisecond, 500 * time.Millisecond
	auditLeastRows, auditMostRows = 16, 4096
	// auditBlocks is how many blocks of event_ids one statement reads.
	auditBlocks = 512
)

// auditSettings keep the plans of an audit independent of statistics, which may be as old as an empty table.
const auditSettings = `
	SET default_transaction_read_only = on;
	SET statement_timeout = '60s';
	SET enable_seqscan = off;
	SET enable_bitmapscan = off;
	SET jit = off;
`

// AuditSource reads a database for ledger.Audit, with statements of its own. It never writes. One goroutine at a time
// uses it.
type AuditSource struct {
	conn *pgx.Conn
	rows int // that the next statement asks for
}

// OpenAudit connects to the database at url for reading; servers may run on it. It creates and changes nothing. The error
// says so when there is nothing to read, or when the schema is not the one that this program knows; it never holds the
// password.
func OpenAudit(ctx context.Context, url string) (*AuditSource, error) {
	config, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	server, err := inspect(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := server.check(); err != nil {
		return nil, err
	}
	if server.schema == 0 {
		return nil, errors.New("the database holds no events and no schema: it was never used by datastorage; is the database URL right?")
	}
	if err := server.checkMigrated(); err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] += " verify"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, startError(config, err)
	}
	if _, err := conn.PgConn().Exec(ctx, auditSettings).ReadAll(); err != nil {
		return nil, errors.Join(startError(config, err), conn.Close(ctx))
	}
	return &AuditSource{conn: conn, rows: auditMostRows}, nil
}

// Name says where the database is, without user or password.
func (a *AuditSource) Name() string {
	c := a.conn.Config()
	return fmt.Sprintf("PostgreSQL, database %s at %s:%d", c.Database, c.Host, c.Port)
}

// Close ends the connection.
func (a *AuditSource) Close() error { return a.conn.Close(context.Background()) }

// query runs one statement and calls each with the binary values of every row, which are only valid during the call. An
// error of each ends the query.
func (a *AuditSource) query(ctx context.Context, text string, args []any, each func(row [][]byte) error) error {
	rows, err := a.conn.Query(ctx, text, append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.RawValues()); err != nil {
			return err
		}
	}
	return rows.Err()
}

// chunk is query with a limited number of rows, which is the last argument. It reports whether more may follow.
func (a *AuditSource) chunk(ctx context.Context, text string, args []any, each func(row [][]byte) error) (more bool, err error) {
	began, n := time.Now(), 0
	limit := a.rows
	err = a.query(ctx, text, append(args, limit), func(row [][]byte) error { n++; return each(row) })
	switch took := time.Since(began); {
	case took > auditSlow:
		a.rows = max(limit/2, auditLeastRows)
	case took < auditFast:
		a.rows = min(limit*2, auditMostRows)
	}
	return n == limit, err
}

// Size implements ledger.Source.
func (a *AuditSource) Size(ctx context.Context) (size int64, err error) {
	err = a.query(ctx, `SELECT next_index FROM ledger_commits ORDER BY first_index DESC LIMIT 1`, nil, func(row [][]byte) error {
		size = auditInt(row[0])
		return nil
	})
	return size, err
}

// Commits implements ledger.Source.
func (a *AuditSource) Commits(ctx context.Context, from int64, limit int) (commits []ledger.CommitRow, err error) {
	const query = `SELECT first_index, next_index, entries, range, root, min_time, max_time, committed_at ` +
		`FROM ledger_commits WHERE first_index >= $1 ORDER BY first_index LIMIT $2`
	err = a.query(ctx, query, []any{from, limit}, func(row [][]byte) error {
		commits = append(commits, ledger.CommitRow{
			FirstIndex: auditInt(row[0]), NextIndex: auditInt(row[1]), Entries: bytes.Clone(row[2]), Range: bytes.Clone(row[3]),
			Root: bytes.Clone(row[4]), MinTime: auditMicros(row[5]), MaxTime: auditMicros(row[6]), CommittedAt: auditMicros(row[7]),
		})
		return nil
	})
	return commits, err
}

// auditEvents resumes behind a row: log_index is not unique.
const auditEvents = `SELECT log_index, event_timestamp, event_id, parent_event_id, salt, body, ` +
	`actor_id, actor_type, cluster_name, correlation_id, event_category, event_outcome, event_type, namespace, ` +
	`resource_id, resource_type, severity, trace_id FROM events ` +
	`WHERE log_index >= $1 AND log_index < $2 AND (log_index > $1 OR (event_timestamp, event_id) > ($3, $4)) ` +
	`ORDER BY log_index, event_timestamp, event_id LIMIT $5`

// Events implements ledger.Source.
func (a *AuditSource) Events(ctx context.Context, from, to int64, yield func(*ledger.EventRow) error) error {
	after, id := auditTimestamp(math.MinInt64), uuid.Nil
	var r ledger.EventRow
	for {
		more, err := a.chunk(ctx, auditEvents, []any{from, to, after, id}, func(row [][]byte) error {
			r.LogIndex, r.Time = auditInt(row[0]), auditMicros(row[1])
			r.ID, r.ParentID, r.Salt, r.Body = row[2], row[3], row[4], row[5]
			copy(r.Texts[:], row[6:])
			from, after = r.LogIndex, auditTimestamp(auditInt(row[1]))
			copy(id[:], r.ID)
			return yield(&r)
		})
		if err != nil || !more {
			return err
		}
	}
}

// LostCorrelations implements ledger.Source: PostgreSQL keeps the index by correlation_id.
func (a *AuditSource) LostCorrelations(context.Context, func(*ledger.LostCorrelation) error) error {
	return nil
}

// Changes implements ledger.Source.
func (a *AuditSource) Changes(ctx context.Context, after int64, yield func(*ledger.ChangeRow) error) error {
	const query = `SELECT version, changed_at, kind, workflow_id, document FROM catalog_changes WHERE version > $1 ORDER BY version LIMIT $2`
	for {
		more, err := a.chunk(ctx, query, []any{after}, func(row [][]byte) error {
			after = auditInt(row[0])
			return yield(&ledger.ChangeRow{Version: after, Time: auditMicros(row[1]), Kind: row[2], WorkflowID: row[3], Document: row[4]})
		})
		if err != nil || !more {
			return err
		}
	}
}

// EventIDs implements ledger.Source. It reads the table's blocks one after another: in the order of the identifiers every
// row may be on a block of its own.
func (a *AuditSource) EventIDs(ctx context.Context, yield func(*ledger.EventIDRow) error) error {
	var blocks int64
	err := a.query(ctx, `SELECT pg_relation_size('event_ids') / current_setting('block_size')::bigint`, nil, func(row [][]byte) error {
		blocks = auditInt(row[0])
		return nil
	})
	var r ledger.EventIDRow
	for first := int64(0); first < blocks && err == nil; first += auditBlocks {
		query := fmt.Sprintf(`SELECT event_id, log_index, event_timestamp FROM event_ids WHERE ctid >= '(%d,0)' AND ctid < '(%d,0)'`,
			first, first+auditBlocks)
		err = a.query(ctx, query, []any{pgx.QueryExecModeDescribeExec}, func(row [][]byte) error {
			r.ID, r.LogIndex, r.Time = row[0], auditInt(row[1]), auditMicros(row[2])
			return yield(&r)
		})
	}
	return err
}

const auditNotifications = `SELECT n.id, n.remediation_id, n.notification_id, n.recipient, n.channel, n.message_summary, ` +
	`n.status, n.sent_at, n.delivery_status, n.error_message, n.escalation_level::bigint, n.event_id, i.log_index, e.body ` +
	`FROM notifications AS n LEFT JOIN event_ids AS i ON i.event_id = n.event_id ` +
	`LEFT JOIN events AS e ON e.event_timestamp = i.event_timestamp AND e.event_id = i.event_id ` +
	`WHERE n.id > $1 ORDER BY n.id LIMIT $2`

// Notifications implements ledger.Source.
func (a *AuditSource) Notifications(ctx context.Context, yield func(*ledger.NotificationRow) error) error {
	after := int64(math.MinInt64)
	for {
		more, err := a.chunk(ctx, auditNotifications, []any{after}, func(row [][]byte) error {
			after = auditInt(row[0])
			r := ledger.NotificationRow{
				Notification: datastorage.Notification{
					ID: after, RemediationID: string(row[1]), NotificationID: string(row[2]), Recipient: string(row[3]),
					Channel: string(row[4]), MessageSummary: string(row[5]), Status: string(row[6]),
					SentAt: time.UnixMicro(auditMicros(row[7])), DeliveryStatus: string(row[8]), ErrorMessage: string(row[9]),
					EscalationLevel: int(auditInt(row[10])), EventID: uuid.UUID(row[11]),
				},
				Known: row[12] != nil, Body: row[13],
			}
			if r.Known {
				r.LogIndex = auditInt(row[12])
			}
			return yield(&r)
		})
		if err != nil || !more {
			return err
		}
	}
}

// auditInt reads a bigint, or a timestamptz as PostgreSQL counts it.
func auditInt(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

// auditEpoch is 2000-01-01 in microseconds since 1970: a timestamptz counts from there.
const auditEpoch = 946_684_800_000_000

// auditMicros reads a timestamptz in microseconds since 1970.
func auditMicros(b []byte) int64 { return auditInt(b) + auditEpoch }

// auditTimestamp returns a timestamptz as PostgreSQL counts it; the least number is -infinity, the greatest infinity.
func auditTimestamp(n int64) pgtype.Timestamptz {
	switch n {
	case math.MinInt64:
		return pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	case math.MaxInt64:
		return pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	default:
		return pgtype.Timestamptz{Time: time.UnixMicro(n + auditEpoch), Valid: true}
	}
}
