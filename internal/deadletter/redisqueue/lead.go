package redisqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"
)

// The lease of the lead. A server that is killed, or cut off from Redis, loses it after leaseTime.
const (
	leaseTime  = 5 * time.Second
	keepPause  = time.Second            // between two renewals
	seekPause  = 200 * time.Millisecond // between two looks at another one's lease
	leaseGuard = time.Second            // by how much earlier who cannot renew the lease ends the lead itself
)

// Lead implements deadletter.Queue: a lease in Redis, under a token of its own. A queue that cannot reach Redis goes on
// asking until ctx ends.
func (q *Queue) Lead(ctx context.Context) (lead context.Context, release func(), err error) {
	token := rand.Text()
	for {
		if err := errors.Join(ctx.Err(), q.closed()); err != nil {
			return nil, nil, err
		}
		asked := time.Now()
		held, err := q.lease(ctx, "take", token)
		if err == nil && held {
			return q.hold(ctx, token, asked)
		}
		if !q.rest(ctx, seekPause) {
			// The lease may have been taken although the answer was lost.
			_, _ = q.lease(context.WithoutCancel(ctx), "leave", token)
		}
	}
}

// lease asks Redis for the lease, renews it, or gives it up. held says whether the token has it.
func (q *Queue) lease(ctx context.Context, what, token string) (held bool, err error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	reply, err := leadScript.run(ctx, q.client, what, token, leaseTime.Milliseconds()).Text()
	return reply == "done", q.explain(err)
}

// hold keeps a lease that was granted when it was asked for at a time, until it is released or lost.
func (q *Queue) hold(ctx context.Context, token string, granted time.Time) (context.Context, func(), error) {
	q.mu.Lock()
	if q.closing {
		q.mu.Unlock()
		_, _ = q.lease(context.WithoutCancel(ctx), "leave", token)
		return nil, nil, errClosed
	}
	q.token = token
	q.leads.Add(1)
	q.mu.Unlock()
	lead, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(q.life, cancel)
	left := make(chan struct{})
	go func() {
		defer q.leads.Done()
		defer close(left)
		q.keep(lead, token, granted)
		cancel()
		_, _ = q.lease(context.WithoutCancel(ctx), "leave", token)
	}()
	return lead, sync.OnceFunc(func() {
		stop()
		cancel()
		<-left
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.token == token {
			q.token = ""
		}
	}), nil
}

// keep renews a lease until ctx ends, another one has it, or it could not be renewed in time.
func (q *Queue) keep(ctx context.Context, token string, renewed time.Time) {
	for {
		asked := time.Now()
		held, err := q.renew(ctx, token, renewed)
		switch {
		case err == nil && !held, ctx.Err() != nil, time.Since(renewed) >= leaseTime-leaseGuard:
			return
		case err == nil:
			renewed = asked
		}
	}
}

// renew waits and then renews a lease, both no longer than the lease can be relied on.
func (q *Queue) renew(ctx context.Context, token string, renewed time.Time) (held bool, err error) {
	ctx, cancel := context.WithDeadline(ctx, renewed.Add(leaseTime-leaseGuard))
	defer cancel()
	if !q.rest(ctx, keepPause) {
		return false, errNotRenewed
	}
	return q.lease(ctx, "keep", token)
}

// errNotRenewed says that a lease was not renewed, nor found to be another one's.
var errNotRenewed = errors.New("the lease was not renewed")

// leadToken is the token of the lead that this queue took and did not release, "" when there is none.
func (q *Queue) leadToken() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.token
}
