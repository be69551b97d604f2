package project_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// madeLog is a log in memory. It counts how often it is read.
type madeLog struct {
	commits [][]*datastorage.Record
	reads   int
}

func (l *madeLog) size() (n int64) {
	for _, c := range l.commits {
		n += int64(len(c))
	}
	return n
}

func (l *madeLog) Follow(_ context.Context, from int64, limit int, bodies project.Bodies) (project.Batch, error) {
	l.reads++
	b := project.Batch{Next: from, Size: l.size()}
	first := int64(0)
	for i, c := range l.commits {
		if first >= from && len(b.Events) < limit {
			for j, r := range c {
				e := project.Event{EventHeader: datastorage.EventHeader{
					LogIndex: first + int64(j), ID: r.ID, Time: r.Time, Type: r.Type, Category: r.Category, CorrelationID: r.CorrelationID,
				}}
				if bodies.Has(&e.EventHeader, r.Body) {
					e.Body = r.Body
				}
				b.Events = append(b.Events, e)
			}
			b.Next, b.CommittedAt = first+int64(len(c)), time.UnixMicro(int64(i))
		}
		first += int64(len(c))
	}
	return b, nil
}

// TestRecent follows a log that this server and others write to, and gets what the store holds.
func TestRecent(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		store := &madeLog{}
		recent := project.NewRecent(store, 100_000)
		bodies := project.Bodies{Types: []string{"type.1*"}, Categories: []string{"c2"}, Members: []string{"producer_id"}}
		position, fromMemory := int64(0), 0
		for range 40 {
			records := make([]*datastorage.Record, 1+r.IntN(30))
			for i := range records {
				records[i] = &datastorage.Record{Event: datastorage.Event{
					ID: uuid.New(), Time: time.UnixMicro(r.Int64N(1e9)), Type: fmt.Sprintf("type.%d", r.IntN(20)),
					Category: fmt.Sprintf("c%d", r.IntN(4)), CorrelationID: "rr",
				}, Body: make([]byte, r.IntN(100))}
				if seq := int64(i); r.IntN(9) == 0 {
					records[i].Body = []byte(`{"producer_id":"p"}`)
					records[i].ProducerID, records[i].ProducerSeq = "p", &seq
				}
			}
			first, at := store.size(), time.UnixMicro(int64(len(store.commits)))
			store.commits = append(store.commits, records)
			if r.IntN(6) > 0 {
				recent.Committed(first, at, records)
			}
			if r.IntN(3) == 0 {
				continue
			}
			limit := 1 + r.IntN(100)
			want, _ := store.Follow(t.Context(), position, limit, bodies)
			store.reads = 0
			got, err := recent.Follow(t.Context(), position, limit, bodies)
			if err != nil {
				t.Fatal(err)
			}
			if store.reads == 0 {
				fromMemory++
				if got.Size < got.Next || got.Size > store.size() {
					t.Fatalf("seed %d: size %d of %d", seed, got.Size, store.size())
				}
				// It may end earlier than the log, and earlier than the limit, where someone else wrote.
				want.Size = got.Size
				if got.Next < want.Next && len(got.Events) > 0 && got.Size == got.Next {
					want.Events, want.Next, want.CommittedAt = want.Events[:len(got.Events)], got.Next, got.CommittedAt
				}
			}
			for i := range got.Events {
				e := &got.Events[i]
				if asked := i < len(want.Events) && want.Events[i].Body != nil; !asked {
					e.Body = nil // what nobody asked for may be there
				}
				if store.reads > 0 {
					continue
				}
				if numbered := strings.Contains(string(e.Body), "producer_id"); numbered != (e.Number.ProducerID == "p") {
					t.Fatalf("seed %d: %s has the number %v", seed, e.Body, *e.Number)
				}
				e.Number = nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d, from %d (-want +got):\n%s", seed, position, diff)
			}
			position = got.Next
		}
		if seed == 0 && fromMemory == 0 {
			t.Error("nothing came from memory")
		}
	}
}

// TestRecent_limit gives a commit that has no room.
func TestRecent_limit(t *testing.T) {
	t.Parallel()
	store := &madeLog{commits: [][]*datastorage.Record{{{Body: make([]byte, 5000)}}}}
	recent := project.NewRecent(store, 1000)
	recent.Committed(0, time.Now(), store.commits[0])
	b, err := recent.Follow(t.Context(), 0, 10, project.Bodies{})
	if err != nil || len(b.Events) != 1 || store.reads != 1 {
		t.Errorf("%+v, %v, %d reads", b, err, store.reads)
	}
}
