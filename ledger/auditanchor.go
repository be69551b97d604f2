package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// anchorCheck compares anchors with the log while that goes by.
type anchorCheck struct {
	sizes   []Anchor // in rising order of TreeSize; those that are due come first
	events  []Anchor // the receipts of known events, in rising order of LogIndex; those that are due come first
	actual  []uuid.UUID
	passed  int // how many of events have gone by; their ids in the log are actual
	judged  map[sizedRoot]string
	matched int64 // the largest size that matched
	// faulty are the anchors that do not match, one for each size and root.
	faulty []Anchor
}

type sizedRoot struct {
	size int64
	root Hash
}

func newAnchorCheck(anchors []Anchor) anchorCheck {
	c := anchorCheck{sizes: slices.Clone(anchors), judged: map[sizedRoot]string{}}
	slices.SortStableFunc(c.sizes, func(a, b Anchor) int { return cmp.Compare(a.TreeSize, b.TreeSize) })
	for _, a := range anchors {
		if a.LogIndex >= 0 && a.EventID != uuid.Nil {
			c.events = append(c.events, a)
		}
	}
	slices.SortStableFunc(c.events, func(a, b Anchor) int { return cmp.Compare(a.LogIndex, b.LogIndex) })
	return c
}

// reach compares the anchors of the tree's size.
func (c *anchorCheck) reach(tree *frontier) {
	for len(c.sizes) > 0 && c.sizes[0].TreeSize == tree.size {
		if root := tree.root(); root == c.sizes[0].Root {
			c.judge("")
			c.matched = tree.size
		} else {
			c.judge(fmt.Sprintf("the log's root at size %d is %v, not %v", tree.size, root, c.sizes[0].Root))
		}
	}
}

// judge says what is wrong with the first of the sizes, "" when it matches, and drops it.
func (c *anchorCheck) judge(fault string) {
	first := c.sizes[0]
	c.sizes = c.sizes[1:]
	key := sizedRoot{first.TreeSize, first.Root}
	if _, twice := c.judged[key]; twice {
		return
	}
	c.judged[key] = fault
	if fault != "" {
		c.faulty = append(c.faulty, first)
	}
}

// commit compares the anchors at sizes that one commit has made. before is the tree at its beginning; it is known
// unless commits are missing there.
func (c *anchorCheck) commit(before *frontier, known bool, entries []byte, after *frontier) {
	first := before.size
	for ; c.passed < len(c.events) && c.events[c.passed].LogIndex < after.size; c.passed++ {
		id := uuid.Nil
		if i := c.events[c.passed].LogIndex - first; i >= 0 && (i+1)*EntrySize <= int64(len(entries)) {
			id, _ = entryAt(entries, i)
		}
		c.actual = append(c.actual, id)
	}
	if len(c.sizes) == 0 || c.sizes[0].TreeSize > after.size {
		return
	}
	for tree := *before; known && tree.size+1 < after.size && len(entries) > 0; entries = entries[EntrySize:] {
		tree.append(entries[:EntrySize])
		c.reach(&tree)
	}
	for len(c.sizes) > 0 && c.sizes[0].TreeSize < after.size {
		c.judge(fmt.Sprintf("the log has no root at size %d: commits are missing", c.sizes[0].TreeSize))
	}
	c.reach(after)
}

// finish names the anchors that do not match.
func (c *anchorCheck) finish(size int64, f *faultList) {
	for len(c.sizes) > 0 {
		c.judge(fmt.Sprintf("the log has only %d events, so it has lost its end", size))
	}
	for _, a := range c.faulty {
		f.add(AnchorMismatch, "", a.LogIndex, a.EventID, "%s: %s", a.name(), c.judged[sizedRoot{a.TreeSize, a.Root}])
	}
	for i, actual := range c.actual {
		a := c.events[i]
		if fault := c.judged[sizedRoot{a.TreeSize, a.Root}]; fault == "" && actual != a.EventID {
			f.add(AnchorMismatch, "", a.LogIndex, a.EventID, "%s: the log holds event %s at that log_index", a.name(), actual)
		}
	}
}

func (a Anchor) name() string {
	if a.Source != "" {
		return a.Source
	}
	return "anchor " + a.String()
}

// String returns the anchor as SIZE:ROOT.
func (a Anchor) String() string { return fmt.Sprintf("%d:%v", a.TreeSize, a.Root) }
