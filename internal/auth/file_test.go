package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// logs is a log that several goroutines write to.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns the messages since the last call, with their levels.
func (l *logs) take(t *testing.T) (lines []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		var record struct{ Level, Msg, Error string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimSpace(record.Level+" "+record.Msg+" "+record.Error))
	}
	l.b.Reset()
	return lines
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// entryOf makes a token and the entry for it.
func entryOf(t *testing.T, name string, roles ...Role) (token, line string) {
	t.Helper()
	token, hash := NewToken()
	line, err := Line(name, roles, hash)
	if err != nil {
		t.Fatal(err)
	}
	return token, line + "\n"
}

func TestFile_Reload(t *testing.T) {
	t.Parallel()
	name, log := filepath.Join(t.TempDir(), "tokens.yaml"), &logs{}
	old, oldLine := entryOf(t, "gateway", RoleWrite)
	fresh, freshLine := entryOf(t, "gateway", RoleWrite)
	write(t, name, oldLine)
	f, err := Open(name, slog.New(slog.NewJSONHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	// step changes the file, reloads twice, and says who is known then and what the log says in all.
	step := func(what string, change func(), knowsOld, knowsFresh bool, want ...string) {
		t.Helper()
		change()
		f.Reload()
		f.Reload()
		if got := f.Client(old) != nil; got != knowsOld {
			t.Errorf("%s: the old token is known: %v", what, got)
		}
		if got := f.Client(fresh) != nil; got != knowsFresh {
			t.Errorf("%s: the new token is known: %v", what, got)
		}
		got := log.take(t)
		if len(got) != len(want) {
			t.Errorf("%s: the log says %q, want %q", what, got, want)
			return
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("%s: the log says %q, want %q", what, got[i], want[i])
			}
		}
	}
	const anew, refused = "INFO tokens were read anew", "ERROR the file of tokens is not used; the tokens that were read before hold "
	step("unchanged", func() {}, true, false)
	step("both", func() { write(t, name, oldLine+freshLine) }, true, true, anew)
	before, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	step("same size and time", func() {
		_, line := entryOf(t, "gateway", RoleWrite)
		write(t, name, line+freshLine)
		if err := os.Chtimes(name, before.ModTime(), before.ModTime()); err != nil {
			t.Fatal(err)
		}
	}, false, true, anew)
	step("broken", func() { write(t, name, oldLine+"- {name: x}\n") }, false, true, refused+"line 2: role is missing")
	step("emptied", func() { write(t, name, "") }, false, true, refused+"holds no token")
	step("gone", func() { os.Remove(name) }, false, true, refused+"cannot be read: there is no such file")
	step("a directory", func() { os.Mkdir(name, 0o700) }, false, true, refused+"is not a regular file")
	step("replaced", func() {
		os.Remove(name)
		write(t, name+".new", oldLine)
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}, true, false, anew)
	step("large", func() { write(t, name, "#"+strings.Repeat("x", 1<<20)) }, true, false, refused+"is larger than 1 MiB")
	step("as it was", func() { write(t, name, oldLine) }, true, false, anew)
	step("open to others", func() { os.Chmod(name, 0o644) }, true, false, "WARN other users may read or change the file of tokens")
	step("closed again", func() { os.Chmod(name, 0o640) }, true, false)
	step("open again", func() { os.Chmod(name, 0o660) }, true, false, "WARN")
}

func TestOpen_Faults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token, line := entryOf(t, "gateway", RoleWrite)
	bad := filepath.Join(dir, "bad.yaml")
	write(t, bad, strings.Replace(line, `sha256: "`, `sha256: "`+token, 1))
	for name, want := range map[string]string{
		bad:                        "bad.yaml line 1: sha256 must be the 64 hex digits",
		filepath.Join(dir, "none"): "none cannot be read: there is no such file",
		dir:                        "is not a regular file",
	} {
		_, err := Open(name, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "auth.tokens_file: ") || strings.Contains(err.Error(), token) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestFile_Watch: a change is seen within a second or so, and the watch ends with its context.
func TestFile_Watch(t *testing.T) {
	name := filepath.Join(t.TempDir(), "tokens.yaml")
	old, oldLine := entryOf(t, "gateway", RoleWrite)
	fresh, freshLine := entryOf(t, "reader", RoleRead)
	write(t, name, "\xef\xbb\xbf"+oldLine)
	synctest.Test(t, func(t *testing.T) {
		f, err := Open(name, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go f.Watch(ctx)
		write(t, name, freshLine)
		<-time.After(pollInterval + time.Millisecond) // of the bubble's own clock
		synctest.Wait()
		if f.Client(old) != nil || f.Client(fresh) == nil || f.Len() != 1 {
			t.Error("the change was not seen")
		}
		cancel()
		synctest.Wait()
	})
}
