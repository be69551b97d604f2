package project

import "context"

// Store keeps the tables of projections and their registry, the table projections. It knows neither of generations nor of
// what the tables hold: a Tx of a store replaces everything in a statement but {g}. Its methods may be called
// concurrently.
type Store interface {
	// Update calls f in a transaction that writes, and commits it unless f fails. Errors of f are returned as they are.
	// After any other error the transaction may be stored all the same. What is stored may be lost in a crash of the
	// store, together with all that was stored after it.
	Update(ctx context.Context, f func(tx Tx) error) error
	// Snapshot calls f in a transaction that reads one state of all tables, within the time-out of queries. Errors of f are
	// returned as they are; all others, those of its Tx too, are *datastorage.Error with CodeUnavailable.
	Snapshot(ctx context.Context, f func(tx Tx) error) error
	// Analyze has the planner of the store know what tables hold that were made at once.
	Analyze(ctx context.Context, tx Tx, tables []string) error
	// Lead calls f while no other process, and no other call, leads under the same name: lower-case letters and hyphens. It
	// returns false at once when another leads. The context of f ends when the lead is lost.
	Lead(ctx context.Context, name string, f func(ctx context.Context) error) (led bool, err error)
	// Close ends all connections.
	Close() error
}
