package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage/internal/bench"
)

// The table is as lean as one that answers the API's hot queries can be: text
// compares by bytes, and the body is stored as it is.
const (
	createTable = `CREATE TABLE floor_events (
	event_id        uuid PRIMARY KEY,
	event_timestamp timestamptz NOT NULL,
	event_type      text COLLATE "C" NOT NULL,
	correlation_id  text COLLATE "C" NOT NULL,
	body            bytea NOT NULL
);
CREATE INDEX ON floor_events (event_timestamp, event_id);
CREATE INDEX ON floor_events (correlation_id, event_timestamp);
CREATE INDEX ON floor_events (event_type, event_timestamp);`
	dropTable = `DROP TABLE IF EXISTS floor_events;`
	insertRow = `INSERT INTO floor_events (event_id, event_timestamp, event_type, correlation_id, body) VALUES ($1, $2, $3, $4, $5)`
)

var columns = []string{"event_id", "event_timestamp", "event_type", "correlation_id", "body"}

// writer writes the events of one connection.
type writer struct {
	db        *pgx.Conn
	options   options
	generator *bench.Generator
	buffer    []byte
	latencies bench.Histogram
}

func newWriter(ctx context.Context, o options, g *bench.Generator) (*writer, error) {
	db, err := pgx.Connect(ctx, o.databaseURL)
	if err != nil {
		return nil, err
	}
	w := &writer{db: db, options: o, generator: g, buffer: make([]byte, 0, o.eventSize)}
	if _, err := db.Exec(ctx, "SET synchronous_commit = on"); err != nil {
		w.close(ctx)
		return nil, err
	}
	return w, nil
}

// close ends the connection. What was written is committed, so that a failure
// to say goodbye loses nothing.
func (w *writer) close(ctx context.Context) { _ = w.db.Close(context.WithoutCancel(ctx)) }

// run writes batches until the duration is over and records those that end
// within it.
func (w *writer) run(ctx context.Context, began time.Time) error {
	from, to := w.options.warmup, w.options.warmup+w.options.duration
	for sent := time.Since(began); sent < to; {
		if err := w.write(ctx); err != nil {
			return err
		}
		now := time.Since(began)
		if now >= from && now < to {
			w.latencies.Record(now - sent)
		}
		sent = now
	}
	return nil
}

// write stores one batch: it is durable when write returns.
func (w *writer) write(ctx context.Context) error {
	if w.options.mode == modeLone {
		row, err := w.row(time.Now())
		if err != nil {
			return err
		}
		_, err = w.db.Exec(ctx, insertRow, row...)
		return err
	}
	at := time.Now()
	left := w.options.batch
	rows := pgx.CopyFromFunc(func() ([]any, error) {
		if left == 0 {
			return nil, nil
		}
		left--
		return w.row(at.Add(-time.Duration(left) * time.Microsecond))
	})
	_, err := w.db.CopyFrom(ctx, pgx.Identifier{"floor_events"}, columns, rows)
	return err
}

// row makes the next event; it is valid until the next call.
func (w *writer) row(at time.Time) ([]any, error) {
	w.buffer = w.generator.Append(w.buffer[:0], at)
	return []any{w.generator.ID(at), at, w.generator.EventType(), string(w.generator.CorrelationID()), w.buffer}, nil
}
