package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// Pauses of the redriver while the store cannot be reached: each is twice the one before, with jitter.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
	// idlePause is how often a shared queue is looked at for messages of other servers. It is less than turnWait, so that
	// writes seldom join the queue behind what another server put.
	idlePause = 200 * time.Millisecond
	// calmPause is how long the store must take writes before the next outage begins with the first pause again.
	calmPause = 2 * time.Second
)

// redriveChunk is how many messages one commit stores.
const redriveChunk = 500

// Redriver stores what waits in the dead-letter queue, in order, through the commit path. A message leaves the queue
// only when its event is stored; the event_id decides, so a crash between the two costs a look-up.
type Redriver struct {
	fallback  *Fallback
	committer *Committer
	store     Store
	log       *slog.Logger
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

// NewRedriver starts to redrive the queue of a fallback. Close stops it.
func NewRedriver(f *Fallback, c *Committer, log *slog.Logger) *Redriver {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Redriver{fallback: f, committer: c, store: c.store, log: log, cancel: cancel}
	r.running.Go(func() { r.run(ctx) })
	if f.shared != nil {
		r.running.Go(func() { r.watch(ctx) })
	}
	return r
}

// Close stops redriving; what waits stays in the queue.
func (r *Redriver) Close() {
	r.cancel()
	r.running.Wait()
}

func (r *Redriver) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		lead, release, err := r.fallback.letters.Lead(ctx)
		if err != nil {
			r.log.Warn("cannot take the lead of the dead-letter queue", "error", err)
			wait(ctx, maxPause, nil, nil)
			continue
		}
		cut := r.lead(lead)
		release()
		if !cut {
			pause = firstPause
			continue
		}
		wait(ctx, pause/2+rand.N(pause), nil, nil)
		pause = min(2*pause, maxPause)
	}
}

// watch closes the breaker of a server that shares its queue once its store can be read: who leads may be another one.
func (r *Redriver) watch(ctx context.Context) {
	f := r.fallback
	pause := firstPause
	for ctx.Err() == nil {
		if f.breaker.isClosed() {
			if !wait(ctx, calmPause, nil, f.breaker.opened) {
				pause = firstPause
			}
			f.shared.prune(ctx)
			continue
		}
		wait(ctx, pause/2+rand.N(pause), nil, nil)
		pause = min(2*pause, maxPause)
		if r.probe(ctx) == nil {
			f.breaker.close()
		}
	}
}

// lead redrives until the lead ends. Of a shared queue it gives the lead up when the store cannot be reached, which cut
// reports: another server may reach it.
func (r *Redriver) lead(ctx context.Context) (cut bool) {
	opened := r.fallback.breaker.opened
	if r.fallback.shared != nil {
		opened = nil // watch's
	}
	pause := firstPause
	for ctx.Err() == nil {
		n, err := r.round(ctx)
		switch {
		case err != nil:
			if isOutage(err) {
				r.fallback.breaker.trip(err)
				if r.fallback.shared != nil {
					return true
				}
			} else if ctx.Err() == nil {
				r.log.Warn("the dead-letter queue cannot be redriven now", "error", err)
			}
			wait(ctx, pause/2+rand.N(pause), nil, nil)
			pause = min(2*pause, maxPause)
		case n > 0:
			pause = firstPause
		default:
			pause = firstPause
			wait(ctx, idlePause, r.fallback.put, opened)
		}
	}
	return false
}

// wait returns after a time, when a channel gets a value, or when ctx ends. It reports whether the time was cut short.
func wait(ctx context.Context, d time.Duration, put, opened <-chan struct{}) (early bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-put:
	case <-opened:
	case <-ctx.Done():
	}
	return true
}

// round stores the oldest messages, or finds out whether the store is back when none waits. It returns how many messages
// left the queue; the error is an outage of the store or of the queue.
func (r *Redriver) round(ctx context.Context) (int, error) {
	f := r.fallback
	f.breaker.try()
	puts := f.puts()
	messages, err := f.letters.Oldest(ctx, redriveChunk)
	if err != nil {
		return 0, fmt.Errorf("read the dead-letter queue: %w", err)
	}
	if len(messages) == 0 {
		f.forgetCounts(puts)
		if f.shared == nil && !f.breaker.isClosed() {
			if err := r.probe(ctx); err != nil {
				return 0, err
			}
			f.breaker.close()
		}
		return 0, nil
	}
	gone, err := r.redrive(ctx, messages)
	if len(gone) > 0 {
		f.metrics.redriven.Add(float64(len(gone)))
	}
	if err == nil {
		f.breaker.close()
	}
	return len(gone), err
}

// probe reports whether the store can be read.
func (r *Redriver) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.committer.limits.WriteTimeout)
	defer cancel()
	_, err := r.store.Head(ctx)
	return err
}

// redrive stores messages and takes them out of the queue: those that were stored before, those that it stores now, and
// to the quarantine those whose content the store refuses. It returns the messages that are gone.
func (r *Redriver) redrive(ctx context.Context, messages []*deadletter.Message) (gone []*deadletter.Message, err error) {
	fresh, stored, err := r.sort(ctx, messages)
	if err != nil {
		return nil, err
	}
	if err := r.remove(ctx, stored); err != nil {
		return nil, err
	}
	gone = stored
	if len(fresh) == 0 {
		return gone, nil
	}
	w, err := write(fresh)
	if err == nil {
		err = r.submit(ctx, w)
	}
	switch {
	case err == nil:
		if err := r.remove(ctx, fresh); err != nil {
			return gone, err
		}
		return append(gone, fresh...), nil
	case errors.Is(err, errTaken):
		return gone, nil // the next round sees it
	case datastorage.CodeOf(err) == datastorage.CodeUnavailable:
		return gone, err
	case len(fresh) == 1:
		if err := r.quarantine(ctx, fresh[0], "the store refuses it: "+err.Error()); err != nil {
			return gone, err
		}
		return append(gone, fresh...), nil
	}
	// One message is to blame; the others must not suffer for it.
	for _, half := range [][]*deadletter.Message{fresh[:len(fresh)/2], fresh[len(fresh)/2:]} {
		more, err := r.redrive(ctx, half)
		gone = append(gone, more...)
		// What is left of the first half comes before the second one.
		if err != nil || len(more) < len(half) {
			return gone, err
		}
	}
	return gone, nil
}

func (r *Redriver) submit(ctx context.Context, w datastorage.Write) error {
	ctx, cancel := context.WithTimeout(ctx, r.committer.limits.WriteTimeout)
	defer cancel()
	_, err := r.committer.submit(ctx, w)
	return err
}

func write(messages []*deadletter.Message) (datastorage.Write, error) {
	var w datastorage.Write
	for _, m := range messages {
		record, err := m.Record()
		if err != nil {
			return w, err
		}
		w.Records = append(w.Records, record)
		if m.Notification != nil {
			w.Notifications = append(w.Notifications, m.Notification)
		}
	}
	return w, nil
}

// sort tells messages that have to be stored from those that are stored, and sets those aside that contradict the store.
func (r *Redriver) sort(ctx context.Context, messages []*deadletter.Message) (fresh, stored []*deadletter.Message, err error) {
	ids := make([]uuid.UUID, len(messages))
	for i, m := range messages {
		ids[i] = m.EventID
	}
	found, err := r.store.Find(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range messages {
		if _, ok := found[m.EventID]; !ok {
			fresh = append(fresh, m)
			continue
		}
		reason, err := r.contradiction(ctx, m)
		if err != nil {
			return nil, nil, err
		}
		if reason == "" {
			stored = append(stored, m)
		} else if err := r.quarantine(ctx, m, reason); err != nil {
			return nil, nil, err
		}
	}
	return fresh, stored, nil
}

// contradiction says why a message whose event_id is stored cannot be the stored event; "" when it is.
func (r *Redriver) contradiction(ctx context.Context, m *deadletter.Message) (string, error) {
	old, err := r.store.Event(ctx, m.EventID)
	if datastorage.CodeOf(err) == datastorage.CodeNotFound {
		return "its event_id belongs to an event that was removed", nil
	}
	if err != nil {
		return "", err
	}
	if old.Salt == m.Salt && string(old.Body) == string(m.Body) {
		return "", nil
	}
	stored, err := datastorage.ParseBody(old.Body)
	if err != nil {
		return "", err
	}
	return difference(m, stored), nil
}

// difference says how a message differs from the stored event of its event_id; "" when it does not.
func difference(m *deadletter.Message, stored *datastorage.Event) string {
	queued, err := datastorage.ParseBody(m.Body)
	if err != nil {
		return "it cannot be read: " + err.Error()
	}
	queued.Sent = m.Sent
	if !queued.SameContent(stored) {
		return "its event_id belongs to a stored event with other content"
	}
	return ""
}

func (r *Redriver) remove(ctx context.Context, messages []*deadletter.Message) error {
	if len(messages) == 0 {
		return nil
	}
	ids := make([]string, len(messages))
	for i, m := range messages {
		ids[i] = m.ID
	}
	if err := r.fallback.letters.Remove(ctx, ids); err != nil {
		return fmt.Errorf("take stored messages out of the dead-letter queue: %w", err)
	}
	r.fallback.count(messages, -1)
	return nil
}

func (r *Redriver) quarantine(ctx context.Context, m *deadletter.Message, reason string) error {
	if err := r.fallback.letters.Quarantine(ctx, m.ID, reason); err != nil {
		return fmt.Errorf("set a message aside: %w", err)
	}
	r.fallback.count([]*deadletter.Message{m}, -1)
	r.log.Error("a queued event was set aside: the store refuses it", "event_id", m.EventID, "id", m.ID, "reason", reason)
	return nil
}
