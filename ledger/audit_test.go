package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
)

// memory is a store of rows in memory.
type memory struct {
	commits []CommitRow
	events  []EventRow
	ids     []EventIDRow
	notes   []NotificationRow
	changes []ChangeRow
	lost    []LostCorrelation
	size    int64
	later   int64
	fail    error
}

// Size returns size once, and later then, when that is set.
func (m *memory) Size(context.Context) (int64, error) {
	size := m.size
	if m.later != 0 {
		m.size = m.later
	}
	return size, m.fail
}

func (m *memory) Commits(ctx context.Context, from int64, limit int) ([]CommitRow, error) {
	i, _ := slices.BinarySearchFunc(m.commits, from, func(c CommitRow, from int64) int { return int(min(max(c.FirstIndex-from, -1), 1)) })
	if from == math.MinInt64 {
		i = 0
	}
	return m.commits[i:min(i+limit, len(m.commits))], ctx.Err()
}

func (m *memory) Events(ctx context.Context, from, to int64, yield func(*EventRow) error) error {
	i, _ := slices.BinarySearchFunc(m.events, max(from, -1000), func(r EventRow, from int64) int { return int(r.LogIndex - from) })
	for ; i < len(m.events) && m.events[i].LogIndex < to; i++ {
		if err := yield(&m.events[i]); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (m *memory) EventIDs(ctx context.Context, yield func(*EventIDRow) error) error {
	for i := range m.ids {
		if err := yield(&m.ids[i]); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (m *memory) Notifications(_ context.Context, yield func(*NotificationRow) error) error {
	for i := range m.notes {
		if err := yield(&m.notes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) LostCorrelations(_ context.Context, yield func(*LostCorrelation) error) error {
	for i := range m.lost {
		if err := yield(&m.lost[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Changes(_ context.Context, after int64, yield func(*ChangeRow) error) error {
	for i := range m.changes {
		if m.changes[i].Version > after {
			if err := yield(&m.changes[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// newMemory returns a log of n events in commits of the given size, the last one of what is left. Event i has the id and
// the time that numbered gives it.
func newMemory(n, perCommit int) *memory {
	m := &memory{size: int64(n)}
	var head Head
	for first := 0; first < n; first += perCommit {
		var records []*datastorage.Record
		for i := first; i < min(first+perCommit, n); i++ {
			records = append(records, numbered(i))
		}
		c, next := NewCommit(&head, records, time.Time{})
		m.commits = append(m.commits, CommitRow{
			FirstIndex: c.FirstIndex, NextIndex: c.NextIndex, Entries: c.Entries, Range: c.Range, Root: slices.Clone(c.Root[:]),
			MinTime: c.MinTime.UnixMicro(), MaxTime: c.MaxTime.UnixMicro(),
		})
		for i, r := range records {
			m.add(c.FirstIndex+int64(i), r)
		}
		head = next
	}
	return m
}

func (m *memory) add(index int64, r *datastorage.Record) {
	row := EventRow{LogIndex: index, Time: r.Time.UnixMicro(), ID: r.ID[:], Salt: r.Salt[:], Body: r.Body}
	for c, text := range columnsOf(&r.Event) {
		if text != "" {
			row.Texts[c] = []byte(text)
		}
	}
	m.events = append(m.events, row)
	m.ids = append(m.ids, EventIDRow{ID: r.ID[:], LogIndex: index, Time: row.Time})
}

func numberedID(i int) (id uuid.UUID) {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
	copy(id[:], sum[:])
	return id
}

func numbered(i int) *datastorage.Record {
	return datastorage.NewRecord(datastorage.Event{
		ID: numberedID(i), Version: "1.0", Type: "gateway.signal.received", Time: time.Unix(int64(1_800_000_000+i), 0).UTC(),
		Category: "gateway", Action: "received", Outcome: "success", CorrelationID: "rr-1", Data: []byte("{}"), ActorType: "service",
		ActorID: "gateway-service", ResourceType: "gateway", ResourceID: "rr-1", Severity: "info", Retention: 2555,
	}, [16]byte{byte(i)})
}

func audit(t testing.TB, m *memory, anchors ...Anchor) *AuditResult {
	t.Helper()
	r, err := Audit(t.Context(), m, AuditOptions{Anchors: anchors, MaxFaults: DefaultMaxFaults})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// names lists the faults as kind@index.
func names(r *AuditResult) (list []string) {
	for _, f := range r.Faults {
		list = append(list, fmt.Sprintf("%s@%d", f.Kind, f.LogIndex))
	}
	return list
}

// A log over many windows and buckets.
const large = 3*bucketSize + 500

func TestAudit_Large(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(m *memory)
		want   []string
	}{
		"Clean": {func(*memory) {}, nil},
		"BodiesOfTwoBuckets": {func(m *memory) {
			m.events[5].Body, m.events[2*bucketSize].Body = []byte("x"), []byte("y")
		}, []string{"altered body@5", "altered body@8192"}},
		"FarSwap": {func(m *memory) {
			a, b := &m.events[7], &m.events[3*bucketSize]
			*a, *b = *b, *a
			a.LogIndex, b.LogIndex = b.LogIndex, a.LogIndex
		}, []string{"wrong position@7", "wrong position@12288"}},
		"FarIDSwap": {func(m *memory) {
			m.ids[7].LogIndex, m.ids[2*bucketSize+7].LogIndex = 2*bucketSize+7, 7
		}, []string{"altered event id@7", "altered event id@8199"}},
		"IDMovedFar": {func(m *memory) { m.ids[7].LogIndex = 2 * bucketSize }, []string{"altered event id@7"}},
		"IDMovedBack": {func(m *memory) {
			m.ids[2*bucketSize].LogIndex = 7
		}, []string{"altered event id@8192"}},
		"IDsGoneAndForeign": {func(m *memory) {
			m.ids[1].ID = slices.Repeat([]byte{9}, 16)
			m.ids = slices.Delete(m.ids, 3*bucketSize, 3*bucketSize+1)
		}, []string{"missing event id@1", "event id without entry@1", "missing event id@12288"}},
		"IDTwice": {func(m *memory) { m.ids = append(m.ids, m.ids[9]) }, []string{"duplicate row@9"}},
		"GapOverBuckets": {func(m *memory) {
			m.commits = slices.Delete(m.commits, 20, 70) // of 100 events each
		}, []string{"gap in commits@2000"}},
		"TwoGaps": {func(m *memory) {
			m.commits = slices.Delete(m.commits, 50, 51)
			m.commits = slices.Delete(m.commits, 20, 21)
		}, []string{"gap in commits@2000", "gap in commits@5000"}},
		"GapAndRange": {func(m *memory) {
			m.commits[21].Range = nil
			m.commits = slices.Delete(m.commits, 20, 21)
		}, []string{"gap in commits@2000", "root mismatch@2100"}},
		"Behind": {func(m *memory) {
			m.add(-7, numbered(large))
			m.add(large+3, numbered(large+1))
			slices.SortFunc(m.events, func(a, b EventRow) int { return int(a.LogIndex - b.LogIndex) })
		}, []string{"row without entry@-1", "row without entry@12791"}},
		"Misfiled": {func(m *memory) {
			m.events[5].Filed, m.events[7].Filed, m.events[9].Filed = MisfiledColumn, UnknownCorrelation, UnknownCorrelation
		}, []string{"altered column@5", "missing correlation@7"}},
		"CorrelationElsewhere": {func(m *memory) {
			m.events[5].Filed, m.events[7].Filed = MisfiledCorrelation, MisfiledCorrelation
			m.lost = []LostCorrelation{{[]byte("rr-1"), large + 9, false}, {[]byte("x"), 3, true}, {[]byte("y"), -3, false}, {[]byte("z"), large + 9, false}}
		}, []string{"correlation without event@-1", "correlation without event@3", "altered correlation@5", "correlation without event@12797"}},
		"CorrelationOfAMissingRow": {func(m *memory) {
			m.events[6].Body = nil
			m.events = slices.Delete(m.events, 5, 6)
			m.lost = []LostCorrelation{{[]byte("x"), 5, false}, {[]byte("y"), 6, true}}
		}, []string{"missing row@5", "altered body@6"}},
		"MisfiledUnderAnotherText": {func(m *memory) {
			m.events[5].Filed, m.events[5].Texts[ColumnCorrelationID] = UnknownCorrelation, []byte("x")
		}, []string{"altered column@5"}},
		"CorrelationStoredMeanwhile": {func(m *memory) {
			m.size, m.later = large/100*100, large
			m.lost = []LostCorrelation{{[]byte("x"), large - 1, false}}
		}, nil},
		"Beside a writer": {func(m *memory) { m.size, m.later = large/100*100, large }, nil},
		"MalformedBody": {func(m *memory) {
			forge(m, numbered(0).ID, []byte(`{"actor_id":1}`))
		}, []string{"malformed body@0"}},
		"EntryOfAnotherEvent": {func(m *memory) {
			forge(m, numberedID(1), m.events[0].Body)
		}, []string{"commit edited@0", "missing event id@0", "event id without entry@0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMemory(large, 100)
			c.damage(m)
			r := audit(t, m)
			if got := names(r); !slices.Equal(got, c.want) {
				t.Errorf("named %.20q, want %.20q", got, c.want)
			}
		})
	}
}

// forge makes a log of one event that another program could have written.
func forge(m *memory, id uuid.UUID, body []byte) {
	*m = memory{size: 1, commits: m.commits[:1], events: m.events[:1], ids: m.ids[:1]}
	m.events[0].Body = body
	entry := AppendEntry(nil, id, datastorage.Commitment([16]byte(m.events[0].Salt), body))
	var r Range
	r.Append(LeafHash(entry))
	root := r.Root()
	m.commits[0] = CommitRow{NextIndex: 1, Entries: entry, Range: r.AppendTo(nil), Root: root[:], MinTime: m.events[0].Time, MaxTime: m.events[0].Time}
}

func TestAudit_Anchors(t *testing.T) {
	t.Parallel()
	const n = 1000
	m := newMemory(n, 7)
	roots := []Hash{EmptyRoot}
	var f frontier
	for i := range n {
		f.append(m.commits[i/7].Entries[i%7*EntrySize:][:EntrySize])
		roots = append(roots, f.root())
	}
	var all []Anchor
	for size, root := range roots {
		all = append(all, Anchor{TreeSize: int64(size), Root: root, LogIndex: -1})
	}
	slices.Reverse(all)
	if r := audit(t, m, all...); r.FaultCount != 0 || !r.Anchored || r.AnchorSize != n {
		t.Fatalf("%+v", r)
	}
	for _, size := range []int64{0, 1, 6, 7, 8, 511, 512, n - 1, n} {
		if r := audit(t, m, Anchor{TreeSize: size, Root: Hash{1}, LogIndex: -1}); r.FaultCount != 1 || r.Anchored || r.Kinds[AnchorMismatch] != 1 {
			t.Errorf("size %d: %+v", size, r)
		}
		if r := audit(t, m, Anchor{TreeSize: size, Root: roots[size], LogIndex: -1}); !r.Anchored || r.AnchorSize != size {
			t.Errorf("size %d: %+v", size, r)
		}
	}
	receipt := Anchor{TreeSize: 21, Root: roots[21], LogIndex: 15, EventID: numberedID(15)}
	if r := audit(t, m, receipt); !r.Anchored {
		t.Errorf("%+v", r)
	}
	receipt.EventID = numberedID(16)
	if r := audit(t, m, receipt); r.FaultCount != 1 || r.Faults[0].Kind != AnchorMismatch || r.Faults[0].LogIndex != 15 {
		t.Errorf("%+v", r)
	}
	// Sizes inside a gap have no root; behind it the tree is known again.
	m.commits = slices.Delete(m.commits, 10, 12)
	r := audit(t, m, all[n-75], all[n-84], all[n-90], all[n-91])
	if got := names(r); !slices.Equal(got, []string{"anchor does not match@-1", "anchor does not match@-1", "anchor does not match@-1", "gap in commits@70"}) {
		t.Errorf("named %v\n%v", got, r.Faults)
	}
}

func TestAudit_Limits(t *testing.T) {
	t.Parallel()
	m := newMemory(500, 100)
	for i := range m.events {
		m.events[i].Texts[ColumnSeverity] = nil
	}
	r, err := Audit(t.Context(), m, AuditOptions{MaxFaults: 3})
	if err != nil || r.FaultCount != 500 || len(r.Faults) != 3 || r.Kinds[AlteredColumn] != 500 || r.Faults[2].LogIndex != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	var done []int64
	_, err = Audit(t.Context(), m, AuditOptions{Progress: func(p AuditProgress) { done = append(done, p.Done) }})
	if err != nil || !slices.IsSorted(done) || done[len(done)-1] != 500 {
		t.Errorf("progress %v, %v", done, err)
	}
	m.fail = errors.New("lost")
	if _, err := Audit(t.Context(), m, AuditOptions{}); !errors.Is(err, m.fail) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.fail = nil
	if _, err := Audit(ctx, m, AuditOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// However a log is cut into commits and wherever one bit of it is flipped, the audit finds it, and never panics.
func TestAudit_AnyBit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMemory(rapid.IntRange(1, 30).Draw(t, "events"), rapid.IntRange(1, 9).Draw(t, "per commit"))
		c := &m.commits[rapid.IntRange(0, len(m.commits)-1).Draw(t, "commit")]
		e := &m.events[rapid.IntRange(0, len(m.events)-1).Draw(t, "event")]
		id := &m.ids[rapid.IntRange(0, len(m.ids)-1).Draw(t, "id")]
		fields := []*[]byte{&c.Entries, &c.Range, &c.Root, &e.ID, &e.Salt, &e.Body, &e.Texts[ColumnActorID], &e.Texts[ColumnType], &id.ID}
		numbers := []*int64{&c.NextIndex, &c.MinTime, &c.MaxTime, &e.Time, &id.LogIndex, &id.Time}
		if rapid.Bool().Draw(t, "number") {
			*rapid.SampledFrom(numbers).Draw(t, "which") ^= 1 << rapid.IntRange(0, 62).Draw(t, "bit")
		} else {
			field := rapid.SampledFrom(fields).Draw(t, "field")
			*field = slices.Clone(*field)
			(*field)[rapid.IntRange(0, len(*field)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		m.size = m.commits[len(m.commits)-1].NextIndex
		r, err := Audit(context.Background(), m, AuditOptions{MaxFaults: DefaultMaxFaults})
		if err != nil || r.FaultCount == 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	})
}
