package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/httpapi"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/telemetry"
	"github.com/datastorage-io/datastorage/ledger"
)

// BenchmarkPostEvent is what the server and its clients, who only write and read bytes, take for a request with one event
// of 1 KB when the store takes no time. cpu-ns/op is that of all threads. -benchtime 50000x makes runs comparable.
func BenchmarkPostEvent(b *testing.B) {
	address := listenInstantly(b)
	request := post(b)
	var before, after syscall.Rusage
	b.ReportAllocs()
	b.SetParallelism(16)
	cpu(b, &before)
	b.RunParallel(func(pb *testing.PB) {
		conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", address)
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for pb.Next() {
			_, err := conn.Write(request)
			if err == nil {
				err = readCreated(in)
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	cpu(b, &after)
	used := after.Utime.Nano() - before.Utime.Nano() + after.Stime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/float64(b.N), "cpu-ns/op")
}

// cpu reads the CPU time of the process.
func cpu(b *testing.B, usage *syscall.Rusage) {
	b.Helper()
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, usage); err != nil {
		b.Fatal(err)
	}
}

// readCreated reads an answer, which must be 201, without making anything of it.
func readCreated(in *bufio.Reader) error {
	line, err := in.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 201 ")) {
		return fmt.Errorf("%w, %q", err, line)
	}
	for len(line) > 2 && err == nil {
		line, err = in.ReadSlice('\n')
	}
	if err == nil {
		_, err = in.ReadSlice('}') // the end of the receipt
	}
	if err == nil {
		_, err = in.ReadByte()
	}
	return err
}

// post is a request as a producer sends it.
func post(b *testing.B) []byte {
	b.Helper()
	body := fmt.Sprintf(`{"version":"1.0","event_type":"gateway.signal.received","event_timestamp":%q,"event_category":"gateway",`+
		`"event_action":"received","event_outcome":"success","actor_type":"service","actor_id":"gateway-service",`+
		`"resource_type":"signal","resource_id":"fp-0123456789","correlation_id":"rr-0123456789","namespace":"production",`+
		`"severity":"warning","duration_ms":12,"event_data":{"signal":"KubePodCrashLooping","labels":{"app":"checkout","team":"payments"},`+
		`"count":3,"ratio":0.25,"note":%q}}`, time.Now().UTC().Format(time.RFC3339Nano), strings.Repeat("a text of some length ", 22))
	return fmt.Appendf(nil, "POST /api/v1/audit/events HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %d\r\n"+
		"Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n%s", len(body), body)
}

// instant is a store that keeps nothing and takes no time.
type instant struct{ ingest.Store }

func (instant) Head(context.Context) (ledger.Head, error) { return ledger.Head{}, nil }

func (instant) Commit(context.Context, *ledger.Commit, *datastorage.Write) error { return nil }

// undescribed is a catalogue without event types.
type undescribed struct {
	httpapi.Catalogue
	snapshot *catalog.Snapshot
}

func (u undescribed) Snapshot() *catalog.Snapshot { return u.snapshot }

// listenInstantly starts a server with the default settings on an instant store, and returns its address.
func listenInstantly(b *testing.B) string {
	b.Helper()
	cfg := config.Default()
	registry := prometheus.NewRegistry()
	log, flush := telemetry.NewBufferedLogger(io.Discard, cfg.Log)
	committer, err := ingest.NewCommitter(b.Context(), instant{}, limits(&cfg), log, ingest.NewMetrics(registry))
	if err != nil {
		b.Fatal(err)
	}
	handler := httpapi.New(httpapi.Config{
		Writer: ingest.NewService(committer), Catalogue: undescribed{snapshot: catalog.New(catalog.DefaultWeights())}, Rules: rules(&cfg),
		MaxBatch: cfg.Ingest.MaxBatchEvents, MaxInFlight: int64(cfg.Ingest.MaxInFlightBytes), CursorKey: []byte("key"),
		PoolStats: func() httpapi.PoolStats { return httpapi.PoolStats{} }, Log: log, Registry: registry, Now: time.Now,
	})
	listener, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := newServer(&cfg, handler, log)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	b.Cleanup(func() {
		if err := errors.Join(server.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
		committer.Close()
		flush()
	})
	return listener.Addr().String()
}
