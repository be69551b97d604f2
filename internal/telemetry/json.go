package telemetry

import (
	"context"
	"io"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"
)

// jsonHandler writes the lines of slog.JSONHandler, with times in UTC. A line of plain texts and numbers, such as that of a
// request, it writes itself, for a fraction of the time; any other, and those of handlers made from it, slog does.
type jsonHandler struct {
	utc
	w *lockedWriter // which slog's handler writes to as well
}

func newJSONHandler(w io.Writer, level slog.Level) slog.Handler {
	locked := &lockedWriter{w: w}
	return jsonHandler{utc{slog.NewJSONHandler(locked, &slog.HandlerOptions{Level: level})}, locked}
}

// lockedWriter lets one line be written at a time.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(line)
}

var lineRoom = sync.Pool{New: func() any { return new([512]byte) }}

// Handle implements slog.Handler.
func (h jsonHandler) Handle(ctx context.Context, r slog.Record) error {
	room := lineRoom.Get().(*[512]byte)
	defer lineRoom.Put(room)
	line, ok := appendLine(room[:0], &r)
	if !ok {
		return h.utc.Handle(ctx, r)
	}
	_, err := h.w.Write(line)
	return err
}

// appendLine appends the line of a record as slog writes it, or reports that the record holds what only slog knows how to
// write.
func appendLine(b []byte, r *slog.Record) (line []byte, ok bool) {
	if year := r.Time.UTC().Year(); r.Time.IsZero() || year < 0 || year > 9998 || !isPlain(r.Message) {
		return nil, false
	}
	b = append(b, `{"time":"`...)
	b = r.Time.UTC().Round(time.Microsecond).AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"`...)
	b = append(b, r.Level.String()...)
	b = append(b, `","msg":"`...)
	b = append(b, r.Message...)
	b = append(b, '"')
	ok = true
	r.Attrs(func(a slog.Attr) bool {
		if ok = isPlain(a.Key); ok {
			b = append(b, `,"`...)
			b = append(b, a.Key...)
			b = append(b, `":`...)
			b, ok = appendValue(b, a.Value)
		}
		return ok
	})
	return append(b, "}\n"...), ok
}

func appendValue(b []byte, v slog.Value) (value []byte, ok bool) {
	switch v.Kind() {
	case slog.KindString:
		s := v.String()
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"'), isPlain(s)
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10), true
	case slog.KindFloat64:
		f := v.Float64()
		// Beyond, JSON has an exponent, or nothing at all.
		size := math.Abs(f)
		return strconv.AppendFloat(b, f, 'f', -1, 64), size == 0 || size >= 1e-6 && size < 1e21
	default:
		return b, false
	}
}

// isPlain reports whether a text stands in JSON as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
