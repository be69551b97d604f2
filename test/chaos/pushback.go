package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/bench"
)

const (
	// pushbackSetting bounds the memory for requests, and pushbackHeld of a batch's bytes take all of it: room for a body is
	// doubled when it is full.
	pushbackSetting = "DATASTORAGE_INGEST_MAX_INFLIGHT_BYTES=16MiB"
	pushbackHeld    = 15 << 20
	pushbackClients = 8
)

// measurePushback takes the memory for requests with one batch that stops in its middle, and writes beside it.
func measurePushback(ctx context.Context, f *figureRun) (err error) {
	s, err := f.newServer(ctx, []string{pushbackSetting}, "--data-dir", filepath.Join(f.dir, "pushback"))
	if err != nil {
		return err
	}
	defer s.kill()
	if err := s.start(ctx); err != nil {
		return s.explain(err)
	}
	batch, err := stopInside(ctx, strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	err = until(ctx, startTimeout, "a batch takes the memory for requests", func() bool {
		n, _ := s.metric(ctx, "datastorage_http_inflight_bytes")
		return n >= 16<<20
	})
	if err != nil {
		return err
	}
	duration := time.Duration(f.scaled(5000)) * time.Millisecond
	hammer(ctx, duration, s.url) // until garbage comes and goes at the same pace
	before := s.memory("VmRSS:")
	refused, other := hammer(ctx, duration, s.url)
	if other > 0 || refused.Count() == 0 {
		return fmt.Errorf("%d writes were answered with something else than 503, %d with 503", other, refused.Count())
	}
	value := strings.Join([]string{
		bench.Micros(float64(refused.Quantile(0.5).Microseconds())), bench.Micros(float64(refused.Quantile(0.99).Microseconds())),
	}, ", ")
	if err := f.judge(refused.Quantile(0.5) <= time.Millisecond, value, "p50 ≤ 1 ms", "503 of %d clients (%d): p50, p99", pushbackClients, refused.Count()); err != nil {
		return err
	}
	growth := float64(s.memory("VmRSS:")-before) / 1e6
	return f.judge(before > 0 && growth < 16, fmt.Sprintf("%.0f %+.0f MB", float64(before)/1e6, growth), "+ < 16 MB", "memory in the middle, and its growth by the end")
}

// stopInside begins a batch and sends no more than a part of it.
func stopInside(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "POST %s/batch HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", eventsPath, address, 16<<20)
	if err == nil {
		_, err = io.Copy(conn, bytes.NewReader(bytes.Repeat([]byte{' '}, pushbackHeld)))
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// hammer lets clients write without a pause for a while. It returns the times of the answers 503, and the number of others.
func hammer(ctx context.Context, duration time.Duration, url string) (refused bench.Histogram, other int) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	var mu sync.Mutex
	var running sync.WaitGroup
	for i := range pushbackClients {
		running.Go(func() {
			conn, err := bench.NewConn(url, requestTimeout)
			if err != nil {
				panic(err) // the URL is ours
			}
			defer conn.Close()
			for seq := 1; ctx.Err() == nil; seq++ {
				body := appendEvent(nil, uuid.New(), i, seq)
				sent := time.Now()
				status, _, err := conn.Post(ctx, eventsPath, body)
				took := time.Since(sent)
				mu.Lock()
				switch {
				case ctx.Err() != nil:
				case err == nil && status == http.StatusServiceUnavailable:
					refused.Record(took)
				default:
					other++
				}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return refused, other
}
