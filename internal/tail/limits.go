package tail

import "time"

// Limits bound what readers may cost. All must be positive.
type Limits struct {
	Readers int // readers at once; beyond it Open fails with CodeUnavailable

	RingEvents int // events that are kept for readers that are not behind
	RingBytes  int // bytes of them, encoded, with what their headers take

	// CatchUps is how many readers may hold a piece from the store at once; others behind the ring wait for their turn.
	CatchUps int
	// PieceBytes is about what a reader is sent at once; one event may be larger.
	PieceBytes int
	// StoreBytes is about what one read of the log returns. Reads ask for a number of events that is adapted to it.
	StoreBytes int
	// StoreEvents is the greatest number of events that one read of the log asks for.
	StoreEvents int

	// Poll is how often the log is looked at when no commit of this process says that there is something new.
	Poll time.Duration
	// Pace is the shortest time between two pieces that readers are woken for, so that many small commits wake them once.
	Pace time.Duration
	// Heartbeat is how often a reader is told its position.
	Heartbeat time.Duration
	// Patience is how long a reader may take for a piece before it is sent away as too slow.
	Patience time.Duration
	// CatchUpTime is how long a reader may hold a piece from the store before it is sent away as too slow.
	CatchUpTime time.Duration
	// RetryAfter is how long a read waits that failed because the store cannot be reached.
	RetryAfter time.Duration
	// Reconnect is how long clients are told to wait before they connect again.
	Reconnect time.Duration
}

// DefaultLimits are the limits of a server with that many readers.
func DefaultLimits(readers int) Limits {
	return Limits{
		Readers: readers, RingEvents: 8192, RingBytes: 16 << 20,
		CatchUps: 4, PieceBytes: 32 << 10, StoreBytes: 1 << 20, StoreEvents: 2000,
		Poll: 150 * time.Millisecond, Pace: 15 * time.Millisecond, Heartbeat: 15 * time.Second,
		Patience: 5 * time.Second, CatchUpTime: 30 * time.Second, RetryAfter: time.Second, Reconnect: 2 * time.Second,
	}
}

// fewEvents is what the first read of the log asks for: events can be large, and nothing is known of their size yet.
const fewEvents = 64

// adapt returns the number of events that the next read asks for, after one that asked for asked and returned so many bytes.
func (l *Limits) adapt(asked, bytes int) int {
	switch {
	case bytes > l.StoreBytes:
		return max(1, asked/2)
	case bytes < l.StoreBytes/4:
		return min(l.StoreEvents, asked*2)
	}
	return asked
}
