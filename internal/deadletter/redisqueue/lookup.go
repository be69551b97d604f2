package redisqueue

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// maxFields bounds what one command looks up, and maxLookup one round trip; one caller may exceed the latter alone.
const (
	maxFields = 1000
	maxLookup = 10_000
)

// question asks which fields of a hash there are.
type question struct {
	key    string
	fields []string
	found  []bool
}

// sharedLookup answers questions of many callers with one round trip at a time: whatever waits when the last one ends is the
// next one, so that an answer is never older than its question.
type sharedLookup struct {
	run func(questions []*question) error

	mu      sync.Mutex
	next    *round // nil when nobody waits
	running bool
}

// round is one round trip and its shared answer.
type round struct {
	questions []*question
	size      int
	done      chan struct{}
	err       error
}

// ask returns when the question is answered, or ctx ends.
func (l *sharedLookup) ask(ctx context.Context, asked *question) error {
	l.mu.Lock()
	r := l.next
	if r == nil || r.size+len(asked.fields) > maxLookup {
		r = &round{done: make(chan struct{})}
		if l.next != nil {
			// The full one runs beside the current one rather than grow.
			go l.finish(l.next)
		}
		l.next = r
	}
	r.questions = append(r.questions, asked)
	r.size += len(asked.fields)
	start := !l.running
	l.running = true
	l.mu.Unlock()
	if start {
		go l.loop()
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loop makes round trips until nobody waits.
func (l *sharedLookup) loop() {
	for {
		l.mu.Lock()
		r := l.next
		l.next = nil
		l.running = r != nil
		l.mu.Unlock()
		if r == nil {
			return
		}
		l.finish(r)
	}
}

func (l *sharedLookup) finish(r *round) {
	r.err = l.run(r.questions)
	close(r.done)
}

// find answers questions in one round trip.
func (q *Queue) find(questions []*question) error {
	ctx, cancel := q.bounded(q.life)
	defer cancel()
	pipe := q.client.Pipeline()
	var calls []*redis.SliceCmd
	for _, asked := range questions {
		for chunk := range slices.Chunk(asked.fields, maxFields) {
			calls = append(calls, pipe.HMGet(ctx, asked.key, chunk...))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return errors.Join(q.closed(), q.explain(err))
	}
	for _, asked := range questions {
		asked.found = asked.found[:0]
		for len(asked.found) < len(asked.fields) {
			for _, v := range calls[0].Val() {
				asked.found = append(asked.found, v != nil)
			}
			calls = calls[1:]
		}
	}
	return nil
}

// holds answers one question.
func (q *Queue) holds(ctx context.Context, key string, fields []string) ([]bool, error) {
	if err := errors.Join(ctx.Err(), q.closed()); err != nil {
		return nil, err
	}
	if len(fields) == 0 {
		return nil, nil
	}
	asked := &question{key: key, fields: fields}
	if err := q.finds.ask(ctx, asked); err != nil {
		return nil, err
	}
	return asked.found, nil
}

// Holds implements deadletter.Queue.
func (q *Queue) Holds(ctx context.Context, eventIDs []uuid.UUID) (map[uuid.UUID]bool, error) {
	fields := make([]string, len(eventIDs))
	for i, id := range eventIDs {
		fields[i] = id.String()
	}
	found, err := q.holds(ctx, idsKey, fields)
	if err != nil {
		return nil, err
	}
	held := map[uuid.UUID]bool{}
	for i, there := range found {
		if there {
			held[eventIDs[i]] = true
		}
	}
	return held, nil
}

// HoldsCorrelations implements deadletter.Queue.
func (q *Queue) HoldsCorrelations(ctx context.Context, correlationIDs []string) (map[string]bool, error) {
	found, err := q.holds(ctx, correlationsKey, correlationIDs)
	if err != nil {
		return nil, err
	}
	held := map[string]bool{}
	for i, there := range found {
		if there {
			held[correlationIDs[i]] = true
		}
	}
	return held, nil
}
