package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/datastorage-io/datastorage"
)

const (
	// monthsBack and monthsAhead are the months around the present one whose partitions always exist.
	monthsBack  = 1
	monthsAhead = 2
	// maintainInterval is how often the server looks whether it must create partitions ahead.
	maintainInterval = time.Hour
	// attachTries is how often a partition is attached that a lock keeps out, attachLockTimeout how long each try waits
	// for it, attachPause how long it lets others go first.
	attachTries       = 8
	attachLockTimeout = "500ms"
	attachPause       = 100 * time.Millisecond
)

// month counts the months in UTC since the year 0. Each is a partition of events.
type month int

func monthOf(t time.Time) month {
	t = t.UTC()
	return month(t.Year()*12 + int(t.Month()) - 1)
}

// start returns the first instant of the month.
func (m month) start() time.Time {
	return time.Date(int(m)/12, time.Month(int(m)%12+1), 1, 0, 0, 0, 0, time.UTC)
}

// table returns the name of the partition.
func (m month) table() string { return m.start().Format("events_2006_01") }

// bound returns the start as a literal that no session's TimeZone changes.
func (m month) bound() string { return "'" + m.start().Format("2006-01-02 15:04:05") + "+00'" }

// months remembers which partitions exist. A partition that another server drops is forgotten when an insert misses it.
type months struct {
	mu    sync.RWMutex
	known map[month]bool
	// creating is held while partitions are created, so that concurrent commits do not race for the same month.
	creating sync.Mutex
}

func (m *months) add(found ...month) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = make(map[month]bool)
	}
	for _, k := range found {
		m.known[k] = true
	}
}

func (m *months) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = nil
}

// count returns how many partitions are known.
func (m *months) count() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.known)
}

// missing returns the months of the records that are not known, in no order. It allocates nothing when there are none.
func (m *months) missing(records []*datastorage.Record) (missing []month) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var from, to int64 // the bounds of the month seen last, in microseconds
	for _, r := range records {
		if t := r.Time.UnixMicro(); t >= from && t < to {
			continue
		}
		k := monthOf(r.Time)
		from, to = k.start().UnixMicro(), (k + 1).start().UnixMicro()
		if !m.known[k] {
			missing = append(missing, k)
		}
	}
	return missing
}

// ensureMonths creates the partitions that the records need. It runs before a commit, outside its transaction.
func (s *Store) ensureMonths(ctx context.Context, records []*datastorage.Record) error {
	missing := s.months.missing(records)
	if len(missing) == 0 {
		return nil
	}
	if err := s.createMonths(ctx, missing); err != nil {
		return datastorage.Unavailable(err, "the partition of a month cannot be created")
	}
	return nil
}

// createAhead creates the partitions around now.
func (s *Store) createAhead(ctx context.Context, now time.Time) error {
	present := monthOf(now)
	var wanted []month
	for m := present - monthsBack; m <= present+monthsAhead; m++ {
		wanted = append(wanted, m)
	}
	return s.createMonths(ctx, wanted)
}

// maintain creates partitions ahead until ctx ends.
func (s *Store) maintain(ctx context.Context) {
	defer close(s.maintained)
	ticker := time.NewTicker(maintainInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if err := s.createAhead(ctx, now); err != nil && ctx.Err() == nil {
				s.log.Warn("partitions of coming months cannot be created; tried again in an hour", "error", err)
			}
		}
	}
}

// loadMonths learns which partitions exist.
func (s *Store) loadMonths(ctx context.Context) error {
	rows, err := s.ingest.Query(ctx, `SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid `+
		`WHERE i.inhparent = 'events'::regclass AND NOT i.inhdetachpending`)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		start, err := time.Parse("events_2006_01", name)
		if err != nil {
			continue // not made by us: the server refuses what overlaps it
		}
		s.months.add(monthOf(start))
	}
	return nil
}

// createMonths creates partitions that do not exist, in this process one caller at a time.
func (s *Store) createMonths(ctx context.Context, wanted []month) error {
	s.months.creating.Lock()
	defer s.months.creating.Unlock()
	for _, m := range wanted {
		s.months.mu.RLock()
		known := s.months.known[m]
		s.months.mu.RUnlock()
		if known {
			continue
		}
		if err := s.createMonth(ctx, m); err != nil {
			return fmt.Errorf("create the partition %s: %w", m.table(), err)
		}
		s.months.add(m)
	}
	return nil
}

// createMonth tries to create one partition until no lock keeps it out.
func (s *Store) createMonth(ctx context.Context, m month) (err error) {
	for range attachTries {
		err = pgx.BeginFunc(ctx, s.ingest, func(tx pgx.Tx) error { return createPartition(ctx, tx, m) })
		e, ok := errors.AsType[*pgconn.PgError](err)
		if !ok || e.Code != lockNotAvailable {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(attachPause):
		}
	}
	return err
}

// createPartition creates the partition of a month unless another server was first. The table is made beside events and
// attached, which neither waits for readers nor keeps them waiting, as CREATE TABLE … PARTITION OF would. It is empty, so
// attaching has nothing to check. Its autovacuum settings suit a table that only grows: index-only counts and freezing
// keep up with the inserts. Rows of more than toast_tuple_target bytes have their body compressed.
func createPartition(ctx context.Context, tx pgx.Tx, m month) error {
	var exists bool
	err := tx.QueryRow(ctx, `SELECT set_config('lock_timeout', $1, true), pg_advisory_xact_lock(`+advisoryKey+`, 1)`,
		attachLockTimeout).Scan(nil, nil)
	if err == nil {
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'events'::regclass `+
			`AND inhrelid = to_regclass($1))`, m.table()).Scan(&exists)
	}
	if err != nil || exists {
		return err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`
		CREATE TABLE %[1]s (LIKE events INCLUDING ALL) WITH (toast_tuple_target = 256,
			autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 50000, autovacuum_freeze_min_age = 0);
		ALTER TABLE events ATTACH PARTITION %[1]s FOR VALUES FROM (%[2]s) TO (%[3]s);
		CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %[1]s FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();`,
		m.table(), m.bound(), (m+1).bound()), pgx.QueryExecModeSimpleProtocol)
	return err
}
