package disk

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// columns are those that both tables have beside their number.
const columns = `event_id, correlation_id, sent, queued_at, salt, cause, notification, body`

// idDigits is the number of digits of an id, so that ids sort as text.
const idDigits = 20

func formatID(seq int64) string { return fmt.Sprintf("%0*d", idDigits, seq) }

// parseID returns the number of an id that formatID may have made.
func parseID(id string) (seq int64, ok bool) {
	if len(id) != idDigits || id[0] == '+' || id[0] == '-' {
		return 0, false
	}
	seq, err := strconv.ParseInt(id, 10, 64)
	return seq, err == nil
}

// row is a message as its table holds it. It shares no memory with the message.
type row struct {
	seq          int64 // set when it is appended, else 0
	eventID      uuid.UUID
	correlation  string
	sent         datastorage.FieldSet
	queuedAt     time.Time
	salt         [datastorage.SaltSize]byte
	cause        string
	notification any // nil or a text
	body         string
}

// rowOverhead is at least what a row holds beside its texts, in bytes.
const rowOverhead = 128

func newRow(m *deadletter.Message) (row, error) {
	r := row{
		eventID: m.EventID, correlation: m.CorrelationID, sent: m.Sent, queuedAt: m.QueuedAt, salt: m.Salt, cause: m.Cause,
		body: string(m.Body),
	}
	if m.Notification != nil {
		text, err := deadletter.EncodeNotification(m.Notification)
		if err != nil {
			return row{}, err
		}
		r.notification = text
	}
	return r, nil
}

// size is the size of the row in its table, at most.
func (r *row) size() int64 {
	n := rowOverhead + len(r.correlation) + len(r.cause) + len(r.body)
	if text, ok := r.notification.(string); ok {
		n += len(text)
	}
	return int64(n)
}

// Put implements deadletter.Queue. What waits while one transaction is synced to disk is the next one.
func (q *Queue) Put(ctx context.Context, messages []*deadletter.Message) error {
	if len(messages) == 0 {
		return ctx.Err()
	}
	rows := make([]row, len(messages))
	var g growth
	for i, m := range messages {
		var err error
		if rows[i], err = newRow(m); err != nil {
			return err
		}
		g.add(rows[i].size())
	}
	if err := q.do(ctx, &change{growth: g, apply: func(t *tx) error { return t.put(rows) }}); err != nil {
		return err
	}
	for i, m := range messages {
		m.ID = ""
		if seq := rows[i].seq; seq > 0 {
			m.ID = formatID(seq)
		}
	}
	return nil
}

const insertWaiting = `INSERT INTO waiting (seq, ` + columns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING`

// put appends the rows that do not wait yet. Without room it only finds out whether all of them do.
func (t *tx) put(rows []row) error {
	first, n := t.next, int64(0)
	for i := range rows {
		r := &rows[i]
		r.seq = 0
		appended := int64(0)
		if t.fits {
			var err error
			appended, err = t.exec(insertWaiting, first+n, r.eventID[:], r.correlation, int64(r.sent), r.queuedAt.UnixMicro(),
				r.salt[:], r.cause, r.notification, r.body)
			if err != nil {
				return err
			}
		}
		if appended == 1 {
			r.seq = first + n
			n++
			continue
		}
		refused, err := t.compare(r)
		if err != nil {
			return err
		}
		if refused != nil {
			return t.undo(first, refused)
		}
	}
	t.next += n
	t.depth += n
	return nil
}

// undo takes back the rows of a change that begin at a number, and refuses the change.
func (t *tx) undo(first int64, refused error) error {
	if _, err := t.exec(`DELETE FROM waiting WHERE seq >= ?`, first); err != nil {
		return err
	}
	return refuse(refused)
}

// compare returns why a row that was not appended does not count as put, nil when it does.
func (t *tx) compare(r *row) (refused, err error) {
	found, body := false, ""
	err = t.Query(t.ctx, `SELECT body FROM waiting WHERE event_id = ?`, []any{r.eventID[:]},
		func(row []driver.Value) error {
			found, body = true, sqlitedb.Text(row[0])
			return nil
		})
	switch {
	case err != nil:
		return nil, err
	case !found:
		return deadletter.ErrFull, nil
	case body == r.body:
		return nil, nil
	}
	waiting, err := datastorage.ParseBody([]byte(body))
	if err != nil {
		return fmt.Errorf("event %s waits in the dead-letter queue and cannot be read: %w", r.eventID, err), nil
	}
	sent, err := datastorage.ParseBody([]byte(r.body))
	if err != nil {
		return fmt.Errorf("event %s cannot be read: %w", r.eventID, err), nil
	}
	sent.Sent = r.sent
	if !sent.SameContent(waiting) {
		return fmt.Errorf("%w (%s)", deadletter.ErrConflict, r.eventID), nil
	}
	return nil, nil
}
