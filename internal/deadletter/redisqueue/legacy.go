package redisqueue

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// The fields of an entry that this queue did not put: messageField is V1.0's only one, originField is added when such an
// entry is put back from the quarantine, and says which entry it was first.
const (
	messageField = "message"
	originField  = "origin"
)

// What V1.0 calls its two kinds of messages.
const (
	eventType        = "audit_event"
	notificationType = "notification_audit"
)

// legacyMessage is what V1.0 keeps in an entry. Its other member, retry_count, says nothing here.
type legacyMessage struct {
	Type      string         `json:"type"`
	Payload   jsontext.Value `json:"payload"`
	Timestamp time.Time      `json:"timestamp"`
	LastError string         `json:"last_error"`
}

// origin names the entry in the form that its event_id is derived from.
func (e *entry) origin() string {
	if origin := e.field(originField); origin != "" {
		return origin
	}
	return streamKey(e.place) + "/" + e.place[1:]
}

// foreignID is the event_id of the event in an entry that names none: the same, however often the entry is read.
func (e *entry) foreignID() uuid.UUID { return uuid.NewSHA1(datastorage.Namespace, []byte(e.origin())) }

// decodeLegacy returns the message of an entry of V1.0, or an error that says why there is none.
func decodeLegacy(e *entry, rules *datastorage.Rules) (*deadletter.Message, error) {
	text := e.field(messageField)
	if text == "" {
		return nil, errors.New("the entry has no field message")
	}
	var legacy legacyMessage
	if err := json.Unmarshal([]byte(text), &legacy); err != nil {
		return nil, fmt.Errorf("the message is not the JSON of V1.0: %w", err)
	}
	m := &deadletter.Message{QueuedAt: legacy.Timestamp.UTC().Truncate(time.Microsecond), Cause: clean(legacy.LastError)}
	if legacy.Timestamp.IsZero() {
		m.QueuedAt = e.time()
	}
	event, err := decodePayload(&legacy, rules, m)
	if err != nil {
		return nil, err
	}
	if event.ID == uuid.Nil {
		event.ID = e.foreignID()
	}
	var salt [datastorage.SaltSize]byte
	rand.Read(salt[:])
	r := datastorage.NewRecord(event, salt)
	m.EventID, m.CorrelationID, m.Body, m.Salt, m.Sent = r.ID, r.CorrelationID, r.Body, salt, r.Sent
	return m, nil
}

// decodePayload returns the event of a message, and sets the notification that comes with it.
func decodePayload(legacy *legacyMessage, rules *datastorage.Rules, m *deadletter.Message) (datastorage.Event, error) {
	switch legacy.Type {
	case eventType:
		payload, err := unfoldData(legacy.Payload)
		if err != nil {
			return datastorage.Event{}, err
		}
		return rules.Decode(payload, m.QueuedAt)
	case notificationType:
		n, err := rules.DecodeNotification(legacy.Payload, m.QueuedAt)
		if err != nil {
			return datastorage.Event{}, err
		}
		m.Notification = n
		return n.Event(rules), nil
	}
	return datastorage.Event{}, fmt.Errorf("the type must be %s or %s", eventType, notificationType)
}

// unfoldData returns the event as a request has it: V1.0 keeps event_data as base64, and an absent identifier as zeros.
func unfoldData(payload jsontext.Value) (jsontext.Value, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(payload, &members); err != nil {
		return nil, fmt.Errorf("the payload is no JSON object: %w", err)
	}
	if data := members["event_data"]; len(data) > 0 && data[0] == '"' {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return nil, fmt.Errorf("event_data is no text: %w", err)
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("event_data is not base64")
		}
		if !jsontext.Value(raw).IsValid() {
			return nil, errors.New("event_data is not JSON")
		}
		members["event_data"] = raw
	}
	if string(members["event_id"]) == `"`+uuid.Nil.String()+`"` {
		delete(members, "event_id")
	}
	return json.Marshal(members, json.Deterministic(true))
}

// foreignMessage is an entry that cannot be decoded as an administrator sees it.
func foreignMessage(e *entry) *deadletter.Message {
	body := e.field(messageField)
	if body == "" {
		body = strings.Join(e.fields, "\n")
	}
	m := &deadletter.Message{EventID: e.foreignID(), Body: []byte(body), QueuedAt: e.time()}
	var legacy struct {
		Payload struct {
			CorrelationID string `json:"correlation_id"`
			RemediationID string `json:"remediation_id"`
		} `json:"payload"`
		LastError string `json:"last_error"`
	}
	// What can be read helps to find out where it comes from.
	if json.Unmarshal([]byte(body), &legacy) == nil {
		m.CorrelationID, m.Cause = legacy.Payload.CorrelationID, legacy.LastError
		if m.CorrelationID == "" {
			m.CorrelationID = legacy.Payload.RemediationID
		}
	}
	return m
}

func clean(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// takeOver makes messages of all entries that V1.0 put.
func (q *Queue) takeOver(ctx context.Context) error {
	others, err := q.hasOthers(ctx)
	if err != nil || !others {
		return err
	}
	for _, stream := range []string{inEvents, inNotifications} {
		for from := "-"; from != ""; {
			var found []entry
			if found, from, err = q.scanOthers(ctx, stream, from); err != nil {
				return err
			}
			if err := q.adopt(ctx, found); err != nil {
				return err
			}
		}
	}
	return nil
}

// hasOthers reports whether the streams hold more entries than this queue put there.
func (q *Queue) hasOthers(ctx context.Context) (bool, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	pipe := q.client.TxPipeline()
	events, notifications, ids := pipe.XLen(ctx, EventsKey), pipe.XLen(ctx, NotificationsKey), pipe.HLen(ctx, idsKey)
	if _, err := pipe.Exec(ctx); err != nil {
		return false, q.unreachable(err)
	}
	return events.Val()+notifications.Val() != ids.Val(), nil
}

// scanOthers reads a part of a stream. It returns the entries there that this queue did not put, and where to go on, ""
// at the end.
func (q *Queue) scanOthers(ctx context.Context, stream, from string) (found []entry, next string, err error) {
	reply, err := q.read(ctx, othersScript, stream, from)
	if err != nil {
		return nil, "", err
	}
	list, ok := reply.([]any)
	if !ok || len(list) != 2 {
		return nil, "", errReply
	}
	if next, ok = list[0].(string); !ok {
		return nil, "", errReply
	}
	found, err = parseEntries(list[1])
	return found, next, err
}

// adopt makes each entry that this queue did not put, or cannot read, a message at the end of its stream or a letter, in
// their order. Each becomes so in one step, so that several servers may do it at once.
func (q *Queue) adopt(ctx context.Context, others []entry) error {
	steps := make([]adoption, len(others))
	for i := range others {
		s := &steps[i]
		s.entry = &others[i]
		m, err := decodeLegacy(s.entry, &q.opts.Rules)
		if s.entry.isOurs() {
			err = errors.New("the entry cannot be read: a field of it is not as the queue writes it")
		}
		if err == nil {
			err = s.prepare(m, q.opts.MaxBytes)
		}
		if err != nil {
			if s.change, err = q.quarantine(s.entry, err.Error(), ""); err != nil {
				return err
			}
		}
		if err := q.enqueue(ctx, s.change); err != nil {
			return err
		}
	}
	var errs []error
	for i := range steps {
		errs = append(errs, q.finish(ctx, &steps[i]))
	}
	return errors.Join(errs...)
}

// adoption is an entry on its way to a message or a letter.
type adoption struct {
	entry  *entry
	put    *put // nil for a letter
	change *change
}

func (a *adoption) prepare(m *deadletter.Message, capacity int64) error {
	p, err := newPut([]*deadletter.Message{m})
	if err != nil {
		return err
	}
	p.replaced = a.entry.place
	a.put, a.change = p, p.change(capacity)
	return nil
}

// finish waits for an adoption. An entry that is gone was adopted by another server.
func (q *Queue) finish(ctx context.Context, a *adoption) error {
	reply, err := q.wait(ctx, a.change)
	if a.put == nil {
		if err = outcome(reply, err); err == nil {
			q.opts.Log.Error("an entry of the dead-letter queue was set aside: it cannot be decoded", "entry", a.entry.origin())
		}
		return unlessGone(err)
	}
	if err != nil {
		return err
	}
	done, err := a.put.read(reply)
	if !done && err == nil {
		err = q.put(ctx, a.put)
	}
	if errors.Is(err, deadletter.ErrConflict) {
		c, err := q.quarantine(a.entry, "its event_id belongs to a queued event with other content", "")
		if err != nil {
			return err
		}
		return unlessGone(outcome(q.do(ctx, c)))
	}
	return unlessGone(err)
}

func unlessGone(err error) error {
	if errors.Is(err, errGone) || errors.Is(err, deadletter.ErrNotFound) {
		return nil
	}
	return err
}
