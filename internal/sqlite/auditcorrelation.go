package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/datastorage-io/datastorage/ledger"
)

// auditFiling is the ledger.Filing of the event e, for which correlations holds c. A correlation begins with an event of it
// that says so itself; should two of them, then with the first.
var auditFiling = fmt.Sprintf(`CASE `+
	`WHEN e.correlation_first = c.first_index AND c.first_index <= e.log_index THEN %d `+
	`WHEN NOT `+beginsAt(`e.correlation_first`)+` THEN %d `+
	`WHEN c.first_index IS NULL THEN %d `+
	`WHEN c.first_index < e.correlation_first AND `+beginsAt(`c.first_index`)+` THEN %d ELSE %d END`,
	ledger.Found, ledger.MisfiledColumn, ledger.UnknownCorrelation, ledger.MisfiledColumn, ledger.MisfiledCorrelation)

// beginsAt is the condition that the correlation of the event e begins with the event at a log_index, as that says itself.
func beginsAt(index string) string {
	return `EXISTS (SELECT 1 FROM events AS o WHERE o.log_index = ` + index + ` AND o.log_index <= e.log_index ` +
		`AND o.correlation_id = e.correlation_id AND o.correlation_first = o.log_index)`
}

// auditCorrelations tells for each correlation whether an event stands where it begins, and whether it is one of another
// correlation. An event whose column alone was altered is still one of its own.
const auditCorrelations = `SELECT c.correlation_id, c.first_index, o.log_index IS NOT NULL, ` +
	`CASE WHEN o.correlation_id = c.correlation_id THEN false ` +
	`WHEN json_valid(o.body) THEN o.body ->> '$.correlation_id' IS NOT c.correlation_id ELSE true END ` +
	`FROM correlations AS c LEFT JOIN events AS o ON o.log_index = c.first_index ` +
	`WHERE c.correlation_id >= ? ORDER BY c.correlation_id`

// LostCorrelations implements ledger.Source.
func (a *AuditSource) LostCorrelations(ctx context.Context, yield func(*ledger.LostCorrelation) error) error {
	var r ledger.LostCorrelation
	from := any("")
	for {
		chunk := a.newChunk()
		err := a.query(ctx, auditCorrelations, []any{from}, func(row []driver.Value) error {
			if chunk.over() {
				from = row[0]
				return errChunkEnd
			}
			if whole(row[3]) == 0 {
				return nil
			}
			r.ID, r.FirstIndex, r.Row = octets(row[0]), whole(row[1]), whole(row[2]) != 0
			return yield(&r)
		})
		if !errors.Is(err, errChunkEnd) {
			return err
		}
	}
}
