package audittest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// fault is what an audit must name.
type fault struct {
	kind  ledger.FaultKind
	part  string
	index int64
}

// damage is one way to change the past, and all that an audit may say about it.
type damage struct {
	name string
	do   func(t testing.TB, f *fixture)
	want []fault
	// anchors keeps the receipts of all events for the audit.
	anchors bool
	twins   bool // needs a schema that allows two rows with one log_index
}

func one(kind ledger.FaultKind, part string, index int64) []fault {
	return []fault{{kind, part, index}}
}

// Run damages targets that open makes and checks what an audit names: that, and nothing else.
func Run(t *testing.T, open func(t testing.TB) *Target) {
	t.Run("Clean", func(t *testing.T) {
		t.Parallel()
		f := &fixture{Target: open(t)}
		if r := f.audit(t); r.FaultCount != 0 || r.Size != 0 || r.Root != ledger.EmptyRoot || !r.MinTime.IsZero() {
			t.Errorf("an empty log: %+v", r)
		}
		f.fill(t)
		clean(t, f)
	})
	t.Run("Change", func(t *testing.T) {
		t.Parallel()
		f := &fixture{Target: open(t)}
		for _, d := range changeDamages() {
			t.Run(d.name, func(t *testing.T) {
				f.empty(t)
				f.fill(t)
				changes, records := changesOf()
				f.change(t, changes, records, start)
				d.do(t, f)
				compare(t, f.audit(t), d.want)
			})
		}
	})
	for name, group := range map[string][]damage{
		"Body": bodies(), "Column": columns(), "Row": rows(), "ID": ids(), "Commit": commits(), "Anchor": anchored(), "Notification": notifications(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fixture{Target: open(t)}
			for _, d := range group {
				if !d.twins || f.Twins {
					t.Run(d.name, func(t *testing.T) { f.try(t, d) })
				}
			}
		})
	}
}

// try damages a new log.
func (f *fixture) try(t *testing.T, d damage) {
	f.empty(t)
	f.fill(t)
	receipts := f.receipts
	d.do(t, f)
	if !d.anchors {
		receipts = nil
	}
	compare(t, f.audit(t, receipts...), d.want)
}

// empty removes everything.
func (f *fixture) empty(t testing.TB) {
	t.Helper()
	for _, table := range []string{"events", "event_ids", "ledger_commits", "notifications", "catalog_changes"} {
		f.Exec(t, "DELETE FROM "+table)
	}
}

func clean(t *testing.T, f *fixture) {
	last := f.commits[len(f.commits)-1]
	for _, anchors := range [][]ledger.Anchor{nil, f.receipts} {
		r := f.audit(t, anchors...)
		compare(t, r, nil)
		if r.Size != size || r.Root != last.Root || r.Commits != int64(len(commitSizes)) || r.Notifications != 2 ||
			r.Anchored != (anchors != nil) || anchors != nil && r.AnchorSize != size ||
			!r.MinTime.Equal(f.records[size-3].Time) || !r.MaxTime.Equal(f.records[size-1].Time) {
			t.Errorf("a clean log: %+v", r)
		}
	}
}

func compare(t testing.TB, r *ledger.AuditResult, want []fault) {
	t.Helper()
	var got []fault
	for _, f := range r.Faults {
		got = append(got, fault{f.Kind, f.Part, f.LogIndex})
	}
	order := func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.index, b.index), strings.Compare(string(a.kind), string(b.kind)), strings.Compare(a.part, b.part))
	}
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if !slices.Equal(got, want) || r.FaultCount != int64(len(want)) {
		t.Errorf("named %d:\n%s\nwant %v", r.FaultCount, lines(r.Faults), want)
	}
}

func lines(faults []ledger.Fault) string {
	var b strings.Builder
	for _, f := range faults {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

func bodies() []damage {
	return []damage{
		{name: "BodyByte", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE events SET body = replace(body, '"n":7', '"n":8') WHERE log_index = %d`, whole)
		}, want: one(ledger.AlteredBody, "", whole)},
		{name: "BodyGone", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE events SET body = '' WHERE log_index = %d`, whole)
		}, want: one(ledger.AlteredBody, "", whole)},
		{name: "SaltByte", do: func(t testing.TB, f *fixture) {
			salt := f.records[whole].Salt
			salt[15]++
			f.exec(t, 1, `UPDATE events SET salt = %s WHERE log_index = %d`, f.Blob(salt[:]), whole)
		}, want: one(ledger.AlteredBody, "", whole)},
		{name: "SaltAndBodyBoundary", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE events SET salt = %s WHERE log_index = %d`, f.Blob(nil), whole)
		}, want: one(ledger.AlteredBody, "", whole)},
		{name: "BodyOfTheLast", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE events SET body = replace(body, 'mailbox', 'Mailbox') WHERE log_index = %d`, size-1)
		}, want: one(ledger.AlteredBody, "", size-1)},
	}
}

func columns() []damage {
	var damages []damage
	set := func(column, value string, index int64) {
		damages = append(damages, damage{
			name: "" + column + "=" + value,
			do: func(t testing.TB, f *fixture) {
				f.exec(t, 1, `UPDATE events SET %s = %s WHERE log_index = %d`, column, value, index)
			},
			want: one(ledger.AlteredColumn, column, index),
		})
	}
	for c := range ledger.Columns {
		set(c.String(), c.String()+" || 'x'", whole)
		set(c.String(), "''", whole)
	}
	for _, column := range []string{"namespace", "cluster_name", "trace_id"} {
		set(column, "NULL", whole)
		set(column, "''", bare)
		set(column, "'x'", bare)
	}
	set("parent_event_id", "NULL", whole)
	set("parent_event_id", "event_id", whole)
	set("parent_event_id", "event_id", bare)
	set("event_id", "parent_event_id", whole)
	return append(damages, damage{
		name: "event_timestamp",
		do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE events SET event_timestamp = %s WHERE log_index = %d`, f.Time(f.records[whole].Time.UnixMicro()+1), whole)
		},
		want: one(ledger.AlteredColumn, "event_timestamp", whole),
	})
}

const allColumns = `event_timestamp, event_id, correlation_id, event_type, event_category, event_outcome, severity, ` +
	`actor_type, actor_id, resource_type, resource_id, namespace, cluster_name, parent_event_id, trace_id, salt, body`

// insertCopy inserts the row at from once more, with another event_id.
func insertCopy(t testing.TB, f *fixture, from, to int64) {
	t.Helper()
	f.exec(t, 1, `INSERT INTO events (log_index, %[1]s %[2]s) SELECT %[3]d, %[1]s %[4]s FROM events WHERE log_index = %[5]d`,
		f.Columns, allColumns, to, strings.Replace(allColumns, "event_id", f.ID(ID(1000)), 1), from)
}

// move changes the log_index of a row.
func move(t testing.TB, f *fixture, from, to int64) {
	t.Helper()
	f.exec(t, 1, `UPDATE events SET log_index = %d WHERE log_index = %d`, to, from)
}

func rows() []damage {
	return []damage{
		{name: "Deleted", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `DELETE FROM events WHERE log_index = %d`, whole)
		}, want: one(ledger.MissingRow, "", whole)},
		{name: "AllDeleted", do: func(t testing.TB, f *fixture) {
			f.exec(t, size, `DELETE FROM events`)
		}, want: everyIndex(ledger.MissingRow)},
		{name: "Swapped", do: func(t testing.TB, f *fixture) {
			move(t, f, whole, 1000)
			move(t, f, 2, whole)
			move(t, f, 1000, 2)
		}, want: []fault{{ledger.WrongPosition, "", 2}, {ledger.WrongPosition, "", whole}}},
		{name: "BodiesSwapped", do: func(t testing.TB, f *fixture) {
			for _, p := range [][2]int{{2, whole}, {whole, 2}} {
				r := f.records[p[1]]
				f.exec(t, 1, `UPDATE events SET salt = %s, body = '%s' WHERE log_index = %d`, f.Blob(r.Salt[:]), r.Body, p[0])
			}
		}, want: []fault{{ledger.WrongPosition, "", 2}, {ledger.WrongPosition, "", whole}}},
		{name: "MovedBehindTheEnd", do: func(t testing.TB, f *fixture) { move(t, f, whole, size) }, want: one(ledger.WrongPosition, "", size)},
		{name: "MovedBeforeTheBeginning", do: func(t testing.TB, f *fixture) { move(t, f, whole, -3) }, want: one(ledger.WrongPosition, "", -3)},
		{name: "Foreign", do: func(t testing.TB, f *fixture) { insertCopy(t, f, whole, size) }, want: one(ledger.RowWithoutEntry, "", size)},
		{name: "ForeignInPlace", do: func(t testing.TB, f *fixture) {
			move(t, f, 2, 1000)
			insertCopy(t, f, whole, 2)
			f.exec(t, 1, `UPDATE events SET salt = %s WHERE log_index = 2`, f.Blob(make([]byte, 16)))
		}, want: []fault{{ledger.RowWithoutEntry, "", 2}, {ledger.WrongPosition, "", 1000}}},
		{name: "Twice", twins: true, do: func(t testing.TB, f *fixture) { insertCopy(t, f, whole, whole) }, want: one(ledger.DuplicateRow, "", whole)},
		{name: "TwiceAndAltered", twins: true, do: func(t testing.TB, f *fixture) {
			insertCopy(t, f, 2, whole)
		}, want: one(ledger.DuplicateRow, "", whole)},
	}
}

func everyIndex(kind ledger.FaultKind) (faults []fault) {
	for i := range int64(size) {
		faults = append(faults, fault{kind, "", i})
	}
	return faults
}

func ids() []damage {
	where := func(f *fixture) string { return "WHERE event_id = " + f.ID(ID(whole)) }
	return []damage{
		{name: "Deleted", do: func(t testing.TB, f *fixture) { f.exec(t, 1, `DELETE FROM event_ids %s`, where(f)) }, want: one(ledger.MissingEventID, "", whole)},
		{name: "AllDeleted", do: func(t testing.TB, f *fixture) { f.exec(t, size, `DELETE FROM event_ids`) }, want: everyIndex(ledger.MissingEventID)},
		{name: "LogIndex", do: func(t testing.TB, f *fixture) { f.exec(t, 1, `UPDATE event_ids SET log_index = 3 %s`, where(f)) }, want: one(ledger.AlteredEventID, "log_index", whole)},
		{name: "LogIndexBehindTheEnd", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE event_ids SET log_index = 100 %s`, where(f))
		}, want: one(ledger.AlteredEventID, "log_index", whole)},
		{name: "LogIndexNegative", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE event_ids SET log_index = -1 %s`, where(f))
		}, want: one(ledger.AlteredEventID, "log_index", whole)},
		{name: "Swapped", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE event_ids SET log_index = 3 %s`, where(f))
			f.exec(t, 1, `UPDATE event_ids SET log_index = %d WHERE event_id = %s`, whole, f.ID(ID(3)))
		}, want: []fault{{ledger.AlteredEventID, "log_index", 3}, {ledger.AlteredEventID, "log_index", whole}}},
		{name: "Timestamp", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE event_ids SET event_timestamp = %s %s`, f.Time(start.UnixMicro()), where(f))
		}, want: one(ledger.AlteredEventID, "event_timestamp", whole)},
		{name: "Foreign", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `INSERT INTO event_ids (event_id, log_index, event_timestamp) SELECT %s, log_index, event_timestamp FROM event_ids %s`, f.ID(ID(1000)), where(f))
		}, want: one(ledger.EventIDWithoutEntry, "", whole)},
		{name: "ForeignBehindTheEnd", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `INSERT INTO event_ids (event_id, log_index, event_timestamp) SELECT %s, 100, event_timestamp FROM event_ids %s`, f.ID(ID(1000)), where(f))
		}, want: one(ledger.EventIDWithoutEntry, "", 100)},
	}
}

// edit returns a damage of the commit of the log_indexes 4 to 8.
func edit(name, part string, index int64, set func(f *fixture, c *ledger.Commit) string) damage {
	return damage{name: name, do: func(t testing.TB, f *fixture) {
		f.exec(t, 1, `UPDATE ledger_commits SET %s WHERE first_index = 4`, set(f, f.commits[2]))
	}, want: one(ledger.CommitEdited, part, index)}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func commits() []damage {
	drop := func(name string, first int, want []fault) damage {
		return damage{name: name, do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `DELETE FROM ledger_commits WHERE first_index = %d`, first)
		}, want: want}
	}
	return []damage{
		edit("Entries", "entries", 6, func(f *fixture, c *ledger.Commit) string {
			return "entries = " + f.Blob(flip(c.Entries, 2*ledger.EntrySize+40))
		}),
		edit("EntryID", "entries", 6, func(f *fixture, c *ledger.Commit) string {
			return "entries = " + f.Blob(flip(c.Entries, 2*ledger.EntrySize+3))
		}),
		edit("EntryVersion", "entries", 4, func(f *fixture, c *ledger.Commit) string { return "entries = " + f.Blob(flip(c.Entries, 0)) }),
		edit("EntriesCut", "entries", 8, func(f *fixture, c *ledger.Commit) string {
			return "entries = " + f.Blob(c.Entries[:4*ledger.EntrySize])
		}),
		edit("EntriesLonger", "entries", 8, func(f *fixture, c *ledger.Commit) string {
			return "entries = " + f.Blob(append(bytes.Clone(c.Entries), c.Entries[:7]...))
		}),
		edit("EntriesGone", "entries", 4, func(f *fixture, _ *ledger.Commit) string { return "entries = " + f.Blob(nil) }),
		edit("Range", "range", 4, func(f *fixture, c *ledger.Commit) string { return "range = " + f.Blob(flip(c.Range, 33)) }),
		edit("RangeGone", "range", 4, func(f *fixture, _ *ledger.Commit) string { return "range = " + f.Blob(nil) }),
		edit("Root", "root", 4, func(f *fixture, c *ledger.Commit) string { return "root = " + f.Blob(flip(c.Root[:], 31)) }),
		edit("RootCut", "root", 4, func(f *fixture, c *ledger.Commit) string { return "root = " + f.Blob(c.Root[:31]) }),
		edit("MinTime", "min_time", 4, func(f *fixture, c *ledger.Commit) string { return "min_time = " + f.Time(c.MinTime.UnixMicro()-1) }),
		edit("MaxTime", "max_time", 4, func(f *fixture, c *ledger.Commit) string { return "max_time = " + f.Time(c.MaxTime.UnixMicro()-1) }),
		edit("NextIndex", "next_index", 4, func(*fixture, *ledger.Commit) string { return "next_index = 10" }),
		edit("FirstIndex", "first_index", 4, func(*fixture, *ledger.Commit) string { return "first_index = 5" }),
		{name: "LastNextIndex", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE ledger_commits SET next_index = 100 WHERE first_index = 10`)
		}, want: one(ledger.CommitEdited, "next_index", 10)},
		{name: "RootAndRange", do: func(t testing.TB, f *fixture) {
			c := f.commits[1]
			f.exec(t, 1, `UPDATE ledger_commits SET root = %s, range = %s WHERE first_index = 4`, f.Blob(c.Root[:]), f.Blob(c.Range))
		}, want: one(ledger.RootMismatch, "", 4)},
		{name: "EntriesWithoutRows", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE ledger_commits SET entries = %s WHERE first_index = 4`, f.Blob(flip(f.commits[2].Entries, 40)))
			f.exec(t, 1, `DELETE FROM events WHERE log_index = 6`)
		}, want: []fault{{ledger.RootMismatch, "", 4}, {ledger.AlteredBody, "", 4}, {ledger.MissingRow, "", 6}}},
		{name: "Foreign", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `INSERT INTO ledger_commits (first_index, next_index, entries, range, root, min_time, max_time, committed_at) `+
				`SELECT 6, next_index, entries, range, root, min_time, max_time, committed_at FROM ledger_commits WHERE first_index = 4`)
		}, want: one(ledger.CommitEdited, "first_index", 6)},
		drop("Deleted", 4, one(ledger.CommitGap, "", 4)),
		drop("FirstDeleted", 0, one(ledger.CommitGap, "", 0)),
		drop("LastDeleted", 10, []fault{{ledger.RowWithoutEntry, "", 10}, {ledger.RowWithoutEntry, "", 11}}),
	}
}

// anchored are damages that leave a log which is consistent in itself.
func anchored() []damage {
	rebuild := func(t testing.TB, f *fixture) {
		forged := slices.Clone(f.records)
		e, err := datastorage.ParseBody(bytes.Replace(f.records[whole].Body, []byte(`"success"`), []byte(`"failure"`), 1))
		if err != nil {
			t.Fatal(err)
		}
		forged[whole] = datastorage.NewRecord(*e, f.records[whole].Salt)
		wipe(t, f, 0)
		f.store(t, forged)
	}
	return []damage{
		{name: "Tail/WithoutAnchor", do: func(t testing.TB, f *fixture) { wipe(t, f, 9) }},
		{name: "Tail/Truncated", anchors: true, do: func(t testing.TB, f *fixture) { wipe(t, f, 9) }, want: []fault{
			{ledger.AnchorMismatch, "", 9}, {ledger.AnchorMismatch, "", 10},
		}},
		{name: "Everything/WithoutAnchor", do: rebuild},
		{name: "Everything/Recomputed", anchors: true, do: rebuild, want: []fault{
			{ledger.AnchorMismatch, "", 4}, {ledger.AnchorMismatch, "", 9}, {ledger.AnchorMismatch, "", 10},
		}},
	}
}

// wipe removes the log from a commit on.
func wipe(t testing.TB, f *fixture, first int64) {
	t.Helper()
	f.exec(t, 2, `DELETE FROM notifications`)
	f.exec(t, size-first, `DELETE FROM events WHERE log_index >= %d`, first)
	f.exec(t, size-first, `DELETE FROM event_ids WHERE log_index >= %d`, first)
	if f.Exec(t, fmt.Sprintf(`DELETE FROM ledger_commits WHERE first_index >= %d`, first)) == 0 {
		t.Fatal("no commit was deleted")
	}
}

func notifications() []damage {
	var damages []damage
	set := func(field, value string) {
		damages = append(damages, damage{name: "" + field, do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE notifications SET %s = %s WHERE event_id = %s`, field, value, f.ID(f.records[size-1].ID))
		}, want: one(ledger.AlteredNotification, field, size-1)})
	}
	for _, field := range []string{"channel", "delivery_status", "error_message", "message_summary", "notification_id", "recipient", "remediation_id", "status"} {
		set(field, field+" || 'x'")
	}
	set("escalation_level", "escalation_level + 1")
	return append(damages,
		damage{name: "sent_at", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE notifications SET sent_at = %s WHERE notification_id = 'n-11'`, f.Time(start.UnixMicro()))
		}, want: one(ledger.AlteredNotification, "sent_at", size-1)},
		damage{name: "event_id", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE notifications SET event_id = %s WHERE notification_id = 'n-11'`, f.ID(ID(2)))
		}, want: one(ledger.AlteredNotification, "event_id", 2)},
		damage{name: "Foreign", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE notifications SET event_id = %s WHERE notification_id = 'n-11'`, f.ID(uuid.MustParse("01890a5d-ac96-774b-bcce-b302099affff")))
		}, want: one(ledger.NotificationWithoutEvent, "", -1)},
		damage{name: "Deleted", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `DELETE FROM notifications WHERE notification_id = 'n-11'`)
		}, want: one(ledger.MissingNotification, "", size-1)},
		// As an import leaves it: the event was committed long after it happened.
		damage{name: "Imported", do: func(t testing.TB, f *fixture) {
			f.exec(t, 2, `DELETE FROM notifications`)
			f.exec(t, 1, `UPDATE ledger_commits SET committed_at = %s WHERE first_index = %d`, f.Time(start.Add(time.Hour).UnixMicro()), size-2)
		}},
		damage{name: "DeletedWithEvent", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `DELETE FROM notifications WHERE notification_id = 'n-11'`)
			f.exec(t, 1, `DELETE FROM events WHERE log_index = %d`, size-1)
		}, want: one(ledger.MissingRow, "", size-1)})
}
