package disk

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// child is this test binary as another process.
func child(t *testing.T, role, dir string) (cmd *exec.Cmd, out *bufio.Scanner, in io.WriteCloser) {
	t.Helper()
	cmd = exec.Command(os.Args[0], dir)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(stdout), in
}

// crashOptions let the log be moved into the file often, and the file be shrunk.
var crashOptions = Options{MaxBytes: 4 << 20}

// writeUntilKilled puts, quarantines and removes messages from several goroutines, and says so once each is done.
func writeUntilKilled(dir string) {
	q, err := Open(context.Background(), dir, crashOptions)
	if err != nil {
		fmt.Println("fault", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	say := func(words ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(words...)
	}
	say("open")
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				list := make([]*deadletter.Message, 1+i%3)
				for k := range list {
					list[k] = testMessage(fmt.Sprintf("writer-%d", w), 200+100*(i%20))
				}
				if err := q.Put(context.Background(), list); err != nil {
					say("fault", err)
				}
				for _, m := range list {
					say("put", m.EventID, m.ID)
				}
			}
		}()
	}
	for {
		list, err := q.Oldest(context.Background(), 40)
		if err != nil {
			say("fault", err)
		}
		var ids []string
		for i, m := range list {
			if i == 7 {
				say("quarantine", m.EventID)
				if err := q.Quarantine(context.Background(), m.ID, "reason"); err != nil {
					say("fault", err)
				}
				say("quarantined", m.EventID)
				continue
			}
			say("remove", m.EventID)
			ids = append(ids, m.ID)
		}
		if err := q.Remove(context.Background(), ids); err != nil {
			say("fault", err)
		}
		for i, m := range list {
			if i != 7 {
				say("removed", m.EventID)
			}
		}
		for _, id := range ids {
			if strings.HasSuffix(id, "13") {
				_ = q.Discard(context.Background(), id)
			}
		}
	}
}

// TestQueue_Kill kills a process that uses a queue, again and again, and checks all that it said.
func TestQueue_Kill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	said := map[uuid.UUID]string{}
	lastID := ""
	for round := range 10 {
		cmd, out, _ := child(t, "write", dir)
		lines := 1 + rand.IntN(3000)
		if round == 0 {
			lines = rand.IntN(20)
		}
		// What the process wrote before it died is read to the end.
		for n := 0; out.Scan(); n++ {
			if n == lines {
				_ = cmd.Process.Kill()
			}
			words := strings.Fields(out.Text())
			switch words[0] {
			case "fault":
				t.Fatal(out.Text())
			case "open":
				continue
			}
			if len(words) < 2 || len(words[1]) != 36 {
				continue // it died within the line
			}
			// The one that put a message may come to say so after another has quarantined or removed it.
			if id := uuid.MustParse(words[1]); words[0] != "put" || said[id] == "" {
				said[id] = words[0]
			}
			if words[0] == "put" && len(words) == 3 && len(words[2]) == idDigits {
				lastID = max(lastID, words[2])
			}
		}
		_ = cmd.Wait()
		lastID = max(lastID, checkSaid(t, dir, said, lastID))
	}
}

// checkSaid checks a queue against what a process said of each event last, and returns the highest id.
func checkSaid(t *testing.T, dir string, said map[uuid.UUID]string, lastID string) string {
	t.Helper()
	q, err := Open(t.Context(), dir, crashOptions)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	list, err := q.Oldest(t.Context(), 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	letters, err := q.Letters(t.Context(), "", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	waiting, quarantined := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	for _, m := range list {
		waiting[m.EventID] = true
	}
	for _, l := range letters {
		quarantined[l.EventID] = true
	}
	for id, word := range said {
		w, l := waiting[id], quarantined[id]
		if w && l || word == "put" && !w || word == "removed" && (w || l) || word == "remove" && l ||
			word == "quarantine" && !w && !l || word == "quarantined" && !l {
			t.Errorf("the process said %q of %s last; it waits: %v, is quarantined: %v", word, id, w, l)
		}
	}
	if s := q.snapshot(); s.depth != int64(len(list)) || s.quarantined != int64(len(letters)) {
		t.Errorf("the queue counts %+v, it holds %d messages and %d letters", s, len(list), len(letters))
	}
	after := testMessage("after", 10)
	if err := q.Put(t.Context(), []*deadletter.Message{after}); err != nil {
		t.Fatal(err)
	}
	if after.ID <= lastID {
		t.Errorf("id %s does not sort behind %s of before", after.ID, lastID)
	}
	if err := q.Remove(t.Context(), []string{after.ID}); err != nil {
		t.Fatal(err)
	}
	return after.ID
}

// holdQueue keeps a queue open until its standard input ends.
func holdQueue(dir string) {
	q, err := Open(context.Background(), dir, crashOptions)
	if err != nil {
		fmt.Println("fault", err)
		return
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = q.Close()
}

func TestOpen_InUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, out, in := child(t, "hold", dir)
	if !out.Scan() || out.Text() != "open" {
		t.Fatal(out.Text())
	}
	_, err := Open(t.Context(), dir, crashOptions)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by another server (process %d); stop that one", cmd.Process.Pid)) {
		t.Errorf("Open beside another process: %v", err)
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	openTest(t, dir, crashOptions)
}
