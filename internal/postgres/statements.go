package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// advisoryKey is the first half of this schema's advisory locks; the second says what for: 0 the end of the log, 1 the
// partitions.
const advisoryKey = `hashtext('datastorage ' || current_schema())`

// insertCommit stores the row of a commit if the row that it names as the one before is there and ends where it begins.
// If not, first_index is NULL, which the table refuses, and with it everything that was sent after.
const insertCommit = `INSERT INTO ledger_commits ` +
	`(first_index, next_index, min_time, max_time, committed_at, root, range, entries) ` +
	`VALUES (CASE WHEN $1::bigint = 0 OR EXISTS (SELECT FROM ledger_commits WHERE first_index = $9 AND next_index = $1 ` +
	`AND root = $10) THEN $1 END, $2, $3, $4, $5, $6, $7, $8)`

const insertIDs = `INSERT INTO event_ids (event_id, log_index, event_timestamp) ` +
	`SELECT event_id, log_index, event_timestamp FROM unnest($1::event_id_row[])`

const insertEvents = `INSERT INTO events (log_index, event_timestamp, event_id, correlation_id, event_type, ` +
	`event_category, event_outcome, severity, actor_type, actor_id, resource_type, resource_id, namespace, cluster_name, ` +
	`parent_event_id, trace_id, salt, body) ` +
	`SELECT log_index, event_timestamp, event_id, correlation_id, event_type, event_category, event_outcome, severity, ` +
	`actor_type, actor_id, resource_type, resource_id, namespace, cluster_name, parent_event_id, trace_id, salt, body ` +
	`FROM unnest($1::event_row[])`

const insertNotification = `INSERT INTO notifications (remediation_id, notification_id, recipient, channel, ` +
	`message_summary, status, sent_at, delivery_status, error_message, escalation_level, created_at, updated_at, event_id) ` +
	`VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id`

// insertChanges stores changes of the catalogue, the first of which has version $2, if the change before it is there. If
// not, version is NULL, which the table refuses.
const insertChanges = `INSERT INTO catalog_changes (version, changed_at, kind, workflow_id, key, document) ` +
	`SELECT CASE WHEN $2::bigint = 1 OR EXISTS (SELECT FROM catalog_changes WHERE version = $2 - 1) THEN version END, ` +
	`changed_at, kind, workflow_id, key, document FROM unnest($1::catalog_change_row[])`

const selectHead = `SELECT first_index, next_index, range FROM ledger_commits ORDER BY first_index DESC LIMIT 1`

const lockHead = `SELECT pg_advisory_xact_lock(` + advisoryKey + `, 0)`

// rowTypesKey is where a connection keeps its rowTypes.
const rowTypesKey = "datastorage row types"

// keepMemory allocates and frees 8 MB at once, from which glibc learns not to return less than twice that to the system.
// Otherwise a session gives back what a commit took, and faults it in again page by page for the next one: measured, a
// fourth of its time. A server with another allocator loses nothing.
const keepMemory = `SELECT length(repeat('x', 8388608))`

// prepareIngest prepares the statements of a commit in a new session.
func prepareIngest(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, keepMemory); err != nil {
		return fmt.Errorf("prepare the session's memory: %w", err)
	}
	for name, sql := range map[string]string{
		commitStatement:       insertCommit,
		idsStatement:          insertIDs,
		eventsStatement:       insertEvents,
		notificationStatement: insertNotification,
		changesStatement:      insertChanges,
		endStatement:          "COMMIT",
	} {
		if _, err := conn.PgConn().Prepare(ctx, name, sql, nil); err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
	}
	var rows rowTypes
	err := conn.QueryRow(ctx, `SELECT 'event_row'::regtype::oid, 'event_id_row'::regtype::oid, `+
		`'catalog_change_row'::regtype::oid`).Scan(&rows.event, &rows.id, &rows.change)
	if err != nil {
		return fmt.Errorf("read the row types: %w", err)
	}
	conn.PgConn().CustomData()[rowTypesKey] = rows
	return nil
}

func rowTypesOf(conn *pgx.Conn) rowTypes { return conn.PgConn().CustomData()[rowTypesKey].(rowTypes) }
