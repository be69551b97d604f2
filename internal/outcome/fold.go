package outcome

import (
	"context"

	"github.com/datastorage-io/datastorage/internal/project"
)

// fold is what the outcomes of a batch touch: their correlations and executions, as stored and as they become. Of each it
// holds only what counts, never the events that came before.
type fold struct {
	correlations map[string]*correlation
	executions   map[string]*execution
	// inOrder and named are the ids of both, in the order in which they came.
	inOrder, named []string

	rows    rowSet // of executionsTable
	shadows rowSet // of shadowsTable
}

// correlation is one correlation_id and the executions that its outcomes name.
type correlation struct {
	id string
	// sole is the one execution that its outcomes name; "" when they name none, or several.
	sole    string
	several bool
	// floating is what counts of its outcomes that name no execution.
	floating *Outcome

	was struct {
		sole    string
		several bool
	}
}

// name notes that an outcome of the correlation names an execution.
func (c *correlation) name(executionID string) {
	switch {
	case c.several || c.sole == executionID:
	case c.sole == "":
		c.sole = executionID
	default:
		c.sole, c.several = "", true
	}
}

// execution is one workflow_execution_id.
type execution struct {
	id string
	// own is what counts of the outcomes that name it.
	own *Outcome
	// home is the one correlation whose outcomes name it; "" when several do.
	home    string
	several bool
	changed bool
}

// name notes that an outcome of a correlation names the execution.
func (x *execution) name(correlationID string) {
	switch {
	case x.several || x.own != nil && x.home == correlationID:
	case x.own == nil:
		x.home = correlationID
	default:
		x.home, x.several = "", true
	}
}

// rowSet is the rows of a table as they were and as they become.
type rowSet struct {
	table  string
	before map[string]*record
	after  map[string]*record // nil for a row that goes
	order  []string
}

// put says what a row becomes; nil removes it.
func (s *rowSet) put(id string, r *record) {
	if _, ok := s.after[id]; !ok {
		s.order = append(s.order, id)
	}
	s.after[id] = r
}

// store writes the rows that changed.
func (s *rowSet) store(ctx context.Context, tx project.Tx) error {
	var changed []*record
	var gone []string
	for _, id := range s.order {
		was, is := s.before[id], s.after[id]
		switch {
		case is == nil && was != nil:
			gone = append(gone, id)
		case is != nil && (was == nil || *was != *is):
			changed = append(changed, is)
		}
	}
	if err := remove(ctx, tx, s.table, gone); err != nil {
		return err
	}
	return store(ctx, tx, s.table, changed)
}

// loadFold reads what is stored of the correlations and executions of some outcomes.
func loadFold(ctx context.Context, tx project.Tx, outcomes []Outcome) (*fold, error) {
	f := &fold{correlations: map[string]*correlation{}, executions: map[string]*execution{}}
	for i := range outcomes {
		o := &outcomes[i]
		if f.correlations[o.CorrelationID] == nil {
			f.correlations[o.CorrelationID] = &correlation{id: o.CorrelationID}
			f.inOrder = append(f.inOrder, o.CorrelationID)
		}
		f.expect(o.ExecutionID)
	}
	err := project.QueryIn(ctx, tx, "SELECT id, execution_id, several FROM "+correlationsTable+" WHERE id IN", f.inOrder,
		func(r project.Row) error {
			c := f.correlations[r.Text(0)]
			c.sole, c.several = r.Text(1), r.Int(2) != 0
			c.was.sole, c.was.several = c.sole, c.several
			f.expect(c.sole)
			return nil
		})
	if err == nil {
		err = f.loadRows(ctx, tx)
	}
	return f, err
}

// expect adds an execution to those that are loaded.
func (f *fold) expect(id string) {
	if id != "" && f.executions[id] == nil {
		f.executions[id] = &execution{id: id}
		f.named = append(f.named, id)
	}
}

// loadRows reads the rows of correlations and executions, and the shadows of those that have one.
func (f *fold) loadRows(ctx context.Context, tx project.Tx) error {
	var ids, shadows []string
	for _, id := range f.inOrder {
		if c := f.correlations[id]; c.sole == "" {
			ids = append(ids, correlationRow(id))
		} else {
			shadows = append(shadows, correlationRow(id))
		}
	}
	for _, id := range f.named {
		ids = append(ids, executionRow(id))
	}
	before, err := load(ctx, tx, executionsTable, ids)
	if err != nil {
		return err
	}
	for _, id := range f.named {
		if r := before[executionRow(id)]; r != nil && r.flags&shadowed != 0 {
			shadows = append(shadows, r.id)
		}
	}
	shadowsBefore, err := load(ctx, tx, shadowsTable, shadows)
	if err != nil {
		return err
	}
	f.rows = rowSet{table: executionsTable, before: before, after: map[string]*record{}}
	f.shadows = rowSet{table: shadowsTable, before: shadowsBefore, after: map[string]*record{}}
	for _, c := range f.correlations {
		c.floating = f.stored(correlationRow(c.id))
	}
	for _, x := range f.executions {
		x.own = f.stored(executionRow(x.id))
		if r := before[executionRow(x.id)]; r != nil {
			x.home, x.several = r.link, r.flags&severalHomes != 0
		}
	}
	return nil
}

// stored returns what counts of the outcomes of a row alone: its shadow, when it has one.
func (f *fold) stored(id string) *Outcome {
	if r := f.shadows.before[id]; r != nil {
		return &r.Outcome
	}
	if r := f.rows.before[id]; r != nil {
		return &r.Outcome
	}
	return nil
}

// add adds one outcome.
func (f *fold) add(o *Outcome) {
	c := f.correlations[o.CorrelationID]
	if o.ExecutionID == "" {
		c.floating = merge(c.floating, o)
		return
	}
	x := f.executions[o.ExecutionID]
	c.name(x.id)
	x.name(c.id)
	x.own = merge(x.own, o)
	x.changed = true
}

// finish places what the correlations hold, works out what counts of each execution, and stores what changed.
func (f *fold) finish(ctx context.Context, tx project.Tx) error {
	if err := f.storeCorrelations(ctx, tx); err != nil {
		return err
	}
	for _, id := range f.inOrder {
		f.place(f.correlations[id])
	}
	// Executions that several correlations name look for what joined them among the stored shadows.
	if err := f.shadows.store(ctx, tx); err != nil {
		return err
	}
	own := rowSet{table: shadowsTable, before: f.shadows.before, after: map[string]*record{}}
	for _, id := range f.named {
		x := f.executions[id]
		if !x.changed {
			continue
		}
		if err := f.settle(ctx, tx, x, &own); err != nil {
			return err
		}
	}
	if err := own.store(ctx, tx); err != nil {
		return err
	}
	if err := f.rows.store(ctx, tx); err != nil {
		return err
	}
	d := newDeltas()
	for _, id := range f.rows.order {
		d.replace(f.rows.before[id].outcome(), f.rows.after[id].outcome())
	}
	return d.store(ctx, tx)
}

// outcome returns what a row holds; nil for no row.
func (r *record) outcome() *Outcome {
	if r == nil {
		return nil
	}
	return &r.Outcome
}

// storeCorrelations writes what changed of which executions the correlations name.
func (f *fold) storeCorrelations(ctx context.Context, tx project.Tx) error {
	var rows []any
	for _, id := range f.inOrder {
		c := f.correlations[id]
		if c.sole == c.was.sole && c.several == c.was.several {
			continue
		}
		several := int64(0)
		if c.several {
			several = 1
		}
		rows = append(rows, c.id, c.sole, several)
	}
	return project.Insert(ctx, tx, "INSERT INTO "+correlationsTable+" (id, execution_id, several)",
		"ON CONFLICT (id) DO UPDATE SET execution_id = excluded.execution_id, several = excluded.several", 3, rows)
}

// place puts the outcomes of a correlation that name no execution where they belong: into the shadows when they join an
// execution, else into a row of their own.
func (f *fold) place(c *correlation) {
	if c.floating == nil {
		return
	}
	row := &record{id: correlationRow(c.id), Outcome: *c.floating}
	if c.was.sole != "" && c.was.sole != c.sole {
		f.executions[c.was.sole].changed = true
	}
	if c.sole == "" {
		f.shadows.put(row.id, nil)
		f.rows.put(row.id, row)
		return
	}
	row.link = c.sole
	f.shadows.put(row.id, row)
	f.rows.put(row.id, nil)
	f.executions[c.sole].changed = true
}

// settle works out what counts of an execution: the outcomes that name it and those that joined it.
func (f *fold) settle(ctx context.Context, tx project.Tx, x *execution, own *rowSet) error {
	joined, err := f.joined(ctx, tx, x)
	if err != nil {
		return err
	}
	id := executionRow(x.id)
	row := &record{id: id, link: x.home, Outcome: *merge(x.own, joined)}
	if x.several {
		row.flags |= severalHomes
	}
	if row.Outcome == *x.own {
		own.put(id, nil)
	} else {
		row.flags |= shadowed
		own.put(id, &record{id: id, Outcome: *x.own})
	}
	f.rows.put(id, row)
	return nil
}

// joined returns what counts of the outcomes that joined an execution.
func (f *fold) joined(ctx context.Context, tx project.Tx, x *execution) (*Outcome, error) {
	if !x.several {
		// Only a correlation that names the execution can have outcomes that join it, and this one is loaded: it has an
		// outcome in the batch.
		if home := f.correlations[x.home]; home.sole == x.id {
			return home.floating, nil
		}
		return nil, nil
	}
	var latest *Outcome
	err := tx.Query(ctx, "SELECT "+outcomeColumns+" FROM "+shadowsTable+" WHERE link = ? ORDER BY at DESC, log_index DESC LIMIT 1",
		[]any{x.id}, func(r project.Row) error {
			latest = &scanRecord(r).Outcome
			return nil
		})
	if err != nil || latest == nil {
		return nil, err
	}
	err = tx.Query(ctx, "SELECT min(started) FROM "+shadowsTable+" WHERE link = ?", []any{x.id}, func(r project.Row) error {
		latest.Started = r.Int(0)
		return nil
	})
	return latest, err
}
