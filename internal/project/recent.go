package project

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/datastorage-io/datastorage"
)

// Recent is a log whose last commits, as far as this server made them, are in memory: following it costs the store nothing
// while nobody else writes. What it does not hold is read from the store.
type Recent struct {
	log   Log
	limit int64

	mu    sync.Mutex
	held  []recentCommit // each follows the one before
	bytes int64
}

// recentCommit is a commit with its events.
type recentCommit struct {
	first   int64
	at      time.Time
	bytes   int64
	records []*datastorage.Record
}

func (c *recentCommit) next() int64 { return c.first + int64(len(c.records)) }

// recentOverhead is what an event takes beside its body, in bytes.
const recentOverhead = 512

// NewRecent returns a log that keeps the last commits of this server, up to limit bytes.
func NewRecent(log Log, limit int64) *Recent { return &Recent{log: log, limit: limit} }

// Committed takes a commit that was stored, which must not change any more. Those of one server come in order.
func (r *Recent) Committed(first int64, at time.Time, records []*datastorage.Record) {
	c := recentCommit{first: first, at: at, records: records}
	for _, record := range records {
		c.bytes += int64(len(record.Body)) + recentOverhead
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.held); n > 0 && r.held[n-1].next() != first {
		r.drop(n) // someone else wrote in between
	}
	r.held = append(r.held, c)
	r.bytes += c.bytes
	excess := 0
	for over := r.bytes - r.limit; over > 0; excess++ {
		over -= r.held[excess].bytes
	}
	r.drop(excess)
}

// drop forgets the oldest n commits.
func (r *Recent) drop(n int) {
	for i := range n {
		r.bytes -= r.held[i].bytes
	}
	kept := copy(r.held, r.held[n:])
	clear(r.held[kept:])
	r.held = r.held[:kept]
}

// Follow implements Log. The size of a batch from memory is that of the log as far as this server wrote it.
func (r *Recent) Follow(ctx context.Context, from int64, limit int, bodies Bodies) (Batch, error) {
	if commits, size := r.from(from, limit); len(commits) > 0 {
		return newBatch(commits, size, bodies), nil
	}
	return r.log.Follow(ctx, from, limit, bodies)
}

// from returns the commits from the one that begins at an index, until limit events are reached, and where the last commit
// ends that is held; none when that one is not held.
func (r *Recent) from(index int64, limit int) (commits []recentCommit, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.held {
		if r.held[i].first != index {
			continue
		}
		n, end := 0, i
		for end < len(r.held) && n < limit {
			n += len(r.held[end].records)
			end++
		}
		return slices.Clone(r.held[i:end]), r.held[len(r.held)-1].next()
	}
	return nil, 0
}

// unnumbered is the Number of events that have none.
var unnumbered Number

func numberOf(r *datastorage.Record) *Number {
	if r.ProducerSeq == nil {
		return &unnumbered
	}
	return &Number{r.ProducerID, *r.ProducerSeq}
}

func newBatch(commits []recentCommit, size int64, bodies Bodies) Batch {
	last := &commits[len(commits)-1]
	b := Batch{Next: last.next(), Size: size, CommittedAt: last.at, Events: make([]Event, 0, last.next()-commits[0].first)}
	for _, c := range commits {
		for i, record := range c.records {
			e := Event{EventHeader: datastorage.EventHeader{
				LogIndex: c.first + int64(i), ID: record.ID, ParentID: record.ParentID, Time: record.Time, Type: record.Type,
				Category: record.Category, Outcome: record.Outcome, Severity: record.Severity, ActorType: record.ActorType,
				ActorID: record.ActorID, ResourceType: record.ResourceType, ResourceID: record.ResourceID,
				Namespace: record.Namespace, ClusterName: record.ClusterName, CorrelationID: record.CorrelationID,
			}}
			// A body that is at hand is not searched for names of members.
			if len(bodies.Members) > 0 || bodies.Has(&e.EventHeader, nil) {
				e.Body = record.Body
			}
			e.Number = numberOf(record)
			b.Events = append(b.Events, e)
		}
	}
	return b
}
