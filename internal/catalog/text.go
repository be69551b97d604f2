package catalog

import (
	"math"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/datastorage-io/datastorage"
)

// textFields are the texts of a workflow that are searched, with what an occurrence in them counts. What says when not to
// use a workflow is not among them: it speaks of other incidents.
var textFields = []struct {
	name   string
	weight float32
	text   func(*datastorage.Workflow) string
}{
	{"workflow_name", 4, func(w *datastorage.Workflow) string { return w.Name }},
	{"name", 4, func(w *datastorage.Workflow) string { return w.Title }},
	{"action_type", 3, func(w *datastorage.Workflow) string { return w.ActionType }},
	{"description", 2, func(w *datastorage.Workflow) string { return w.Description }},
	{"what", 1, func(w *datastorage.Workflow) string { return guidance(w).What }},
	{"when_to_use", 2, func(w *datastorage.Workflow) string { return guidance(w).WhenToUse }},
}

// The constants of BM25: how fast more occurrences stop to count, and how much long texts are discounted. A longer word
// that begins with the one looked for counts half.
const (
	bm25K        = 1.2
	bm25B        = 0.75
	prefixWeight = 0.5
)

// textIndex finds workflows by words. Texts never change, so it only grows: by a segment for each step, which takes up
// the segments before it that are not larger, so that there are few of them and each text is read a few times in all.
type textIndex []*segment

// segment is the terms of the entries from first on. It is built when it is first asked: many segments never are.
type segment struct {
	first   uint32
	entries []*entry

	once     sync.Once
	terms    []string // ascending
	postings [][]posting
	lengths  []float32 // by entry: weighted occurrences of all terms
	total    float64   // of lengths
}

// posting is how often a term occurs in an entry, weighted by field.
type posting struct {
	entry  uint32
	weight float32
}

// add returns the index with entries that follow, of which the first one's number is given.
func (x textIndex) add(entries []*entry, first uint32) textIndex {
	if len(entries) == 0 {
		return x
	}
	for len(x) > 0 && len(x[len(x)-1].entries) <= len(entries) {
		last := x[len(x)-1]
		entries, first, x = slices.Concat(last.entries, entries), last.first, x[:len(x)-1]
	}
	return append(slices.Clip(x), &segment{first: first, entries: entries})
}

func (g *segment) build() {
	byTerm := map[string][]posting{}
	g.lengths = make([]float32, len(g.entries))
	for i, e := range g.entries {
		n := g.first + uint32(i)
		for _, field := range textFields {
			text := field.text(e.workflow)
			eachTerm(text, func(start, end int) {
				term := strings.ToLower(text[start:end])
				list := byTerm[term]
				if len(list) == 0 || list[len(list)-1].entry != n {
					list = append(list, posting{entry: n})
				}
				list[len(list)-1].weight += field.weight
				byTerm[term] = list
				g.lengths[i] += field.weight
			})
		}
		g.total += float64(g.lengths[i])
	}
	g.terms = make([]string, 0, len(byTerm))
	for term := range byTerm {
		g.terms = append(g.terms, term)
	}
	slices.Sort(g.terms)
	g.postings = make([][]posting, len(g.terms))
	for i, term := range g.terms {
		g.postings[i] = slices.Clip(byTerm[term])
	}
}

// find returns the entries in which every word occurs, with their relevance in 1/1000: the sum of BM25 over the words.
func (x textIndex) find(words []string) map[uint32]int {
	size, total := 0, 0.0
	for _, g := range x {
		g.once.Do(g.build)
		size, total = size+len(g.entries), total+g.total
	}
	relevance := make([]float64, size)
	missed := make([]bool, size)
	for _, word := range words {
		weights := x.weights(word, size)
		holders := 0
		for _, w := range weights {
			if w > 0 {
				holders++
			}
		}
		rarity := math.Log1p((float64(size-holders) + 0.5) / (float64(holders) + 0.5))
		for n, w := range weights {
			missed[n] = missed[n] || w == 0
			if !missed[n] {
				length := float64(x.length(uint32(n))) * float64(size) / total
				relevance[n] += rarity * float64(w) * (bm25K + 1) / (float64(w) + bm25K*(1-bm25B+bm25B*length))
			}
		}
	}
	found := map[uint32]int{}
	for n, r := range relevance {
		if !missed[n] {
			found[uint32(n)] = int(math.Round(r * 1000))
		}
	}
	return found
}

// weights returns how often each entry holds a word, weighted.
func (x textIndex) weights(word string, size int) []float32 {
	weights := make([]float32, size)
	for _, g := range x {
		for i := sort.SearchStrings(g.terms, word); i < len(g.terms) && finds(word, g.terms[i]); i++ {
			factor := float32(1)
			if g.terms[i] != word {
				factor = prefixWeight
			}
			for _, p := range g.postings[i] {
				weights[p.entry] += factor * p.weight
			}
		}
	}
	return weights
}

// length returns the length of an entry's text.
func (x textIndex) length(n uint32) float32 {
	i := sort.Search(len(x), func(i int) bool { return x[i].first > n }) - 1
	return x[i].lengths[n-x[i].first]
}

var noGuidance datastorage.Guidance

func guidance(w *datastorage.Workflow) *datastorage.Guidance {
	if w.Guidance == nil {
		return &noGuidance
	}
	return w.Guidance
}
