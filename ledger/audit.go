package ledger

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
)

// DefaultMaxFaults is how many faults an audit lists when nothing else is asked for.
const DefaultMaxFaults = 100

// AuditOptions say what an audit compares the log with and how it reports.
type AuditOptions struct {
	// Anchors are compared with the log; none is allowed.
	Anchors []Anchor
	// MaxFaults is how many faults are listed; all are counted.
	MaxFaults int
	// Progress is called now and then, from the goroutine of the audit; nil is allowed.
	Progress func(AuditProgress)
}

// AuditProgress says how far an audit is.
type AuditProgress struct {
	// Stage is the table whose rows are being compared: events, event_ids or notifications.
	Stage string
	// Done is how many events of the log have been compared with their rows, out of Size.
	Done, Size int64
}

// AuditResult is what an audit found.
type AuditResult struct {
	// Size is the number of events in the log when the audit began; later ones are not checked.
	Size int64
	// Root is the root hash of the log of that size, as recomputed.
	Root Hash
	// Commits is the number of commits.
	Commits int64
	// Notifications is the number of notification records.
	Notifications int64
	// MinTime and MaxTime are the least and greatest event_timestamp; zero in an empty log.
	MinTime, MaxTime time.Time
	// Anchored says that at least one anchor was given and every one of them matched.
	Anchored bool
	// AnchorSize is the largest tree size of an anchor that matched; what stands behind it is only consistent in itself.
	AnchorSize int64
	// Faults are the first faults, in log order.
	Faults []Fault
	// FaultCount is the number of all faults, Kinds their number by kind.
	FaultCount int64
	Kinds      map[FaultKind]int64
}

// Audit re-reads a whole log and everything that must agree with it, and names what does not. The error is the source's
// or the context's; faults are no error.
func Audit(ctx context.Context, src Source, opts AuditOptions) (*AuditResult, error) {
	a := newAuditor(src, opts)
	if err := a.run(ctx); err != nil {
		return nil, err
	}
	r := &AuditResult{
		Size: a.tree.size, Root: a.tree.root(), Commits: a.commits, Notifications: a.notifications,
		Faults: a.faults.sorted(), FaultCount: a.faults.count, Kinds: a.faults.kinds,
	}
	if a.minTime <= a.maxTime {
		r.MinTime, r.MaxTime = time.UnixMicro(a.minTime).UTC(), time.UnixMicro(a.maxTime).UTC()
	}
	r.AnchorSize = a.anchors.matched
	r.Anchored = len(opts.Anchors) > 0 && a.faults.kinds[AnchorMismatch] == 0
	return r, nil
}

// windowEntries is about how many entries are read and compared in one step, windowCommits how many commits at most.
const (
	windowEntries = 4096
	windowCommits = 1024
)

// auditor is the state of one audit.
type auditor struct {
	src      Source
	progress func(AuditProgress)
	faults   faultList
	size     int64 // of the log when the audit began

	// tree is the log up to the last commit that was checked. It is in sync unless commits before it are missing and no
	// commit since tells the tree; claimed is the tree of the last commit when that contradicts its entries.
	tree    frontier
	synced  bool
	claimed *frontier
	commits int64

	// rebuilt are the entries of commits that do not store them as they were, by the log_index where these begin.
	rebuilt map[int64][]byte

	window           []segment
	scanner          bodyScanner
	digest           digester
	lost             lostRows
	ids              idCheck
	anchors          anchorCheck
	notifications    int64
	expected         map[uuid.UUID]int64 // events that wait for the records of their notifications, with their log_index
	changes          changeCheck
	correlations     correlationCheck
	minTime, maxTime int64
}

// segment is one commit of the window, with entries that are trusted.
type segment struct {
	first, next      int64
	entries          []byte
	minTime, maxTime int64 // as stored
	committed        int64 // as stored
}

func newAuditor(src Source, opts AuditOptions) *auditor {
	a := &auditor{
		src: src, progress: opts.Progress, synced: true, rebuilt: map[int64][]byte{}, expected: map[uuid.UUID]int64{},
		faults:  faultList{limit: opts.MaxFaults},
		minTime: math.MaxInt64, maxTime: math.MinInt64,
	}
	if a.progress == nil {
		a.progress = func(AuditProgress) {}
	}
	a.ids = newIDCheck()
	a.anchors = newAnchorCheck(opts.Anchors)
	return a
}

func (a *auditor) run(ctx context.Context) (err error) {
	if err := a.readChanges(ctx); err != nil {
		return err
	}
	if a.size, err = a.src.Size(ctx); err != nil {
		return err
	}
	a.anchors.reach(&a.tree)
	if err := a.log(ctx); err != nil {
		return err
	}
	if err := a.strayRows(ctx); err != nil {
		return err
	}
	a.lost.settle(&a.faults)
	if err := a.lostCorrelations(ctx); err != nil {
		return err
	}
	a.report("event_ids")
	if err := a.eventIDs(ctx); err != nil {
		return err
	}
	a.report("notifications")
	if err := a.notificationRecords(ctx); err != nil {
		return err
	}
	if err := a.finishChanges(ctx); err != nil {
		return err
	}
	a.anchors.finish(a.tree.size, &a.faults)
	return nil
}

func (a *auditor) report(stage string) {
	a.progress(AuditProgress{Stage: stage, Done: a.tree.size, Size: max(a.size, a.tree.size)})
}

// log checks every commit and the rows of its events.
func (a *auditor) log(ctx context.Context) error {
	from, limit := int64(math.MinInt64), 16
	for {
		commits, err := a.src.Commits(ctx, from, limit)
		if err != nil {
			return err
		}
		entries := int64(0)
		a.window = a.window[:0]
		for i := range commits {
			if commits[i].FirstIndex >= a.size {
				commits = commits[:i]
				break
			}
			if err := a.commit(ctx, &commits[i]); err != nil {
				return err
			}
			entries += int64(len(commits[i].Entries) / EntrySize)
		}
		if len(commits) == 0 {
			return nil
		}
		if err := a.rows(ctx); err != nil {
			return err
		}
		if len(a.expected) >= maxExpected {
			if err := a.lookForNotifications(ctx); err != nil {
				return err
			}
		}
		a.report("events")
		last := commits[len(commits)-1].FirstIndex
		if last == math.MaxInt64 {
			return nil
		}
		from = last + 1
		// As many commits as fill a window, if those to come are like these.
		limit = int(min(max(windowEntries*int64(len(commits))/max(entries, 1), 1), windowCommits))
	}
}

// digester computes commitments without allocating.
type digester struct{ buf []byte }

func (d *digester) commitment(salt, body []byte) [sha256.Size]byte {
	d.buf = append(append(d.buf[:0], salt...), body...)
	return sha256.Sum256(d.buf)
}

// entryAt returns the parts of an entry.
func entryAt(entries []byte, i int64) (id uuid.UUID, commitment Hash) {
	e := entries[i*EntrySize : (i+1)*EntrySize]
	return uuid.UUID(e[1:17]), Hash(e[17:])
}

// spell writes a range of indexes for a sentence.
func spell(first, next int64) string {
	if next == first+1 {
		return fmt.Sprintf("log_index %d", first)
	}
	return fmt.Sprintf("log_index %d to %d", first, next-1)
}
