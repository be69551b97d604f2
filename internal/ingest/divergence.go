package ingest

import "fmt"

// divergence says that the store's log is not a continuation of the acknowledged one.
type divergence struct {
	size  int64 // acknowledged
	found int64 // in the store
}

func (d *divergence) Error() string {
	if d.found < d.size {
		return fmt.Sprintf("the log has %d events, but %d were acknowledged", d.found, d.size)
	}
	return fmt.Sprintf("the log of %d events differs from the acknowledged one of %d events", d.found, d.size)
}
