package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/config"
)

// at is 12:30 in a zone two hours east of Greenwich.
var at = time.Date(2026, 3, 4, 12, 30, 5, 123456789, time.FixedZone("", 7200))

func handle(t *testing.T, logger *slog.Logger, level slog.Level, message string, attrs ...slog.Attr) {
	t.Helper()
	r := slog.NewRecord(at, level, message, 0)
	r.AddAttrs(attrs...)
	if err := logger.Handler().Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func TestNewLogger_JSON(t *testing.T) {
	var out bytes.Buffer
	logger := NewLogger(&out, config.Log{Level: "info", Format: "auto"})
	handle(t, logger, slog.LevelWarn, "slow", slog.Time("since", at), slog.Any("url", config.NewSecret("hunter2")))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, &out)
	}
	want := map[string]any{"time": "2026-03-04T10:30:05.123457Z", "level": "WARN", "msg": "slow", "since": "2026-03-04T10:30:05.123457Z", "url": "[hidden]"}
	for key, value := range want {
		if line[key] != value {
			t.Errorf("%s is %v, want %v", key, line[key], value)
		}
	}
}

func TestNewLogger_Level(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1} {
			var out bytes.Buffer
			logger := NewLogger(&out, config.Log{Level: level, Format: format})
			logger.Debug("d")
			logger.Info("i")
			logger.Warn("w")
			logger.Error("e")
			if got := strings.Count(out.String(), "\n"); got != want {
				t.Errorf("%s at %s writes %d lines, want %d", format, level, got, want)
			}
		}
	}
}

func TestNewLogger_Text(t *testing.T) {
	var out bytes.Buffer
	logger := NewLogger(&out, config.Log{Level: "debug", Format: "text"})
	handle(t, logger, slog.LevelInfo, "listening", slog.String("address", "127.0.0.1:8080"))
	handle(t, logger.With("store", "sqlite").WithGroup("ledger"), slog.LevelError, "cannot\ncommit \x1b[2J", slog.Any("error", errors.New("disk full")), slog.Int("size", 7))
	handle(t, logger.With("level", 3), slog.LevelDebug, "", slog.String("msg", "kept"), slog.Time("time", at))
	handle(t, logger, slog.LevelWarn, "bare")
	want := `2026-03-04T10:30:05.123Z INFO  listening address=127.0.0.1:8080
2026-03-04T10:30:05.123Z ERROR cannot commit  [2J store=sqlite ledger.error="disk full" ledger.size=7
2026-03-04T10:30:05.123Z DEBUG  level=3 msg=kept time=2026-03-04T10:30:05.123Z
2026-03-04T10:30:05.123Z WARN  bare
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

func TestTextHandler_Colour(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(newTextHandler(&out, slog.LevelDebug, true))
	for level, code := range map[slog.Level]string{slog.LevelDebug: "36", slog.LevelInfo: "32", slog.LevelWarn: "33", slog.LevelError: "31"} {
		out.Reset()
		handle(t, logger, level, "x")
		if !strings.Contains(out.String(), "\x1b["+code+"m"+level.String()) {
			t.Errorf("%s is %q", level, &out)
		}
	}
}

// lines counts writes that are not exactly one line.
type lines struct{ good, bad int }

func (l *lines) Write(p []byte) (int, error) {
	if bytes.Count(p, []byte("\n")) == 1 && bytes.HasSuffix(p, []byte("\n")) && bytes.Count(p, []byte("n=")) == 1 {
		l.good++
	} else {
		l.bad++
	}
	return len(p), nil
}

func TestTextHandler_Concurrent(t *testing.T) {
	var out lines
	logger := NewLogger(&out, config.Log{Level: "info", Format: "text"})
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 100 {
				logger.With("n", n).Info("x")
			}
		})
	}
	wg.Wait()
	if out.good != 800 || out.bad != 0 {
		t.Errorf("%d lines, %d broken", out.good, out.bad)
	}
}
