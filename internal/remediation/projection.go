package remediation

import (
	"context"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"

	"github.com/datastorage-io/datastorage/internal/project"
)

// Name is the name of the projection.
const Name = "remediations"

// schemaVersion changes with what the columns hold.
const schemaVersion = 2

// Projection keeps one row for each remediation: what its events say, with the place in the log of each. It implements
// project.Projection.
type Projection struct{}

// Name implements project.Projection.
func (Projection) Name() string { return Name }

// Version implements project.Projection. It changes with the facts that are stored.
func (Projection) Version() int {
	h := crc32.NewIEEE()
	fmt.Fprintln(h, schemaVersion)
	for _, r := range table() {
		if r.Stored {
			fmt.Fprintln(h, r)
		}
	}
	return int(h.Sum32())
}

// Bodies implements project.Projection.
func (Projection) Bodies() project.Bodies {
	var b project.Bodies
	for _, r := range table() {
		for i := range r.From {
			s := &r.From[i]
			if !r.Stored {
				continue
			}
			if s.Event != "" && !slices.Contains(b.Types, s.Event) {
				b.Types = append(b.Types, s.Event)
			}
			if s.Category != "" && !slices.Contains(b.Categories, s.Category) {
				b.Categories = append(b.Categories, s.Category)
			}
		}
	}
	return b
}

const (
	rowsTable = "p_remediations_{g}"
	columns   = "correlation_id, target_kind, target_name, target_namespace, owner_kind, owner_name, owner_namespace, cluster, " +
		"at, log_index, flags, pre_hash, post_hash, facts"
)

// Flags of a remediation.
const (
	flagActed = 1 << iota // a workflow was chosen
	flagSame              // the object to be repaired is the target, and stands there alone
)

// Schema implements project.Projection. Remediations are found by the object that the signal was about (target_…), and by
// the one that the analysis chose to repair (owner_…). Kinds are in lower case. at is when the remediation was completed,
// or else its latest event.
func (Projection) Schema() []string {
	return []string{
		"CREATE TABLE " + rowsTable + ` (
	correlation_id   {text} NOT NULL PRIMARY KEY,
	target_kind      {text} NOT NULL,
	target_name      {text} NOT NULL,
	target_namespace {text} NOT NULL,
	owner_kind       {text} NOT NULL,
	owner_name       {text} NOT NULL,
	owner_namespace  {text} NOT NULL,
	cluster          {text} NOT NULL,
	at               bigint NOT NULL,
	log_index        bigint NOT NULL,
	flags            bigint NOT NULL,
	pre_hash         {text} NOT NULL,
	post_hash        {text} NOT NULL,
	facts            bytea  NOT NULL
)`,
		"CREATE INDEX p_remediations_target_{g} ON " + rowsTable + " (target_name, target_namespace, target_kind, cluster, at)",
		"CREATE INDEX p_remediations_owner_{g} ON " + rowsTable + " (owner_name, owner_namespace, owner_kind, cluster, at)",
	}
}

// Tables implements project.Projection.
func (Projection) Tables() []string { return []string{rowsTable} }

// saying is an event that stored facts may come from, and what may be read of it.
type saying struct {
	event    *project.Event
	readings []reading
	next     int // the next one of its remediation; 0 for none
}

// said is what the events of a batch say of a remediation: the first saying and the last one.
type said struct{ first, last int }

// Apply implements project.Projection.
func (Projection) Apply(ctx context.Context, tx project.Tx, events []project.Event) error {
	sayings, byID := sayingsOf(events)
	if len(byID) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(byID))
	known, err := loadEncoded(ctx, tx, ids)
	if err != nil {
		return err
	}
	var (
		rows  []any
		facts = Facts{storedOnly: true}
		room  members
	)
	for _, id := range ids {
		facts.forget()
		room.made = room.made[:0]
		if encoded := known[id]; encoded != nil {
			if err := facts.decode(encoded); err != nil {
				return err
			}
		}
		says := false
		for i := byID[id].first; i != 0; i = sayings[i].next {
			says = facts.add(sayings[i].event, sayings[i].readings, &room) || says
		}
		if says {
			rows = facts.appendRow(rows, id)
		}
	}
	return store(ctx, tx, rows)
}

// sayingsOf finds the events that something is read of, by remediation. The first saying is none.
func sayingsOf(events []project.Event) ([]saying, map[string]said) {
	kinds := map[eventKind][]reading{}
	sayings, byID := []saying{{}}, map[string]said{}
	for i := range events {
		e := &events[i]
		kind := eventKind{e.Type, e.Category, true}
		readings, ok := kinds[kind]
		if !ok {
			readings = readingsOf(e.Type, e.Category, true)
			kinds[kind] = readings
		}
		if len(readings) == 0 {
			continue
		}
		at, is := len(sayings), byID[e.CorrelationID]
		sayings = append(sayings, saying{event: e, readings: readings})
		if is.first == 0 {
			is.first = at
		} else {
			sayings[is.last].next = at
		}
		is.last = at
		byID[e.CorrelationID] = is
	}
	return sayings, byID
}

// load reads what is known of remediations.
func load(ctx context.Context, tx project.Tx, ids []string) (map[string]*Facts, error) {
	encoded, err := loadEncoded(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*Facts, len(encoded))
	for id, b := range encoded {
		f := &Facts{storedOnly: true}
		if err := f.decode(b); err != nil {
			return nil, err
		}
		found[id] = f
	}
	return found, nil
}

// loadEncoded reads what is known of remediations, as it is stored.
func loadEncoded(ctx context.Context, tx project.Tx, ids []string) (map[string][]byte, error) {
	found := make(map[string][]byte, len(ids))
	const statement = "SELECT correlation_id, facts FROM " + rowsTable + " WHERE correlation_id IN"
	err := project.QueryIn(ctx, tx, statement, ids, func(r project.Row) error {
		found[r.Text(0)] = slices.Clone(r.Bytes(1))
		return nil
	})
	return found, err
}

// store inserts rows or puts them in the place of those that are there.
func store(ctx context.Context, tx project.Tx, rows []any) error {
	all := strings.Split(columns, ", ")
	var set []string
	for _, name := range all[1:] {
		set = append(set, name+" = excluded."+name)
	}
	return project.Insert(ctx, tx, "INSERT INTO "+rowsTable+" ("+columns+")",
		"ON CONFLICT (correlation_id) DO UPDATE SET "+strings.Join(set, ", "), len(all), rows)
}

// appendRow appends the row of a remediation, in the order of columns.
func (f *Facts) appendRow(to []any, id string) []any {
	target, owner := f.target("target"), f.target("remediation_target")
	var flags int64
	if _, ok := f.Get("workflow_id"); ok {
		flags |= flagActed
	}
	if owner == target && owner.Name != "" {
		flags |= flagSame
		owner = Target{}
	}
	latest := int64(0)
	for i := range f.known {
		latest = max(latest, f.known[i].LogIndex)
	}
	return append(to,
		id, strings.ToLower(target.Kind), target.Name, target.Namespace, strings.ToLower(owner.Kind), owner.Name, owner.Namespace,
		f.Text("cluster"), f.at().UnixMicro(), latest, flags,
		f.Text("pre_remediation_spec_hash"), f.Text("post_remediation_spec_hash"), f.encode(),
	)
}

func (f *Facts) target(name string) Target {
	fact, _ := f.Get(name)
	return fact.Target()
}
