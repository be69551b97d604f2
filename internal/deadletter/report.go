package deadletter

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Report says where acknowledged events wait: the queue on the disk of one server.
type Report struct {
	// Replica is the queue's own identifier, which stays the same when the directory moves to another host.
	Replica uuid.UUID
	// Host and DataDir say where the queue was when the report was made.
	Host, DataDir string
	// Depth and Quarantined count the messages that wait and the letters; Bytes is what the queue takes on disk.
	Depth, Quarantined, Bytes int64
	// Oldest is the QueuedAt of the first message that waits; zero when none does.
	Oldest time.Time
	// UpdatedAt is when the report was made, by the clock of its server.
	UpdatedAt time.Time
}

// Reports keeps what servers that share a store tell of their queues. The errors have datastorage.CodeUnavailable; calling
// again is safe.
type Reports interface {
	// PutQueueReport stores the report of its replica in place of the one before.
	PutQueueReport(ctx context.Context, r *Report) error
	// RemoveQueueReport removes the report of a replica, if there is one.
	RemoveQueueReport(ctx context.Context, replica uuid.UUID) error
}

// Pace of the reports.
const (
	// lookEvery is how often a reporter looks at the queue.
	lookEvery = time.Second
	// reportEvery is how often it tells of a queue that goes on to hold something.
	reportEvery = 10 * time.Second
	// reportTimeout bounds the writing of one report, and so the end of a reporter.
	reportTimeout = 2 * time.Second
)

// Reporter tells the other servers of a store, and whoever operates them, that the queue of this one holds acknowledged
// events. It is no part of any write.
type Reporter struct {
	queue   Queue
	reports Reports
	place   Report
	away    func() bool
	log     *slog.Logger
	cancel  context.CancelFunc
	done    chan struct{}

	told   bool      // the store has what follows
	holds  bool      // as told
	at     time.Time // when it was told
	failed bool      // the last attempt failed
}

// NewReporter starts to report on a queue; place says whose and where it is. While away is true the store cannot take
// reports, and they wait. Close ends it.
func NewReporter(queue Queue, reports Reports, place Report, away func() bool, log *slog.Logger) *Reporter {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Reporter{queue: queue, reports: reports, place: place, away: away, log: log, cancel: cancel, done: make(chan struct{})}
	go r.run(ctx)
	return r
}

// Close makes a last report, since nobody else can tell what the queue holds from then on.
func (r *Reporter) Close() {
	r.cancel()
	<-r.done
}

func (r *Reporter) run(ctx context.Context) {
	defer close(r.done)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		r.look(ctx, false)
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.look(context.WithoutCancel(ctx), true)
			return
		}
	}
}

// look reports when there is something new to tell, or with last, when the queue holds anything.
func (r *Reporter) look(ctx context.Context, last bool) {
	if r.away() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	stats, err := r.queue.Stats(ctx)
	if err != nil {
		return // the metrics and readiness tell of a queue that cannot be read
	}
	holds := stats.Depth > 0 || stats.Quarantined > 0
	if r.told && r.holds == holds && (!holds || !last && time.Since(r.at) < reportEvery) {
		return
	}
	report := r.place
	report.Depth, report.Quarantined, report.Bytes, report.Oldest = stats.Depth, stats.Quarantined, stats.Bytes, stats.Oldest
	report.UpdatedAt = time.Now().UTC()
	if holds {
		err = r.reports.PutQueueReport(ctx, &report)
	} else {
		err = r.reports.RemoveQueueReport(ctx, report.Replica)
	}
	r.note(err, holds)
}

// note remembers what the store has, and logs when reports begin to fail.
func (r *Reporter) note(err error, holds bool) {
	switch {
	case err == nil:
		r.told, r.holds, r.at = true, holds, time.Now()
	case !errors.Is(err, context.Canceled) && !r.failed:
		r.log.Warn("the other servers cannot be told what waits in the dead-letter queue of this one; it is tried again", "error", err)
	}
	r.failed = err != nil
}
