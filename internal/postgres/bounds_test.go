package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/eventsql"
	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/project/correlations"
)

// at makes a record of a correlation at a time.
func at(correlation string, t time.Time) *datastorage.Record {
	r := record(t, 600)
	r.CorrelationID = correlation
	return datastorage.NewRecord(withData(r), r.Salt)
}

// withData gives a record's event its data back, which a record keeps in its body alone.
func withData(r *datastorage.Record) datastorage.Event {
	e := r.Event
	e.Data = []byte(`{}`)
	return e
}

func TestBounds_Version(t *testing.T) {
	t.Parallel()
	if v := (correlations.Projection{}).Version(); v != correlationsVersion {
		t.Errorf("the projection has version %d, queries are bounded by version %d", v, correlationsVersion)
	}
}

// TestStore_Bounds asks for correlations whose projection is missing, complete, behind, and built again: what comes is
// always all that is stored, and only the partitions in question are searched.
func TestStore_Bounds(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	s := openAt(t, url)
	conn := connect(t, url)
	exec(t, conn, querySettings, pgx.QueryExecModeSimpleProtocol)
	p, err := s.Projections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	stored := map[string]int{}
	put := func(correlation string, times ...time.Time) {
		t.Helper()
		var rs []*datastorage.Record
		for _, when := range times {
			rs = append(rs, at(correlation, when))
		}
		commit(t, s, rs...)
		stored[correlation] += len(times)
	}
	catchUp := func() {
		t.Helper()
		if err := project.CatchUp(t.Context(), s, p, correlations.Projection{}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(state string) {
		t.Helper()
		for correlation, n := range stored {
			checkCorrelation(t, s, state, correlation, n)
		}
		checkCorrelation(t, s, state, "rr-none", 0)
	}
	start := time.Date(2024, 1, 15, 12, 0, 0, 0, time.UTC)
	for m := range 12 {
		put(fmt.Sprint("rr-", m), start.AddDate(0, m, 0), start.AddDate(0, m, 1))
	}
	check("without a projection")
	if used := partitions(t, s, conn, "rr-3"); len(used) < 12 {
		t.Errorf("without a projection %v are searched", used)
	}
	catchUp()
	check("up to date")
	if used := partitions(t, s, conn, "rr-3"); !cmp.Equal(used, []string{"events_2024_04"}) {
		t.Errorf("%v are searched for a correlation of April", used)
	}
	if used := partitions(t, s, conn, "rr-none"); len(used) > 1 {
		t.Errorf("%v are searched for one that does not exist", used)
	}
	put("rr-3", start.AddDate(0, -7, 0), start.AddDate(0, 9, 0)) // an import of old events, and a late one
	put("rr-new", start.AddDate(0, 5, 0))
	check("behind")
	catchUp()
	check("up to date again")
	for _, err := range project.Build(t.Context(), s, p, []project.Projection{correlations.Projection{}}, project.BuildOptions{}) {
		t.Fatal(err)
	}
	check("of another generation")
	var known float64
	if err := conn.QueryRow(t.Context(), fmt.Sprintf(`SELECT reltuples FROM pg_class WHERE relname = 'p_correlations_%d'`, s.correlations.Load())).Scan(&known); err != nil || int(known) != len(stored) {
		t.Errorf("the planner knows of %v rows, %v; want %d", known, err, len(stored))
	}
	exec(t, connect(t, url), fmt.Sprintf("DROP TABLE p_correlations_%d", s.correlations.Load()))
	check("without its table")
}

// checkCorrelation reads a correlation in each way, and page by page.
func checkCorrelation(t *testing.T, s *Store, state, correlation string, want int) {
	t.Helper()
	got := 0
	err := s.Correlation(t.Context(), correlation, func(*datastorage.EventHeader) error { got++; return nil })
	if err != nil || got != want {
		t.Errorf("%s: %s has %d headers, %v; want %d", state, correlation, got, err, want)
	}
	q := datastorage.EventQuery{CorrelationID: correlation, Limit: 1}
	for walked := 0; ; walked++ {
		page, err := s.Events(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if walked == 0 && (page.Total != int64(want) || page.Size == 0) {
			t.Errorf("%s: %s has a total of %d in a log of %d, want %d", state, correlation, page.Total, page.Size, want)
		}
		if !page.HasMore {
			if walked+len(page.Events) != want {
				t.Errorf("%s: a walk finds %d events of %s, want %d", state, walked+len(page.Events), correlation, want)
			}
			return
		}
		q.After, q.Size, q.Count = &datastorage.Position{Time: page.Events[0].Time, ID: page.Events[0].ID}, page.Size, datastorage.CountNone
	}
}

// partitions returns those that a query by correlation_id searches.
func partitions(t *testing.T, s *Store, conn *pgx.Conn, correlation string) (used []string) {
	t.Helper()
	q := datastorage.EventQuery{CorrelationID: correlation}
	if err := s.boundTimes(t.Context(), conn, &q); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(ran(explain(t, conn, eventsql.Correlation(eventsql.PostgreSQL, &q), false))) {
		if _, rest, ok := strings.Cut(line, " on events_"); ok {
			used = append(used, "events_"+strings.Fields(rest)[0])
		}
	}
	return used
}
