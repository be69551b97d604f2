package audittest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// changed is the workflow of the changes of a fixture.
var changed = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099b0001")

// changesOf are changes of every kind, from version 1 on, and the events that record them.
func changesOf() (changes []*datastorage.CatalogChange, records []*datastorage.Record) {
	for i, c := range []struct {
		kind     datastorage.CatalogChangeKind
		event    string
		workflow uuid.UUID
	}{
		{datastorage.ChangeWorkflow, "workflow.created", changed},
		{datastorage.ChangeState, "workflow.disabled", changed},
		{datastorage.ChangeActionType, "action_type.created", uuid.Nil},
		{datastorage.ChangeEventType, "event_type.updated", uuid.Nil},
	} {
		version, at := int64(i+1), start.Add(time.Duration(i)*time.Microsecond-time.Minute)
		change := &datastorage.CatalogChange{
			Version: version, Time: at, Kind: c.kind, WorkflowID: c.workflow, Key: fmt.Sprint("key ", version), Document: fmt.Appendf(nil, `{"n":%d}`, version),
		}
		sum := sha256.Sum256(change.Document)
		data := fmt.Sprintf(`{"catalog_version":%d,"document_sha256":"%s"`, version, hex.EncodeToString(sum[:]))
		if c.workflow != uuid.Nil {
			data += fmt.Sprintf(`,"workflow_id":%q`, c.workflow)
		}
		changes = append(changes, change)
		records = append(records, datastorage.NewRecord(datastorage.Event{
			ID: ID(size + i), Version: "1.0", Type: "datastorage." + c.event, Time: at, Category: "workflow", Action: "changed", Outcome: "success",
			CorrelationID: "c", Data: []byte(data + "}"), ActorType: "client", ActorID: "alice", ResourceType: "workflow", ResourceID: "c",
			Severity: "info", Retention: 2555,
		}, [datastorage.SaltSize]byte{byte(i)}))
	}
	return changes, records
}

// change stores changes of the catalogue with their events, behind the log of a fixture. The events that record the first
// change stand at log_index size and what follows.
func (f *fixture) change(t testing.TB, changes []*datastorage.CatalogChange, records []*datastorage.Record, committed time.Time) {
	t.Helper()
	head, err := f.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, _ := ledger.NewCommit(&head, records, committed)
	if err := f.Store.Commit(t.Context(), c, &datastorage.Write{Records: records, Changes: changes}); err != nil {
		t.Fatal(err)
	}
}

// changeDamages are damages to a log that has changes of the catalogue at its end.
func changeDamages() []damage {
	set := func(version int, column, value string) damage {
		return damage{
			name: fmt.Sprintf("%s=%s", column, value),
			do: func(t testing.TB, f *fixture) {
				f.exec(t, 1, `UPDATE catalog_changes SET %s = %s WHERE version = %d`, column, value, version)
			},
			want: one(ledger.AlteredChange, column, size+int64(version)-1),
		}
	}
	remove := func(name, where string, versions ...int64) damage {
		d := damage{name: name, do: func(t testing.TB, f *fixture) {
			f.exec(t, int64(len(versions)), `DELETE FROM catalog_changes WHERE %s`, where)
		}}
		for _, version := range versions {
			d.want = append(d.want, fault{ledger.MissingChange, "", size + version - 1})
		}
		return d
	}
	add := func(t testing.TB, f *fixture, version int) {
		f.exec(t, 1, `INSERT INTO catalog_changes (version, changed_at, kind, document) VALUES (%d, %s, 'action_type', '{}')`, version, f.Time(start.UnixMicro()))
	}
	return []damage{
		{name: "None", do: func(testing.TB, *fixture) {}},
		set(1, "document", `'{"n":2}'`), set(2, "document", "document || ' '"), set(4, "document", "''"), set(2, "kind", "'workflow'"),
		set(3, "kind", "'event_type'"), set(2, "workflow_id", "NULL"),
		{name: "changed_at", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE catalog_changes SET changed_at = %s WHERE version = 3`, f.Time(start.UnixMicro()))
		}, want: one(ledger.AlteredChange, "changed_at", size+2)},
		{name: "AnotherWorkflow", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE catalog_changes SET workflow_id = %s WHERE version = 2`, f.ID(ID(1)))
		}, want: one(ledger.AlteredChange, "workflow_id", size+1)},
		remove("FirstDeleted", "version = 1", 1), remove("Deleted", "version = 2", 2), remove("LastDeleted", "version = 4", 4),
		remove("TailDeleted", "version > 2", 3, 4), remove("AllDeleted", "version > 0", 1, 2, 3, 4),
		{name: "Added", do: func(t testing.TB, f *fixture) { add(t, f, 5) }, want: one(ledger.ChangeWithoutEvent, "", -1)},
		{name: "AddedBehindAGap", do: func(t testing.TB, f *fixture) { add(t, f, 1_000_000_000_000) }, want: []fault{
			{ledger.ChangeWithoutEvent, "", -1}, {ledger.MissingChange, "", -1},
		}},
		{name: "Moved", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE catalog_changes SET version = 7 WHERE version = 4`)
		}, want: []fault{{ledger.ChangeWithoutEvent, "", -1}, {ledger.MissingChange, "", size + 3}}},
		{name: "EventAltered", do: func(t testing.TB, f *fixture) {
			f.exec(t, 1, `UPDATE events SET body = replace(body, 'alice', 'malloc') WHERE log_index = %d`, size+1)
		}, want: one(ledger.AlteredBody, "", size+1)},
		{name: "EventOfAnotherStore", do: func(t testing.TB, f *fixture) {
			// The record of a change that was committed elsewhere, and imported here a day later.
			_, records := changesOf()
			e, err := datastorage.ParseBody(records[3].Body)
			if err != nil {
				t.Fatal(err)
			}
			e.ID, e.Data = ID(100), []byte(fmt.Sprintf(`{"catalog_version":9,"document_sha256":"%064d"}`, 1))
			f.change(t, nil, []*datastorage.Record{datastorage.NewRecord(*e, [datastorage.SaltSize]byte{9})}, start.Add(24*time.Hour))
		}},
	}
}
