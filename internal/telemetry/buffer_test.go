package telemetry_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/telemetry"
)

// writes records each call of Write.
type writes struct {
	mu    sync.Mutex
	calls []string
}

func (w *writes) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, string(bytes.Clone(b)))
	return len(b), nil
}

func (w *writes) lines() (perCall []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		perCall = append(perCall, strings.Count(c, "\n"))
	}
	return perCall
}

func TestNewBufferedLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writes{}
		log, flush := telemetry.NewBufferedLogger(w, config.Log{Level: "info", Format: "json"})
		log.Info("one")
		log.With("k", "v").Info("two")
		if got := w.lines(); len(got) != 0 {
			t.Fatalf("lines are written at once: %v", got)
		}
		<-time.After(100 * time.Millisecond) // of the bubble's own clock
		synctest.Wait()
		log.WithGroup("g").Info("three")
		log.Warn("four")
		log.Info("five")
		flush()
		flush()
		if got := w.lines(); len(got) != 3 || got[0] != 2 || got[1] != 2 || got[2] != 1 {
			t.Errorf("lines per write: %v, want [2 2 1]", got)
		}
		log.Info(strings.Repeat("x", 40<<10))
		if got := w.lines(); len(got) != 4 {
			t.Errorf("a full buffer waits: %v", got)
		}
		<-time.After(time.Second)
		synctest.Wait()
	})
}
