package producers

import (
	"context"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// MaxGaps is how many gaps of a producer are listed; all are counted.
const MaxGaps = 10_000

// Producer is what is known of the numbers of one producer_id.
type Producer struct {
	ID string
	// Lowest and Highest are the least and the greatest producer_seq that arrived.
	Lowest, Highest int64
	// Events counts the events of the producer, Repeats those of them whose number was there before.
	Events, Repeats int64
	// Missing counts the numbers between Lowest and Highest that have not arrived, Gaps the ranges that they make.
	Missing, Gaps int64
	// LastTime is the greatest event_timestamp of its events, LastIndex the log_index of the last one that was stored.
	LastTime  time.Time
	LastIndex int64

	lastTime int64
}

// Range is a range of numbers, both ends included.
type Range struct{ First, Last int64 }

// Repeat is an event whose number was there before.
type Repeat struct{ Seq, LogIndex int64 }

// Details are the gaps and the repeats of a producer.
type Details struct {
	Producer
	// Ranges are the first MaxGaps ranges that are missing, in order.
	Ranges []Range
	// Repeated are the first MaxRepeats events with a number that was there before, in order of the log.
	Repeated []Repeat
}

// Query selects producers.
type Query struct {
	// Incomplete selects producers with gaps or repeats alone.
	Incomplete bool
	// Limit is the page size, 1 to datastorage.MaxLimit; After is the last producer_id of the page before, "" at the beginning.
	Limit int
	After string
}

// Page is one page of producers, by producer_id.
type Page struct {
	Producers []Producer
	// HasMore says that another match follows.
	HasMore bool
}

// Reader reads the projection.
type Reader struct{ view project.View }

// NewReader returns a reader of a view of the projection.
func NewReader(view project.View) *Reader { return &Reader{view} }

const columns = `producer_id, lowest, highest, events, missing, gaps, repeats, last_time, last_index`

func scan(r project.Row) Producer {
	return Producer{
		ID: r.Text(0), Lowest: r.Int(1), Highest: r.Int(2), Events: r.Int(3), Missing: r.Int(4), Gaps: r.Int(5), Repeats: r.Int(6),
		LastTime: time.UnixMicro(r.Int(7)).UTC(), LastIndex: r.Int(8), lastTime: r.Int(7),
	}
}

// find reads the row of a producer.
func find(ctx context.Context, tx project.Tx, id string) (p Producer, known bool, err error) {
	p.ID = id
	err = tx.Query(ctx, `SELECT `+columns+` FROM p_producers_{g} WHERE producer_id = ?`, []any{id}, func(r project.Row) error {
		p, known = scan(r), true
		return nil
	})
	return p, known, err
}

// Producers returns one page. Errors have CodeUnavailable.
func (r *Reader) Producers(ctx context.Context, q Query) (page Page, err error) {
	incomplete := ""
	if q.Incomplete {
		incomplete = ` AND (missing > 0 OR repeats > 0)`
	}
	err = r.view.View(ctx, name, func(tx project.Tx, _ int64) error {
		page = Page{}
		return tx.Query(ctx, `SELECT `+columns+` FROM p_producers_{g} WHERE producer_id > ?`+incomplete+` ORDER BY producer_id LIMIT ?`,
			[]any{q.After, int64(q.Limit) + 1}, func(r project.Row) error {
				page.Producers = append(page.Producers, scan(r))
				return nil
			})
	})
	if err != nil {
		return Page{}, err
	}
	if len(page.Producers) > q.Limit {
		page.Producers, page.HasMore = page.Producers[:q.Limit], true
	}
	return page, nil
}

// Details returns the gaps and repeats of one producer. Errors are *datastorage.Error: CodeNotFound when no event names it.
func (r *Reader) Details(ctx context.Context, id string) (d Details, err error) {
	err = r.view.View(ctx, name, func(tx project.Tx, _ int64) error {
		p, known, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		if !known {
			return datastorage.Errorf(datastorage.CodeNotFound, "no event has this producer_id")
		}
		d = Details{Producer: p}
		err = tx.Query(ctx, `SELECT first, last FROM p_producers_gaps_{g} WHERE producer_id = ? ORDER BY last LIMIT ?`,
			[]any{id, int64(MaxGaps)}, func(r project.Row) error {
				d.Ranges = append(d.Ranges, Range{r.Int(0), r.Int(1)})
				return nil
			})
		if err != nil {
			return err
		}
		return tx.Query(ctx, `SELECT seq, log_index FROM p_producers_repeats_{g} WHERE producer_id = ? ORDER BY log_index`,
			[]any{id}, func(r project.Row) error {
				d.Repeated = append(d.Repeated, Repeat{r.Int(0), r.Int(1)})
				return nil
			})
	})
	if err != nil {
		return Details{}, err
	}
	return d, nil
}
