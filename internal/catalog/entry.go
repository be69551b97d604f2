package catalog

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/datastorage-io/datastorage"
)

// entry is one version of a workflow, with all that a search asks of it worked out.
type entry struct {
	workflow *datastorage.Workflow
	version  datastorage.SemVer
	sets     [numLabels]uint32
	custom   []uint32 // numbers of custom labels
	detected signature
	action   uint32 // noAction when the workflow has none
	status   uint8  // index in datastorage.WorkflowStatuses
	wild     uint8  // mandatory labels that hold Wildcard
	created  int64  // Unix time in microseconds
}

// noAction is the number of the action type that is not there.
const noAction = 0

// unknownStatus is the bit that no search asks for.
const unknownStatus = 7

// statusNumber returns the place of a status among all.
func statusNumber(status string) uint8 {
	if i := slices.Index(datastorage.WorkflowStatuses, status); i >= 0 {
		return uint8(i)
	}
	return unknownStatus
}

// wildcards counts the mandatory labels that hold Wildcard.
func wildcards(l *datastorage.Labels) uint8 {
	var n uint8
	for label := range numLabels {
		if slices.Contains(labelValues(l, label), datastorage.Wildcard) {
			n++
		}
	}
	return n
}

// compareRank orders workflows of equal score: fewer wildcards, then the newest, then the lower workflow_id.
func compareRank(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.wild, b.wild), compareNewest(a, b))
}

// compareNewest orders workflows from the newest; those of one time by workflow_id.
func compareNewest(a, b *entry) int {
	return cmp.Or(cmp.Compare(b.created, a.created), bytes.Compare(a.workflow.ID[:], b.workflow.ID[:]))
}

// withState returns the entry with another state of the workflow.
func (e *entry) withState(state *datastorage.WorkflowState) *entry {
	changed, workflow := *e, *e.workflow
	workflow.WorkflowState = *state
	changed.workflow, changed.status = &workflow, statusNumber(state.Status)
	return &changed
}
