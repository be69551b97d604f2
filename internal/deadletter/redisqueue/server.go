package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The least version that queues work with: exclusive ranges of streams. From version 7.2 on a client can wait for a sync.
var (
	minVersion     = [2]int{6, 2}
	waitAOFVersion = [2]int{7, 2}
)

// check refuses a server that the queue cannot work with, or that may lose what it acknowledges.
func (q *Queue) check(ctx context.Context) error {
	info, err := q.info(ctx)
	if err != nil {
		return q.unreachable(err)
	}
	addr := q.client.Options().Addr
	version := info.version()
	switch {
	case version[0] < minVersion[0] || version[0] == minVersion[0] && version[1] < minVersion[1]:
		return fmt.Errorf("the Redis server at %s is version %q; the dead-letter queue needs Redis 6.2 or newer, or Valkey", addr, info["redis_version"])
	case info["redis_mode"] == "cluster" || info["cluster_enabled"] == "1":
		return fmt.Errorf("the Redis server at %s runs in cluster mode; the dead-letter queue changes several keys at once and needs a server that is no cluster", addr)
	case info["role"] == "slave":
		return fmt.Errorf("the Redis server at %s is a replica, which takes no writes; name the primary in dead_letters.redis.url", addr)
	}
	faults, err := q.unsafe(ctx, info, version)
	if err != nil {
		return q.unreachable(err)
	}
	if len(faults) > 0 && !q.opts.AllowUnsafe {
		return fmt.Errorf("the Redis server at %s may lose acknowledged events: %s (or accept that with dead_letters.redis.allow_unsafe)",
			addr, strings.Join(faults, "; "))
	}
	for _, fault := range faults {
		warning := fmt.Sprintf("the dead-letter queue's Redis server at %s may lose acknowledged events: %s", addr, fault)
		q.warnings = append(q.warnings, warning)
		q.opts.Log.Warn(warning)
	}
	return nil
}

// unsafe returns why the server may lose what it acknowledges, and what to do about it.
func (q *Queue) unsafe(ctx context.Context, info serverInfo, version [2]int) (faults []string, err error) {
	if info["maxmemory"] != "0" && info["maxmemory_policy"] != "noeviction" {
		faults = append(faults, fmt.Sprintf("it evicts keys when its memory is full; set maxmemory-policy to noeviction, it is %q", info["maxmemory_policy"]))
	}
	if info["aof_enabled"] != "1" {
		return append(faults, "it keeps no log of changes; set appendonly to yes"), nil
	}
	if version[0] > waitAOFVersion[0] || version[0] == waitAOFVersion[0] && version[1] >= waitAOFVersion[1] {
		q.waitAOF = true
		ctx, cancel := q.bounded(ctx)
		defer cancel()
		if err := q.syncOnce(ctx); err != nil {
			q.waitAOF = false
			return append(faults, fmt.Sprintf("it did not sync a change to disk within %v; set appendfsync to always or everysec", q.opts.Timeout)), nil
		}
		return faults, nil
	}
	for _, want := range []struct{ name, value, why string }{
		{"appendfsync", "always", "it acknowledges changes before they are synced to disk"},
		{"no-appendfsync-on-rewrite", "no", "it does not sync while it rewrites its log"},
	} {
		value, err := q.setting(ctx, want.name)
		switch {
		case isReply(err):
			return append(faults, "it does not tell whether it syncs what it acknowledges, since CONFIG GET is forbidden, and before version 7.2 no client can "+
				"wait for a sync; use a newer server, or allow CONFIG GET"), nil
		case err != nil:
			return nil, err
		case value != want.value:
			faults = append(faults, fmt.Sprintf("%s; set %s to %s, it is %q", want.why, want.name, want.value, value))
		}
	}
	return faults, nil
}

// syncOnce makes a change and waits until it is synced.
func (q *Queue) syncOnce(ctx context.Context) error {
	if err := q.loadScripts(ctx); err != nil {
		return err
	}
	for _, a := range q.send(ctx, []*change{{script: removeScript, args: []any{""}}}) {
		if a.err != nil {
			return a.err
		}
	}
	return nil
}

func (q *Queue) setting(ctx context.Context, name string) (string, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	values, err := q.client.ConfigGet(ctx, name).Result()
	return values[name], err
}

// serverInfo is what INFO says, by name.
type serverInfo map[string]string

func (q *Queue) info(ctx context.Context) (serverInfo, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	text, err := q.client.Info(ctx).Result()
	if err != nil {
		return nil, err
	}
	info := serverInfo{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info, nil
}

// version returns the version of Redis, or the one that Valkey is compatible with; zeros when there is none.
func (i serverInfo) version() (v [2]int) {
	parts := strings.SplitN(i["redis_version"], ".", 3)
	for n := range min(len(parts), len(v)) {
		v[n], _ = strconv.Atoi(parts[n])
	}
	if i["server_name"] == "valkey" && v[0] == 0 {
		return waitAOFVersion
	}
	return v
}

// unreachable says in one line why the server cannot be used.
func (q *Queue) unreachable(err error) error {
	addr := q.client.Options().Addr
	text := err.Error()
	switch {
	case strings.Contains(text, "WRONGPASS") || strings.Contains(text, "invalid password"):
		return fmt.Errorf("the Redis server at %s refuses the user and password of dead_letters.redis.url", addr)
	case strings.Contains(text, "NOAUTH"):
		return fmt.Errorf("the Redis server at %s wants a password; put it into dead_letters.redis.url", addr)
	case strings.Contains(text, "NOPERM"):
		return fmt.Errorf("the Redis server at %s does not let the user of dead_letters.redis.url do what the queue needs: %s", addr, text)
	case strings.Contains(text, "DB index is out of range"):
		return fmt.Errorf("the Redis server at %s has no database %d; see dead_letters.redis.url", addr, q.client.Options().DB)
	case isLoading(err):
		return fmt.Errorf("the Redis server at %s is still reading its data from disk; start again in a moment", addr)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the dead-letter queue's Redis server at %s did not answer within %v; see dead_letters.redis.url", addr, q.opts.Timeout)
	}
	return fmt.Errorf("the dead-letter queue's Redis server at %s cannot be reached: %w; see dead_letters.redis.url", addr, err)
}

// isLoading reports whether a server does nothing yet because it reads its data.
func isLoading(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok && strings.Contains(err.Error(), "LOADING")
}
