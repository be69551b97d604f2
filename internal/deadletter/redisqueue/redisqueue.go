// Package redisqueue keeps a dead-letter queue in Redis Streams, where all servers that use it share it. The format of
// what it keeps, and the entries of V1.0 that it takes over, are described in docs/dead-letters.md.
package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// The keys of the queue in its database. The streams have the names that V1.0 gave them: notifications and the events that
// stand for them wait in the second, every other event in the first.
const (
	EventsKey        = "audit:dlq:events"
	NotificationsKey = "audit:dlq:notifications"
	idsKey           = "audit:dlq:ids"
	correlationsKey  = "audit:dlq:correlations"
	stateKey         = "audit:dlq:state"
	lettersKey       = "audit:dlq:letters"
	letterIDsKey     = "audit:dlq:letter-ids"
	leaderKey        = "audit:dlq:leader"
)

// keys are what every script gets, in this order.
var keys = []string{EventsKey, NotificationsKey, idsKey, correlationsKey, stateKey, lettersKey, letterIDsKey, leaderKey}

// DefaultTimeout is the Timeout of Options that leave it zero.
const DefaultTimeout = time.Second

// Options say where a queue is and what bounds it.
type Options struct {
	// URL is that of the server: redis://user:password@host:port/database, or rediss:// for TLS.
	URL string
	// MaxBytes is what the messages and letters may take, as the queue counts it: their texts and 256 bytes for each.
	MaxBytes int64
	// Timeout bounds one request to the server; zero is DefaultTimeout.
	Timeout time.Duration
	// AllowUnsafe opens the queue on a server that may lose what it has acknowledged; Warnings says what is wrong.
	AllowUnsafe bool
	// Rules are those that entries of V1.0 are decoded under; their time window does not apply.
	Rules datastorage.Rules
	Log   *slog.Logger
}

// Queue is the queue as one server sees it. It implements deadletter.Queue.
type Queue struct {
	opts     Options
	client   *redis.Client
	warnings []string
	// waitAOF says that every batch of changes is followed by a WAITAOF: else the server syncs before it answers.
	waitAOF bool

	mu      sync.Mutex
	waiting []*change // what the next batch takes
	closing bool
	token   string // of the lead that this queue holds, "" for none

	wake  chan struct{} // buffered 1: something waits, or the queue closes
	done  chan struct{} // closed when the loop has answered everything
	finds sharedLookup

	leads     sync.WaitGroup // leads that are not given up yet
	life      context.Context
	end       context.CancelFunc
	closeOnce sync.Once
	closeErr  error
}

var _ deadletter.Queue = (*Queue)(nil)

// errClosed is what a closed queue says.
var errClosed = errors.New("the dead-letter queue is closed")

// silence stops the client library from writing to standard error; every error that matters is returned too.
var silence = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

type silent struct{}

// Printf implements the logger of go-redis.
func (silent) Printf(context.Context, string, ...any) {}

// Open connects to the server, checks that it keeps what it acknowledges, and takes over the entries of V1.0. The errors
// say what to do; none repeats the password.
func Open(ctx context.Context, opts Options) (*Queue, error) {
	silence()
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	opts.Rules.Window = false
	client, err := connect(opts)
	if err != nil {
		return nil, err
	}
	q := &Queue{opts: opts, client: client, wake: make(chan struct{}, 1), done: make(chan struct{})}
	q.finds.run = q.find
	q.life, q.end = context.WithCancel(context.Background())
	if err := q.check(ctx); err != nil {
		close(q.done)
		return nil, errors.Join(err, q.Close())
	}
	go q.loop(context.WithoutCancel(ctx))
	if err := q.takeOver(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("take over the entries of V1.0: %w", err), q.Close())
	}
	return q, nil
}

// connect makes the client; it dials when it is used.
func connect(opts Options) (*redis.Client, error) {
	o, err := redis.ParseURL(opts.URL)
	if err != nil {
		return nil, errors.New("dead_letters.redis.url is not a URL such as redis://user:password@host:6379/0")
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = opts.Timeout, opts.Timeout, opts.Timeout
	o.ContextTimeoutEnabled = true
	o.Protocol = 2
	o.DisableIdentity = true
	// What may have been done must not be repeated behind our back.
	o.MaxRetries = -1
	o.DialerRetries = 1
	return redis.NewClient(o), nil
}

// Shared implements deadletter.Queue.
func (q *Queue) Shared() bool { return true }

// Warnings says, for an operator, why the server may lose what it has acknowledged; nothing when it does not.
func (q *Queue) Warnings() []string { return q.warnings }

// Close takes no more changes, finishes those that wait, gives up the lead, and closes the connections.
func (q *Queue) Close() error {
	q.closeOnce.Do(func() {
		q.mu.Lock()
		q.closing = true
		q.mu.Unlock()
		q.signal()
		<-q.done
		q.end()
		q.leads.Wait()
		q.closeErr = q.client.Close()
	})
	return q.closeErr
}

func (q *Queue) closed() error {
	if q.life.Err() != nil {
		return errClosed
	}
	return nil
}

// bounded returns a context for one request.
func (q *Queue) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, q.opts.Timeout)
}
