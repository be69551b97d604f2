package postgres

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/ledger"
)

// The benchmarks write events of 1 kB to a server with fsync. Beside the time they report, per event, the processor time
// of this process and of PostgreSQL. Give them a fixed count: -benchtime 50x.

const benchSize = 1024

var benchCommits = []int{1, 64, 1000}

type bench struct {
	server *pgtest.Server
	url    string
	store  *Store
}

func newBench(b *testing.B) *bench {
	b.Helper()
	server := pgtest.Start(b, pgtest.Options{Durable: true})
	url, err := server.Clone(b.Context(), Migrate)
	if err != nil {
		b.Fatal(err)
	}
	return &bench{server: server, url: url, store: openAt(b, url)}
}

// measure runs f for each batch of n records that it makes beforehand.
func (x *bench) measure(b *testing.B, n int, f func([]*datastorage.Record)) {
	b.Helper()
	batches := make([][]*datastorage.Record, b.N)
	for i := range batches {
		batches[i] = records(time.Now().Add(time.Duration(i)*time.Second), n, benchSize)
	}
	server, client := x.cpu(b)
	b.ReportAllocs()
	b.ResetTimer()
	for _, batch := range batches {
		f(batch)
	}
	b.StopTimer()
	serverEnd, clientEnd := x.cpu(b)
	events := float64(b.N * n)
	b.ReportMetric(float64(b.Elapsed().Microseconds())/events, "µs/event")
	b.ReportMetric(float64((serverEnd-server).Microseconds())/events, "PG-CPU-µs/event")
	b.ReportMetric(float64((clientEnd-client).Microseconds())/events, "client-CPU-µs/event")
}

func (x *bench) cpu(b *testing.B) (server, client time.Duration) {
	b.Helper()
	server, err := x.server.CPU()
	if err != nil {
		b.Fatal(err)
	}
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return server, time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// committer returns a function that stores records as the ingest does, with the head in memory.
func (x *bench) committer(b *testing.B) func([]*datastorage.Record) {
	b.Helper()
	head, err := x.store.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return func(rs []*datastorage.Record) {
		c, after := ledger.NewCommit(&head, rs, time.Now())
		if err := x.store.Commit(b.Context(), c, &datastorage.Write{Records: rs}); err != nil {
			b.Fatal(err)
		}
		head = after
	}
}

func BenchmarkCommit(b *testing.B) {
	x := newBench(b)
	commit := x.committer(b)
	for _, n := range benchCommits {
		b.Run(fmt.Sprint(n), func(b *testing.B) { x.measure(b, n, commit) })
	}
}

// BenchmarkCommit_WithoutIndex shows what an index costs: the difference to all.
func BenchmarkCommit_WithoutIndex(b *testing.B) {
	for _, drop := range []string{
		"", "DROP INDEX events_by_index", "DROP INDEX events_by_correlation", "DROP INDEX events_by_type",
		"ALTER TABLE events DROP CONSTRAINT events_pkey",
	} {
		name := "all"
		if drop != "" {
			name = drop
		}
		b.Run(name, func(b *testing.B) {
			x := newBench(b)
			if drop != "" {
				exec(b, connect(b, x.url), drop)
			}
			x.measure(b, 1000, x.committer(b))
		})
	}
}

// BenchmarkCopy copies the events into the same tables: the least that a transaction can cost.
func BenchmarkCopy(b *testing.B) {
	x := newBench(b)
	conn := connect(b, x.url)
	columns := []string{
		"log_index", "event_timestamp", "event_id", "correlation_id", "event_type", "event_category", "event_outcome",
		"severity", "actor_type", "actor_id", "resource_type", "resource_id", "namespace", "salt", "body",
	}
	index := int64(0)
	for _, n := range benchCommits {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x.measure(b, n, func(rs []*datastorage.Record) {
				err := pgx.BeginFunc(b.Context(), conn, func(tx pgx.Tx) error {
					_, err := tx.CopyFrom(b.Context(), pgx.Identifier{"event_ids"}, []string{"event_id", "log_index", "event_timestamp"},
						pgx.CopyFromSlice(len(rs), func(i int) ([]any, error) {
							return []any{[16]byte(rs[i].ID), index + int64(i), rs[i].Time}, nil
						}))
					if err != nil {
						return err
					}
					_, err = tx.CopyFrom(b.Context(), pgx.Identifier{"events"}, columns,
						pgx.CopyFromSlice(len(rs), func(i int) ([]any, error) {
							r := rs[i]
							return []any{
								index + int64(i), r.Time, [16]byte(r.ID), r.CorrelationID, r.Type, r.Category, r.Outcome, r.Severity,
								r.ActorType, r.ActorID, r.ResourceType, r.ResourceID, r.Namespace, r.Salt[:], string(r.Body),
							}, nil
						}))
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
				index += int64(len(rs))
			})
		})
	}
}

// BenchmarkUnnest inserts the events alone, from an array for each column.
func BenchmarkUnnest(b *testing.B) {
	x := newBench(b)
	conn := connect(b, x.url)
	const insert = `INSERT INTO events (log_index, event_timestamp, event_id, correlation_id, event_type, event_category,
		event_outcome, severity, actor_type, actor_id, resource_type, resource_id, namespace, salt, body)
		SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
		$8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bytea[], $15::text[])`
	index := int64(0)
	for _, n := range benchCommits {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x.measure(b, n, func(rs []*datastorage.Record) {
				var (
					indexes []int64
					times   []time.Time
					ids     [][16]byte
					texts   [10][]string
					salts   [][]byte
					bodies  []string
					textsOf = func(r *datastorage.Record) [10]string {
						return [10]string{
							r.CorrelationID, r.Type, r.Category, r.Outcome, r.Severity, r.ActorType, r.ActorID, r.ResourceType,
							r.ResourceID, r.Namespace,
						}
					}
				)
				for _, r := range rs {
					indexes, times, ids = append(indexes, index), append(times, r.Time), append(ids, r.ID)
					for i, s := range textsOf(r) {
						texts[i] = append(texts[i], s)
					}
					salts, bodies = append(salts, r.Salt[:]), append(bodies, string(r.Body))
					index++
				}
				args := []any{indexes, times, ids}
				for _, column := range texts {
					args = append(args, column)
				}
				if _, err := conn.Exec(b.Context(), insert, append(args, salts, bodies)...); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkQuery reads the 20 events of a correlation_id, and pages of 50, among 60 000 events in six months.
func BenchmarkQuery(b *testing.B) {
	x := newBench(b)
	fill(b, x.store, 10_000)
	conn := connect(b, x.url)
	exec(b, conn, "VACUUM ANALYZE events")
	correlation := one[string](b, conn, "SELECT correlation_id FROM "+planPartition+" LIMIT 1")
	for name, q := range map[string]datastorage.EventQuery{
		"page":   {CorrelationID: correlation, Limit: 50},
		"recent": {Limit: 50, Count: datastorage.CountNone},
		"filter": {Category: "gateway", Outcome: "success", EventType: "workflow.step.done", Limit: 50, Count: datastorage.CountNone},
		"prefix": {EventType: "workflow", EventTypePrefix: true, Limit: 50, Count: datastorage.CountNone},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := x.store.Events(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("headers", func(b *testing.B) {
		for b.Loop() {
			err := x.store.Correlation(b.Context(), correlation, func(*datastorage.EventHeader) error { return nil })
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	rs := records(time.Now(), 1000, benchSize)
	c, _ := ledger.NewCommit(&ledger.Head{}, rs, time.Now())
	b.ReportAllocs()
	for b.Loop() {
		encode(c, &datastorage.Write{Records: rs}, rowTypes{event: 1, id: 2}, false).release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rs)), "ns/event")
}
