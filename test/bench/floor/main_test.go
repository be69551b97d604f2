package main

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/datastorage-io/datastorage/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, nil)) }

func TestRun(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{modeCopy, modeLone} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			args := []string{"--database-url", pgtest.Empty(t), "--mode", mode, "--duration", "200ms", "--warmup", "0s", "--batch", "10", "--json"}
			if err := run(t.Context(), args, &out, io.Discard); err != nil {
				t.Fatal(err)
			}
			var r result
			if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
				t.Fatal(err)
			}
			if r.Mode != mode || r.Events == 0 || r.EventsPerSecond != float64(r.Events)/r.Seconds || r.P50Micros <= 0 || r.P95Micros < r.P50Micros {
				t.Errorf("result = %+v", r)
			}
		})
	}
}

func TestRun_Refuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--database-url", "postgres://x", "--mode", "fast"}, {"--database-url", "postgres://x", "--batch", "0"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("run(%q) is accepted", args)
		}
	}
}
