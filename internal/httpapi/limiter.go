package httpapi

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxClients is how many client addresses the limiter remembers. Beyond it, the idle ones are forgotten, then all.
const maxClients = 10_000

// limiter bounds the requests per second of each client address.
type limiter struct {
	rate  rate.Limit
	burst int
	now   func() time.Time

	mu      sync.Mutex
	clients map[string]*rate.Limiter
}

func newLimiter(perSecond float64, burst int, now func() time.Time) *limiter {
	return &limiter{rate: rate.Limit(perSecond), burst: max(burst, 1), now: now, clients: map[string]*rate.Limiter{}}
}

// wait takes one request of client and returns 0, or how long the client must wait before the next one.
func (l *limiter) wait(client string) time.Duration {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	lim := l.clients[client]
	if lim == nil {
		l.makeRoom(now)
		lim = rate.NewLimiter(l.rate, l.burst)
		l.clients[client] = lim
	}
	r := lim.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (l *limiter) makeRoom(now time.Time) {
	if len(l.clients) < maxClients {
		return
	}
	for client, lim := range l.clients {
		if lim.TokensAt(now) >= float64(l.burst) {
			delete(l.clients, client)
		}
	}
	if len(l.clients) == maxClients {
		clear(l.clients)
	}
}
