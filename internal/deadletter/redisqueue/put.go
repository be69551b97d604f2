package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

const (
	// maxTries bounds how often a Put is sent when its answer is lost. The pause before the next try doubles.
	maxTries   = 4
	firstPause = 20 * time.Millisecond
	// maxCompares bounds how often the messages of a Put meet others with their event_id that they were not compared with.
	maxCompares = 10
)

// put is a Put on its way.
type put struct {
	messages []*deadletter.Message
	values   [][]any
	// same says whether a message equals the first of the call with its EventID.
	same []bool
	// known is the place of the waiting message that a message was found to equal.
	known []string
	// again says that the call may have been made before.
	again bool
	// replaced is the place of the entry that the message stands for, "" for none.
	replaced string
	bytes    int
}

func newPut(messages []*deadletter.Message) (*put, error) {
	p := &put{
		messages: messages, values: make([][]any, len(messages)), same: make([]bool, len(messages)),
		known: make([]string, len(messages)),
	}
	first := make(map[uuid.UUID]*deadletter.Message, len(messages))
	for i, m := range messages {
		var err error
		if p.values[i], err = fieldValues(m); err != nil {
			return nil, err
		}
		p.bytes += len(m.Body)
		if before, ok := first[m.EventID]; !ok {
			first[m.EventID] = m
		} else if p.same[i], err = sameContent(m, before.Body); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// sameContent reports whether a message counts as put when the body waits under its EventID.
func sameContent(m *deadletter.Message, body []byte) (bool, error) {
	if string(m.Body) == string(body) {
		return true, nil
	}
	waiting, err := datastorage.ParseBody(body)
	if err != nil {
		return false, fmt.Errorf("event %s waits in the dead-letter queue and cannot be read: %w", m.EventID, err)
	}
	e, err := datastorage.ParseBody(m.Body)
	if err != nil {
		return false, fmt.Errorf("event %s cannot be read: %w", m.EventID, err)
	}
	e.Sent = m.Sent
	return e.SameContent(waiting), nil
}

func (p *put) change(capacity int64) *change {
	flag := func(b bool) string {
		if b {
			return "1"
		}
		return "0"
	}
	args := []any{capacity, flag(p.again), p.replaced}
	for i, m := range p.messages {
		args = append(args, streamOf(m), flag(p.same[i]), p.known[i])
		args = append(args, p.values[i]...)
	}
	return &change{script: putScript, args: args, bytes: p.bytes}
}

// Put implements deadletter.Queue. What waits while one batch is on its way is the next one. A call whose answer is lost
// is made again, a few times, and finds what it did.
func (q *Queue) Put(ctx context.Context, messages []*deadletter.Message) error {
	if len(messages) == 0 {
		return ctx.Err()
	}
	p, err := newPut(messages)
	if err != nil {
		return err
	}
	return q.put(ctx, p)
}

func (q *Queue) put(ctx context.Context, p *put) error {
	pause := firstPause
	for tries, compares := 1, 0; ; {
		reply, err := q.do(ctx, p.change(q.opts.MaxBytes))
		if err != nil {
			if tries == maxTries || isFinal(err) || ctx.Err() != nil || !q.rest(ctx, pause) {
				return err
			}
			p.again, tries, pause = true, tries+1, 2*pause
			continue
		}
		done, err := p.read(reply)
		if done || err != nil {
			return err
		}
		if compares++; compares == maxCompares {
			return errors.New("messages with the same event_ids come and go in the dead-letter queue; try again")
		}
	}
}

// isFinal reports whether calling again would bring the same error.
func isFinal(err error) bool {
	return errors.Is(err, deadletter.ErrFull) || errors.Is(err, errClosed) || isReply(err) && !errors.Is(err, errNotSynced) && !isLoading(err)
}

// rest waits; false when ctx or the queue ended meanwhile.
func (q *Queue) rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-q.life.Done():
	}
	return false
}

// read takes the answer to a put. It reports whether the put is done; else the messages were compared with others that
// wait, and the put must be sent again.
func (p *put) read(reply any) (done bool, err error) {
	list, ok := reply.([]any)
	if !ok || len(list) == 0 {
		return false, errReply
	}
	switch list[0] {
	case "put":
		return true, p.setIDs(list[1:])
	case "full":
		return false, deadletter.ErrFull
	case "conflict":
		return false, fmt.Errorf("%w (%v)", deadletter.ErrConflict, list[1])
	case "gone":
		return false, errGone
	case "compare":
		return false, p.compare(list[1:])
	}
	return false, errReply
}

func (p *put) setIDs(places []any) error {
	if len(places) != len(p.messages) {
		return errReply
	}
	for i, m := range p.messages {
		place, ok := places[i].(string)
		if !ok {
			return errReply
		}
		m.ID = ""
		if place == "" {
			continue
		}
		var err error
		if m.ID, err = formatID(place); err != nil {
			return err
		}
	}
	return nil
}

// compare compares messages with those that wait under their EventIDs: number, place and body in turn.
func (p *put) compare(list []any) error {
	for ; len(list) >= 3; list = list[3:] {
		number, _ := list[0].(int64)
		place, _ := list[1].(string)
		body, _ := list[2].(string)
		if number < 1 || number > int64(len(p.messages)) {
			return errReply
		}
		m := p.messages[number-1]
		same, err := sameContent(m, []byte(body))
		if err != nil {
			return err
		}
		if !same {
			return fmt.Errorf("%w (%s)", deadletter.ErrConflict, m.EventID)
		}
		p.known[number-1] = place
	}
	return nil
}
