package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/datastorage-io/datastorage/internal/faultproxy"
)

const (
	// recoverTimeout is how long the queue may take to be empty again while clients write, shortRecoverTimeout the same in a
	// short run, beside perQueued for each event that waits at first; drainTimeout is how long it may take when they have stopped.
	recoverTimeout      = 60 * time.Second
	shortRecoverTimeout = 15 * time.Second
	perQueued           = 30 * time.Second / 100_000
	drainTimeout        = 2 * time.Minute
	// ackTimeout is how long the clients may take to get their last events acknowledged.
	ackTimeout = 30 * time.Second
	// diskMebibytes is the size of the disks that are filled, in MiB.
	diskMebibytes = 512
)

// trial is one run of a scenario or figure: a database of its own, a proxy before it, and a server, or two that share a queue.
type trial struct {
	*lab
	outage  time.Duration
	random  *rand.Rand
	direct  string // URL of the database, not through the proxy
	proxy   *faultproxy.Proxy
	disk    *smallDisk
	server  *server
	servers []*server // server, and the one that shares its queue
	queue   bool      // this build has a dead-letter queue
	writers *writers
	healed  time.Time // when the last fault ended
	remarks []string
	faults  []string // what else went wrong
	closers []func() error
}

// place says what lies on a small disk.
type place int

const (
	nothing place = iota
	theStore
	theQueue
)

// begin makes a trial and starts its server.
func (l *lab) begin(ctx context.Context, small place, random *rand.Rand) (t *trial, err error) {
	t = &trial{lab: l, random: random}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	dataDir, err := os.MkdirTemp(l.dir, "data-")
	if err != nil {
		return t, err
	}
	t.defers(func() error { return os.RemoveAll(dataDir) })
	if small != nothing {
		if err := t.mount(ctx, small); err != nil {
			return t, err
		}
	}
	if err := t.createDatabase(ctx, small == theStore); err != nil {
		return t, err
	}
	if t.proxy, err = faultproxy.Listen(l.postgres.Addr(), isCommit); err != nil {
		return t, err
	}
	t.defers(t.proxy.Close)
	u, err := url.Parse(t.direct)
	if err != nil {
		return t, err
	}
	u.Host = t.proxy.Addr()
	var settings []string
	if small == theQueue {
		dataDir = filepath.Join(t.disk.dir, "data")
		if strings.Contains(l.settings, "min_free_bytes") {
			// The disk itself must be what refuses.
			settings = append(settings, "DATASTORAGE_DEAD_LETTERS_MIN_FREE_BYTES=0")
		}
	}
	if err := t.serve(ctx, u.String(), dataDir, settings); err != nil {
		return t, err
	}
	_, t.queue = t.server.depth(ctx)
	return t, nil
}

// serve starts the server, and with a queue in Redis a second one on the same queue and database.
func (t *trial) serve(ctx context.Context, database, dataDir string, settings []string) error {
	directories := []string{dataDir}
	if t.queueServer != nil {
		redis, err := t.queueServer.NextURL()
		if err != nil {
			return err
		}
		directories = append(directories, filepath.Join(dataDir, "second"))
		settings = append(settings, "DATASTORAGE_DEAD_LETTERS_BACKEND=redis", "DATASTORAGE_DEAD_LETTERS_REDIS_URL="+redis)
	}
	for _, dir := range directories {
		s, err := t.newServer(ctx, settings, "--database-url", database, "--data-dir", dir)
		if err != nil {
			return err
		}
		t.servers = append(t.servers, s)
		t.server = t.servers[0]
		t.defers(func() error {
			s.kill()
			return os.RemoveAll(s.log)
		})
		if err := s.start(ctx); err != nil {
			return s.explain(err)
		}
	}
	return nil
}

// urls are those of all servers.
func (t *trial) urls() (urls []string) {
	for _, s := range t.servers {
		urls = append(urls, s.url)
	}
	return urls
}

func isCommit(sql string) bool { return strings.HasPrefix(sql, "INSERT INTO ledger_commits") }

func (t *trial) mount(ctx context.Context, small place) (err error) {
	uid, gid := os.Getuid(), os.Getgid()
	if small == theStore {
		// PostgreSQL must own the directory of a tablespace.
		info, err := os.Stat(t.postgres.Dir())
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(stat.Uid), int(stat.Gid)
		}
	}
	if t.disk, err = mountSmall(ctx, filepath.Join(t.dir, "disk"), diskMebibytes, uid, gid); err != nil {
		return err
	}
	t.remark("%s", t.disk.means)
	t.defers(func() error { return t.disk.unmount(context.WithoutCancel(ctx)) })
	return nil
}

func (t *trial) createDatabase(ctx context.Context, onSmallDisk bool) (err error) {
	ctx = context.WithoutCancel(ctx) // what is created half cannot be removed
	if !onSmallDisk {
		t.direct, err = t.postgres.Create(ctx)
	} else {
		// In a directory of PostgreSQL's own: beside it lies what fills the disk.
		err = t.execute(ctx, "CREATE TABLESPACE chaos LOCATION '"+t.disk.dir+"'", "CREATE DATABASE chaos OWNER datastorage TABLESPACE chaos")
		t.direct = t.postgres.URL("chaos")
		t.defers(func() error { return t.execute(ctx, "DROP TABLESPACE IF EXISTS chaos") })
	}
	if err == nil {
		t.defers(func() error { return t.postgres.Drop(ctx, t.direct) })
	}
	return err
}

func (t *trial) defers(f func() error) { t.closers = append(t.closers, f) }

// close stops and removes what the trial has, the last first.
func (t *trial) close() error {
	if t.writers != nil {
		t.writers.stop(0)
	}
	var errs []error
	for _, f := range slices.Backward(t.closers) {
		errs = append(errs, f())
	}
	t.closers = nil
	return errors.Join(errs...)
}

func (t *trial) remark(format string, args ...any) {
	t.remarks = append(t.remarks, fmt.Sprintf(format, args...))
}

// fault notes something that fails the scenario but does not end it, with the end of the server's log.
func (t *trial) fault(err error) { t.faults = append(t.faults, t.server.explain(err).Error()) }

// heal notes that a fault ends now.
func (t *trial) heal() { t.healed = time.Now() }

// unreachable ends the connections to PostgreSQL and refuses new ones.
func (t *trial) unreachable() {
	t.proxy.SetRefuse(true)
	t.proxy.Cut()
}

// between returns a random duration.
func (t *trial) between(low, high time.Duration) time.Duration {
	return low + time.Duration(t.random.Int64N(int64(high-low)))
}

// try runs one scenario. The error says what kept it from its end; what it has found is in the result in any case.
func (l *lab) try(ctx context.Context, s scenario, round int, varied bool, random *rand.Rand) (r result, err error) {
	r = result{Scenario: s.name, Round: round, Verify: notMeasured}
	t, err := l.begin(ctx, s.small, random)
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = t.server.explain(err)
		}
		err = errors.Join(err, t.close())
		r.Remarks, r.Failures = t.remarks, append(t.faults, r.Failures...)
	}()
	t.outage = s.outage
	if l.short {
		t.outage = s.short
	}
	if varied {
		t.outage = t.between(t.outage/4, t.outage*5/4)
	}
	t.writers = write(ctx, t.urls(), l.clients)
	if err := pause(ctx, t.between(500*time.Millisecond, 1500*time.Millisecond)); err != nil {
		return r, err
	}
	if err := s.hurt(ctx, t); err != nil {
		return r, err
	}
	if t.healed.IsZero() {
		t.heal()
	}
	if err := t.recover(ctx, &r); err != nil {
		return r, err
	}
	if err := pause(ctx, 500*time.Millisecond); err != nil {
		return r, err
	}
	if err := t.settle(ctx, &r); err != nil {
		return r, err
	}
	err = t.check(ctx, &r)
	return r, err
}

// recover measures the time until the queue is empty and new events are stored at once, while the clients go on.
func (t *trial) recover(ctx context.Context, r *result) error {
	if !t.queue {
		t.remark("this build has no dead-letter queue")
	}
	limit := recoverTimeout
	if t.short {
		limit = shortRecoverTimeout
	}
	if depth, ok := t.server.depth(ctx); ok {
		limit += time.Duration(depth) * perQueued
	}
	err := until(ctx, limit, "the queue is empty", func() bool {
		if t.queue {
			if depth, ok := t.server.depth(ctx); !ok || depth > 0 {
				return false
			}
		}
		return t.writers.createdSince(t.healed)
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		depth, _ := t.server.depth(ctx)
		r.fail("%s after healing, with clients that go on, new events are still queued (%d wait)", limit, depth)
	default:
		seconds := time.Since(t.healed).Seconds()
		r.Recovery = &seconds
	}
	return nil
}

// settle ends the load and waits until everything that was acknowledged can be stored.
func (t *trial) settle(ctx context.Context, r *result) error {
	if open := t.writers.stop(ackTimeout); open > 0 {
		r.fail("%d clients got no acknowledgement for their last event in %s", open, ackTimeout)
	}
	w := t.writers
	r.Created, r.Queued = w.created, w.queued
	r.Silence, r.Slowest = w.longest.Seconds(), w.slowest.Seconds()
	if len(w.statuses) > 0 {
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(w.statuses)) {
			parts = append(parts, fmt.Sprintf("%s ×%d", name, w.statuses[name]))
		}
		t.remark("not acknowledged and sent again: %s", strings.Join(parts, ", "))
	}
	if n := len(w.refused); n > 0 {
		r.fail("%d answers that no valid event may get, the first: %s", n, strings.TrimSpace(w.refused[0]))
	}
	if !t.queue || ctx.Err() != nil {
		return ctx.Err()
	}
	began := time.Now()
	err := until(ctx, drainTimeout, "the queue is empty when nobody writes", func() bool {
		depth, ok := t.server.depth(ctx)
		return ok && depth == 0
	})
	if r.Recovery == nil && err == nil {
		t.remark("the queue was empty %s after the clients had stopped", seconds(time.Since(began).Seconds()))
	}
	if err != nil && ctx.Err() == nil {
		r.fail("%v", err)
		err = nil
	}
	if n, _ := t.server.metric(ctx, "datastorage_dlq_quarantined"); n > 0 {
		r.fail("%.0f events are in the quarantine", n)
	}
	return err
}

// check compares what was acknowledged with what is stored, stops the server and verifies the ledger.
func (t *trial) check(ctx context.Context, r *result) error {
	var stored []storedEvent
	if err := t.server.walk(ctx, eventType, func(e storedEvent) { stored = append(stored, e) }); err != nil {
		return err
	}
	c := compare(t.writers.clients, stored)
	r.Acknowledged, r.Stored, r.Lost, r.Twice, r.OutOfOrder = c.acknowledged, c.stored, c.lost, c.twice, c.outOfOrder
	if c.lost+c.twice+c.outOfOrder > 0 {
		r.fail("%d lost, %d twice, %d out of order: %s", c.lost, c.twice, c.outOfOrder, strings.Join(c.examples, "; "))
	}
	for _, s := range t.servers {
		if _, err := s.terminate(); err != nil {
			r.fail("%v", s.explain(err))
		}
	}
	return t.verify(ctx, r)
}

// verify checks the ledger against the receipts that the clients kept.
func (t *trial) verify(ctx context.Context, r *result) error {
	if !t.verifies {
		t.remark("this build has no command verify")
		return nil
	}
	var receipts [][]byte
	for _, c := range t.writers.clients {
		receipts = append(receipts, c.receipts...)
	}
	args := []string{"verify", "--database-url", t.direct}
	if len(receipts) > 0 {
		file := filepath.Join(t.dir, "receipts.json")
		if err := os.WriteFile(file, bytes.Join(receipts, []byte{'\n'}), 0o600); err != nil {
			return err
		}
		args = append(args, "--receipt", file)
	}
	_, err := t.output(ctx, t.binary, args...)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.Verify = "failed"
		r.fail("%v", err)
	default:
		r.Verify = fmt.Sprintf("ok, %d receipts", len(receipts))
	}
	return nil
}
