package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/datastorage-io/datastorage"
)

// maxCorrelations bounds the correlations that a store remembers. One takes about 150 bytes, at most 1.2 KB.
const maxCorrelations = 16 << 10

// correlationCache remembers at which log_index correlations begin. That never changes once it is committed, whoever
// writes to the file. What a transaction finds out or stores is fresh until keep, which comes after its COMMIT has
// succeeded: when that fails, nobody can tell what is stored, and the next transaction asks the database.
//
// Of the others the older half is dropped as a whole; what of it was used meanwhile is in the younger half by then.
type correlationCache struct {
	fresh, young, old map[string]int64
	begins            []int64 // of the records of a commit
}

// begin returns the log_index of the first event of a correlation, when it is remembered.
func (c *correlationCache) begin(id string) (int64, bool) {
	if first, ok := c.young[id]; ok {
		return first, true
	}
	if first, ok := c.fresh[id]; ok {
		return first, true
	}
	first, ok := c.old[id]
	if ok {
		c.add(id, first)
	}
	return first, ok
}

// add remembers a correlation for the rest of the transaction. The text is copied: it may be a part of a whole event.
func (c *correlationCache) add(id string, first int64) {
	if c.fresh == nil {
		c.fresh = map[string]int64{}
	}
	c.fresh[strings.Clone(id)] = first
}

// keep remembers what is fresh from now on.
func (c *correlationCache) keep() {
	for id, first := range c.fresh {
		if len(c.young) >= maxCorrelations/2 {
			c.young, c.old = nil, c.young
		}
		if c.young == nil {
			c.young = map[string]int64{}
		}
		c.young[id] = first
	}
	c.forget()
}

// forget drops what is fresh.
func (c *correlationCache) forget() { clear(c.fresh) }

const (
	insertCorrelation = `INSERT INTO correlations (correlation_id, first_index) VALUES (?, ?) ON CONFLICT (correlation_id) DO NOTHING`
	selectCorrelation = `SELECT first_index FROM correlations WHERE correlation_id = ?`
)

// correlate returns for each record of a commit at which log_index its correlation begins, and stores the correlations
// that begin with it. The result is valid until the next call.
func (c *conn) correlate(
	ctx context.Context, known *correlationCache, first int64, records []*datastorage.Record,
) ([]int64, error) {
	known.begins = known.begins[:0]
	for i, r := range records {
		begin, ok := known.begin(r.CorrelationID)
		if !ok {
			var err error
			if begin, err = c.intern(ctx, r.CorrelationID, first+int64(i)); err != nil {
				return nil, err
			}
			known.add(r.CorrelationID, begin)
		}
		known.begins = append(known.begins, begin)
	}
	return known.begins, nil
}

// intern returns the log_index at which a correlation begins: here, unless it is stored already. Hardly any is that is not
// remembered, so storing it comes first.
func (c *conn) intern(ctx context.Context, id string, here int64) (int64, error) {
	result, err := c.Exec(ctx, insertCorrelation, id, here)
	if err != nil || result.Changed > 0 {
		return here, err
	}
	begin, found := int64(0), false
	err = c.Query(ctx, selectCorrelation, []any{id}, func(row []driver.Value) error {
		begin, found = row[0].(int64)
		return nil
	})
	if err == nil && !found {
		err = errors.New("a correlation that could not be stored was not found")
	}
	return begin, err
}
