// Package ingest takes decoded events to durable, sequenced commits: it completes them, queues them, and commits
// whatever waits in one transaction.
package ingest

import (
	"context"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// Store is the durable side of the committer. All methods may be called concurrently; the committer has at most one
// Commit or CommitLocked under way.
type Store interface {
	// Head reads the end of the log. It sees every commit that was acknowledged before the call, by any replica.
	Head(ctx context.Context) (ledger.Head, error)

	// Commit stores c and w in one transaction, durable (fsync'd) and visible to every later read when it returns nil.
	// The log must end at c.FirstIndex: the primary key of ledger_commits is the compare-and-swap; and unless FirstIndex
	// is 0, the row at c.PrevFirst must end there with root c.PrevRoot, which the same transaction checks. Errors:
	//   - ledger.ErrHeadMoved, ledger.ErrDuplicateID, datastorage.ErrCatalogMoved: nothing was stored. The first comes before
	//     the others: they say that the log does end at c.FirstIndex.
	//   - ledger.ErrOutcomeUnknown: see there; calling Commit again with the same arguments is safe, and then
	//     ErrHeadMoved may mean that the first call succeeded (compare CommitAt's root).
	//   - a *datastorage.Error with CodeUnavailable: nothing was stored, the same call may succeed later.
	//   - any other error: nothing was stored, and the content is to blame.
	// A COMMIT that was sent is never cancelled, whatever ctx says.
	Commit(ctx context.Context, c *ledger.Commit, w *datastorage.Write) error

	// CommitLocked is Commit for a log that others write to as well: in one transaction it keeps every other
	// CommitLocked out, reads the head, calls build for the commit that follows it, and stores that. build may append to
	// w what has come meanwhile. An error of build is returned as it is and nothing is stored. ledger.ErrHeadMoved is still possible: Commit does not take the lock.
	CommitLocked(ctx context.Context, build func(ledger.Head) (*ledger.Commit, error), w *datastorage.Write) error

	// CommitAt reads the commit with that first_index, without its entries; nil when there is none.
	CommitAt(ctx context.Context, firstIndex int64) (*ledger.Commit, error)

	// CommitOf reads the commit that holds the event with that log_index, without its entries; nil when there is none.
	CommitOf(ctx context.Context, logIndex int64) (*ledger.Commit, error)

	// Find returns the log_index of each of ids that was ever stored, removed events included.
	Find(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]int64, error)

	// Event reads one event. The error has CodeNotFound when the id was never stored or the event was removed.
	Event(ctx context.Context, id uuid.UUID) (datastorage.StoredEvent, error)
}
