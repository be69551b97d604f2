package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

const (
	maxOldestSize = 16 << 20 // bytes of entries that Oldest returns at most, but for the first
	maxSteps      = 20       // how often Oldest sets aside what is none of its messages before it returns what it has
	scanPage      = 1000     // correlation_ids in one answer, about
)

// Oldest implements deadletter.Queue. It takes over the entries of V1.0 that it meets, and sets aside what cannot be read.
func (q *Queue) Oldest(ctx context.Context, limit int) ([]*deadletter.Message, error) {
	for step := 1; ; step++ {
		reply, err := q.read(ctx, oldestScript, limit, maxOldestSize)
		if err != nil {
			return nil, err
		}
		entries, err := parseEntries(reply)
		if err != nil {
			return nil, err
		}
		var messages []*deadletter.Message
		var others []entry
		for i := range entries {
			if m, err := entries[i].message(); err == nil {
				messages = append(messages, m)
			} else {
				others = append(others, entries[i])
			}
		}
		if len(others) == 0 || step == maxSteps {
			return messages, nil
		}
		if err := q.adopt(ctx, others); err != nil {
			return nil, err
		}
	}
}

// Waiting implements deadletter.Queue. What is put during the call may come or not.
func (q *Queue) Waiting(ctx context.Context, yield func(correlationID string)) error {
	if err := errors.Join(ctx.Err(), q.closed()); err != nil {
		return err
	}
	// The server may name a field of the hash twice.
	seen := map[string]bool{}
	for cursor := uint64(0); ; {
		page, next, err := q.scanCorrelations(ctx, cursor)
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(page); i += 2 {
			if seen[page[i]] {
				continue
			}
			seen[page[i]] = true
			n, err := strconv.Atoi(page[i+1])
			if err != nil {
				return errReply
			}
			for range n {
				yield(page[i])
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func (q *Queue) scanCorrelations(ctx context.Context, cursor uint64) (page []string, next uint64, err error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	page, next, err = q.client.HScan(ctx, correlationsKey, cursor, "", scanPage).Result()
	return page, next, q.explain(err)
}

// Letters implements deadletter.Queue. An id that this queue cannot have given is an error.
func (q *Queue) Letters(ctx context.Context, after string, limit int) ([]deadletter.Letter, error) {
	if _, ok := parseID(after); after != "" && !ok {
		return nil, fmt.Errorf("%q is no id of a dead letter", after)
	}
	reply, err := q.read(ctx, lettersScript, after, limit)
	if err != nil {
		return nil, err
	}
	list, err := texts(reply)
	if err != nil {
		return nil, err
	}
	var letters []deadletter.Letter
	for i := 0; i+1 < len(list); i += 2 {
		l, err := (&storedLetter{id: list[i], text: list[i+1]}).letter()
		if err != nil {
			return nil, err
		}
		letters = append(letters, l)
	}
	return letters, nil
}

// Letter implements deadletter.Queue.
func (q *Queue) Letter(ctx context.Context, id string) (deadletter.Letter, error) {
	stored, err := q.letterAt(ctx, id)
	if err != nil {
		return deadletter.Letter{}, err
	}
	return stored.letter()
}

// Stats implements deadletter.Queue. Bytes are those of texts, and 256 for each message and letter; entries of V1.0 count
// in Depth at once, and in Bytes when they are taken over.
func (q *Queue) Stats(ctx context.Context) (deadletter.Stats, error) {
	reply, err := q.read(ctx, statsScript)
	if err != nil {
		return deadletter.Stats{}, err
	}
	list, ok := reply.([]any)
	if !ok || len(list) != 5 {
		return deadletter.Stats{}, errReply
	}
	var numbers [4]int64
	for i := range numbers {
		if numbers[i], ok = list[i].(int64); !ok {
			return deadletter.Stats{}, errReply
		}
	}
	stats := deadletter.Stats{
		Depth: numbers[0] + numbers[1], Notifications: numbers[1], Bytes: numbers[2], Capacity: q.opts.MaxBytes, Quarantined: numbers[3],
	}
	if text, _ := list[4].(string); text != "" {
		at, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return deadletter.Stats{}, errReply
		}
		stats.Oldest = time.UnixMicro(at).UTC()
	}
	return stats, nil
}
