package ledger

import (
	"context"

	"github.com/google/uuid"
)

// correlationCheck remembers for which correlation_ids the row of correlations was named, at most maxLost; those beyond are
// named with each of their events.
type correlationCheck struct{ named map[string]bool }

// name reports whether the row of a correlation_id is to be named now.
func (c *correlationCheck) name(id string) bool {
	if c.named[id] {
		return false
	}
	if c.named == nil {
		c.named = map[string]bool{}
	}
	if len(c.named) < maxLost {
		c.named[id] = true
	}
	return true
}

// filed judges how an event, whose correlation_id is that of its body, is filed.
func (w *rowWalk) filed(r *EventRow, id uuid.UUID) {
	correlation := string(r.Texts[ColumnCorrelationID])
	switch {
	case r.Filed == MisfiledColumn:
		w.altered(r, id, columnCorrelationFirst)
	case !w.correlations.name(correlation):
	case r.Filed == UnknownCorrelation:
		w.faults.add(MissingCorrelation, "", r.LogIndex, id,
			"correlations does not hold the correlation_id %q, so queries by it do not find its events, of which this is the first", correlation)
	default:
		w.faults.add(AlteredCorrelation, "", r.LogIndex, id,
			"correlations says that the correlation_id %q begins elsewhere than with this event, so queries by it do not find its events", correlation)
	}
}

// columnCorrelationFirst is the column by which a store with a table of correlations finds events.
const columnCorrelationFirst = "correlation_first"

// lostCorrelations names the rows of correlations that stand for no event and have not been named as those of events. Where
// an event should stand and none does, or a row that was never committed there, that is named as the event's fault.
func (a *auditor) lostCorrelations(ctx context.Context) error {
	type lost struct {
		id    string
		index int64
	}
	var rows, outside []lost
	err := a.src.LostCorrelations(ctx, func(r *LostCorrelation) error {
		row := lost{string(r.ID), r.FirstIndex}
		switch {
		case a.correlations.named[row.id] || len(rows)+len(outside) == maxLost || a.lost.bad[row.index]:
		case r.Row:
			rows = append(rows, row)
		default:
			outside = append(outside, row)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// A row is stored together with its event, so the log held every index that was read before its size.
	end, err := a.end(ctx)
	if err != nil {
		return err
	}
	for _, row := range outside {
		if row.index < 0 || row.index >= end {
			rows = append(rows, row)
		}
	}
	for _, row := range rows {
		a.faults.add(CorrelationWithoutEvent, "", max(row.index, -1), uuid.Nil,
			"correlations says that the correlation_id %q begins at log_index %d, where no event of it stands", row.id, row.index)
	}
	return nil
}
