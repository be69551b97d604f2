package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/redis/go-redis/v9"
)

// Bounds of one batch; one change may exceed them alone.
const (
	maxChanges  = 1000
	maxPutBytes = 8 << 20
)

// change is one call of a script, all or nothing. It is answered exactly once.
type change struct {
	script *script
	args   []any
	bytes  int
	answer chan answer // buffered, so that answering never waits
}

type answer struct {
	reply any
	err   error
}

// errNotSynced says that a change was made and may be lost when the server fails now.
var errNotSynced = errors.New("the Redis server did not sync the change to its disk in time")

// do has a change made, and waits for its answer until ctx ends.
func (q *Queue) do(ctx context.Context, c *change) (any, error) {
	if err := q.enqueue(ctx, c); err != nil {
		return nil, err
	}
	return q.wait(ctx, c)
}

// enqueue hands a change to the loop: what is handed over first is made first.
func (q *Queue) enqueue(ctx context.Context, c *change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.answer = make(chan answer, 1)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closing {
		return errClosed
	}
	q.waiting = append(q.waiting, c)
	q.signal()
	return nil
}

// wait returns the answer to a change that the loop has.
func (q *Queue) wait(ctx context.Context, c *change) (any, error) {
	select {
	case a := <-c.answer:
		return a.reply, q.explain(a.err)
	case <-ctx.Done():
	}
	if q.withdraw(c) {
		return nil, ctx.Err()
	}
	select {
	case a := <-c.answer:
		return a.reply, q.explain(a.err)
	default:
		return nil, fmt.Errorf("the Redis server did not answer in time, the change may have been made: %w", ctx.Err())
	}
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// withdraw takes back a change; false when the loop has it.
func (q *Queue) withdraw(c *change) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.waiting {
		if w == c {
			q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// take returns what the next batch holds, in order of arrival.
func (q *Queue) take() (batch []*change, closing bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	bytes := 0
	for _, c := range q.waiting {
		if len(batch) > 0 && (len(batch) == maxChanges || bytes+c.bytes > maxPutBytes) {
			break
		}
		bytes += c.bytes
		batch = append(batch, c)
	}
	rest := copy(q.waiting, q.waiting[len(batch):])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	return batch, q.closing
}

// loop makes the changes: whatever waits when the last batch is answered is the next one. ctx is never cancelled.
func (q *Queue) loop(ctx context.Context) {
	defer close(q.done)
	for {
		// Callers that are ready to run get to join this batch.
		runtime.Gosched()
		batch, closing := q.take()
		if len(batch) > 0 {
			q.commit(ctx, batch)
			continue
		}
		if closing {
			return
		}
		<-q.wake
	}
}

// commit makes a batch of changes in one round trip, which the server syncs to disk once, and answers each.
func (q *Queue) commit(ctx context.Context, batch []*change) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	answers := q.send(ctx, batch)
	var unknown []*change
	for i, c := range batch {
		if isUnknownScript(answers[i].err) {
			unknown = append(unknown, c)
			continue
		}
		c.answer <- answers[i]
	}
	if len(unknown) == 0 {
		return
	}
	// The server has started anew: nothing of these was done.
	err := q.loadScripts(ctx)
	if err == nil {
		answers = q.send(ctx, unknown)
	}
	for i, c := range unknown {
		if err != nil {
			answers[i] = answer{err: err}
		}
		c.answer <- answers[i]
	}
}

// send makes changes, in their order, and waits until they are synced.
func (q *Queue) send(ctx context.Context, batch []*change) []answer {
	pipe := q.client.Pipeline()
	calls := make([]*redis.Cmd, len(batch))
	for i, c := range batch {
		calls[i] = pipe.EvalSha(ctx, c.script.hash, keys, c.args...)
	}
	var synced *redis.Cmd
	if q.waitAOF {
		// The command waits for what this connection wrote: a write behind the others makes that all that is there.
		pipe.HIncrBy(ctx, stateKey, "syncs", 1)
		synced = pipe.Do(ctx, "WAITAOF", 1, 0, q.opts.Timeout.Milliseconds())
	}
	// Every command has its own error.
	_, _ = pipe.Exec(ctx)
	answers := make([]answer, len(batch))
	for i, call := range calls {
		answers[i].reply, answers[i].err = call.Result()
	}
	if synced != nil {
		if err := checkSynced(synced); err != nil {
			for i := range answers {
				if answers[i].err == nil {
					answers[i] = answer{err: err}
				}
			}
		}
	}
	return answers
}

// checkSynced reads the answer of WAITAOF: the numbers of local and of replicas' logs that are synced.
func checkSynced(synced *redis.Cmd) error {
	numbers, err := synced.Int64Slice()
	if err != nil {
		return fmt.Errorf("%w: %w", errNotSynced, err)
	}
	if len(numbers) == 0 || numbers[0] < 1 {
		return errNotSynced
	}
	return nil
}

// loadScripts makes the scripts of changes known to the server.
func (q *Queue) loadScripts(ctx context.Context) error {
	pipe := q.client.Pipeline()
	for _, s := range changeScripts {
		pipe.ScriptLoad(ctx, s.text)
	}
	_, err := pipe.Exec(ctx)
	return err
}
