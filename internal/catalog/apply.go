package catalog

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// Apply returns the catalogue after some changes, which follow its version without a hole. On an error nothing is
// returned: changes that were made one after the other always apply, so the store is damaged or was read wrongly.
// The cost is a small constant for each change and for each workflow of the catalogue: about 2 ms at 10 000.
func (s *Snapshot) Apply(changes []Change) (*Snapshot, error) {
	if len(changes) == 0 {
		return s, nil
	}
	b := newBuilder(s)
	for i := range changes {
		if err := b.apply(&changes[i]); err != nil {
			return nil, fmt.Errorf("change %d of the catalogue: %w", changes[i].Version, err)
		}
	}
	return b.finish(slices.Clone(changes)), nil
}

// builder makes the next snapshot. What it shares with the one before is copied before it is changed.
type builder struct {
	next     *Snapshot
	ids      map[uuid.UUID]uint32 // new entries
	first    uint32               // number of the first new entry
	families map[string]*family   // those that changed
	before   map[string]uint32    // the latest version that these had
	owned    struct {
		labels  [numLabels]bool
		custom  bool
		actions bool
	}
}

func newBuilder(s *Snapshot) *builder {
	next := *s
	next.entries = slices.Clone(s.entries)
	return &builder{
		next: &next, ids: map[uuid.UUID]uint32{}, first: uint32(len(s.entries)),
		families: map[string]*family{}, before: map[string]uint32{},
	}
}

func (b *builder) apply(c *Change) error {
	s := b.next
	switch {
	case c.Version != s.version+1:
		return fmt.Errorf("it does not follow version %d", s.version)
	case c.Time.Before(s.changed):
		return fmt.Errorf("its time %v lies before that of the change before it, %v", c.Time, s.changed)
	}
	s.version, s.changed = c.Version, c.Time
	switch {
	case c.Workflow != nil:
		return b.create(c.Workflow)
	case c.State != nil:
		return b.setState(c.WorkflowID, c.State)
	case c.ActionType != nil:
		b.describe(c.ActionType)
		return nil
	case c.EventType != nil:
		next, err := s.eventTypes.Add(c.EventType)
		if err == nil {
			s.eventTypes = next
		}
		return err
	}
	return fmt.Errorf("it changes nothing")
}

func (b *builder) create(w *datastorage.Workflow) error {
	version, err := datastorage.ParseSemVer(w.Version)
	if err != nil {
		return fmt.Errorf("version of workflow %s: %w", w.ID, err)
	}
	if _, known := b.number(w.ID); known {
		return fmt.Errorf("workflow_id %s exists", w.ID)
	}
	f := b.family(w.Name)
	i, found := b.next.place(f, version)
	if found {
		return fmt.Errorf("version %s of workflow %q exists", version, w.Name)
	}
	n := uint32(len(b.next.entries))
	b.next.entries = append(b.next.entries, b.entry(w, version))
	b.ids[w.ID] = n
	f.versions = slices.Insert(f.versions, i, n)
	return nil
}

func (b *builder) setState(id uuid.UUID, state *datastorage.WorkflowState) error {
	n, ok := b.number(id)
	if !ok {
		return fmt.Errorf("workflow_id %s is not known", id)
	}
	e := b.next.entries[n]
	b.family(e.workflow.Name)
	b.next.entries[n] = e.withState(state)
	return nil
}

func (b *builder) describe(a *datastorage.ActionType) {
	b.ownActions()
	b.next.actions.described[a.Name] = a
}

// noEntry stands for the latest version of a name without versions.
const noEntry = ^uint32(0)

// family returns the versions of a name for a change.
func (b *builder) family(name string) *family {
	if f, ok := b.families[name]; ok {
		return f
	}
	f := &family{name: name, latest: noEntry}
	if old := b.next.family(name); old != nil {
		f.versions, f.latest = slices.Clone(old.versions), old.latest
	}
	b.families[name] = f
	b.before[name] = f.latest
	return f
}

func (b *builder) number(id uuid.UUID) (uint32, bool) {
	if n, ok := b.ids[id]; ok {
		return n, true
	}
	return b.next.number(id)
}

// entry works out what searches ask of a workflow.
func (b *builder) entry(w *datastorage.Workflow, version datastorage.SemVer) *entry {
	e := &entry{
		workflow: w, version: version,
		custom: b.customNumbers(w.CustomLabels), detected: signatureOf(&w.Detected, false), action: b.actionNumber(w.ActionType),
		status: statusNumber(w.Status), wild: wildcards(&w.Labels), created: w.CreatedAt.UnixMicro(),
	}
	for label := range numLabels {
		e.sets[label] = b.labelSet(label, labelValues(&w.Labels, label))
	}
	return e
}

func (b *builder) labelSet(label int, values []string) uint32 {
	if set, ok := b.next.labels[label].find(values); ok {
		return set
	}
	if !b.owned.labels[label] {
		b.owned.labels[label] = true
		b.next.labels[label] = b.next.labels[label].clone()
	}
	return b.next.labels[label].add(values)
}

func (b *builder) customNumbers(labels map[string][]string) []uint32 {
	all := pairs(labels)
	if !b.owned.custom && !b.next.custom.knows(all) {
		b.owned.custom = true
		b.next.custom = b.next.custom.clone()
	}
	return b.next.custom.add(all)
}

func (b *builder) actionNumber(name string) uint32 {
	if name == "" {
		return noAction
	}
	if n, ok := b.next.actions.numbers[name]; ok {
		return n
	}
	b.ownActions()
	return b.next.actions.add(name)
}

func (b *builder) ownActions() {
	if !b.owned.actions {
		b.owned.actions = true
		b.next.actions = b.next.actions.clone()
	}
}

// finish brings all orders up to date.
func (b *builder) finish(changes []Change) *Snapshot {
	s := b.next
	s.history = &history{before: s.history, changes: changes}
	s.ids = b.mergeIDs()
	created := make([]uint32, 0, len(s.entries))
	for n := b.first; n < uint32(len(s.entries)); n++ {
		created = append(created, n)
	}
	s.newest = s.merge(s.newest, nil, created, compareNewest)
	gone, fresh := b.electLatest()
	s.families = b.mergeFamilies()
	s.ranked = s.merge(s.ranked, gone, slices.Clone(fresh), compareRank)
	s.classed = s.merge(s.classed, gone, fresh, compareClass)
	s.tree = s.grow()
	s.text = s.text.add(s.entries[b.first:], b.first)
	return s
}

// electLatest chooses the latest version of every family that changed, and returns the entries that are not the latest
// any more and those that are now.
func (b *builder) electLatest() (gone map[uint32]bool, fresh []uint32) {
	gone = map[uint32]bool{}
	for name, f := range b.families {
		f.latest = f.versions[0]
		for _, n := range f.versions {
			if b.next.entries[n].workflow.Status == datastorage.StatusActive {
				f.latest = n
				break
			}
		}
		if before := b.before[name]; before != f.latest {
			fresh = append(fresh, f.latest)
			if before != noEntry {
				gone[before] = true
			}
		}
	}
	return gone, fresh
}

func (b *builder) mergeIDs() []idNumber {
	fresh := make([]idNumber, 0, len(b.ids))
	for id, n := range b.ids {
		fresh = append(fresh, idNumber{id, n})
	}
	return merge(b.next.ids, nil, fresh, func(x, y idNumber) int { return bytes.Compare(x.id[:], y.id[:]) })
}

func (b *builder) mergeFamilies() []*family {
	changed := make([]*family, 0, len(b.families))
	for _, f := range b.families {
		changed = append(changed, f)
	}
	stale := func(f *family) bool { return b.families[f.name] != nil }
	return merge(b.next.families, stale, changed, func(x, y *family) int { return strings.Compare(x.name, y.name) })
}

// merge returns an order of entries without those that are gone and with those that are fresh, which it sorts.
func (s *Snapshot) merge(order []uint32, gone map[uint32]bool, fresh []uint32, compare func(a, b *entry) int) []uint32 {
	var drop func(n uint32) bool
	if len(gone) > 0 {
		drop = func(n uint32) bool { return gone[n] }
	}
	return merge(order, drop, fresh, func(x, y uint32) int { return compare(s.entries[x], s.entries[y]) })
}

// merge returns a sorted copy of order, which is sorted, without the elements to drop (nil for none) and with the fresh
// ones, which it sorts in place.
func merge[T any](order []T, drop func(T) bool, fresh []T, compare func(a, b T) int) []T {
	if len(fresh) == 0 && drop == nil {
		return order
	}
	slices.SortFunc(fresh, compare)
	merged := make([]T, 0, len(order)+len(fresh))
	take := func(part []T) {
		if drop == nil {
			merged = append(merged, part...)
			return
		}
		for _, x := range part {
			if !drop(x) {
				merged = append(merged, x)
			}
		}
	}
	for _, x := range fresh {
		i, _ := slices.BinarySearchFunc(order, x, compare)
		take(order[:i])
		merged = append(merged, x)
		order = order[i:]
	}
	take(order)
	return merged
}
