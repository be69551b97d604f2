package telemetry

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/config"
)

// requestLine is the line of a request.
func requestLine() (string, []slog.Attr) {
	return "request", []slog.Attr{
		slog.String("method", "POST"), slog.String("path", "/api/v1/audit/events"), slog.Int("status", 201), slog.Int("bytes", 256),
		slog.Float64("duration_ms", 1.234), slog.String("request_id", "c6f7a6b0-0c57-4b6c-9d6b-0f3c4f5e9a11"), slog.String("client", "127.0.0.1"),
	}
}

// TestNewLogger_JSON_AsSlog compares each line with that of slog's own handler.
func TestNewLogger_JSON_AsSlog(t *testing.T) {
	t.Parallel()
	request, attrs := requestLine()
	for name, c := range map[string]struct {
		message string
		attrs   []slog.Attr
	}{
		"request":         {request, attrs},
		"none":            {"no attributes", nil},
		"empty":           {"", []slog.Attr{slog.String("", ""), {}, slog.Int("", 0)}},
		"message":         {"a \"quoted\" \\ text\n", attrs},
		"letters":         {"é ~\x7f\u2028\xff", attrs},
		"key":             {"m", []slog.Attr{slog.Int("a\"b", 1)}},
		"texts":           {"m", []slog.Attr{slog.String("a", "<&>'"), slog.String("b", "\x00\x1f\t"), slog.String("c", "ü"), slog.String("d", "\xff")}},
		"second is plain": {"m", []slog.Attr{slog.String("b", "\""), slog.String("a", "x")}},
		"integers":        {"m", []slog.Attr{slog.Int64("a", math.MinInt64), slog.Int64("b", math.MaxInt64), slog.Uint64("c", math.MaxUint64)}},
		"floats": {"m", []slog.Attr{
			slog.Float64("a", 0), slog.Float64("b", math.Copysign(0, -1)), slog.Float64("c", 0.001), slog.Float64("d", 1e-6), slog.Float64("e", 1e20), slog.Float64("f", -1.5),
		}},
		"small float": {"m", []slog.Attr{slog.Float64("a", 9.9e-7)}},
		"large float": {"m", []slog.Attr{slog.Float64("a", -1e21)}},
		"no number":   {"m", []slog.Attr{slog.Float64("a", math.NaN()), slog.Float64("b", math.Inf(1))}},
		"others": {"m", []slog.Attr{
			slog.Bool("a", true), slog.Duration("b", time.Second), slog.Any("c", errors.New("e")), slog.Group("d", "e", 1), slog.Any("f", []int{1}), slog.Any("g", nil),
			slog.Any("h", config.NewSecret("hunter2")),
		}},
		"long": {strings.Repeat("m", 600), append(attrs, slog.String("error", strings.Repeat("x", 1000)))},
	} {
		for _, level := range []slog.Level{slog.LevelInfo, slog.LevelInfo + 1, slog.LevelError} {
			for _, when := range []time.Time{at, at.Truncate(time.Second), {}, time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
				r := slog.NewRecord(when, level, c.message, 0)
				r.AddAttrs(c.attrs...)
				var got, want bytes.Buffer
				ours, its := NewLogger(&got, config.Log{Level: "info", Format: "json"}).Handler(), utc{slog.NewJSONHandler(&want, nil)}
				if err := errors.Join(ours.Handle(t.Context(), r), its.Handle(t.Context(), r)); err != nil {
					t.Fatal(err)
				}
				if got.String() != want.String() {
					t.Errorf("%s: got\n%swant\n%s", name, &got, &want)
				}
			}
		}
	}
}

// TestNewLogger_JSON_Concurrent: the lines that slog writes and those that it does not, never mix.
func TestNewLogger_JSON_Concurrent(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := NewLogger(&out, config.Log{Level: "info", Format: "json"})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				logger.Info("plain", "n", 1)
				logger.Info("not plain", "ok", true)
				logger.With("n", 1).Info("derived")
			}
		})
	}
	wg.Wait()
	if n := strings.Count(out.String(), "\n"); n != 1200 {
		t.Errorf("%d lines, want 1200", n)
	}
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, `{"time":"`) || !strings.HasSuffix(line, "}\n") {
			t.Fatalf("broken: %q", line)
		}
	}
}

// failing is a writer that cannot write.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestNewLogger_JSON_WriteError(t *testing.T) {
	t.Parallel()
	logger := NewLogger(failing{}, config.Log{Level: "info", Format: "json"})
	for _, attr := range []slog.Attr{slog.Int("plain", 1), slog.Bool("other", true)} {
		r := slog.NewRecord(at, slog.LevelInfo, "m", 0)
		r.AddAttrs(attr)
		if err := logger.Handler().Handle(t.Context(), r); err == nil {
			t.Errorf("%s: no error", attr.Key)
		}
	}
}

// discard is a writer that keeps nothing.
type discard struct{}

func (*discard) Write(line []byte) (int, error) { return len(line), nil }

func BenchmarkNewLogger_JSON(b *testing.B) {
	message, attrs := requestLine()
	handler := NewLogger(new(discard), config.Log{Level: "info", Format: "json"}).Handler()
	b.ReportAllocs()
	for b.Loop() {
		r := slog.NewRecord(at, slog.LevelInfo, message, 0)
		r.AddAttrs(attrs...)
		if err := handler.Handle(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
