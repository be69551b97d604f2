package httpapi

import (
	"sync/atomic"

	"github.com/datastorage-io/datastorage"
)

// requestCost is the memory that a request takes beside its body once that is there, in bytes: a stack, the header, buffers
// of the connection, and the event while it is decoded and waits. Before, only what has arrived counts, so that clients that
// are slow cannot take the room of others.
const requestCost = 28 << 10

// budget bounds the memory of the requests with a body that are under way at once, in bytes.
type budget struct {
	limit int64
	used  atomic.Int64
}

// take reserves n bytes for a call until it is answered; CodeUnavailable when that is more than there is. One call alone
// may always go on.
func (b *budget) take(c *call, n int64) error {
	if used := b.used.Add(n); used > b.limit && used > c.taken+n {
		b.used.Add(-n)
		return datastorage.Errorf(datastorage.CodeUnavailable, "the server is full; try again later")
	}
	c.taken += n
	return nil
}

// giveBack returns what a call has taken.
func (b *budget) giveBack(c *call) {
	if c.taken > 0 {
		b.used.Add(-c.taken)
		c.taken = 0
	}
}
