package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/datastorage-io/datastorage/internal/config"
)

// NewLogger returns a logger that writes to w what cfg asks for. Times are RFC 3339 in UTC. With the format auto, lines
// are text when w is a terminal and JSON otherwise. Text is coloured only on a terminal, and not when NO_COLOR is set or
// TERM is dumb. The logger may be used by many goroutines; each line is one Write.
func NewLogger(w io.Writer, cfg config.Log) *slog.Logger {
	terminal := IsTerminal(w)
	level := parseLevel(cfg.Level)
	if cfg.Format == "text" || (cfg.Format != "json" && terminal) {
		colour := terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		return slog.New(newTextHandler(w, level, colour))
	}
	return slog.New(newJSONHandler(w, level))
}

// IsTerminal reports whether w is a file that is a terminal, where colours and lines that redraw themselves are readable.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// parseLevel returns the level of that name; info when there is none, which a checked configuration excludes.
func parseLevel(name string) slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(name)) != nil {
		return slog.LevelInfo
	}
	return level
}

// utc writes the times of lines in UTC, in whole microseconds.
type utc struct{ slog.Handler }

// Handle implements slog.Handler.
func (h utc) Handle(ctx context.Context, r slog.Record) error {
	r.Time = r.Time.UTC().Round(time.Microsecond)
	times := false
	r.Attrs(func(a slog.Attr) bool {
		times = a.Value.Kind() == slog.KindTime
		return !times
	})
	if times {
		line := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
		r.Attrs(func(a slog.Attr) bool {
			line.AddAttrs(utcTime(nil, a))
			return true
		})
		r = line
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h utc) WithAttrs(attrs []slog.Attr) slog.Handler {
	own := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		own[i] = utcTime(nil, a)
	}
	return utc{h.Handler.WithAttrs(own)}
}

// WithGroup implements slog.Handler.
func (h utc) WithGroup(name string) slog.Handler { return utc{h.Handler.WithGroup(name)} }

// utcTime puts a time among the attributes into UTC.
func utcTime(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC().Round(time.Microsecond))
	}
	return a
}
