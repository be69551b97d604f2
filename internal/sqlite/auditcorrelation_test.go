package sqlite

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// TestAudit_Correlations damages what queries by correlation_id find events with: three correlations take turns in the log,
// so that they begin at 0, 1 and 2.
func TestAudit_Correlations(t *testing.T) {
	t.Parallel()
	type fault struct {
		kind  ledger.FaultKind
		part  string
		index int64
	}
	column := func(index int64) []fault { return []fault{{ledger.AlteredColumn, "correlation_first", index}} }
	one := func(kind ledger.FaultKind, index int64) []fault { return []fault{{kind, "", index}} }
	for name, c := range map[string]struct {
		damage []string
		want   []fault
	}{
		"none":                      {},
		"event/to another's":        {[]string{`UPDATE events SET correlation_first = 2 WHERE log_index = 7`}, column(7)},
		"event/to itself":           {[]string{`UPDATE events SET correlation_first = 7 WHERE log_index = 7`}, column(7)},
		"event/to one of its own":   {[]string{`UPDATE events SET correlation_first = 4 WHERE log_index = 7`}, column(7)},
		"event/outside the log":     {[]string{`UPDATE events SET correlation_first = -1 WHERE log_index = 7`}, column(7)},
		"event/the first":           {[]string{`UPDATE events SET correlation_first = 4 WHERE log_index = 1`}, column(1)},
		"event/the first, outside":  {[]string{`UPDATE events SET correlation_first = 99 WHERE log_index = 1`}, column(1)},
		"row/to one of its own":     {[]string{`UPDATE correlations SET first_index = 4 WHERE first_index = 1`}, one(ledger.AlteredCorrelation, 1)},
		"row/to another's":          {[]string{`UPDATE correlations SET first_index = 0 WHERE first_index = 1`}, one(ledger.AlteredCorrelation, 1)},
		"row/behind the log":        {[]string{`UPDATE correlations SET first_index = 99 WHERE first_index = 1`}, one(ledger.AlteredCorrelation, 1)},
		"row/before the log":        {[]string{`UPDATE correlations SET first_index = -9 WHERE first_index = 1`}, one(ledger.AlteredCorrelation, 1)},
		"row/deleted":               {[]string{`DELETE FROM correlations WHERE first_index = 1`}, one(ledger.MissingCorrelation, 1)},
		"row/renamed":               {[]string{`UPDATE correlations SET correlation_id = 'x' WHERE first_index = 1`}, []fault{{ledger.CorrelationWithoutEvent, "", 1}, {ledger.MissingCorrelation, "", 1}}},
		"row/added":                 {[]string{`INSERT INTO correlations VALUES ('x', 5)`}, one(ledger.CorrelationWithoutEvent, 5)},
		"row/added behind the log":  {[]string{`INSERT INTO correlations VALUES ('x', 99)`}, one(ledger.CorrelationWithoutEvent, 99)},
		"row/added before the log":  {[]string{`INSERT INTO correlations VALUES ('', -9)`}, one(ledger.CorrelationWithoutEvent, -1)},
		"all rows deleted":          {[]string{`DELETE FROM correlations`}, []fault{{ledger.MissingCorrelation, "", 0}, {ledger.MissingCorrelation, "", 1}, {ledger.MissingCorrelation, "", 2}}},
		"both/to a later one":       {[]string{`UPDATE correlations SET first_index = 4 WHERE first_index = 1`, `UPDATE events SET correlation_first = 4 WHERE correlation_first = 1`}, column(1)},
		"both/behind the log":       {[]string{`UPDATE correlations SET first_index = -9 WHERE first_index = 1`, `UPDATE events SET correlation_first = -9 WHERE correlation_first = 1`}, one(ledger.CorrelationWithoutEvent, -1)},
		"both/to another's":         {[]string{`UPDATE correlations SET first_index = 0 WHERE first_index = 1`, `UPDATE events SET correlation_first = 0 WHERE correlation_first = 1`}, one(ledger.CorrelationWithoutEvent, 0)},
		"first event/text altered":  {[]string{`UPDATE events SET correlation_id = 'x' WHERE log_index = 1`}, []fault{{ledger.AlteredColumn, "correlation_id", 1}}},
		"first event/body altered":  {[]string{`UPDATE events SET correlation_id = 'x', body = '' WHERE log_index = 1`}, one(ledger.AlteredBody, 1)},
		"first event/deleted":       {[]string{`DELETE FROM events WHERE log_index = 1`}, one(ledger.MissingRow, 1)},
		"first events swapped":      {[]string{`UPDATE events SET log_index = -1 WHERE log_index = 1`, `UPDATE events SET log_index = 1 WHERE log_index = 0`, `UPDATE events SET log_index = 0 WHERE log_index = -1`}, []fault{{ledger.WrongPosition, "", 0}, {ledger.WrongPosition, "", 1}}},
		"events of one, everywhere": {[]string{`UPDATE events SET correlation_first = 2 WHERE correlation_first = 1 AND log_index > 7`}, []fault{{ledger.AlteredColumn, "correlation_first", 10}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := openTarget(t)
			s := target.Store.(*Store)
			for first := 0; first < 12; first += 4 {
				var records []*datastorage.Record
				for i := first; i < first+4; i++ {
					records = append(records, benchRecord(i, fmt.Sprint(i%3)))
				}
				store(t, s, records)
			}
			for _, statement := range c.damage {
				if target.Exec(t, statement) == 0 {
					t.Fatalf("%s changes nothing", statement)
				}
			}
			r, err := ledger.Audit(t.Context(), target.Source, ledger.AuditOptions{MaxFaults: 20})
			if err != nil {
				t.Fatal(err)
			}
			var got []fault
			for _, f := range r.Faults {
				got = append(got, fault{f.Kind, f.Part, f.LogIndex})
			}
			slices.SortFunc(got, func(a, b fault) int { return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.kind, b.kind)) })
			if !slices.Equal(got, c.want) || r.FaultCount != int64(len(c.want)) {
				t.Errorf("named %v, want %v", r.Faults, c.want)
			}
		})
	}
}

// TestAuditSource_LostCorrelations reads the table in many statements.
func TestAuditSource_LostCorrelations(t *testing.T) {
	t.Parallel()
	target := openTarget(t)
	const extra = 500
	for i := range extra {
		target.Exec(t, fmt.Sprintf(`INSERT INTO correlations VALUES ('c%d', %[1]d)`, i))
	}
	source := target.Source.(*AuditSource)
	now := time.Unix(0, 0)
	source.now = func() time.Time { now = now.Add(auditChunk); return now }
	seen := map[string]int64{}
	err := source.LostCorrelations(t.Context(), func(r *ledger.LostCorrelation) error {
		if _, ok := seen[string(r.ID)]; ok || r.Row {
			t.Errorf("%s comes twice, or has an event", r.ID)
		}
		seen[string(r.ID)] = r.FirstIndex
		return nil
	})
	if err != nil || len(seen) != extra || seen["c499"] != 499 {
		t.Errorf("%d rows, %v", len(seen), err)
	}
}
