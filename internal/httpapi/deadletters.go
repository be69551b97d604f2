package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// DeadLetters is what an administrator sees and changes of a dead-letter queue; see deadletter.Queue, which says what each
// method promises. Errors other than deadletter.ErrNotFound and deadletter.ErrConflict mean that the queue cannot be
// reached, or is full.
type DeadLetters interface {
	Stats(ctx context.Context) (deadletter.Stats, error)
	Letters(ctx context.Context, after string, limit int) ([]deadletter.Letter, error)
	Letter(ctx context.Context, id string) (deadletter.Letter, error)
	Holds(ctx context.Context, eventIDs []uuid.UUID) (map[uuid.UUID]bool, error)
	Replay(ctx context.Context, id string) error
	Discard(ctx context.Context, id string) error
}

// Limits of the routes of dead letters.
const (
	defaultLetters = 50
	// maxLetters bounds a page: the queue reads whole letters, each with its body.
	maxLetters       = 100
	maxLetterID      = 255 // bytes
	maxDiscardBody   = 16 << 10
	letterTimeout    = 3 * time.Second
	maxLetterMessage = 4096 // characters of a reason or cause in an event
)

// Acts on a letter, as their audit events call them.
const (
	actDiscarded = "discarded"
	actReplayed  = "replayed"
)

// letterDoc is a letter in a list.
type letterDoc struct {
	ID             string    `json:"id"`
	EventID        uuid.UUID `json:"event_id"`
	CorrelationID  string    `json:"correlation_id"`
	NotificationID string    `json:"notification_id,omitzero"`
	Reason         string    `json:"reason"`
	Cause          string    `json:"cause,omitzero"`
	QueuedAt       time.Time `json:"queued_at"`
	QuarantinedAt  time.Time `json:"quarantined_at"`
	BodyBytes      int       `json:"body_bytes"`
	BodySHA256     string    `json:"body_sha256"`
}

func newLetterDoc(l *deadletter.Letter) letterDoc {
	d := letterDoc{
		ID: l.ID, EventID: l.EventID, CorrelationID: clean(l.CorrelationID), Reason: clean(l.Reason), Cause: clean(l.Cause),
		QueuedAt: l.QueuedAt.UTC(), QuarantinedAt: l.QuarantinedAt.UTC(), BodyBytes: len(l.Body), BodySHA256: bodyHash(l),
	}
	if l.Notification != nil {
		d.NotificationID = l.Notification.NotificationID
	}
	return d
}

func bodyHash(l *deadletter.Letter) string {
	sum := sha256.Sum256(l.Body)
	return hex.EncodeToString(sum[:])
}

// clean makes a text one that JSON and every store take.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

// letterDetail is a letter with what it holds. Event is left out when the body is not JSON, and then BodyBase64 has it.
type letterDetail struct {
	letterDoc
	Event        jsontext.Value      `json:"event,omitzero"`
	BodyBase64   []byte              `json:"body_base64,omitzero"`
	Notification *queuedNotification `json:"notification,omitzero"`
}

// queuedNotification is a notification record that is not stored yet.
type queuedNotification struct {
	RemediationID   string    `json:"remediation_id"`
	NotificationID  string    `json:"notification_id"`
	Recipient       string    `json:"recipient"`
	Channel         string    `json:"channel"`
	MessageSummary  string    `json:"message_summary"`
	Status          string    `json:"status"`
	SentAt          time.Time `json:"sent_at"`
	DeliveryStatus  string    `json:"delivery_status,omitzero"`
	ErrorMessage    string    `json:"error_message,omitzero"`
	EscalationLevel int       `json:"escalation_level"`
}

type waitingDoc struct {
	Depth    int64     `json:"depth"`
	Bytes    int64     `json:"bytes"`
	Capacity int64     `json:"capacity_bytes"`
	Oldest   time.Time `json:"oldest_queued_at,omitzero"`
}

type letterPage struct {
	Data       []letterDoc      `json:"data"`
	Pagination letterPagination `json:"pagination"`
	// Waiting are the messages that will be stored, Quarantined the number of letters.
	Waiting     waitingDoc `json:"waiting"`
	Quarantined int64      `json:"quarantined"`
}

type letterPagination struct {
	Limit     int    `json:"limit"`
	HasMore   bool   `json:"has_more"`
	NextAfter string `json:"next_after,omitzero"`
}

// letterAct is the answer to a change: what became of the letter, and the event that records it.
type letterAct struct {
	ID           string    `json:"id"`
	EventID      uuid.UUID `json:"event_id"`
	Status       string    `json:"status"`
	AuditEventID uuid.UUID `json:"audit_event_id"`
}

func (s *Server) listLetters(c *call) (*response, error) {
	queue, err := s.deadLetters()
	if err != nil {
		return nil, err
	}
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	limit := int(p.integer("limit", defaultLetters, 1, maxLetters))
	after := p.text("after")
	if len(after) > maxLetterID {
		p.fault("after", "must be at most %d bytes", maxLetterID)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), letterTimeout)
	defer cancel()
	stats, err := queue.Stats(ctx)
	if err != nil {
		return nil, letterError(err)
	}
	letters, err := queue.Letters(ctx, after, limit+1)
	if err != nil {
		return nil, letterError(err)
	}
	page := letterPage{
		Data: []letterDoc{}, Pagination: letterPagination{Limit: limit, HasMore: len(letters) > limit},
		Waiting:     waitingDoc{Depth: stats.Depth, Bytes: stats.Bytes, Capacity: stats.Capacity, Oldest: stats.Oldest.UTC()},
		Quarantined: stats.Quarantined,
	}
	if page.Pagination.HasMore {
		letters = letters[:limit]
		page.Pagination.NextAfter = letters[limit-1].ID
	}
	for i := range letters {
		page.Data = append(page.Data, newLetterDoc(&letters[i]))
	}
	return encode(http.StatusOK, page)
}

func (s *Server) getLetter(c *call) (*response, error) {
	queue, err := s.deadLetters()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), letterTimeout)
	defer cancel()
	l, err := findLetter(ctx, queue, c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	d := letterDetail{letterDoc: newLetterDoc(&l)}
	if body := jsontext.Value(l.Body); body.IsValid() {
		d.Event = body
	} else {
		d.BodyBase64 = l.Body
	}
	if n := l.Notification; n != nil {
		d.Notification = &queuedNotification{
			n.RemediationID, n.NotificationID, n.Recipient, n.Channel, n.MessageSummary, n.Status, n.SentAt.UTC(),
			n.DeliveryStatus, n.ErrorMessage, n.EscalationLevel,
		}
	}
	return encode(http.StatusOK, d)
}

func (s *Server) replayLetter(c *call) (*response, error) {
	queue, err := s.deadLetters()
	if err != nil {
		return nil, err
	}
	return s.act(c, queue, actReplayed, "", queue.Replay)
}

func (s *Server) discardLetter(c *call) (*response, error) {
	queue, err := s.deadLetters()
	if err != nil {
		return nil, err
	}
	body, err := s.readBody(c, maxDiscardBody)
	if err != nil {
		return nil, err
	}
	reason, err := datastorage.DecodeDiscard(body)
	if err != nil {
		return nil, err
	}
	return s.act(c, queue, actDiscarded, reason, queue.Discard)
}

// act records a change of a letter as an audit event, and then makes it: no change goes unrecorded. When the change fails
// after that, the same request repeated records nothing anew.
func (s *Server) act(c *call, queue DeadLetters, act, reason string, change func(context.Context, string) error) (*response, error) {
	// It goes on when the client hangs up.
	ctx := context.WithoutCancel(c.Context())
	// Two administrators must not both have changed the same letter.
	s.acts.Lock()
	defer s.acts.Unlock()
	read, cancel := context.WithTimeout(ctx, letterTimeout)
	defer cancel()
	l, err := findLetter(read, queue, c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if act == actReplayed {
		// What the queue would refuse must not be recorded as done.
		if held, err := queue.Holds(read, []uuid.UUID{l.EventID}); err != nil {
			return nil, letterError(err)
		} else if held[l.EventID] {
			return nil, waits(&l)
		}
	}
	event, err := s.actEvent(c, act, reason, &l)
	if err != nil {
		return nil, err
	}
	if err := s.record(ctx, event); err != nil {
		return nil, err
	}
	write, cancel := context.WithTimeout(ctx, letterTimeout)
	defer cancel()
	if err := change(write, l.ID); errors.Is(err, deadletter.ErrConflict) {
		return nil, waits(&l)
	} else if err != nil {
		return nil, letterError(err)
	}
	s.cfg.Log.Info("a dead letter was "+act, "request_id", c.id, "client", c.client, "letter", l.ID, "event_id", l.EventID)
	return encode(http.StatusOK, letterAct{ID: l.ID, EventID: l.EventID, Status: act, AuditEventID: event.ID})
}

// record stores the server's own event, in the store or, during an outage, in the queue.
func (s *Server) record(ctx context.Context, event datastorage.Event) error {
	events := [1]datastorage.Event{event}
	began := s.cfg.Now()
	stored, err := s.cfg.Writer.Write(ctx, events[:], false)
	s.metrics.written(stored, events[:], err, began, s.cfg.Now())
	if err != nil && datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		return &datastorage.Error{Code: datastorage.CodeInternal, Detail: "the audit event of this change was refused; nothing was changed", Cause: err}
	}
	return err
}

// actData is the event_data of a change of a letter.
type actData struct {
	LetterID         string    `json:"letter_id"`
	EventID          uuid.UUID `json:"event_id"`
	Reason           string    `json:"reason,omitzero"`
	Who              string    `json:"who"`
	QueuedAt         time.Time `json:"queued_at"`
	QuarantinedAt    time.Time `json:"quarantined_at"`
	QuarantineReason string    `json:"quarantine_reason"`
	BodySHA256       string    `json:"body_sha256"`
}

// actCategory is the category of these events: they are about how the platform was run. The category execution would make
// them count as outcomes of a remediation.
const actCategory = "orchestration"

// actEvent is the audit event of a change, under the correlation_id of the letter. Its identifier is made of what it says
// but for the time, so that the same change, repeated, is the same event.
func (s *Server) actEvent(c *call, act, reason string, l *deadletter.Letter) (datastorage.Event, error) {
	encoded, err := json.Marshal(actData{
		LetterID: l.ID, EventID: l.EventID, Reason: reason, Who: c.client, QueuedAt: l.QueuedAt.UTC(),
		QuarantinedAt: l.QuarantinedAt.UTC(), QuarantineReason: cut(clean(l.Reason), maxLetterMessage), BodySHA256: bodyHash(l),
	})
	if err != nil {
		return datastorage.Event{}, err
	}
	data, err := datastorage.Canonical(encoded)
	if err != nil {
		return datastorage.Event{}, err
	}
	correlation := clean(l.CorrelationID)
	if n := utf8.RuneCountInString(correlation); n < 1 || n > 255 {
		correlation = "dead-letters"
	}
	days, ok := s.cfg.Rules.RetentionByCategory[actCategory]
	if !ok {
		days = s.cfg.Rules.RetentionDays
	}
	actor, severity := "client", "info"
	if s.cfg.Access.Clients == nil {
		actor = "address"
	}
	if act == actDiscarded {
		severity = "warning" // an acknowledged event is given up
	}
	return datastorage.Event{
		ID:      uuid.NewSHA1(datastorage.Namespace, []byte("dead-letter:"+act+"\n"+string(data))),
		Version: "1.0", Type: "datastorage.deadletter." + act, Time: s.cfg.Now().UTC().Truncate(time.Microsecond),
		Category: actCategory, Action: act, Outcome: "success", CorrelationID: correlation, Data: data,
		ActorType: actor, ActorID: c.client, ResourceType: "dead_letter", ResourceID: l.ID,
		Severity: severity, Retention: days,
		Sent: datastorage.FieldSet(datastorage.FieldID | datastorage.FieldType | datastorage.FieldData | datastorage.FieldActorID),
	}, nil
}

// cut shortens a text to n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// deadLetters returns the queue, or the problem of a server that has none.
func (s *Server) deadLetters() (DeadLetters, error) {
	if s.cfg.DeadLetters == nil {
		return nil, datastorage.Errorf(datastorage.CodeNotFound, "this server has no dead-letter queue: dead_letters.backend is none")
	}
	return s.cfg.DeadLetters, nil
}

func findLetter(ctx context.Context, queue DeadLetters, id string) (deadletter.Letter, error) {
	if id == "" || len(id) > maxLetterID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return deadletter.Letter{}, letterError(deadletter.ErrNotFound)
	}
	l, err := queue.Letter(ctx, id)
	if err != nil {
		return deadletter.Letter{}, letterError(err)
	}
	return l, nil
}

func letterError(err error) error {
	switch {
	case errors.Is(err, deadletter.ErrNotFound):
		return datastorage.Errorf(datastorage.CodeNotFound, "the quarantine holds no such dead letter")
	case errors.Is(err, deadletter.ErrFull):
		return datastorage.Unavailable(err, "the dead-letter queue is full; try again when it has drained")
	}
	return datastorage.Unavailable(err, "the dead-letter queue cannot be reached; try again")
}

// waits is the problem of a replay while the queue holds a message with the same event_id.
func waits(l *deadletter.Letter) error {
	return &datastorage.Error{
		Code:     datastorage.CodeConflict,
		Detail:   "a message with the same event_id waits to be stored; try again when it is",
		Conflict: &datastorage.Conflict{Resource: "dead_letter", Field: "event_id", Value: l.EventID.String()},
	}
}
