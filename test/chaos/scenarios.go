package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/datastorage-io/datastorage/internal/faultproxy"
)

// scenario is one way to break things.
type scenario struct {
	name, about string
	// outage is how long a fault lasts, short that of a short run.
	outage, short time.Duration
	small         place
	queue         string // where the queue must be, "" for anywhere
	// hurt breaks something for about t.outage and heals it, calling t.heal at the moment of healing unless that is the end.
	hurt func(ctx context.Context, t *trial) error
}

// kills is how often a scenario kills the server.
const kills = 3

var scenarios = []scenario{
	{name: "kill9-server", about: "SIGKILL to the server, three times", outage: time.Second, short: 300 * time.Millisecond, hurt: killServer},
	{name: "kill9-postgres", about: "SIGKILL to every process of PostgreSQL", outage: 5 * time.Second, short: time.Second, hurt: killPostgres},
	{name: "postgres-stopped-30s", about: "PostgreSQL is shut down in good order, and started later", outage: 30 * time.Second, short: 3 * time.Second, hurt: stopPostgres},
	{name: "postgres-frozen", about: "PostgreSQL stands still (SIGSTOP), then goes on where it was", outage: 10 * time.Second, short: 4 * time.Second, hurt: freezePostgres},
	{name: "cut-mid-commit", about: "connections end right before and right after a commit, its answer lost", outage: 10 * time.Second, short: 4 * time.Second, hurt: cutCommits},
	{name: "latency-2s", about: "everything takes 2 s to reach PostgreSQL", outage: 15 * time.Second, short: 5 * time.Second, hurt: slowDown},
	{name: "store-disk-full", about: "the disk of the database is full", outage: 5 * time.Second, short: 2 * time.Second, small: theStore, hurt: fillStore},
	{name: "queue-disk-full", about: "the database is down, then the disk of the queue is full", outage: 5 * time.Second, short: 2 * time.Second, small: theQueue, queue: "disk", hurt: fillQueue},
	{name: "kill9-redis", about: "the database is down, then SIGKILL to the Redis of the queue", outage: 5 * time.Second, short: 2 * time.Second, queue: "redis", hurt: killRedis},
	{name: "read-only-database", about: "PostgreSQL refuses to write", outage: 5 * time.Second, short: 2 * time.Second, hurt: forbidWrites},
	{name: "kill9-while-redriving", about: "SIGKILL to the server while it stores what was queued, three times", outage: 5 * time.Second, short: 2 * time.Second, hurt: killRedriving},
	{name: "sigterm-with-database-down", about: "SIGTERM to the server while the database is down, refusing and silent", outage: 5 * time.Second, short: time.Second, hurt: terminateInOutage},
}

func killServer(ctx context.Context, t *trial) error {
	for n := range kills {
		victim := t.servers[n%len(t.servers)]
		victim.kill()
		if err := pause(ctx, t.outage); err != nil {
			return err
		}
		t.heal()
		if err := victim.start(ctx); err != nil {
			return err
		}
		if err := pause(ctx, t.between(50*time.Millisecond, time.Second)); err != nil {
			return err
		}
	}
	return nil
}

func killPostgres(ctx context.Context, t *trial) error {
	if err := t.postgres.Kill(); err != nil {
		return err
	}
	return t.restartPostgres(ctx)
}

func stopPostgres(ctx context.Context, t *trial) error {
	if err := t.postgres.Shutdown(); err != nil {
		return err
	}
	return t.restartPostgres(ctx)
}

// restartPostgres starts PostgreSQL when the outage is over; it is healed when it answers.
func (t *trial) restartPostgres(ctx context.Context) error {
	if err := pause(ctx, t.outage); err != nil {
		return err
	}
	return t.postgres.Restart(ctx)
}

func freezePostgres(ctx context.Context, t *trial) error {
	if err := t.postgres.Pause(); err != nil {
		return err
	}
	err := pause(ctx, t.outage)
	t.heal()
	return errors.Join(err, t.postgres.Resume())
}

// deck is one round of what happens to commits, in an order that changes each time.
var deck = []faultproxy.CommitFault{
	faultproxy.CutBefore, faultproxy.CutBefore, faultproxy.CutBefore, faultproxy.CutBefore,
	faultproxy.CutAfter, faultproxy.CutAfter, faultproxy.CutAfter, faultproxy.CutAfter,
	faultproxy.HoldAnswer, faultproxy.Pass, faultproxy.Pass, faultproxy.Pass,
}

// dealer deals the faults of a deck, again and again, and counts them.
type dealer struct {
	mu     sync.Mutex
	random *rand.Rand
	hand   []faultproxy.CommitFault
	dealt  map[faultproxy.CommitFault]int
}

func (d *dealer) deal() faultproxy.CommitFault {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.hand) == 0 {
		d.hand = slices.Clone(deck)
		d.random.Shuffle(len(d.hand), func(i, j int) { d.hand[i], d.hand[j] = d.hand[j], d.hand[i] })
	}
	fault := d.hand[0]
	d.hand = d.hand[1:]
	d.dealt[fault]++
	return fault
}

// count returns how often a fault was dealt.
func (d *dealer) count(fault faultproxy.CommitFault) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dealt[fault]
}

// wholeDeck reports whether every fault was dealt as often as the deck holds it.
func (d *dealer) wholeDeck() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	total := 0
	for _, n := range d.dealt {
		total += n
	}
	return total >= len(deck)
}

// cutCommits goes on until a whole deck was dealt, however slowly commits come meanwhile.
func cutCommits(ctx context.Context, t *trial) error {
	d := &dealer{random: rand.New(rand.NewPCG(t.random.Uint64(), 0)), dealt: map[faultproxy.CommitFault]int{}}
	t.proxy.SetCommitFault(d.deal)
	err := pause(ctx, t.outage)
	if err == nil {
		err = until(ctx, recoverTimeout, "commits are cut in every way: the proxy must recognise them", d.wholeDeck)
	}
	t.proxy.Heal()
	t.heal()
	t.remark("%d commits were cut before, %d after, %d answers were held back",
		d.count(faultproxy.CutBefore), d.count(faultproxy.CutAfter), d.count(faultproxy.HoldAnswer))
	return err
}

func slowDown(ctx context.Context, t *trial) error {
	t.proxy.SetDelay(2 * time.Second)
	err := pause(ctx, t.outage)
	t.proxy.Heal()
	return err
}

func fillStore(ctx context.Context, t *trial) error {
	if err := t.disk.fill(t.random.Int64N(256 << 10)); err != nil {
		return err
	}
	err := pause(ctx, t.outage)
	return errors.Join(err, t.disk.free())
}

// fillQueue fills the disk in the middle of an outage, and frees it before the outage ends.
func fillQueue(ctx context.Context, t *trial) error {
	defer t.proxy.Heal()
	t.unreachable()
	if err := pause(ctx, t.outage/4); err != nil {
		return err
	}
	if err := t.disk.fill(t.random.Int64N(1 << 20)); err != nil {
		return err
	}
	err := pause(ctx, t.outage/2)
	if err := errors.Join(err, t.disk.free()); err != nil {
		return err
	}
	return pause(ctx, t.outage/4)
}

// killRedis kills the queue's server in the middle of an outage, and starts it again before the outage ends.
func killRedis(ctx context.Context, t *trial) error {
	defer t.proxy.Heal()
	t.unreachable()
	if err := pause(ctx, t.outage/4); err != nil {
		return err
	}
	t.queueServer.Kill()
	err := pause(ctx, t.outage/2)
	if err := errors.Join(err, t.queueServer.Restart(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	return pause(ctx, t.outage/4)
}

func forbidWrites(ctx context.Context, t *trial) error {
	allow := func() error {
		return t.execute(context.WithoutCancel(ctx), "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
	}
	if err := t.execute(ctx, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"); err != nil {
		return errors.Join(err, allow())
	}
	err := pause(ctx, t.outage)
	return errors.Join(err, allow())
}

func killRedriving(ctx context.Context, t *trial) error {
	defer t.proxy.Heal()
	for range kills {
		t.unreachable()
		if err := pause(ctx, t.outage); err != nil {
			return err
		}
		before := t.redriven(ctx)
		t.proxy.Heal()
		t.heal()
		victim := t.server
		if t.queue {
			err := until(ctx, recoverTimeout, "a server begins to store what was queued", func() bool {
				for i, n := range t.redriven(ctx) {
					if n > before[i] {
						victim = t.servers[i]
						return true
					}
				}
				return false
			})
			if err != nil {
				return err
			}
		}
		if err := pause(ctx, t.between(0, 100*time.Millisecond)); err != nil {
			return err
		}
		if depth, ok := t.server.depth(ctx); ok {
			t.remark("killed with about %d events in the queue", depth)
		}
		victim.kill()
		t.heal()
		if err := victim.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// redriven is how many queued events each server has stored.
func (t *trial) redriven(ctx context.Context) (counts []float64) {
	for _, s := range t.servers {
		n, _ := s.metric(ctx, "datastorage_dlq_redriven_total")
		counts = append(counts, n)
	}
	return counts
}

// terminateInOutage stops the server once while connections are refused, and once while nothing answers on them.
func terminateInOutage(ctx context.Context, t *trial) error {
	defer t.proxy.Heal()
	for _, fault := range []struct {
		name string
		set  func()
	}{
		{"refused", t.unreachable},
		{"silent", func() { t.proxy.SetBlackHole(true) }},
	} {
		fault.set()
		if err := pause(ctx, t.outage); err != nil {
			return err
		}
		took, err := t.server.terminate()
		if err != nil {
			t.fault(fmt.Errorf("with the database %s: %w", fault.name, err))
		} else {
			t.remark("ended %s after SIGTERM with the database %s", seconds(took.Seconds()), fault.name)
		}
		t.proxy.Heal()
		t.heal()
		if err := t.server.start(ctx); err != nil {
			return err
		}
		if err := pause(ctx, t.between(0, 500*time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}
