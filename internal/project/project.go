// Package project follows the log and keeps what is derived from it: projections, each with tables of its own. A
// projection can be dropped and built again from the log at any time; events and ledger are the truth.
package project

import (
	"context"
	"errors"
	"time"

	"github.com/datastorage-io/datastorage"
)

// Event is one event of the log as projections read it.
type Event struct {
	datastorage.EventHeader
	// Body is the event's canonical body; it may be nil unless the projection's Bodies ask for it.
	Body []byte
	// Number is the event's place among those of its producer; nil where the log has not looked for it in the body.
	Number *Number
}

// Number is a place among the events of a producer; the zero Number is that of an event that has none.
type Number struct {
	ProducerID  string
	ProducerSeq int64
}

// Bodies says which events come with their body: those that any of its parts names. Others may come with theirs too, since
// one read of the log serves several projections. Reading headers alone is what keeps following cheap.
type Bodies struct {
	Types      []string // event types; a trailing * matches a prefix
	Categories []string // event categories
	// Members are names of members of the body, such as producer_id: an event whose body holds the name at any depth comes
	// with its body.
	Members []string
}

// Batch is a piece of the log, in order of LogIndex. Removed events are left out.
type Batch struct {
	Events []Event
	// Next is where the next batch begins: the log_index behind the last commit that was read whole.
	Next int64
	// Size is the size of the log when the batch was read; Next == Size says that nothing is behind it.
	Size int64
	// CommittedAt is when the last commit of the batch was stored, by its committer's clock; zero for an empty batch.
	CommittedAt time.Time
}

// Log is the log as a follower reads it.
type Log interface {
	// Follow reads whole commits from the one that begins at from, until limit events are reached; at least one commit
	// when there is one. A from that no commit begins with, and that is not the end of the log, is ErrPosition. It keeps no
	// transaction open behind its return.
	Follow(ctx context.Context, from int64, limit int, bodies Bodies) (Batch, error)
}

// ErrPosition says that no commit of the log begins where a follower stands: what it holds was made from another log.
var ErrPosition = errors.New("no commit of the log begins at this position")

// Tx is a transaction on the tables of projections. Statements are written once for every store: arguments are ?, and of
// the types int64, float64, string, []byte and nil; columns are bigint, double precision, bytea and {text}, which
// stands for a text column that compares byte by byte. {g} in a statement stands for the number of the generation of the
// projection's tables, so that two generations stand beside each other. {keyed} behind the columns of CREATE TABLE has a
// store that can do so keep the rows in the primary key itself: for small rows that are found by their key. Calls end when
// the context of the transaction ends, whatever theirs is.
type Tx interface {
	// Exec runs a statement and returns how many rows it changed.
	Exec(ctx context.Context, statement string, args ...any) (int64, error)
	// Query runs a statement and calls each with every row, which is only valid during the call. Each runs no statements. An
	// error of each ends the Query and is returned.
	Query(ctx context.Context, statement string, args []any, each func(Row) error) error
}

// Row is one row of a result. Columns are counted from 0. NULL reads as 0, "" and nil.
type Row interface {
	Int(column int) int64
	Float(column int) float64
	Text(column int) string
	Bytes(column int) []byte
	IsNull(column int) bool
}

// Projection is what derives tables from the log. Its methods are called by one goroutine at a time for each generation.
type Projection interface {
	// Name is what commands and metrics call it: lower-case letters and hyphens.
	Name() string
	// Version changes with what Schema or Apply make of the log: tables of another version are built again beside the
	// old ones, which serve no reads meanwhile.
	Version() int
	// Bodies says which bodies Apply reads.
	Bodies() Bodies
	// Schema are the statements that create the tables of a generation, a statement each. Every table and index is named
	// p_<name>_..._{g}, hyphens as underscores.
	Schema() []string
	// Tables are the tables that Schema creates, with {g}, in an order in which they can be dropped.
	Tables() []string
	// Apply adds events, which follow what was applied before in the order of the log. Position and rows are stored in
	// the same transaction: no event is applied twice or left out.
	Apply(ctx context.Context, tx Tx, events []Event) error
}

// View reads the tables of projections.
type View interface {
	// View calls f with one snapshot of the live tables of a projection and the position up to which they hold the log
	// (the events with log_index < position). Errors are *datastorage.Error with CodeUnavailable when the store cannot be
	// reached, took too long, or the projection is being built for the first time; those of f are returned as they are.
	View(ctx context.Context, name string, f func(tx Tx, position int64) error) error
}
