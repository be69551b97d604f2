package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// errGone says that an entry is not there any more.
var errGone = errors.New("the entry is gone")

// errLeadLost says that another server leads by now.
var errLeadLost = errors.New("another server redrives the dead-letter queue by now")

// outcome turns the answer of a script that says what became of its change into an error.
func outcome(reply any, err error) error {
	if err != nil {
		return err
	}
	switch reply {
	case "done":
		return nil
	case "gone":
		return deadletter.ErrNotFound
	case "conflict":
		return deadletter.ErrConflict
	case "lost":
		return errLeadLost
	}
	return errReply
}

// Remove implements deadletter.Queue. A queue that had the lead and lost it removes nothing.
func (q *Queue) Remove(ctx context.Context, ids []string) error {
	args := []any{q.leadToken()}
	for _, id := range ids {
		if place, ok := parseID(id); ok {
			args = append(args, place)
		}
	}
	if len(args) == 1 {
		return ctx.Err()
	}
	return outcome(q.do(ctx, &change{script: removeScript, args: args}))
}

// Quarantine implements deadletter.Queue.
func (q *Queue) Quarantine(ctx context.Context, id, reason string) error {
	place, ok := parseID(id)
	if !ok {
		return errors.Join(ctx.Err(), deadletter.ErrNotFound)
	}
	e, err := q.entryAt(ctx, place)
	if err != nil {
		return err
	}
	c, err := q.quarantine(e, reason, q.leadToken())
	if err != nil {
		return err
	}
	return outcome(q.do(ctx, c))
}

// entryAt reads one entry, which never changes while it is there.
func (q *Queue) entryAt(ctx context.Context, place string) (*entry, error) {
	if err := errors.Join(ctx.Err(), q.closed()); err != nil {
		return nil, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	reply, err := q.client.Do(ctx, "XRANGE", streamKey(place), place[1:], place[1:]).Result()
	if err != nil {
		return nil, q.explain(err)
	}
	entries, err := parseEntries(reply)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, deadletter.ErrNotFound
	}
	return &entry{place: place, fields: entries[0].fields}, nil
}

// streamKey returns the key of the stream that a place is in.
func streamKey(place string) string {
	if place[:1] == inNotifications {
		return NotificationsKey
	}
	return EventsKey
}

// quarantine returns the change that makes an entry a letter.
func (q *Queue) quarantine(e *entry, reason, token string) (*change, error) {
	id, err := formatID(e.place)
	if err != nil {
		return nil, err
	}
	text, err := encodeLetter(e, reason, time.Now())
	if err != nil {
		return nil, err
	}
	return &change{script: quarantineScript, args: []any{token, e.place, id, text}, bytes: len(text)}, nil
}

// Replay implements deadletter.Queue.
func (q *Queue) Replay(ctx context.Context, id string) error {
	stored, err := q.letterAt(ctx, id)
	if err != nil {
		return err
	}
	e, err := stored.entry()
	if err != nil {
		return err
	}
	args := []any{id, e.place[:1]}
	for _, text := range e.fields {
		args = append(args, text)
	}
	return outcome(q.do(ctx, &change{script: replayScript, args: args, bytes: len(stored.text)}))
}

// Discard implements deadletter.Queue.
func (q *Queue) Discard(ctx context.Context, id string) error {
	return outcome(q.do(ctx, &change{script: discardScript, args: []any{id}}))
}

// letterAt reads one letter, which never changes while it is there.
func (q *Queue) letterAt(ctx context.Context, id string) (*storedLetter, error) {
	if err := errors.Join(ctx.Err(), q.closed()); err != nil {
		return nil, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	text, err := q.client.HGet(ctx, lettersKey, id).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, deadletter.ErrNotFound
	case err != nil:
		return nil, q.explain(err)
	}
	return &storedLetter{id: id, text: text}, nil
}

// unreadable is for a letter that cannot be decoded.
func (s *storedLetter) unreadable(err error) error {
	return fmt.Errorf("letter %s of the dead-letter queue in Redis cannot be read: %w", s.id, err)
}
