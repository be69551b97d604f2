package httpapi

import (
	"sync/atomic"

	"github.com/datastorage-io/datastorage"
)

// budget bounds the bytes of request bodies that are in memory at once.
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
