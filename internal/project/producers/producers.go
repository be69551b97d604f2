// Package producers derives from the log, for each producer that numbers its events, which numbers never arrived and which
// came more than once.
package producers

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/datastorage-io/datastorage/internal/project"
)

// name is the projection's name.
const name = "producers"

// MaxRepeats is how many repeated numbers of a producer are kept; all are counted.
const MaxRepeats = 100

// Projection implements project.Projection.
type Projection struct{}

// Name implements project.Projection.
func (Projection) Name() string { return name }

// Version implements project.Projection.
func (Projection) Version() int { return 1 }

// Bodies implements project.Projection: the number stands in the body alone.
func (Projection) Bodies() project.Bodies { return project.Bodies{Members: []string{"producer_id"}} }

// Schema implements project.Projection. A gap is a range of numbers that have not arrived, between numbers that have: its
// last number is its key, so that a walk by it meets the gap that a number falls into first.
func (Projection) Schema() []string {
	return []string{
		`CREATE TABLE p_producers_{g} (
			producer_id {text} PRIMARY KEY,
			lowest      bigint NOT NULL,
			highest     bigint NOT NULL,
			events      bigint NOT NULL,
			missing     bigint NOT NULL,
			gaps        bigint NOT NULL,
			repeats     bigint NOT NULL,
			last_time   bigint NOT NULL,
			last_index  bigint NOT NULL
		) {keyed}`,
		`CREATE TABLE p_producers_gaps_{g} (
			producer_id {text} NOT NULL,
			last        bigint NOT NULL,
			first       bigint NOT NULL,
			PRIMARY KEY (producer_id, last)
		) {keyed}`,
		`CREATE TABLE p_producers_repeats_{g} (
			producer_id {text} NOT NULL,
			log_index   bigint NOT NULL,
			seq         bigint NOT NULL,
			PRIMARY KEY (producer_id, log_index)
		) {keyed}`,
	}
}

// Tables implements project.Projection.
func (Projection) Tables() []string {
	return []string{"p_producers_{g}", "p_producers_gaps_{g}", "p_producers_repeats_{g}"}
}

// arrival is a numbered event.
type arrival struct{ seq, index int64 }

// batch is what a batch holds of one producer.
type batch struct {
	arrivals            []arrival
	lastTime, lastIndex int64
}

// Apply implements project.Projection.
func (Projection) Apply(ctx context.Context, tx project.Tx, events []project.Event) error {
	batches := map[string]*batch{}
	for i := range events {
		e := &events[i]
		n, err := number(e)
		if err != nil {
			return fmt.Errorf("read the event at %d: %w", e.LogIndex, err)
		}
		if n.ProducerID == "" {
			continue
		}
		b := batches[n.ProducerID]
		if b == nil {
			b = &batch{lastTime: e.Time.UnixMicro()}
			batches[n.ProducerID] = b
		}
		b.arrivals = append(b.arrivals, arrival{n.ProducerSeq, e.LogIndex})
		b.lastTime, b.lastIndex = max(b.lastTime, e.Time.UnixMicro()), e.LogIndex
	}
	for _, id := range slices.Sorted(maps.Keys(batches)) {
		if err := apply(ctx, tx, id, batches[id]); err != nil {
			return err
		}
	}
	return nil
}

// number returns the number of an event; the zero Number when it has none.
func number(e *project.Event) (project.Number, error) {
	switch {
	case e.Number != nil:
		return *e.Number, nil
	case !bytes.Contains(e.Body, []byte(`"producer_id":`)):
		return project.Number{}, nil
	}
	return readNumber(e.Body)
}

// readNumber reads producer_id and producer_seq of a body, which are members of it, in this order; the zero Number when they
// are not.
func readNumber(body []byte) (n project.Number, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	if _, err := d.ReadToken(); err != nil {
		return n, err
	}
	for d.PeekKind() == '"' {
		member, err := d.ReadToken()
		if err != nil {
			return n, err
		}
		switch member.String() {
		case "producer_id":
			value, err := d.ReadToken()
			if err != nil {
				return n, err
			}
			n.ProducerID = value.String()
		case "producer_seq":
			value, err := d.ReadToken()
			if err != nil {
				return n, err
			}
			n.ProducerSeq, err = value.Int()
			return n, err
		default:
			if err := d.SkipValue(); err != nil {
				return n, err
			}
		}
	}
	return project.Number{}, nil
}

// apply adds the events of one producer.
func apply(ctx context.Context, tx project.Tx, id string, b *batch) error {
	p, known, err := find(ctx, tx, id)
	if err != nil {
		return err
	}
	slices.SortFunc(b.arrivals, func(x, y arrival) int { return cmp.Or(cmp.Compare(x.seq, y.seq), cmp.Compare(x.index, y.index)) })
	if !known {
		p.Lowest, p.Highest = b.arrivals[0].seq, b.arrivals[0].seq-1
		p.lastTime = b.lastTime
	}
	c := change{Producer: p}
	c.Events += int64(len(b.arrivals))
	c.lastTime, c.LastIndex = max(c.lastTime, b.lastTime), b.lastIndex
	fresh := c.takeRepeats(b.arrivals)
	below, rest := split(fresh, c.Lowest)
	within, above := split(rest, c.Highest+1)
	if err := c.fill(ctx, tx, within); err != nil {
		return err
	}
	c.extend(below, above)
	return c.store(ctx, tx)
}

// split cuts sorted arrivals in two: those with a lower number, and the others.
func split(sorted []arrival, seq int64) (lower, others []arrival) {
	at, _ := slices.BinarySearchFunc(sorted, seq, func(a arrival, seq int64) int { return cmp.Compare(a.seq, seq) })
	return sorted[:at], sorted[at:]
}
