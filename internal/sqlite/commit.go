package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
	"github.com/datastorage-io/datastorage/ledger"
)

// Commit implements ingest.Store.
func (s *Store) Commit(ctx context.Context, c *ledger.Commit, w *datastorage.Write) error {
	return s.write(ctx, w, func(ctx context.Context, conn *conn) error { return s.insert(ctx, conn, c, w) })
}

// CommitLocked implements ingest.Store: the lock is SQLite's own write lock.
func (s *Store) CommitLocked(
	ctx context.Context, build func(ledger.Head) (*ledger.Commit, error), w *datastorage.Write,
) error {
	return s.write(ctx, w, func(ctx context.Context, conn *conn) error {
		head, err := conn.head(ctx)
		if err != nil {
			return err
		}
		c, err := build(head)
		if err != nil {
			return &contentError{err}
		}
		return s.insert(ctx, conn, c, w)
	})
}

// contentError carries an error that the caller gets as it is.
type contentError struct{ error }

// write runs insert in a transaction that holds the write lock from its beginning. Until it holds it ctx can end the
// wait; what comes then is short and is not interrupted.
func (s *Store) write(
	ctx context.Context, w *datastorage.Write, insert func(ctx context.Context, c *conn) error,
) error {
	var ids []int64
	err := use(ctx, s.writer, func(c *conn) error {
		s.correlations.forget()
		err := c.Transaction(ctx, "BEGIN IMMEDIATE", func() error {
			uninterrupted := context.WithoutCancel(ctx)
			err := insert(uninterrupted, c)
			if err == nil {
				ids, err = c.insertNotifications(uninterrupted, w.Notifications)
			}
			if err == nil {
				err = c.insertChanges(uninterrupted, w.Changes)
			}
			if err == nil {
				err = ctx.Err()
			}
			return err
		})
		if err == nil {
			s.correlations.keep()
		}
		return err
	})
	if e, ok := errors.AsType[*contentError](err); ok {
		return e.error
	}
	if err != nil {
		return writeError(err)
	}
	for i, n := range w.Notifications {
		n.ID = ids[i]
	}
	return nil
}

// insert stores a commit with its events.
func (s *Store) insert(ctx context.Context, c *conn, commit *ledger.Commit, w *datastorage.Write) error {
	if n := commit.NextIndex - commit.FirstIndex; n != int64(len(w.Records)) || n == 0 {
		return &contentError{fmt.Errorf("a commit of %d entries cannot hold %d events", n, len(w.Records))}
	}
	if err := c.insertCommit(ctx, commit); err != nil {
		return err
	}
	if err := c.insertIDs(ctx, commit.FirstIndex, w.Records); err != nil {
		if sqlitedb.IsConstraint(err) {
			return &contentError{ledger.ErrDuplicateID}
		}
		return err
	}
	begins, err := c.correlate(ctx, &s.correlations, commit.FirstIndex, w.Records)
	if err != nil {
		return err
	}
	return c.insertEvents(ctx, commit.FirstIndex, w.Records, begins)
}

// insertCommit stores the row of a commit if the last row of the log is the one that the commit follows. If not,
// next_index is NULL, which the table refuses.
const insertCommit = `INSERT INTO ledger_commits ` +
	`(first_index, next_index, min_time, max_time, committed_at, root, range, entries) VALUES (?1, CASE ` +
	`WHEN ?1 = 0 THEN CASE WHEN NOT EXISTS (SELECT 1 FROM ledger_commits) THEN ?2 END ` +
	`WHEN (?1, ?9, ?10) = (SELECT next_index, first_index, root FROM ledger_commits ORDER BY first_index DESC LIMIT 1) ` +
	`THEN ?2 END, ?3, ?4, ?5, ?6, ?7, ?8)`

func (c *conn) insertCommit(ctx context.Context, commit *ledger.Commit) error {
	_, err := c.Exec(ctx, insertCommit,
		commit.FirstIndex, commit.NextIndex, commit.MinTime.UnixMicro(), commit.MaxTime.UnixMicro(),
		commit.CommittedAt.UnixMicro(), commit.Root[:], commit.Range, commit.Entries, commit.PrevFirst, commit.PrevRoot[:])
	if sqlitedb.IsConstraint(err) {
		return &contentError{ledger.ErrHeadMoved}
	}
	return err
}

func (c *conn) insertIDs(ctx context.Context, first int64, records []*datastorage.Record) error {
	return c.rows(ctx, idsInsert, len(records), func(args []sqlitedb.Argument, i int) {
		r := records[i]
		args[0].Value = r.ID[:]
		args[1].Value = first + int64(i)
		args[2].Value = r.Time.UnixMicro()
	})
}

// insertEvents stores the events of a commit. begins holds for each where its correlation begins.
func (c *conn) insertEvents(ctx context.Context, first int64, records []*datastorage.Record, begins []int64) error {
	return c.rows(ctx, eventsInsert, len(records), func(args []sqlitedb.Argument, i int) {
		r := records[i]
		args[0].Value = first + int64(i)
		args[1].Value = r.Time.UnixMicro()
		args[2].Value = r.ID[:]
		args[3].Value = r.CorrelationID
		args[4].Value = begins[i]
		args[5].Value = r.Type
		args[6].Value = r.Category
		args[7].Value = r.Outcome
		args[8].Value = r.Severity
		args[9].Value = r.ActorType
		args[10].Value = r.ActorID
		args[11].Value = r.ResourceType
		args[12].Value = r.ResourceID
		args[13].Value = optional(r.Namespace)
		args[14].Value = optional(r.ClusterName)
		args[15].Value = nil
		if r.ParentID != [16]byte{} {
			args[15].Value = r.ParentID[:]
		}
		args[16].Value = optional(r.TraceID)
		args[17].Value = r.Salt[:]
		args[18].Value = sqlitedb.RawText(r.Body)
	})
}

// optional is NULL for a text that is absent.
func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}

const insertNotification = `INSERT INTO notifications (remediation_id, notification_id, recipient, channel, ` +
	`message_summary, status, sent_at, delivery_status, error_message, escalation_level, created_at, updated_at, event_id) ` +
	`VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// insertNotifications returns the ids of the records.
func (c *conn) insertNotifications(ctx context.Context, notifications []*datastorage.Notification) ([]int64, error) {
	ids := make([]int64, len(notifications))
	for i, n := range notifications {
		result, err := c.Exec(ctx, insertNotification,
			n.RemediationID, n.NotificationID, n.Recipient, n.Channel, n.MessageSummary, n.Status, n.SentAt.UnixMicro(),
			optional(n.DeliveryStatus), optional(n.ErrorMessage), int64(n.EscalationLevel),
			n.CreatedAt.UnixMicro(), n.UpdatedAt.UnixMicro(), n.EventID[:])
		if sqlitedb.IsConstraint(err) {
			return nil, &contentError{notificationTaken(n.NotificationID)}
		}
		if err != nil {
			return nil, err
		}
		ids[i] = result.LastID
	}
	return ids, nil
}

func notificationTaken(id string) error {
	return &datastorage.Error{
		Code:     datastorage.CodeConflict,
		Detail:   "a notification with this notification_id is stored already",
		Conflict: &datastorage.Conflict{Resource: "notification_audit", Field: "notification_id", Value: id},
	}
}
