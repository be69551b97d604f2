package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/datastorage-io/datastorage"
)

// EventWriter stores audit events, all or nothing. An event that is stored already is no error, so that events whose
// outcome is not known can be written again. An error with datastorage.CodeUnavailable says that they may not be stored
// now; any other says that the content is to blame.
type EventWriter func(ctx context.Context, events []datastorage.Event) error

// RecorderOptions are the settings of a Recorder. All are required.
type RecorderOptions struct {
	// FlushInterval is how long evidence waits for more before it is written.
	FlushInterval time.Duration
	// BatchSize is how many events are written at once, at most.
	BatchSize int
	// MaxBytes bounds what waits, in bytes of events and evidenceOverhead for each. It must have room for the largest
	// evidence, 48 KiB and that of outcomes, 14 KiB.
	MaxBytes int64
	// Retention is how long the events are kept, in days.
	Retention int
	Log       *slog.Logger
	Metrics   *RecorderMetrics
}

const (
	evidenceType   = "workflow.catalog.search_completed"
	evidenceAction = "search_completed"
	// evidenceOverhead is what an event takes beside its event_data, in bytes.
	evidenceOverhead = 1024
	// The pause before evidence is written again begins at firstRetry and doubles up to lastRetry.
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// errRecorderClosed says that no more evidence is taken.
var errRecorderClosed = errors.New("the recorder of searches is closed")

// Recorder writes the evidence of searches as audit events, many at a time, behind the searches. What it took it writes,
// again and again until it is stored: it drops nothing, and when too much waits, searches wait too. What waits is in
// memory: a server that is killed loses what it took within the last FlushInterval, or since the store went away.
type Recorder struct {
	write EventWriter
	opts  RecorderOptions
	room  *semaphore.Weighted

	mu     sync.RWMutex // held to send to queue, and to close it
	closed bool
	queue  chan *datastorage.Event // with room for all that MaxBytes lets in, so that sending does not wait
	done   chan struct{}           // closed when the loop has ended
	giveUp context.Context         // ended when Close may wait no longer
	cancel context.CancelFunc
	left   int // events that the loop gave up; read when done is closed
}

// NewRecorder returns a recorder that writes until Close.
func NewRecorder(write EventWriter, opts RecorderOptions) *Recorder {
	r := &Recorder{
		write: write, opts: opts, room: semaphore.NewWeighted(opts.MaxBytes),
		queue: make(chan *datastorage.Event, opts.MaxBytes/evidenceOverhead), done: make(chan struct{}),
	}
	r.giveUp, r.cancel = context.WithCancel(context.Background())
	go r.loop()
	return r
}

// Record takes the evidence of a search that was answered at a time and took that long. It waits while too much waits
// already, and fails with datastorage.CodeUnavailable when ctx ends first or the recorder is closed: then nothing is
// recorded, and the search must not be answered as if it were.
func (r *Recorder) Record(ctx context.Context, e *Evidence, at time.Time, took time.Duration) error {
	event, err := e.event(at, took, r.opts.Retention)
	if err != nil {
		return err
	}
	if !r.room.TryAcquire(cost(&event)) {
		r.opts.Metrics.full.Inc()
		if err := r.room.Acquire(ctx, cost(&event)); err != nil {
			return datastorage.Unavailable(err, "the searches before this one are not recorded yet; try again")
		}
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		r.room.Release(cost(&event))
		return datastorage.Unavailable(errRecorderClosed, "the server is shutting down")
	}
	r.opts.Metrics.waiting.Inc()
	r.queue <- &event
	return nil
}

// cost is what an event counts in MaxBytes.
func cost(e *datastorage.Event) int64 { return int64(len(e.Data)) + evidenceOverhead }

// event returns the audit event of a search. Its id is made here, so that it is the same however often it is written.
func (e *Evidence) event(at time.Time, took time.Duration, retention int) (datastorage.Event, error) {
	data, err := e.MarshalJSON()
	if err != nil {
		return datastorage.Event{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return datastorage.Event{}, datastorage.Unavailable(err, "the server cannot make an identifier")
	}
	incident := e.Search.RemediationID
	if incident == "" {
		incident = id.String()
	}
	ms := took.Milliseconds()
	return datastorage.Event{
		ID: id, Version: "1.0", Type: evidenceType, Time: at.UTC().Truncate(time.Microsecond), Category: eventCategory, Action: evidenceAction,
		Outcome: "success", CorrelationID: incident, Data: data, ActorType: "service", ActorID: "datastorage",
		ResourceType: "workflow_catalog", ResourceID: fmt.Sprint(e.CatalogVersion), Severity: "info", DurationMS: &ms, Retention: retention,
		// The id above all: what was stored although its answer was lost is then found, and not stored again.
		Sent: datastorage.FieldSet(datastorage.FieldID | datastorage.FieldTime | datastorage.FieldType | datastorage.FieldData |
			datastorage.FieldCorrelationID),
	}, nil
}

// Close takes no more evidence and writes what waits. When ctx ends first, the error says how much was not written.
func (r *Recorder) Close(ctx context.Context) error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.queue)
	}
	r.mu.Unlock()
	select {
	case <-r.done:
	case <-ctx.Done():
		r.cancel()
		<-r.done
	}
	r.cancel()
	if r.left > 0 {
		return fmt.Errorf("the evidence of %d searches was not stored: %w", r.left, context.Cause(ctx))
	}
	return nil
}

func (r *Recorder) loop() {
	defer close(r.done)
	for event := range r.queue {
		r.flush(r.collect(*event))
	}
}

// collect returns the first event with those that follow until the batch is full, FlushInterval is over or none can
// follow.
func (r *Recorder) collect(first datastorage.Event) []datastorage.Event {
	batch := []datastorage.Event{first}
	timer := time.NewTimer(r.opts.FlushInterval)
	defer timer.Stop()
	for len(batch) < r.opts.BatchSize {
		select {
		case event, ok := <-r.queue:
			if !ok {
				return batch
			}
			batch = append(batch, *event)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// flush writes events until they are stored or Close may wait no longer, and gives their room back.
func (r *Recorder) flush(batch []datastorage.Event) {
	switch err := r.store(batch); {
	case err == nil:
		r.opts.Metrics.stored.Add(float64(len(batch)))
	case r.giveUp.Err() != nil:
		r.left += len(batch)
		r.opts.Metrics.lost.Add(float64(len(batch)))
		r.opts.Log.Error("the evidence of searches was not stored before the end", "events", len(batch), "error", err)
	case len(batch) > 1:
		for i := range batch { // one of them is to blame
			r.flush(batch[i : i+1])
		}
		return
	default:
		r.opts.Metrics.lost.Inc()
		r.opts.Log.Error("the evidence of a search was refused", "error", err, "event_data", string(batch[0].Data))
	}
	for i := range batch {
		r.room.Release(cost(&batch[i]))
	}
	r.opts.Metrics.waiting.Sub(float64(len(batch)))
}

// store writes events again until they are stored. The error is that of their content, or the last one when Close may
// wait no longer.
func (r *Recorder) store(batch []datastorage.Event) error {
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		err := r.write(r.giveUp, batch)
		if err == nil || datastorage.CodeOf(err) != datastorage.CodeUnavailable {
			return err
		}
		r.opts.Metrics.retries.Inc()
		select {
		case <-time.After(pause):
		case <-r.giveUp.Done():
			return err
		}
	}
}
