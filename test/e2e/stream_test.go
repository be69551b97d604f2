package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/internal/ssetest"
)

// streams is for streams alone: they last longer than the time-out of the other client.
var streams = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}

// follow opens a stream; lastID is what the client resumes from, "" for nothing. Cancel ctx to give it up.
func follow(ctx context.Context, url, query, lastID string) (*ssetest.Reader, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/audit/events/stream"+query, nil)
	if err != nil {
		return nil, err
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := streams.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("the stream is answered %d", resp.StatusCode)
	}
	return ssetest.NewReader(resp.Body), nil
}

// restless reads a stream until it has n events, breaking off and resuming at random at one of the servers, and returns the
// rows.
func restless(t *testing.T, servers []*server, query string, n int, rng *rand.Rand) (rows []string) {
	lastID := "-1"
	for len(rows) < n {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		r, err := follow(ctx, servers[rng.IntN(len(servers))].url, query, lastID)
		for blocks := 1 + rng.IntN(200); err == nil && blocks > 0 && len(rows) < n; blocks-- {
			var b ssetest.Block
			if b, err = r.Next(); err != nil {
				break
			}
			if b.Type == "audit" {
				rows = append(rows, b.Data)
			}
			lastID = b.ID
		}
		cancel()
		if err != nil {
			t.Errorf("behind %s: %v", lastID, err)
			return rows
		}
	}
	return rows
}

// walk returns the rows of all events of a query, in the order of the log.
func walk(t *testing.T, s *server, query string) (rows []string) {
	t.Helper()
	byIndex := map[int64]string{}
	for cursor := ""; ; {
		var page struct {
			Data       []json.RawMessage
			Pagination struct {
				NextCursor string `json:"next_cursor"`
			}
		}
		get(t, s.url+"/api/v1/audit/events?limit=1000"+query+cursor, &page)
		for _, row := range page.Data {
			var at struct {
				LogIndex int64 `json:"log_index"`
			}
			if err := json.Unmarshal(row, &at); err != nil {
				t.Fatal(err)
			}
			byIndex[at.LogIndex] = string(row)
		}
		if page.Pagination.NextCursor == "" {
			break
		}
		cursor = "&cursor=" + page.Pagination.NextCursor
	}
	for i := int64(0); len(rows) < len(byIndex); i++ {
		if row, ok := byIndex[i]; ok {
			rows = append(rows, row)
		}
	}
	return rows
}

// exactlyOnce reads with restless clients while 64 clients write, and compares what each got with what is stored.
func exactlyOnce(t *testing.T, servers []*server) {
	const writers, each = 64, 40
	var all sync.WaitGroup
	got := make([][]string, 4)
	for i := range got {
		all.Go(func() { got[i] = restless(t, servers, "", writers*each, rand.New(rand.NewPCG(uint64(i), 1))) })
	}
	filtered := make([][]string, 4)
	for i := range filtered {
		query := fmt.Sprintf("?correlation_id=rr-%d&detail_key=n&detail_value=%d", i, i)
		all.Go(func() { filtered[i] = restless(t, servers, query, writers/4, rand.New(rand.NewPCG(uint64(i), 2))) })
	}
	for w := range writers {
		all.Go(func() {
			for n := range each {
				status, answer, err := do(http.MethodPost, servers[w%len(servers)].url+"/api/v1/audit/events", event(fmt.Sprintf("rr-%d", w%4), n))
				if err != nil || status != http.StatusCreated {
					t.Errorf("%v, %d %s", err, status, answer)
				}
			}
		})
	}
	all.Wait()
	stored := walk(t, servers[0], "")
	for i := range got {
		if !slices.Equal(got[i], stored) {
			t.Errorf("reader %d got %d events that are not the %d of the log", i, len(got[i]), len(stored))
		}
	}
	for i := range filtered {
		if want := walk(t, servers[0], fmt.Sprintf("&correlation_id=rr-%d&detail_key=n&detail_value=%d", i, i)); !slices.Equal(filtered[i], want) {
			t.Errorf("filtered reader %d got %d events that are not the %d of the query", i, len(filtered[i]), len(want))
		}
	}
}

func TestStream_ExactlyOnce(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, args []string) {
		exactlyOnce(t, []*server{startServer(t, args...)})
	})
	t.Run("two servers", func(t *testing.T) {
		t.Parallel()
		url := pgtest.Empty(t)
		exactlyOnce(t, []*server{
			startServer(t, "--database-url", url, "--data-dir", t.TempDir()), startServer(t, "--database-url", url, "--data-dir", t.TempDir()),
		})
	})
}

// TestStream_Stop ends streams with a message, and does not wait for them.
func TestStream_Stop(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--data-dir", t.TempDir())
	post(t, s, event("rr-stop", 0))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := follow(ctx, s.url, "?from=0", "")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	code := make(chan int)
	go func() { code <- s.terminate(t) }()
	for {
		b, err := r.Next()
		if err != nil {
			t.Fatalf("the stream ended without a message: %v", err)
		}
		if b.Type == "closing" {
			break
		}
	}
	if got := <-code; got != 0 {
		t.Errorf("exit %d", got)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the server took %v to stop", took)
	}
}

// TestStream_AcrossServers follows on one server what another one stores. What it measures stands in docs/live-tail.md.
func TestStream_AcrossServers(t *testing.T) {
	t.Parallel()
	const n = 30
	url := pgtest.Empty(t)
	writing, reading := startServer(t, "--database-url", url, "--data-dir", t.TempDir()), startServer(t, "--database-url", url, "--data-dir", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, done := join(ctx, t, reading, 1, n)
	answered := make([]time.Time, n)
	for i := range answered {
		post(t, writing, event("rr-across", i))
		answered[i] = time.Now()
		waitFor(t, func() bool { return c.arrived[i].Load() == 1 })
	}
	done.Wait()
	delays := c.delays(answered)
	t.Logf("from a 201 of the other server: median %v, all %v", delays[n/2], delays[n-1])
	if delays[n/2] > 2*time.Second {
		t.Errorf("the median delay is %v", delays[n/2])
	}
}

// TestStream_Stuck writes far more than the server keeps for readers while many read nothing: they are sent away, and the
// server's memory does not grow by what they did not read.
func TestStream_Stuck(t *testing.T) {
	t.Parallel()
	const readers, writers, each, size = 200, 4, 150, 200 << 10
	s := startServer(t, "--data-dir", t.TempDir())
	host := strings.TrimPrefix(s.url, "http://")
	for range readers {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprintf(conn, "GET /api/v1/audit/events/stream HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, func() bool { return s.metrics(t)["datastorage_tail_readers"] == readers })
	pad := strings.Repeat("x", size)
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for i := range each {
				body := bytes.Replace(event("rr-stuck", i), []byte(`"n":`), []byte(`"pad":"`+pad+`","n":`), 1)
				if status, answer, err := do(http.MethodPost, s.url+"/api/v1/audit/events", body); err != nil || status != http.StatusCreated {
					t.Errorf("%v, %d %s", err, status, answer)
				}
			}
		})
	}
	all.Wait()
	waitFor(t, func() bool { return s.metrics(t)["datastorage_tail_readers"] == 0 })
	after := s.metrics(t)
	if got := after[`datastorage_tail_ended_total{reason="cut"}`] + after[`datastorage_tail_ended_total{reason="slow"}`]; got != readers {
		t.Errorf("%v readers were dropped, want %d", got, readers)
	}
	peak := s.memory(t, "VmHWM")
	t.Logf("%d MiB were written past %d readers that read nothing; the server took at most %d MiB", writers*each*size>>20, readers, peak)
	if peak > 640 { // what is not read of 200 streams is 23 GiB
		t.Errorf("the server took %d MiB", peak)
	}
}

// crowd is many readers of one server.
type crowd struct {
	readers int
	arrived []atomic.Int32 // by event
	times   [][]time.Time  // by reader, then event
}

// join opens the streams of a crowd that expects n events, and returns when all stand at the end of the log.
func join(ctx context.Context, t *testing.T, s *server, readers, n int) (*crowd, *sync.WaitGroup) {
	c := &crowd{readers: readers, arrived: make([]atomic.Int32, n), times: make([][]time.Time, readers)}
	var there, done sync.WaitGroup
	for i := range readers {
		c.times[i] = make([]time.Time, n)
		there.Add(1)
		done.Go(func() {
			r, err := follow(ctx, s.url, "", "")
			if err == nil {
				_, err = r.Next()
			}
			there.Done()
			for at := 0; err == nil && at < n; {
				var b ssetest.Block
				if b, err = r.Next(); b.Type == "audit" && b.ID == strconv.Itoa(at) {
					c.times[i][at] = time.Now()
					c.arrived[at].Add(1)
					at++
				}
			}
			if err != nil && ctx.Err() == nil {
				t.Errorf("reader %d: %v", i, err)
			}
		})
	}
	there.Wait()
	return c, &done
}

// delays are how long after its 201 each event arrived at each reader, sorted.
func (c *crowd) delays(answered []time.Time) (all []time.Duration) {
	for _, times := range c.times {
		for i, at := range answered {
			all = append(all, max(0, times[i].Sub(at)))
		}
	}
	slices.Sort(all)
	return all
}

// TestStream_ThousandReaders lets a thousand clients follow one server. What it measures stands in docs/live-tail.md.
func TestStream_ThousandReaders(t *testing.T) {
	const readers, single, writers, each = 1000, 50, 64, 30
	s := startServer(t, "--data-dir", t.TempDir())
	idle := s.memory(t, "VmRSS")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const n = single + writers*each
	c, done := join(ctx, t, s, readers, n)
	t.Logf("memory: %d MiB before, %d MiB with %d readers", idle, s.memory(t, "VmRSS"), readers)
	answered := make([]time.Time, single)
	for i := range answered {
		post(t, s, event("rr-crowd", i))
		answered[i] = time.Now()
		waitFor(t, func() bool { return c.arrived[i].Load() == readers })
	}
	delays := c.delays(answered)
	t.Logf("one event to %d readers: from its 201, median %v, 99%% %v, all %v", readers,
		delays[len(delays)/2], delays[len(delays)*99/100], delays[len(delays)-1])
	began := time.Now()
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for i := range each {
				post(t, s, event("rr-crowd", i))
			}
		})
	}
	all.Wait()
	written := time.Since(began)
	done.Wait()
	delivered := time.Since(began)
	peak := s.memory(t, "VmHWM")
	t.Logf("%d events written in %v, all delivered to %d readers after %v: %.0f a second; at most %d MiB", writers*each, written, readers,
		delivered, float64(readers*writers*each)/delivered.Seconds(), peak)
	for i := range c.arrived {
		if got := c.arrived[i].Load(); got != readers {
			t.Fatalf("event %d arrived at %d readers", i, got)
		}
	}
	if peak > 256 {
		t.Errorf("the server took %d MiB", peak)
	}
	if got := s.metrics(t)["datastorage_tail_events_total"]; got != readers*n {
		t.Errorf("%v events are counted as sent, want %d", got, readers*n)
	}
}

// memory reads a figure of a server's memory in MiB.
func (s *server) memory(t *testing.T, name string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kib >> 10
		}
	}
	t.Fatalf("no %s", name)
	return 0
}
