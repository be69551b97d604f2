package tail

import (
	"context"
	"sync"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
)

// Reason says why a stream ended.
type Reason string

// The reasons.
const (
	// ReasonGone is a client that went away, or whose connection broke.
	ReasonGone Reason = "gone"
	// ReasonSlow is a client that took too long for a piece. It was told.
	ReasonSlow Reason = "slow"
	// ReasonCut is a client that took nothing for so long that it could not be told.
	ReasonCut Reason = "cut"
	// ReasonClosing is a server that stops. The client was told.
	ReasonClosing Reason = "closing"
	// ReasonForbidden is a client that may not read any more. It was told.
	ReasonForbidden Reason = "forbidden"
	// ReasonFailed is a log that could not be read for another reason than an outage. The client was told.
	ReasonFailed Reason = "failed"
)

var reasons = []Reason{ReasonGone, ReasonSlow, ReasonCut, ReasonClosing, ReasonForbidden, ReasonFailed}

// Session is the other side of a reader.
type Session struct {
	// Send sends a part of the stream to the client at once. It waits for the client at most for SendTimeout; after that, or
	// when the client is gone, it returns an error.
	Send func(frames []byte) error
	// Allowed reports whether the client may still read; it is asked at every heartbeat.
	Allowed func() bool
}

// Ended says how a stream ended.
type Ended struct {
	Reason Reason
	Err    error // why the log could not be read, for ReasonFailed
	Events int64 // events sent
	Next   int64 // the event that would have been looked at next
}

// Reader is one client that follows the log. Its methods are called by one goroutine.
type Reader struct {
	hub    *Hub
	feed   *feed
	filter *datastorage.EventFilter
	bodies project.Bodies // those that the filter looks into or lets pass
	next   int64          // log_index of the event to look at next

	piece piece // what was read from the store and not sent yet
	limit int   // of the next read from the store

	session Session
	sent    int64
}

func newReader(h *Hub, f *feed, from int64, q *datastorage.EventQuery) *Reader {
	return &Reader{
		hub: h, feed: f, filter: datastorage.NewEventFilter(q), bodies: bodiesFor(q), next: from, limit: fewEvents,
		piece: piece{next: -1},
	}
}

// bodiesFor asks for no body of an event that the query leaves out by its type or category.
func bodiesFor(q *datastorage.EventQuery) project.Bodies {
	switch {
	case q.EventType != "" && q.EventTypePrefix:
		return project.Bodies{Types: []string{q.EventType + "*"}}
	case q.EventType != "":
		return project.Bodies{Types: []string{q.EventType}}
	case q.Category != "":
		return project.Bodies{Categories: []string{q.Category}}
	}
	return everything
}

// SendTimeout is how long Send may wait for the client: twice as long as it takes to be too slow, so that a client that is
// only slow can be told.
func (r *Reader) SendTimeout() time.Duration { return 2 * r.hub.limits.Patience }

// Close gives back the reader's place. It is called once, after Serve.
func (r *Reader) Close() { r.hub.leave() }

// stop ends Serve.
type stop struct {
	reason Reason
	err    error
}

// Serve sends the log to a session until ctx ends, the hub closes, the client is too slow, or sending fails.
func (r *Reader) Serve(ctx context.Context, session Session) Ended {
	r.session = session
	heartbeat := time.NewTicker(r.hub.limits.Heartbeat)
	defer heartbeat.Stop()
	defer r.piece.release(r.hub)
	end := r.send(appendHello(nil, r.next, r.hub.limits.Reconnect), 0)
	for end == nil {
		end = r.step(ctx, heartbeat.C)
	}
	r.piece.release(r.hub)
	r.tell(end)
	r.hub.metrics.ended.WithLabelValues(string(end.reason)).Inc()
	return Ended{Reason: end.reason, Err: end.err, Events: r.sent, Next: r.next}
}

// step sends what there is, or waits for more.
func (r *Reader) step(ctx context.Context, heartbeat <-chan time.Time) *stop {
	var changed chan struct{}
	switch moved, more, err := r.advance(ctx); {
	case err != nil:
		return err
	case !moved:
		changed = more
	default:
		changed = always
	}
	// A reader that has much to read is told its position, and asked for its right to read, all the same.
	select {
	case <-ctx.Done():
		return &stop{reason: ReasonGone}
	case <-r.hub.closing:
		return &stop{reason: ReasonClosing}
	case <-heartbeat:
		return r.beat()
	case <-changed:
		return nil
	}
}

// always is a channel that has something for everybody.
var always = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (r *Reader) beat() *stop {
	if !r.session.Allowed() {
		return &stop{reason: ReasonForbidden}
	}
	v := r.feed.from(r.next, 0, nil)
	return r.send(appendHeartbeat(nil, r.next, v.stalled), 0)
}

// scan is how many events of the ring a reader looks at before it looks up.
const scan = 512

// scratch are buffers for a moment: readers that wait hold none.
type scratch struct {
	entries []*entry
	frames  []byte
}

var scratches = sync.Pool{New: func() any { return &scratch{} }}

// maxScratch is the largest buffer that is kept, in bytes.
const maxScratch = 128 << 10

func (s *scratch) giveBack() {
	clear(s.entries)
	s.entries, s.frames = s.entries[:0], s.frames[:0]
	if cap(s.frames) <= maxScratch {
		scratches.Put(s)
	}
}

// advance looks at the next events and sends those that match. When there were none, more is closed when there are.
func (r *Reader) advance(ctx context.Context) (moved bool, more chan struct{}, end *stop) {
	s := scratches.Get().(*scratch)
	defer s.giveBack()
	if r.piece.held {
		return true, nil, r.sendPiece(s)
	}
	v := r.feed.from(r.next, scan, s.entries)
	s.entries = v.entries
	switch {
	case v.behind:
		return r.catchUp(ctx)
	case r.next >= v.position:
		return false, v.changed, nil
	}
	return true, nil, r.sendEntries(s, v.position)
}

// sendEntries sends the entries that match, up to a piece of them; when there are no entries, nothing is left of the log up
// to position. An entry that is larger is sent by itself and from where it is: many readers that are slow hold it once.
func (r *Reader) sendEntries(s *scratch, position int64) *stop {
	next, n := r.next, int64(0)
	for _, e := range s.entries {
		if !r.filter.Match(&e.EventHeader, e.row()) {
			next = e.LogIndex + 1
			continue
		}
		if full := len(s.frames)+len(e.frame) > r.hub.limits.PieceBytes; full && n > 0 {
			break
		} else if full {
			return r.sendUpTo(e.LogIndex+1, e.frame, 1)
		}
		next = e.LogIndex + 1
		s.frames = append(s.frames, e.frame...)
		n++
	}
	if len(s.entries) == 0 {
		next = position
	}
	return r.sendUpTo(next, s.frames, n)
}

// sendUpTo sends the frames of n events, and then stands at next.
func (r *Reader) sendUpTo(next int64, frames []byte, n int64) *stop {
	end := r.send(frames, n)
	if end == nil || end.reason == ReasonSlow {
		r.next = next
	}
	return end
}

// send sends frames and watches the time that the client takes for them.
func (r *Reader) send(frames []byte, events int64) *stop {
	if len(frames) == 0 {
		return nil
	}
	began := time.Now()
	err := r.session.Send(frames)
	slow := time.Since(began) > r.hub.limits.Patience
	switch {
	case err != nil && slow:
		return &stop{reason: ReasonCut}
	case err != nil:
		return &stop{reason: ReasonGone}
	}
	r.sent += events
	r.hub.metrics.events.Add(float64(events))
	if slow {
		return &stop{reason: ReasonSlow}
	}
	return nil
}

// tell sends the last message of a stream, where there is somebody to read it.
func (r *Reader) tell(end *stop) {
	m := lastMessage{Reason: string(end.reason), LastEventID: r.next - 1}
	event := "closing"
	switch end.reason {
	case ReasonSlow:
		event, m.Detail = "dropped", "this reader takes too long; connect again with the id, or ask for fewer events"
	case ReasonClosing:
		m.Detail = "the server is stopping; connect again with the id"
	case ReasonForbidden:
		m.Detail = "the token may not read any more"
	case ReasonFailed:
		m.Detail = "the server failed to read the log; connect again with the id"
	default:
		return
	}
	_ = r.session.Send(appendLast(nil, event, m)) // nothing follows, whether it arrives or not
}
