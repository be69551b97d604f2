package disk

import (
	"context"
	"time"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// Remove implements deadletter.Queue.
func (q *Queue) Remove(ctx context.Context, ids []string) error {
	seqs := make([]int64, 0, len(ids))
	for _, id := range ids {
		if seq, ok := parseID(id); ok {
			seqs = append(seqs, seq)
		}
	}
	if len(seqs) == 0 {
		return ctx.Err()
	}
	return q.do(ctx, &change{apply: func(t *tx) error { return t.remove(seqs) }})
}

func (t *tx) remove(seqs []int64) error {
	for _, seq := range seqs {
		n, err := t.exec(`DELETE FROM waiting WHERE seq = ?`, seq)
		if err != nil {
			return err
		}
		t.depth -= n
	}
	return t.noteGone()
}

// noteGone keeps the numbers of messages that are gone from being used again.
func (t *tx) noteGone() error {
	last := t.next - 1
	if t.gone == last {
		return nil
	}
	if _, err := t.exec(`UPDATE gone SET last_seq = ?`, last); err != nil {
		return err
	}
	t.gone = last
	return nil
}

// Quarantine implements deadletter.Queue.
func (q *Queue) Quarantine(ctx context.Context, id, reason string) error {
	at := time.Now().UnixMicro()
	return q.doID(ctx, id, func(t *tx, seq int64) error {
		n, err := t.exec(`INSERT INTO letters (seq, `+columns+`, reason, quarantined_at) `+
			`SELECT seq, `+columns+`, ?, ? FROM waiting WHERE seq = ?`, reason, at, seq)
		if err != nil {
			return err
		}
		if n == 0 {
			return refuse(deadletter.ErrNotFound)
		}
		if _, err := t.exec(`DELETE FROM waiting WHERE seq = ?`, seq); err != nil {
			return err
		}
		t.depth--
		t.quarantined++
		return nil
	})
}

// Replay implements deadletter.Queue.
func (q *Queue) Replay(ctx context.Context, id string) error {
	return q.doID(ctx, id, func(t *tx, seq int64) error {
		n, err := t.exec(`INSERT INTO waiting (seq, `+columns+`) SELECT ?, `+columns+` FROM letters WHERE seq = ? `+
			`ON CONFLICT (event_id) DO NOTHING`, t.next, seq)
		if err != nil {
			return err
		}
		if n == 0 {
			return t.whyNotReplayed(seq)
		}
		if _, err := t.exec(`DELETE FROM letters WHERE seq = ?`, seq); err != nil {
			return err
		}
		t.next++
		t.depth++
		t.quarantined--
		return nil
	})
}

func (t *tx) whyNotReplayed(seq int64) error {
	n, err := number(t.ctx, t.Conn, `SELECT count(*) FROM letters WHERE seq = ?`, seq)
	if err != nil {
		return err
	}
	if n == 0 {
		return refuse(deadletter.ErrNotFound)
	}
	return refuse(deadletter.ErrConflict)
}

// Discard implements deadletter.Queue.
func (q *Queue) Discard(ctx context.Context, id string) error {
	return q.doID(ctx, id, func(t *tx, seq int64) error {
		n, err := t.exec(`DELETE FROM letters WHERE seq = ?`, seq)
		if err != nil {
			return err
		}
		if n == 0 {
			return refuse(deadletter.ErrNotFound)
		}
		t.quarantined--
		return t.noteGone()
	})
}

// doID makes a change to the message with an id.
func (q *Queue) doID(ctx context.Context, id string, apply func(t *tx, seq int64) error) error {
	seq, ok := parseID(id)
	if !ok {
		if err := ctx.Err(); err != nil {
			return err
		}
		return deadletter.ErrNotFound
	}
	return q.do(ctx, &change{apply: func(t *tx) error { return apply(t, seq) }})
}
