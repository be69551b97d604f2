package catalog

import (
	"slices"
	"sync"

	"github.com/datastorage-io/datastorage"
)

// plan is a search on its way: the conditions in the numbers of the snapshot, and what was found. It is used again and
// again, so that a search allocates its result alone.
type plan struct {
	snapshot *Snapshot
	// sets are the sets of values that match, by label, ascending; anySet always matches and is not among them.
	sets     [numLabels][]uint32
	statuses uint8 // a bit for each status that is asked for
	action   uint32
	anyType  bool // whether every action type will do
	least    int32

	asked signature
	// byFlags and byValues are what detected labels count, by the two halves of a signature; the base is in byFlags.
	byFlags  [numFlagSet]int32
	byValues [1 << valueBits]int32
	// byCustom is what custom labels count, by their numbers; those in counted are not 0.
	byCustom []int32
	counted  []uint32

	total int
	best  heap
	k     int
}

var plans = sync.Pool{New: func() any { return new(plan) }}

func borrowPlan() *plan { return plans.Get().(*plan) }

func (p *plan) giveBack() {
	for _, n := range p.counted {
		p.byCustom[n] = 0
	}
	p.counted, p.best = p.counted[:0], p.best[:0]
	p.snapshot, p.sets, p.total = nil, [numLabels][]uint32{}, 0
	plans.Put(p)
}

func (p *plan) prepare(s *Snapshot, q *datastorage.WorkflowSearch, k int) {
	p.snapshot, p.k, p.least = s, k, int32(q.MinScore)
	for label := range numLabels {
		p.sets[label] = s.labels[label].matching(askedValue(q, label))
	}
	p.statuses = 0
	for _, status := range q.Statuses {
		p.statuses |= 1 << statusNumber(status)
	}
	p.statuses &^= 1 << unknownStatus
	p.anyType = q.ActionType == ""
	if !p.anyType {
		// A workflow without an action type must not match one that no workflow names.
		if p.action = s.actions.numbers[q.ActionType]; p.action == noAction {
			p.statuses = 0
		}
	}
	p.prepareDetected(&q.Detected)
	p.prepareCustom(q.CustomLabels)
}

func (p *plan) prepareDetected(d *datastorage.DetectedLabels) {
	w := p.snapshot.weights
	p.asked = signatureOf(d, true)
	p.byFlags[0] = int32(w.Base)
	for flag := range numFlags {
		without, with := 0, 0
		if p.asked.flag(flag) {
			without, with = flagTerm(w, flag, false), flagTerm(w, flag, true)
		}
		for set := range 1 << flag {
			p.byFlags[set|1<<flag] = p.byFlags[set] + int32(with)
			p.byFlags[set] += int32(without)
		}
	}
	for tool := range numValues {
		for mesh := range numValues {
			p.byValues[tool<<meshBits|mesh] = int32(toolTerm(w, p.asked.tool(), tool) + meshTerm(w, p.asked.mesh(), mesh))
		}
	}
}

func (p *plan) prepareCustom(asked map[string][]string) {
	if len(asked) == 0 {
		return
	}
	known := p.snapshot.custom
	if missing := len(known.numbers) - len(p.byCustom); missing > 0 {
		p.byCustom = append(p.byCustom, make([]int32, missing)...)
	}
	exact, covered := int32(p.snapshot.weights.CustomLabel), int32(p.snapshot.weights.CustomLabelWildcard)
	for key, values := range asked {
		if !known.keys[key] {
			continue
		}
		// What a workflow's Wildcard counts: each value but Wildcard itself is covered, and where a workflow holds the
		// value too, that pair makes up the difference.
		wildcard := int32(0)
		for i, value := range values {
			switch {
			case slices.Contains(values[:i], value):
			case value == datastorage.Wildcard:
				wildcard += exact
			default:
				wildcard += covered
				p.count(customLabel{key: key, value: value}, exact)
				p.count(customLabel{key: key, value: value, generic: true}, exact-covered)
			}
		}
		p.count(customLabel{key: key, value: datastorage.Wildcard}, wildcard)
	}
}

func (p *plan) count(pair customLabel, points int32) {
	if n, ok := p.snapshot.custom.numbers[pair]; ok && points != 0 {
		p.byCustom[n] = points
		p.counted = append(p.counted, n)
	}
}

// walk follows the matching nodes from lo to hi of a level down to the workflows.
func (p *plan) walk(depth int, lo, hi uint32) {
	level := &p.snapshot.tree.levels[depth]
	if lo < hi && level.sets[lo] == anySet {
		p.descend(depth, level, lo)
		lo++
	}
	matching := p.sets[depth]
	for lo < hi && len(matching) > 0 {
		switch have, want := level.sets[lo], matching[0]; {
		case have == want:
			p.descend(depth, level, lo)
			lo++
			matching = matching[1:]
		case have < want:
			lo += skip(level.sets[lo:hi], want)
		default:
			matching = matching[skip(matching, have):]
		}
	}
}

// skip returns how many elements at the beginning of an ascending slice are below want, of which the first one is. It
// looks near the beginning first.
func skip(ascending []uint32, want uint32) uint32 {
	step := uint32(1)
	n := uint32(len(ascending))
	for step < n && ascending[step] < want {
		step *= 2
	}
	lo, hi := step/2+1, min(step, n)
	for lo < hi {
		if mid := (lo + hi) / 2; ascending[mid] < want {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (p *plan) descend(depth int, level *level, node uint32) {
	lo, hi := level.first[node], level.first[node+1]
	if depth == numLabels-1 {
		p.scan(lo, hi)
		return
	}
	p.walk(depth+1, lo, hi)
}

// scan scores the workflows from lo to hi, whose mandatory labels match.
func (p *plan) scan(lo, hi uint32) {
	t := &p.snapshot.tree
	for i := lo; i < hi; i++ {
		leaf := &t.leaves[i]
		if p.statuses>>leaf.status&1 == 0 || !p.anyType && leaf.action != p.action {
			continue
		}
		score := p.byFlags[leaf.detected.flags()] + p.byValues[leaf.detected.values()]
		if len(p.counted) > 0 {
			for _, n := range t.custom[leaf.custom:t.leaves[i+1].custom] {
				score += p.byCustom[n]
			}
		}
		if score < p.least {
			continue
		}
		p.total++
		p.best = p.best.offer(p.k, makeKey(score, leaf.rank))
	}
}
