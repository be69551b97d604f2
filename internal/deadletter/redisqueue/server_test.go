package redisqueue

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/redistest"
)

// TestOpen_Unsafe: a server that may lose what it acknowledges is refused in one line that says what to do, and used with
// a warning where that is wanted. From 7.2 on a server syncs when it is asked to, whatever it does by itself.
func TestOpen_Unsafe(t *testing.T) {
	t.Parallel()
	const safe = ""
	for name, c := range map[string]struct {
		settings         []string
		before72, from72 string
	}{
		"evicts": {
			[]string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"},
			"set maxmemory-policy to noeviction", "set maxmemory-policy to noeviction",
		},
		"no log":    {[]string{"--appendonly", "no"}, "set appendonly to yes", "set appendonly to yes"},
		"no sync":   {[]string{"--appendfsync", "no"}, "set appendfsync to always", "set appendfsync to always or everysec"},
		"late sync": {[]string{"--appendfsync", "everysec"}, "set appendfsync to always", safe},
		"rewrite":   {[]string{"--no-appendfsync-on-rewrite", "yes"}, "set no-appendfsync-on-rewrite to no", safe},
		"no config": {[]string{"--rename-command", "CONFIG", ""}, "CONFIG GET is forbidden", safe},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := testOptions(redistest.Start(t, c.settings...).URL(t), 1<<20)
			want := c.before72
			if syncsOnDemand(t, opts.URL) {
				want = c.from72
			}
			q, err := Open(t.Context(), opts)
			if want != safe {
				if err == nil {
					_ = q.Close()
					t.Fatal("the server is taken")
				}
				for _, want := range []string{want, "may lose acknowledged events", "dead_letters.redis.allow_unsafe"} {
					if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
						t.Errorf("the error is %q, which lacks %q or has several lines", err, want)
					}
				}
				opts.AllowUnsafe = true
				q, err = Open(t.Context(), opts)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = q.Close() })
			if w := strings.Join(q.Warnings(), "\n"); !strings.Contains(w, want) || (w == "") != (want == safe) {
				t.Errorf("the warnings are %q", w)
			}
			mustPut(t, q, testMessage("c"))
		})
	}
}

// syncsOnDemand reports whether a server knows WAITAOF.
func syncsOnDemand(t *testing.T, url string) bool {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	defer client.Close()
	n, err := client.Do(t.Context(), "COMMAND", "INFO", "WAITAOF").Slice()
	if err != nil {
		t.Fatal(err)
	}
	return n[0] != nil
}

// TestPut_SyncsEnd: when a server that is asked to sync no longer does, nothing is acknowledged any more. One before 7.2
// cannot be asked.
func TestPut_SyncsEnd(t *testing.T) {
	t.Parallel()
	opts := testOptions(redistest.Start(t).URL(t), 1<<20)
	opts.Timeout = 500 * time.Millisecond
	q, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	mustPut(t, q, testMessage("c"))
	if err := q.client.ConfigSet(t.Context(), "appendfsync", "no").Err(); err != nil {
		t.Fatal(err)
	}
	err = q.Put(t.Context(), []*deadletter.Message{testMessage("c")})
	if asked := syncsOnDemand(t, opts.URL); asked != (err != nil) {
		t.Errorf("Put returned %v; the server syncs on demand: %v", err, asked)
	}
}

// TestOpen_Refused: what the queue cannot work with is refused, whatever is allowed.
func TestOpen_Refused(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	host, port, _ := strings.Cut(primary.Addr(), ":")
	for name, c := range map[string]struct {
		settings []string
		url      func(url string) string
		want     string
	}{
		"cluster":     {[]string{"--cluster-enabled", "yes"}, nil, "runs in cluster mode"},
		"replica":     {[]string{"--replicaof", host + " " + port}, nil, "is a replica"},
		"no password": {[]string{"--requirepass", "secret"}, nil, "wants a password; put it into dead_letters.redis.url"},
		"password": {
			[]string{"--requirepass", "secret"}, func(url string) string { return strings.Replace(url, "redis://", "redis://:hunter2@", 1) },
			"refuses the user and password",
		},
		"database": {nil, func(url string) string { return url + "99999" }, "has no database"},
		"nobody":   {nil, func(string) string { return "redis://127.0.0.1:1/0" }, "cannot be reached"},
		"no URL":   {nil, func(string) string { return "redis://:hunter2@h/x/y" }, "is not a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := redistest.Start(t, c.settings...).URL(t)
			if c.url != nil {
				url = c.url(url)
			}
			opts := testOptions(url, 1<<20)
			opts.AllowUnsafe = true
			q, err := Open(t.Context(), opts)
			if err == nil {
				_ = q.Close()
				t.Fatal("the server is taken")
			}
			if !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error is %q, want %q", err, c.want)
			}
		})
	}
}

func TestServerInfo_Version(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]int{"6.0.16": {6, 0}, "7.2.4": {7, 2}, "8.0": {8, 0}, "": {}, "unstable": {}} {
		if got := (serverInfo{"redis_version": text}).version(); got != want {
			t.Errorf("version %q is %v, want %v", text, got, want)
		}
	}
}

// TestPut_MemoryUsedUp: a server without memory refuses a Put and keeps what it has, and what frees memory can be done.
func TestPut_MemoryUsedUp(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	q := openTest(t, server.URL(t))
	list := []*deadletter.Message{testMessage("a"), testMessage("b"), testMessage("c"), testMessage("d")}
	mustPut(t, q, list...)
	if err := q.Quarantine(t.Context(), list[3].ID, "reason"); err != nil {
		t.Fatal(err)
	}
	set := func(value string) {
		t.Helper()
		if err := q.client.ConfigSet(t.Context(), "maxmemory", value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("1000")
	err := q.Put(t.Context(), []*deadletter.Message{testMessage("e")})
	if err == nil || !strings.Contains(err.Error(), deadletter.ErrFull.Error()) {
		t.Errorf("Put returned %v", err)
	}
	wantDepth(t, q, 3, 1)
	for name, change := range map[string]func() error{
		"Remove":     func() error { return q.Remove(t.Context(), []string{list[0].ID}) },
		"Quarantine": func() error { return q.Quarantine(t.Context(), list[1].ID, "reason") },
		"Replay":     func() error { return q.Replay(t.Context(), list[3].ID) },
	} {
		if err := change(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := q.Discard(t.Context(), list[1].ID); err != nil {
		t.Errorf("Discard: %v", err)
	}
	set("0")
	wantDepth(t, q, 2, 0)
}

// TestCheckSynced: the answer of WAITAOF is what decides on a server from 7.2 on whether a change is acknowledged.
func TestCheckSynced(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reply any
		err   error
		ok    bool
	}{
		{[]any{int64(1), int64(0)}, nil, true},
		{[]any{int64(0), int64(2)}, nil, false},
		{[]any{}, nil, false},
		{nil, redis.ErrClosed, false},
	} {
		if err := checkSynced(redis.NewCmdResult(c.reply, c.err)); (err == nil) != c.ok {
			t.Errorf("the answer %v, %v is %v", c.reply, c.err, err)
		}
	}
}
