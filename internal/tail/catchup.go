package tail

import (
	"context"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// piece is a part of the log that was read from the store for one reader. While it holds one, the reader has one of the
// hub's slots, so that few pieces are in memory at once.
type piece struct {
	held   bool
	events []project.Event
	next   int64 // where the piece behind it begins, where a commit does; -1 when that is not known
	taken  time.Time
}

func (p *piece) release(h *Hub) {
	if p.held {
		p.held, p.events = false, nil
		<-h.slots
	}
}

// catchUp waits for a slot and reads a piece from the store. It does not wait long: when no slot becomes free, or the store
// cannot be reached, the reader has not moved, and tries again when more is closed.
func (r *Reader) catchUp(ctx context.Context) (moved bool, more chan struct{}, end *stop) {
	if !r.takeSlot(ctx) {
		return true, nil, nil
	}
	err := r.readPiece(ctx)
	if err == nil {
		return true, nil, nil
	}
	<-r.hub.slots
	if datastorage.CodeOf(err) != datastorage.CodeUnavailable && ctx.Err() == nil {
		return false, nil, &stop{reason: ReasonFailed, err: err}
	}
	later := make(chan struct{})
	time.AfterFunc(r.hub.limits.RetryAfter, func() { close(later) })
	return false, later, nil
}

// takeSlot waits for a slot, but not for so long that a heartbeat would be late.
func (r *Reader) takeSlot(ctx context.Context) bool {
	timer := time.NewTimer(r.hub.limits.RetryAfter)
	defer timer.Stop()
	select {
	case r.hub.slots <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	case <-r.hub.closing:
	}
	return false
}

// readPiece reads the piece that holds the next event.
func (r *Reader) readPiece(ctx context.Context) error {
	from := r.piece.next
	if from != r.next {
		c, err := r.hub.log.CommitOf(ctx, r.next)
		if err != nil {
			return err
		}
		if c == nil {
			return datastorage.Errorf(datastorage.CodeInternal, "the log has no commit of event %d, which it held before", r.next)
		}
		from = c.FirstIndex
	}
	batch, err := r.hub.log.Follow(ctx, from, r.limit, r.bodies)
	if err != nil {
		return err
	}
	r.hub.metrics.catchUps.Inc()
	r.piece = piece{held: true, events: batch.Events, next: batch.Next, taken: time.Now()}
	bytes := 0
	for i := range batch.Events {
		bytes += len(batch.Events[i].Body)
	}
	r.limit = r.hub.limits.adapt(r.limit, bytes)
	return nil
}

// sendPiece sends events of the piece, up to about as much as is sent at once, and gives it back when none are left.
func (r *Reader) sendPiece(s *scratch) *stop {
	next, n := r.next, int64(0)
	events := r.piece.events
	for len(events) > 0 && len(s.frames) < r.hub.limits.PieceBytes {
		e := &events[0]
		events = events[1:]
		if e.LogIndex < r.next {
			continue
		}
		next = e.LogIndex + 1
		if r.filter.Match(&e.EventHeader, e.Body) {
			s.frames, _, _ = appendAudit(s.frames, stored(e))
			n++
		}
	}
	if len(events) == 0 {
		next = r.piece.next
	}
	end := r.sendUpTo(next, s.frames, n)
	r.piece.events = events
	if end == nil && len(events) > 0 && time.Since(r.piece.taken) > r.hub.limits.CatchUpTime {
		end = &stop{reason: ReasonSlow}
	}
	if len(events) == 0 {
		r.piece.release(r.hub)
	}
	return end
}
