package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// textHandler writes lines for people:
//
//	2026-01-02T15:04:05.123Z INFO  listening address=127.0.0.1:8080
//
// slog's own text handler renders the attributes into a buffer that all handlers derived from one share.
type textHandler struct {
	out    *textOutput
	attrs  slog.Handler
	colour bool
}

type textOutput struct {
	mu     sync.Mutex
	w      io.Writer
	buffer bytes.Buffer
	skip   int // attributes of the record that replace has still to drop
}

func newTextHandler(w io.Writer, level slog.Level, colour bool) *textHandler {
	out := &textOutput{w: w}
	return &textHandler{
		out:    out,
		attrs:  slog.NewTextHandler(&out.buffer, &slog.HandlerOptions{Level: level, ReplaceAttr: out.replace}),
		colour: colour,
	}
}

// replace drops the level and the message that the inner handler renders before a record's attributes.
func (o *textOutput) replace(groups []string, a slog.Attr) slog.Attr {
	if o.skip > 0 {
		o.skip--
		return slog.Attr{}
	}
	return utcTime(groups, a)
}

// Enabled reports whether the level is written.
func (h *textHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.attrs.Enabled(ctx, level)
}

// WithAttrs returns a handler that adds attrs to every line.
func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	return &textHandler{out: h.out, attrs: h.attrs.WithAttrs(attrs), colour: h.colour}
}

// WithGroup returns a handler that puts what follows under a name.
func (h *textHandler) WithGroup(name string) slog.Handler {
	return &textHandler{out: h.out, attrs: h.attrs.WithGroup(name), colour: h.colour}
}

// Handle writes one line.
func (h *textHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.buffer.Reset()
	h.out.skip = 2
	untimed := r.Clone()
	untimed.Time = time.Time{}
	if err := h.attrs.Handle(ctx, untimed); err != nil {
		return err
	}
	var line bytes.Buffer
	line.WriteString(h.paint("2", r.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00")))
	fmt.Fprintf(&line, " %s %s", h.paint(levelColour(r.Level), fmt.Sprintf("%-5s", r.Level)), oneLine(r.Message))
	if attrs := bytes.TrimSpace(h.out.buffer.Bytes()); len(attrs) > 0 {
		line.WriteByte(' ')
		line.WriteString(h.paint("2", string(attrs)))
	}
	line.WriteByte('\n')
	_, err := h.out.w.Write(line.Bytes())
	return err
}

// oneLine keeps a message from forging another line or driving the terminal.
func oneLine(message string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return ' '
		}
		return r
	}, message)
}

// paint wraps text in a terminal's colour code.
func (h *textHandler) paint(code, text string) string {
	if !h.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func levelColour(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "31"
	case level >= slog.LevelWarn:
		return "33"
	case level >= slog.LevelInfo:
		return "32"
	default:
		return "36"
	}
}
