package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// changeEvents are the event_types of the records of changes of the catalogue, with the kind of change that each records.
var changeEvents = map[string]string{
	"datastorage.workflow.created":    "workflow",
	"datastorage.workflow.updated":    "state",
	"datastorage.workflow.disabled":   "state",
	"datastorage.action_type.created": "action_type",
	"datastorage.action_type.updated": "action_type",
	"datastorage.event_type.created":  "event_type",
	"datastorage.event_type.updated":  "event_type",
}

// changePrefix is what they begin with.
const changePrefix = "datastorage."

// recordedWithin is how long after its event_timestamp the record of a change is committed at most. One that came later was
// imported, say from another store, and tells nothing about this catalogue.
const recordedWithin = 5 * time.Minute

// changeCheck compares the changes of the catalogue with the events that record them: each is stored in one transaction
// with its event, which holds its version, and the digest of its document.
type changeCheck struct {
	changes map[int64]*storedChange
	last    int64 // the greatest version
	// missing are the records of changes that are not stored, by version, at most maxLost.
	missing map[int64]changeRecord
}

// storedChange is a row of catalog_changes, and what the log says of it.
type storedChange struct {
	time     int64
	kind     string
	workflow uuid.UUID
	hash     [sha256.Size]byte
	recorded bool          // an event says the same
	other    *changeRecord // an event that says something else
	parts    []string      // in what it differs
}

// changeRecord is an event that records a change.
type changeRecord struct {
	index int64
	id    uuid.UUID
}

// recordData is what is read of the event_data of a record.
type recordData struct {
	Version  int64  `json:"catalog_version"`
	Document string `json:"document_sha256"`
	Workflow string `json:"workflow_id"`
}

// readChanges reads the changes of the catalogue. It comes before the log: the events of what it finds are in the log then.
func (a *auditor) readChanges(ctx context.Context) error {
	a.changes = changeCheck{changes: map[int64]*storedChange{}, missing: map[int64]changeRecord{}}
	return a.src.Changes(ctx, 0, func(r *ChangeRow) error {
		a.changes.changes[r.Version] = &storedChange{
			time: r.Time, kind: string(r.Kind), workflow: asID(r.WorkflowID), hash: sha256.Sum256(r.Document),
		}
		a.changes.last = max(a.changes.last, r.Version)
		return nil
	})
}

// record takes the event that the scanner has read, when it records a change.
func (c *changeCheck) record(s *bodyScanner, index, committed int64) {
	kind := s.texts[ColumnType]
	if kind.escaped || !bytes.HasPrefix(kind.raw, []byte(changePrefix)) {
		return
	}
	recorded, ok := changeEvents[string(kind.raw)]
	var d recordData
	if !ok || json.Unmarshal(s.data, &d) != nil || d.Version < 1 || len(d.Document) != hex.EncodedLen(sha256.Size) {
		return
	}
	record := changeRecord{index, s.id}
	stored := c.changes[d.Version]
	if stored == nil {
		if _, known := c.missing[d.Version]; !known && len(c.missing) < maxLost && committed-s.time <= recordedWithin.Microseconds() {
			c.missing[d.Version] = record
		}
		return
	}
	workflow, _ := uuid.Parse(d.Workflow) // the nil UUID when it names none
	sameDocument, sameTime := hex.EncodeToString(stored.hash[:]) == d.Document, stored.time == s.time
	var parts []string
	for _, part := range []struct {
		name string
		same bool
	}{
		{"document", sameDocument},
		{"changed_at", sameTime},
		{"kind", stored.kind == recorded},
		{"workflow_id", stored.workflow == workflow},
	} {
		if !part.same {
			parts = append(parts, part.name)
		}
	}
	switch {
	case parts == nil:
		stored.recorded = true
	case (sameDocument || sameTime) && stored.other == nil:
		stored.other, stored.parts = &record, parts
	}
}

// finishChanges names what changes and events do not say alike.
func (a *auditor) finishChanges(ctx context.Context) error {
	c := &a.changes
	if len(c.missing) > 0 {
		// What was stored while the log was read is not missing.
		err := a.src.Changes(ctx, c.last, func(r *ChangeRow) error { delete(c.missing, r.Version); return nil })
		if err != nil {
			return err
		}
	}
	for _, version := range slices.Sorted(maps.Keys(c.missing)) {
		r := c.missing[version]
		a.faults.add(MissingChange, "", r.index, r.id, "the event records change %d of the catalogue, which is not stored", version)
	}
	// A row that is missing or altered is a fault of the event, which is named there.
	complete := a.synced
	for _, kind := range []FaultKind{AlteredBody, MalformedBody, MissingRow, RowWithoutEntry, WrongPosition, RootMismatch, CommitGap, CommitEdited} {
		complete = complete && a.faults.kinds[kind] == 0
	}
	before := int64(0)
	for _, version := range slices.Sorted(maps.Keys(c.changes)) {
		if version > before+1 && complete && !c.recordedBetween(before, version) {
			a.faults.add(MissingChange, "", -1, uuid.Nil, "changes %d to %d of the catalogue are not stored, and no event records them", before+1, version-1)
		}
		before = max(version, 0)
		switch stored := c.changes[version]; {
		case stored.recorded:
		case stored.other != nil:
			for _, part := range stored.parts {
				a.faults.add(AlteredChange, part, stored.other.index, stored.other.id, "%s of change %d of the catalogue differs from its event", part, version)
			}
		case complete:
			a.faults.add(ChangeWithoutEvent, "", -1, uuid.Nil, "no event records change %d of the catalogue", version)
		}
	}
	return nil
}

// recordedBetween reports whether an event records a change that is missing between two versions.
func (c *changeCheck) recordedBetween(before, version int64) bool {
	for missing := range c.missing {
		if missing > before && missing < version {
			return true
		}
	}
	return false
}
