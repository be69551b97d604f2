package catalog

import (
	"cmp"
	"slices"
)

// tree holds the latest versions by their mandatory labels: a level for each label, a node for each set of values that
// occurs below its parent, and under the last level the workflows whose five sets are the same. A search follows the
// nodes that match, so what it costs depends on what matches, not on how many workflows there are. Every level is laid
// out flat: the children of a node lie side by side, ordered by their sets.
type tree struct {
	levels [numLabels]level
	leaves []leaf // one more than there are workflows, for the end of the last one's custom labels
	custom []uint32
}

// level is the nodes at one depth: the children of node i are those from first[i] to first[i+1] of the next level.
type level struct {
	sets  []uint32
	first []uint32
}

// leaf is what a search reads of a workflow, 16 bytes.
type leaf struct {
	rank     uint32 // place in Snapshot.ranked
	custom   uint32 // where its custom labels begin; they end where those of the next leaf begin
	action   uint32
	detected signature
	status   uint8
}

// compareClass orders entries as the tree does.
func compareClass(a, b *entry) int {
	return cmp.Or(slices.Compare(a.sets[:], b.sets[:]), compareRank(a, b))
}

// grow makes the tree from classed and ranked.
func (s *Snapshot) grow() tree {
	ranks := make([]uint32, len(s.entries))
	for rank, n := range s.ranked {
		ranks[n] = uint32(rank)
	}
	t := tree{leaves: make([]leaf, 0, len(s.classed)+1)}
	var before *entry
	for _, n := range s.classed {
		e := s.entries[n]
		t.branch(before, e)
		t.leaves = append(t.leaves, leaf{
			rank: ranks[n], custom: uint32(len(t.custom)), action: e.action, detected: e.detected, status: e.status,
		})
		t.custom = append(t.custom, e.custom...)
		before = e
	}
	for i := range t.levels {
		t.levels[i].first = append(t.levels[i].first, t.size(i+1))
	}
	t.leaves = append(t.leaves, leaf{custom: uint32(len(t.custom))})
	return t
}

// branch adds the nodes above an entry that those above the one before it do not share.
func (t *tree) branch(before, e *entry) {
	shared := 0
	for before != nil && shared < numLabels && before.sets[shared] == e.sets[shared] {
		shared++
	}
	for i := shared; i < numLabels; i++ {
		t.levels[i].sets = append(t.levels[i].sets, e.sets[i])
		t.levels[i].first = append(t.levels[i].first, t.size(i+1))
	}
}

// size returns how many nodes a level has, or how many leaves there are below the last one.
func (t *tree) size(i int) uint32 {
	if i == numLabels {
		return uint32(len(t.leaves))
	}
	return uint32(len(t.levels[i].sets))
}
