package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// crashes is a store that is killed around a commit: before it, or behind it but before the answer.
type crashes struct {
	t    *rapid.T
	dir  string
	open *Store
	next string // what happens to the next commit
}

var errCrash = errors.New("killed")

func (c *crashes) store() *Store {
	if c.open == nil {
		s, err := open(context.Background(), filepath.Join(c.dir, FileName), Options{Readers: 1})
		if err != nil {
			c.t.Fatal(err)
		}
		c.open = s
	}
	return c.open
}

func (c *crashes) kill() {
	if c.open != nil {
		if err := c.open.Close(); err != nil {
			c.t.Fatal(err)
		}
	}
	c.open = nil
}

func (c *crashes) commit(commit *ledger.Commit, w *datastorage.Write) error {
	fate := c.next
	c.next = ""
	if fate == "before" {
		c.kill()
		return errCrash
	}
	err := c.store().Commit(context.Background(), commit, w)
	if fate == "behind" {
		c.kill()
		return errCrash
	}
	return err
}

// committer is a replica: what it believes to be the end of the log may be long past.
type committer struct {
	head  ledger.Head
	known bool
}

// Any interleaving of commits by replicas that know the head or do not, of identifiers that come twice, and of crashes on
// both sides of a commit leaves a log that verifies and holds every acknowledged event exactly once.
func TestAudit_AnyInterleaving(t *testing.T) {
	t.Parallel()
	base, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		dir := filepath.Join(base, strconv.Itoa(runs))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := migrate(context.Background(), filepath.Join(dir, FileName), migrations, "migrations"); err != nil {
			t.Fatal(err)
		}
		c := &crashes{t: t, dir: dir}
		defer c.kill()
		replicas := make([]committer, 2)
		var acknowledged []*datastorage.Record
		var receipts []ledger.Anchor
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			r := &replicas[rapid.IntRange(0, 1).Draw(t, "replica")]
			c.next = rapid.SampledFrom([]string{"", "", "", "before", "behind"}).Draw(t, "fate")
			if !r.known || rapid.Bool().Draw(t, "reload") {
				head, err := c.store().Head(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				r.head, r.known = head, true
			}
			records := draw(t, acknowledged)
			commit, next := ledger.NewCommit(&r.head, records, time.Now())
			if err := c.commit(commit, &datastorage.Write{Records: records}); err != nil {
				r.known = false
				continue
			}
			r.head = next
			acknowledged = append(acknowledged, records...)
			receipts = append(receipts, ledger.Anchor{TreeSize: commit.NextIndex, Root: commit.Root, LogIndex: commit.NextIndex - 1, EventID: records[len(records)-1].ID})
		}
		c.store()
		verify(t, dir, c.store(), acknowledged, receipts)
	})
}

// draw makes a few records; now and then one has the identifier of a stored one.
func draw(t *rapid.T, stored []*datastorage.Record) []*datastorage.Record {
	records := make([]*datastorage.Record, rapid.IntRange(1, 5).Draw(t, "events"))
	for i := range records {
		records[i] = kilobyte(20 * rapid.IntRange(0, 4).Draw(t, "correlation"))
	}
	if len(stored) > 0 && rapid.IntRange(0, 3).Draw(t, "twice") == 0 {
		e, err := datastorage.ParseBody(records[0].Body)
		if err != nil {
			t.Fatal(err)
		}
		e.ID = rapid.SampledFrom(stored).Draw(t, "stored").ID
		records[0] = datastorage.NewRecord(*e, records[0].Salt)
	}
	return records
}

func verify(t *rapid.T, dir string, s *Store, acknowledged []*datastorage.Record, receipts []ledger.Anchor) {
	source, err := OpenAudit(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	r, err := ledger.Audit(context.Background(), source, ledger.AuditOptions{Anchors: receipts, MaxFaults: 10})
	if err != nil || r.FaultCount != 0 {
		t.Fatalf("%v, %v", r, err)
	}
	ids := make([]uuid.UUID, len(acknowledged))
	seen := map[uuid.UUID]bool{}
	for i, a := range acknowledged {
		ids[i] = a.ID
		if seen[a.ID] {
			t.Fatalf("event %v was acknowledged twice", a.ID)
		}
		seen[a.ID] = true
	}
	found, err := s.Find(context.Background(), ids)
	if err != nil || len(found) != len(ids) {
		t.Fatalf("%d of %d acknowledged events are there, %v", len(found), len(ids), err)
	}
}

// An audit beside a writer sees no fault, whenever it begins.
func TestAudit_BesideAWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Options{Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ctx, stop := context.WithCancel(t.Context())
	first := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		var head ledger.Head
		for ctx.Err() == nil {
			records := []*datastorage.Record{kilobyte(0), kilobyte(1)}
			c, next := ledger.NewCommit(&head, records, time.Now())
			if err := s.Commit(context.Background(), c, &datastorage.Write{Records: records}); err != nil {
				t.Error(err)
				return
			}
			if head = next; head.Size() == 2 {
				close(first)
			}
		}
	})
	<-first
	source := openSource(t, dir)
	size := int64(0)
	for size < 300 {
		r, err := ledger.Audit(t.Context(), source, ledger.AuditOptions{MaxFaults: 10})
		if err != nil {
			t.Fatal(err)
		}
		if r.FaultCount != 0 || r.Size < size {
			t.Fatalf("%+v", r)
		}
		size = r.Size
	}
	stop()
	writer.Wait()
}

// Texts that hold the separator of the joined columns are told apart all the same.
func TestAudit_Separator(t *testing.T) {
	t.Parallel()
	target := openTarget(t)
	s := target.Store.(*Store)
	var records []*datastorage.Record
	for i := range 5 {
		e, err := datastorage.ParseBody(kilobyte(i).Body)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			e.ActorID, e.ActorType, e.Namespace = "a\x1fb", "\x1f", ""
		}
		records = append(records, datastorage.NewRecord(*e, [16]byte{1}))
	}
	c, _ := ledger.NewCommit(&ledger.Head{}, records, time.Now())
	if err := s.Commit(t.Context(), c, &datastorage.Write{Records: records}); err != nil {
		t.Fatal(err)
	}
	audit := func() *ledger.AuditResult {
		r, err := ledger.Audit(t.Context(), target.Source, ledger.AuditOptions{MaxFaults: 10})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := audit(); r.FaultCount != 0 {
		t.Fatalf("%v", r.Faults)
	}
	// Joined, the texts of this row are what they were.
	target.Exec(t, `UPDATE events SET actor_id = 'a', actor_type = 'b' || char(31) || char(31) WHERE log_index = 1`)
	if r := audit(); r.FaultCount != 2 || r.Kinds[ledger.AlteredColumn] != 2 || r.Faults[0].LogIndex != 1 {
		t.Fatalf("%v", r.Faults)
	}
}

// A file that is cut short while it is read is an error, not the end of the process.
func TestAudit_CutFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, dir, 400, 100)
	source := openSource(t, dir)
	rows := 0
	err := source.Events(t.Context(), 0, 400, func(*ledger.EventRow) error {
		rows++
		return os.Truncate(filepath.Join(dir, FileName), 0)
	})
	if err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("%d rows were read, %v", rows, err)
	}
	if _, err := ledger.Audit(t.Context(), source, ledger.AuditOptions{}); err == nil {
		t.Error("an empty file was read")
	}
}
