package telemetry

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/datastorage-io/datastorage/internal/config"
)

const (
	// bufferTime is how long a line may wait for others.
	bufferTime = 100 * time.Millisecond
	// bufferSize is how many bytes of lines may wait.
	bufferSize = 32 << 10
)

// NewBufferedLogger is NewLogger for a server that writes a line for every request: lines wait for others, for at most
// 100 ms, so that thousands a second share one write. A line of level warn or above takes along what waits at once, and
// on a terminal none waits. flush writes what waits; a process that is killed loses it.
func NewBufferedLogger(w io.Writer, cfg config.Log) (log *slog.Logger, flush func()) {
	if IsTerminal(w) {
		return NewLogger(w, cfg), func() {}
	}
	b := &lineBuffer{w: w}
	return slog.New(urgent{NewLogger(b, cfg).Handler(), b}), b.flush
}

// lineBuffer gathers lines. Its methods may be called concurrently.
type lineBuffer struct {
	w io.Writer

	mu      sync.Mutex
	lines   []byte
	waiting bool // a timer will flush
}

// Write implements io.Writer; it takes whole lines.
func (b *lineBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line...)
	if len(b.lines) >= bufferSize {
		return len(line), b.flushLocked()
	}
	if !b.waiting {
		b.waiting = true
		time.AfterFunc(bufferTime, b.flush)
	}
	return len(line), nil
}

func (b *lineBuffer) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = false
	_ = b.flushLocked() // there is nowhere to complain
}

func (b *lineBuffer) flushLocked() error {
	if len(b.lines) == 0 {
		return nil
	}
	_, err := b.w.Write(b.lines)
	b.lines = b.lines[:0]
	return err
}

// urgent flushes the buffer behind a line that should not wait.
type urgent struct {
	slog.Handler
	buffer *lineBuffer
}

// Handle implements slog.Handler.
func (h urgent) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		h.buffer.flush()
	}
	return err
}

// WithAttrs implements slog.Handler.
func (h urgent) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgent{h.Handler.WithAttrs(attrs), h.buffer}
}

// WithGroup implements slog.Handler.
func (h urgent) WithGroup(name string) slog.Handler {
	return urgent{h.Handler.WithGroup(name), h.buffer}
}
